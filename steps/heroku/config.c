/* SPDX-License-Identifier: MIT */
/* heroku.config: config vars, copied from an app or set. A key that an add-on owns and a value that
 * points at a database or add-on of the source are never copied. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/heroku/reads.h"
#include "steps/heroku/target.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"like", FIELD_APP, FIELD_EXISTS, NULL, NULL, "Copy the config vars of this app."},
	{"set", FIELD_STRING, FIELD_MAP | FIELD_MAY_SECRET, NULL, NULL, "Set these."},
	{"except", FIELD_STRING, FIELD_LIST, NULL, NULL, "Keys not to copy."},
	{"replace_attachments", FIELD_BOOL, 0, "false", NULL,
         "Take a key in `set` away from the add-on attachment that owns it."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool check(const struct value *with, struct error *err)
{
	if (value_get(with, "like") || value_get(with, "set"))
		return true;
	return fail(err, ERROR_PLAN, "write `like: APP`, or `set:` with the config vars, or both");
}

/* ---- Who owns what ---- */

bool config_read_owned(struct heroku *heroku, const char *app, struct value *owned,
                       struct error *err)
{
	struct value *attachments;

	if (!lookup_attachments(heroku, app, &attachments, err))
		return false;
	for (const struct value *item = attachments ? attachments->as.items.first : NULL; item;
	     item = item->next) {
		const char *name = heroku_text(item, "name", err);
		if (!name)
			return false;
		value_set_text(heroku->arena, owned, arena_printf(heroku->arena, "%s_URL", name),
		               name);
		const struct value *keys = value_get(item, "config_vars");
		if (!keys || keys->kind != VALUE_LIST)
			continue;
		for (const struct value *key = keys->as.items.first; key; key = key->next)
			if (value_reveal(key))
				value_set_text(heroku->arena, owned, value_reveal(key), name);
	}
	return true;
}

const char *config_points_at_owned(struct heroku *heroku, const struct value *vars,
                                   const struct value *owned, const char *text)
{
	for (const struct value *var = vars->as.items.first; var; var = var->next) {
		const char *url = value_reveal(var);
		if (!value_get(owned, var->key) || !url)
			continue;
		if (url[0] && (strcmp(url, text) == 0 || target_is_same(text, url)))
			return arena_printf(heroku->arena,
			                    "points at the same place as %s of the source",
			                    var->key);
		if (target_holds_password(text, url))
			return arena_printf(heroku->arena, "holds the password in %s of the source",
			                    var->key);
	}
	return NULL;
}

/* ---- What is wanted ---- */

static bool is_excepted(const struct heroku *heroku, const char *key)
{
	const struct value *except = value_get(heroku->step->with, "except");

	for (const struct value *one = except ? except->as.items.first : NULL; one; one = one->next)
		if (value_reveal(one) && strcmp(value_reveal(one), key) == 0)
			return true;
	return false;
}

/* Why a key is not copied, or NULL. */
static const char *reason_to_skip(struct heroku *heroku, const struct value *vars,
                                  const struct value *owned, const struct value *target_owned,
                                  const struct value *var)
{
	if (is_excepted(heroku, var->key))
		return "excepted by the plan";
	if (value_get(owned, var->key) || value_get(target_owned, var->key))
		return "owned by an add-on";
	return config_points_at_owned(heroku, vars, owned, value_reveal(var));
}

static bool want_copies(struct heroku *heroku, const struct value *target_owned,
                        struct value *wanted, struct value *skipped, struct error *err)
{
	const char *like = lookup_field(heroku, "like");
	struct value *vars, *owned = value_map(heroku->arena);

	if (!like)
		return true;
	if (!heroku_get(heroku, heroku_path(heroku, "/apps/%s/config-vars", like), &vars, err))
		return false;
	if (!vars)
		return fail(err, ERROR_FAILED, "there is no app %s to copy from", like);
	if (!config_read_owned(heroku, like, owned, err))
		return false;
	for (const struct value *var = vars->as.items.first; var; var = var->next) {
		if (!value_reveal(var))
			continue;
		const char *why = reason_to_skip(heroku, vars, owned, target_owned, var);
		if (why)
			value_set_text(heroku->arena, skipped, var->key, why);
		else
			value_set(heroku->arena, wanted, var->key,
			          value_secret(heroku->arena, value_reveal(var), "(hidden)"));
	}
	return true;
}

