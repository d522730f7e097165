/* SPDX-License-Identifier: MIT */
/* heroku.attachment: an app sees an add-on, its own or another app's, under a name. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app that sees it."},
	{"addon", FIELD_STRING, FIELD_REQUIRED, NULL, NULL,
         "The name of the add-on, which may belong to another app."},
	{"name", FIELD_STRING, FIELD_REQUIRED, NULL, NULL,
         "Under which name, such as `REPORTS`; its config vars begin with it."},
	{"namespace", FIELD_STRING, 0, NULL, NULL,
         "Which part of the add-on, such as `credential:analytics` of a database."},
	{"replace", FIELD_BOOL, 0, "false", NULL,
         "Take the name from the add-on that holds it; without this such a name is refused."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool check(const struct value *with, struct error *err)
{
	const char *name = value_get_text(with, "name", NULL);

	if (!name)
		return true;
	if (name[0] >= 'A' && name[0] <= 'Z' &&
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(name))
		return true;
	return fail(err, ERROR_PLAN,
	            "`name:` is the name of an attachment: A-Z, 0-9 and _, beginning with a "
	            "letter");
}

/* ---- Looking ---- */

/* Who holds the name: {addon, namespace}, NULL for nobody. */
static struct value *describe(struct heroku *heroku, const struct value *attachment)
{
	const char *addon = heroku_text_or_null(attachment, "addon.name");
	struct value *holder = value_map(heroku->arena);

	if (!addon)
		return value_null(heroku->arena);
	value_set_text(heroku->arena, holder, "addon", addon);
	const char *namespace = heroku_text_or_null(attachment, "namespace");
	if (namespace)
		value_set_text(heroku->arena, holder, "namespace", namespace);
	return holder;
}

static struct value *wanted_holder(const struct step *step)
{
	struct value *holder = value_map(step->arena);
	const struct value *namespace = value_get(step->with, "namespace");

	value_set(step->arena, holder, "addon",
	          value_copy(step->arena, value_get(step->with, "addon")));
	if (namespace)
		value_set(step->arena, holder, "namespace", value_copy(step->arena, namespace));
	return holder;
}

/* *attachment NULL: nobody has the name. */
static bool find(struct heroku *heroku, const struct value **attachment, struct error *err)
{
	struct value *list;

	*attachment = NULL;
	if (!lookup_attachments(heroku, lookup_field(heroku, "app"), &list, err))
		return false;
	*attachment = lookup_item(list, "name", lookup_field(heroku, "name"));
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app;
	const struct value *attachment = NULL;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    (app && !find(&heroku, &attachment, err)))
		return false;
	value_set(step->arena, seen, "holder", describe(&heroku, attachment));
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *now = value_get(seen, "holder"), *wanted = wanted_holder(step);
	const char *name = value_get_text(step->with, "name", "");

	if (value_equal(now, wanted))
		return true;
	if (now->kind != VALUE_NULL && !value_get_bool(step->with, "replace", false))
		return fail(err, ERROR_REFUSED,
		            "%s of %s is an attachment of %s already; write `replace: true` where "
		            "it shall lose the name",
		            name, value_get_text(step->with, "app", ""),
		            value_get_text(now, "addon", ""));
	changes_add(changes, name, now->kind == VALUE_NULL ? NULL : now, wanted, NULL);
	return true;
}

/* ---- Acting ---- */

static bool holds(struct heroku *heroku, const struct value *holder, bool *so, struct error *err)
{
	const struct value *attachment;

	if (!find(heroku, &attachment, err))
		return false;
	*so = value_equal(describe(heroku, attachment), holder);
	return true;
}

/* Heroku refuses it where the former holder belongs to the app and has no other name there. */
static bool attach(struct heroku *heroku, const struct value *holder, bool replaces,
                   struct error *err)
{
	struct value *body = value_map(heroku->arena);
	const char *app = lookup_field(heroku, "app");
	const char *namespace = value_get_text(holder, "namespace", NULL);
	bool there = false;

	value_set_text(heroku->arena, body, "addon", value_get_text(holder, "addon", ""));
	value_set_text(heroku->arena, body, "app", app);
	value_set_text(heroku->arena, body, "name", lookup_field(heroku, "name"));
	if (namespace)
		value_set_text(heroku->arena, body, "namespace", namespace);
	if (replaces)
		value_set_text(heroku->arena, body, "confirm", app);
	enum heroku_outcome outcome =
		heroku_write(heroku, "POST", "/addon-attachments", body, NULL, err);
	struct error unsure = *err;
	if (outcome == HEROKU_UNSURE && !holds(heroku, holder, &there, err))
		return false;
	if (outcome == HEROKU_DONE || there)
		return lookup_wait_release(heroku, app, NULL, err);
	*err = unsure;
	return false;
}

static bool detach(struct heroku *heroku, const struct value *attachment, struct error *err)
{
	const char *id = heroku_text(attachment, "id", err);

	if (!id)
		return false;
	return heroku_delete(heroku, heroku_path(heroku, "/addon-attachments/%s", id), err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	const struct change *change = changes->first;

	return heroku_open(&heroku, step, err) &&
	       attach(&heroku, change->to, change->from != NULL, err);
}

/* What somebody else has put under the name since is left alone. */
static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *app;
	const struct value *attachment, *then = value_get(before, "holder");

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app(&heroku, lookup_field(&heroku, "app"), &app, err))
		return false;
	if (!app)
		return true;
	if (!find(&heroku, &attachment, err))
		return false;
	const struct value *now = describe(&heroku, attachment);
	if (value_equal(now, then))
		return true;
	if (attachment && !value_equal(now, wanted_holder(step)))
		return fail(err, ERROR_DRIFT,
		            "%s of %s is now an attachment of %s, which this step did not make",
		            lookup_field(&heroku, "name"), lookup_field(&heroku, "app"),
		            value_get_text(now, "addon", ""));
	if (then && then->kind == VALUE_MAP)
		return attach(&heroku, then, attachment != NULL, err);
	return detach(&heroku, attachment, err);
}

const struct step_module heroku_attachment = {
	.name = "heroku.attachment",
	.text = "Attaches an add-on, also another app's, to an app under a name.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/attachment/${name}", NULL},
	.touches = (const char *const[]){"heroku/app/${app}/config", NULL},
	.reads = (const char *const[]){"heroku/addon/${addon}", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
