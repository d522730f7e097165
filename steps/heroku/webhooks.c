/* SPDX-License-Identifier: MIT */
/* heroku.webhooks: who is told what happens to an app. Neither the secret by which a webhook signs
 * nor its Authorization header can be read: they are given, or new. */
#include "engine/base/text.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/heroku/reads.h"

#include <sodium.h>
#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"like", FIELD_APP, FIELD_REQUIRED | FIELD_EXISTS, NULL, NULL,
         "Have the webhooks of this app."},
	{"secret", FIELD_SECRET, 0, NULL, NULL,
         "What they sign with; without it Heroku makes a new one, which receivers do not know."},
	{"authorization", FIELD_SECRET, 0, NULL, NULL, "The Authorization header they send."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

/* ---- Reading ---- */

static char *join(struct arena *arena, const struct value *entities)
{
	struct text text = {0};

	for (const struct value *one = entities->as.items.first; one; one = one->next)
		if (value_reveal(one))
			text_format(&text, "%s%s", text.length ? "," : "", value_reveal(one));
	char *joined = arena_text(arena, text_string(&text));
	text_free(&text);
	return joined;
}

/* The host, but neither who asks nor what for; the rest of the URL only as a hash. */
static char *title(struct arena *arena, const char *url, const char *level, const char *entities)
{
	unsigned char hash[crypto_generichash_BYTES_MIN];
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	size_t length = strcspn(host, "/?#");
	const char *at = memchr(host, '@', length);
	if (at) {
		length -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	crypto_generichash(hash, sizeof hash, (const unsigned char *)url, strlen(url), NULL, 0);
	return arena_printf(arena, "%.*s %s %s %02x%02x%02x%02x", (int)length, host, level,
	                    entities, hash[0], hash[1], hash[2], hash[3]);
}

bool webhooks_read(struct heroku *heroku, const char *app, struct value *out, struct value *ids,
                   struct error *err)
{
	struct arena *arena = heroku->arena;
	struct value *list;

	if (!heroku_list(heroku, heroku_path(heroku, "/apps/%s/webhooks", app), &list, err))
		return false;
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *id = heroku_text(one, "id", err);
		const char *url = id ? heroku_text(one, "url", err) : NULL;
		const char *level = url ? heroku_text(one, "level", err) : NULL;
		const struct value *include = value_get(one, "include");
		if (!level)
			return false;
		if (!include || include->kind != VALUE_LIST)
			return fail(err, ERROR_FAILED, "a webhook of %s has no list of entities",
			            app);
		struct value *webhook = value_map(arena);
		value_set(arena, webhook, "url", value_secret(arena, url, "(hidden)"));
		value_set_text(arena, webhook, "level", level);
		value_set(arena, webhook, "include", value_copy(arena, include));
		const char *name = title(arena, url, level, join(arena, include));
		value_set(arena, out, name, webhook);
		if (ids)
			value_set_text(arena, ids, name, id);
	}
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *now = value_map(step->arena), *wanted = value_map(step->arena);

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    (app && !webhooks_read(&heroku, lookup_field(&heroku, "app"), now, NULL, err)) ||
	    !webhooks_read(&heroku, lookup_field(&heroku, "like"), wanted, NULL, err))
		return false;
	value_set(step->arena, seen, "now", now);
	value_set(step->arena, seen, "wanted", wanted);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *wanted = value_get(seen, "wanted");

	(void)err;
	for (const struct value *one = wanted->as.items.first; one; one = one->next)
		if (!value_get(value_get(seen, "now"), one->key))
			changes_add(changes, one->key, NULL, one,
			            value_get(step->with, "secret") ? NULL : "with a new secret");
	return true;
}

/* ---- Acting ---- */

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	static const char *const given[] = {"secret", "authorization"};
	static const char *const same[] = {"url", "level", "include"};
	struct heroku heroku;

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *path = heroku_path(&heroku, "/apps/%s/webhooks", lookup_field(&heroku, "app"));
	for (const struct change *change = changes->first; change; change = change->next) {
		struct value *body = value_map(step->arena);
		for (size_t i = 0; i < sizeof same / sizeof *same; i++)
			value_set(step->arena, body, same[i],
			          value_copy(step->arena, value_get(change->to, same[i])));
		for (size_t i = 0; i < sizeof given / sizeof *given; i++)
			if (value_get(step->with, given[i]))
				value_set(step->arena, body, given[i],
				          value_copy(step->arena, value_get(step->with, given[i])));
		if (!heroku_must(&heroku, "POST", path, body, NULL, err))
			return fail_while(err, "webhook %s", change->path);
	}
	return true;
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *app, *now = value_map(step->arena), *ids = value_map(step->arena);
	const struct value *wanted = value_get(before, "wanted");

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    (app && !webhooks_read(&heroku, lookup_field(&heroku, "app"), now, ids, err)))
		return false;
	for (const struct value *one = now->as.items.first; one; one = one->next) {
		if (!value_get(wanted, one->key) || value_get(value_get(before, "now"), one->key))
			continue;
		const char *path =
			heroku_path(&heroku, "/apps/%s/webhooks/%s", lookup_field(&heroku, "app"),
		                    value_get_text(ids, one->key, ""));
		if (!heroku_delete(&heroku, path, err))
			return false;
	}
	return true;
}

const struct step_module heroku_webhooks = {
	.name = "heroku.webhooks",
	.text = "Gives an app the webhooks of another one.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/webhooks", NULL},
	.reads = (const char *const[]){"heroku/app/${like}/webhooks", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