static void want_set(struct heroku *heroku, struct value *wanted)
{
	const struct value *set = value_get(heroku->step->with, "set");

	for (const struct value *one = set ? set->as.items.first : NULL; one; one = one->next) {
		const char *text = value_reveal(one);
		value_set(heroku->arena, wanted, one->key,
		          text ? value_secret(heroku->arena, text, "(hidden)")
		               : value_copy(heroku->arena, one));
	}
}

static bool read_now(struct heroku *heroku, const struct value *wanted, struct value *now,
                     struct error *err)
{
	struct value *vars;
	const char *path = heroku_path(heroku, "/apps/%s/config-vars", lookup_field(heroku, "app"));

	if (!heroku_get(heroku, path, &vars, err))
		return false;
	for (const struct value *one = wanted->as.items.first; one; one = one->next) {
		const char *text = value_reveal(value_get(vars, one->key));
		if (text)
			value_set(heroku->arena, now, one->key,
			          value_secret(heroku->arena, text, "(hidden)"));
	}
	return true;
}

/* Which attachment holds a wanted key now: {KEY: {attachment, addon}}; needed for the way back. */
static bool read_holders(struct heroku *heroku, const struct value *wanted,
                         const struct value *owned, struct value *holders, struct error *err)
{
	struct value *attachments;

	if (!lookup_attachments(heroku, lookup_field(heroku, "app"), &attachments, err))
		return false;
	for (const struct value *one = wanted->as.items.first; one; one = one->next) {
		const char *name = value_get_text(owned, one->key, NULL);
		const struct value *attachment = lookup_item(attachments, "name", name);
		if (!attachment)
			continue;
		const char *addon = heroku_text(attachment, "addon.name", err);
		if (!addon)
			return false;
		struct value *holder = value_map(heroku->arena);
		value_set_text(heroku->arena, holder, "attachment", name);
		value_set_text(heroku->arena, holder, "addon", addon);
		value_set(heroku->arena, holders, one->key, holder);
	}
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *now = value_map(step->arena), *wanted = value_map(step->arena);
	struct value *skipped = value_map(step->arena), *owned = value_map(step->arena);
	struct value *holders = value_map(step->arena);

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *name = lookup_field(&heroku, "app");
	if (!lookup_app_needed(&heroku, name, &app, err) ||
	    (app && !config_read_owned(&heroku, name, owned, err)) ||
	    !want_copies(&heroku, owned, wanted, skipped, err))
		return false;
	want_set(&heroku, wanted);
	if (app && (!read_now(&heroku, wanted, now, err) ||
	            !read_holders(&heroku, wanted, owned, holders, err)))
		return false;
	value_set(step->arena, seen, "now", now);
	value_set(step->arena, seen, "wanted", wanted);
	value_set(step->arena, seen, "skipped", skipped);
	value_set(step->arena, seen, "holders", holders);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *now = value_get(seen, "now"), *wanted = value_get(seen, "wanted");
	bool replace = value_get_bool(step->with, "replace_attachments", false);

	for (const struct value *one = wanted->as.items.first; one; one = one->next) {
		const struct value *is = value_get(now, one->key);
		const struct value *holder = value_get(value_get(seen, "holders"), one->key);
		if (value_equal(is, one))
			continue;
		if (holder && !replace)
			return fail(err, ERROR_REFUSED,
			            "%s belongs to the attachment %s of add-on %s; write "
			            "`replace_attachments: true` to take it away from there",
			            one->key, value_get_text(holder, "attachment", ""),
			            value_get_text(holder, "addon", ""));
		changes_add(changes, one->key, is, one, holder ? "taken from its add-on" : NULL);
	}
	return true;
}

/* ---- Acting ---- */

