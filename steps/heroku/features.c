/* SPDX-License-Identifier: MIT */
/* heroku.features: labs features, log drains and the pipeline of an app. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/heroku/reads.h"

#include <sodium.h>
#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"like", FIELD_APP, FIELD_REQUIRED | FIELD_EXISTS, NULL, NULL,
         "Have the features, drains and pipeline of this app."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

/* Adds "drain:URL". User, path and query of a drain hold its token: then that URL is the SECRET
 * value, and the key has the host and enough of a hash to tell two such drains apart. */
static void add_drain(struct heroku *heroku, struct value *out, const char *url)
{
	struct arena *arena = heroku->arena;
	const char *scheme = strstr(url, "://"), *from = scheme ? scheme + 3 : url;
	size_t authority = strcspn(from, "/?#");
	const char *at = memrchr(from, '@', authority), *host = at ? at + 1 : from;
	const char *rest = from + authority;
	unsigned char hash[crypto_generichash_BYTES_MIN];

	if (!at && (!*rest || strcmp(rest, "/") == 0)) {
		value_set_bool(arena, out, arena_printf(arena, "drain:%s", url), true);
		return;
	}
	crypto_generichash(hash, sizeof hash, (const unsigned char *)url, strlen(url), NULL, 0);
	char *key = arena_printf(arena, "drain:%.*s%.*s/...#%02x%02x%02x", (int)(from - url), url,
	                         (int)(rest - host), host, hash[0], hash[1], hash[2]);
	value_set(arena, out, key, value_secret(arena, url, "(hidden)"));
}

/* The URL of a drain that read_kind() added. */
static const char *drain_url(const char *key, const struct value *value)
{
	return value && value->kind == VALUE_SECRET ? value_reveal(value) : key + strlen("drain:");
}

/* Adds "feature:NAME", or drains. */
static bool read_kind(struct heroku *heroku, const char *app, const char *kind, struct value *out,
                      struct error *err)
{
	struct value *list;
	char *path =
		arena_printf(heroku->arena, "%s/%s", heroku_path(heroku, "/apps/%s", app), kind);

	if (!heroku_list(heroku, path, &list, err))
		return false;
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *id = heroku_text(one, "id", err), *key;
		if (!id)
			return false;
		if (strcmp(kind, "features") == 0) {
			if (!value_get_bool(one, "enabled", false))
				continue;
			key = arena_printf(heroku->arena, "feature:%s",
			                   value_get_text(one, "name", id));
		} else {
			const struct value *addon = value_get(one, "addon");
			if (addon && addon->kind == VALUE_MAP)
				continue;
			add_drain(heroku, out, value_get_text(one, "url", id));
			continue;
		}
		value_set_bool(heroku->arena, out, key, true);
	}
	return true;
}

/* An app is in one pipeline at most: the answer is that coupling, no list. */
static bool find_coupling(struct heroku *heroku, const char *app, struct value **coupling,
                          struct error *err)
{
	return heroku_get(heroku, heroku_path(heroku, "/apps/%s/pipeline-couplings", app), coupling,
	                  err);
}

/* Adds "pipeline:ID:STAGE". */
static bool read_pipeline(struct heroku *heroku, const char *app, struct value *out,
                          struct error *err)
{
	struct value *coupling;

	if (!find_coupling(heroku, app, &coupling, err))
		return false;
	if (!coupling)
		return true;
	const char *pipeline = heroku_text(coupling, "pipeline.id", err);
	const char *stage = pipeline ? heroku_text(coupling, "stage", err) : NULL;
	if (!stage)
		return false;
	value_set_bool(heroku->arena, out,
	               arena_printf(heroku->arena, "pipeline:%s:%s", pipeline, stage), true);
	return true;
}

bool features_read(struct heroku *heroku, const char *app, struct value *out, struct error *err)
{
	return read_kind(heroku, app, "features", out, err) &&
	       read_kind(heroku, app, "log-drains", out, err) &&
	       read_pipeline(heroku, app, out, err);
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *now = value_map(step->arena), *wanted = value_map(step->arena);

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    (app && !features_read(&heroku, lookup_field(&heroku, "app"), now, err)) ||
	    !features_read(&heroku, lookup_field(&heroku, "like"), wanted, err))
		return false;
	value_set(step->arena, seen, "now", now);
	value_set(step->arena, seen, "wanted", wanted);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)step, (void)err;
	changes_compare(changes, "", value_get(seen, "now"), value_get(seen, "wanted"));
	return true;
}