static bool attach(struct heroku *heroku, const char *addon, const char *name, struct error *err)
{
	struct value *body = value_map(heroku->arena), *attachments;
	const char *app = lookup_field(heroku, "app");

	value_set_text(heroku->arena, body, "addon", addon);
	value_set_text(heroku->arena, body, "app", app);
	value_set_text(heroku->arena, body, "confirm", app);
	value_set_text(heroku->arena, body, "name", name);
	enum heroku_outcome outcome =
		heroku_write(heroku, "POST", "/addon-attachments", body, NULL, err);
	if (outcome != HEROKU_UNSURE)
		return outcome == HEROKU_DONE;
	struct error unsure = *err;
	if (!lookup_attachments(heroku, app, &attachments, err))
		return false;
	const struct value *found = lookup_item(attachments, "name", name);
	const char *held = heroku_text_or_null(found, "addon.name");
	*err = unsure;
	return held && strcmp(held, addon) == 0;
}

/* The last attachment on an app cannot go: the add-on gets a spare one first. */
static bool detach(struct heroku *heroku, const char *key, struct error *err)
{
	struct value *list, *owned = value_map(heroku->arena);
	const char *app = lookup_field(heroku, "app");
	bool spare = false;

	if (!config_read_owned(heroku, app, owned, err) ||
	    !lookup_attachments(heroku, app, &list, err))
		return false;
	const struct value *held = lookup_item(list, "name", value_get_text(owned, key, NULL));
	if (!held)
		return true;
	const char *addon = heroku_text(held, "addon.name", err);
	const char *id = addon ? heroku_text(held, "id", err) : NULL;
	if (!id)
		return false;
	for (const struct value *one = list->as.items.first; one; one = one->next) {
		const char *other = heroku_text_or_null(one, "addon.name");
		spare = spare || (one != held && other && strcmp(other, addon) == 0);
	}
	if (!spare &&
	    !attach(heroku, addon,
	            arena_printf(heroku->arena, "SPARE_%s", heroku_text_or_null(held, "name")),
	            err))
		return false;
	return heroku_delete(heroku, heroku_path(heroku, "/addon-attachments/%s", id), err);
}

static bool patch(struct heroku *heroku, const struct value *body, struct error *err)
{
	const char *app = lookup_field(heroku, "app");

	if (body->as.items.count == 0)
		return true;
	return heroku_must(heroku, "PATCH", heroku_path(heroku, "/apps/%s/config-vars", app), body,
	                   NULL, err) &&
	       lookup_wait_release(heroku, app, NULL, err);
}

/* What was left out because of its value, not because of its key, is for people to know. */
static void tell_skipped(struct step *step)
{
	const struct value *skipped = value_get(step->before, "skipped");

	for (const struct value *one = skipped ? skipped->as.items.first : NULL; one;
	     one = one->next)
		if (strstr(one->as.text, "of the source"))
			step_note(step, "%s is not copied: it %s", one->key, one->as.text);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *body = value_map(step->arena);

	if (!heroku_open(&heroku, step, err))
		return false;
	tell_skipped(step);
	for (const struct change *change = changes->first; change; change = change->next) {
		if (change->note && !detach(&heroku, change->path, err))
			return false;
		value_set(step->arena, body, change->path, value_copy(step->arena, change->to));
	}
	return patch(&heroku, body, err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *body = value_map(step->arena), *app;
	const struct value *now = value_get(before, "now"), *wanted = value_get(before, "wanted");
	const struct value *holders = value_get(before, "holders");

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app(&heroku, lookup_field(&heroku, "app"), &app, err))
		return false;
	if (!app)
		return true;
	struct value *owned = value_map(step->arena);
	if (!config_read_owned(&heroku, lookup_field(&heroku, "app"), owned, err))
		return false;
	for (const struct value *one = wanted ? wanted->as.items.first : NULL; one;
	     one = one->next) {
		const struct value *old = value_get(now, one->key);
		if (value_get(owned, one->key))
			continue;
		value_set(step->arena, body, one->key,
		          old && !value_get(holders, one->key) ? value_copy(step->arena, old)
		                                               : value_null(step->arena));
	}
	if (!patch(&heroku, body, err))
		return false;
	for (const struct value *one = holders ? holders->as.items.first : NULL; one;
	     one = one->next)
		if (!value_get(owned, one->key) &&
		    !attach(&heroku, value_get_text(one, "addon", ""),
		            value_get_text(one, "attachment", ""), err))
			return false;
	return true;
}

const struct step_module heroku_config = {
	.name = "heroku.config",
	.text = "Config vars: those of another app, but nothing that leads to its databases, or "
		"given ones.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/config", NULL},
	.reads = (const char *const[]){"heroku/app/${like}/config", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