static bool set_feature(struct heroku *heroku, const char *name, bool enabled, struct error *err)
{
	struct value *body = value_map(heroku->arena);

	value_set_bool(heroku->arena, body, "enabled", enabled);
	return heroku_must(
		heroku, "PATCH",
		heroku_path(heroku, "/apps/%s/features/%s", lookup_field(heroku, "app"), name),
		body, NULL, err);
}

static bool add(struct heroku *heroku, const char *key, const struct value *value,
                struct error *err)
{
	struct value *app, *body = value_map(heroku->arena);
	const char *name = lookup_field(heroku, "app");

	if (strncmp(key, "feature:", 8) == 0)
		return set_feature(heroku, key + 8, true, err);
	if (strncmp(key, "drain:", 6) == 0) {
		value_set_text(heroku->arena, body, "url", drain_url(key, value));
		return heroku_must(heroku, "POST", heroku_path(heroku, "/apps/%s/log-drains", name),
		                   body, NULL, err);
	}
	const char *pipeline = key + strlen("pipeline:"), *colon = strchr(pipeline, ':');
	if (!colon || !lookup_app_needed(heroku, name, &app, err))
		return false;
	value_set_text(heroku->arena, body, "app", heroku_text_or_null(app, "id"));
	value_set_text(heroku->arena, body, "pipeline",
	               arena_text_n(heroku->arena, pipeline, (size_t)(colon - pipeline)));
	value_set_text(heroku->arena, body, "stage", colon + 1);
	return heroku_must(heroku, "POST", "/pipeline-couplings", body, NULL, err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;

	if (!heroku_open(&heroku, step, err))
		return false;
	for (const struct change *change = changes->first; change; change = change->next)
		if (!add(&heroku, change->path, change->to, err))
			return fail_while(err, "%s", change->path);
	return true;
}

static bool remove_drain(struct heroku *heroku, const char *url, struct error *err)
{
	const char *app = lookup_field(heroku, "app");
	struct value *list;

	if (!heroku_list(heroku, heroku_path(heroku, "/apps/%s/log-drains", app), &list, err))
		return false;
	const struct value *found = lookup_item(list, "url", url);
	const char *id = found ? heroku_text(found, "id", err) : NULL;
	if (!id)
		return !found;
	return heroku_delete(heroku, heroku_path(heroku, "/apps/%s/log-drains/%s", app, id), err);
}

static bool remove_coupling(struct heroku *heroku, struct error *err)
{
	struct value *found;

	if (!find_coupling(heroku, lookup_field(heroku, "app"), &found, err))
		return false;
	const char *id = found ? heroku_text(found, "id", err) : NULL;
	if (!id)
		return !found;
	return heroku_delete(heroku, heroku_path(heroku, "/pipeline-couplings/%s", id), err);
}

static bool take_away(struct heroku *heroku, const char *key, const struct value *value,
                      struct error *err)
{
	if (strncmp(key, "feature:", 8) == 0)
		return set_feature(heroku, key + 8, false, err);
	if (strncmp(key, "drain:", 6) == 0)
		return remove_drain(heroku, drain_url(key, value), err);
	return remove_coupling(heroku, err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *app, *now = value_map(step->arena);
	const struct value *wanted = value_get(before, "wanted");

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    (app && !features_read(&heroku, lookup_field(&heroku, "app"), now, err)))
		return false;
	/* What an earlier attempt took away is gone. */
	for (const struct value *one = app && wanted ? wanted->as.items.first : NULL; one;
	     one = one->next)
		if (!value_get(value_get(before, "now"), one->key) && value_get(now, one->key) &&
		    !take_away(&heroku, one->key, one, err))
			return false;
	return true;
}

const struct step_module heroku_features = {
	.name = "heroku.features",
	.text = "Gives an app the labs features, log drains and pipeline of another one.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/features", NULL},
	.reads = (const char *const[]){"heroku/app/${like}/features", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
