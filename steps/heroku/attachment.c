/* SPDX-License-Identifier: MIT */
/* heroku.attachment: an app sees an add-on, its own or another app's, under a name. */
#include "steps/heroku/holder.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app that sees it."},
	{"addon", FIELD_STRING, 0, NULL, NULL,
         "The name of the add-on, which may belong to another app."},
	{"of", FIELD_STRING, 0, NULL, NULL,
         "Or a name that the app has for it already, such as `DATABASE`: it gets a second one."},
	{"as", FIELD_STRING, FIELD_REQUIRED, NULL, NULL,
         "Under which name, such as `REPORTS`; its config vars begin with it."},
	{"namespace", FIELD_STRING, 0, NULL, NULL,
         "Which part of the add-on, such as `credential:analytics` of a database; that of the name "
         "in `of` when it is left out."},
	{"replace", FIELD_BOOL, 0, "false", NULL,
         "Take the name from the add-on that holds it; without this such a name is refused."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool check_name(const struct value *with, const char *field, struct error *err)
{
	const char *name = value_get_text(with, field, NULL);

	if (!name)
		return true;
	if (name[0] >= 'A' && name[0] <= 'Z' &&
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(name))
		return true;
	return fail(err, ERROR_PLAN,
	            "`%s:` is the name of an attachment: A-Z, 0-9 and _, beginning with a letter",
	            field);
}

static bool check(const struct value *with, struct error *err)
{
	const struct value *of = value_get(with, "of");

	if (!value_get(with, "addon") == !of)
		return fail(err, ERROR_PLAN, "write either `addon:` or `of:`");
	if (of && value_equal(of, value_get(with, "as")))
		return fail(err, ERROR_PLAN, "`as:` is to be another name than `of:`");
	return check_name(with, "of", err) && check_name(with, "as", err);
}

/* ---- Looking ---- */

/* *attachment NULL: nobody has the name. */
static bool find(struct heroku *heroku, struct value **list, const struct value **attachment,
                 struct error *err)
{
	*attachment = NULL;
	if (!lookup_attachments(heroku, lookup_field(heroku, "app"), list, err))
		return false;
	*attachment = lookup_item(*list, "name", lookup_field(heroku, "as"));
	return true;
}

/* Who shall hold the name. One that `of` named before it was given up keeps it. */
static struct value *wanted_holder(struct heroku *heroku, const struct value *list,
                                   const struct value *attachment)
{
	const struct step *step = heroku->step;
	const struct value *namespace = value_get(step->with, "namespace");
	struct value *holder = value_map(step->arena);

	if (value_get(step->with, "of")) {
		const struct value *other = lookup_item(list, "name", lookup_field(heroku, "of"));
		holder = holder_describe(heroku, other ? other : attachment);
	} else {
		value_set(step->arena, holder, "addon",
		          value_copy(step->arena, value_get(step->with, "addon")));
	}
	if (namespace && holder->kind == VALUE_MAP)
		value_set(step->arena, holder, "namespace", value_copy(step->arena, namespace));
	return holder;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *list = NULL;
	const struct value *attachment = NULL;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    (app && !find(&heroku, &list, &attachment, err)))
		return false;
	value_set(step->arena, seen, "holder", holder_describe(&heroku, attachment));
	value_set(step->arena, seen, "wanted", wanted_holder(&heroku, list, attachment));
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *now = value_get(seen, "holder"), *wanted = value_get(seen, "wanted");
	const char *name = value_get_text(step->with, "as", "");
	const char *app = value_get_text(step->with, "app", "");

	if (wanted->kind == VALUE_NULL) {
		const char *of = value_get_text(step->with, "of", "");
		if (!step->looking)
			return fail(err, ERROR_FAILED, "%s has no attachment %s", app, of);
		changes_add(changes, name, NULL, value_unknown(step->arena, of), "not there yet");
		return true;
	}
	if (value_equal(now, wanted))
		return true;
	if (now->kind != VALUE_NULL && !value_get_bool(step->with, "replace", false))
		return fail(err, ERROR_REFUSED,
		            "%s of %s is an attachment of %s already; write `replace: true` where "
		            "it shall lose the name",
		            name, app, value_get_text(now, "addon", ""));
	changes_add(changes, name, now->kind == VALUE_NULL ? NULL : now, wanted, NULL);
	return true;
}

/* ---- Acting ---- */

/* Heroku refuses it where the former holder belongs to the app and has no other name there. */
static bool attach(struct heroku *heroku, const struct value *holder, bool replaces,
                   struct error *err)
{
	return holder_attach(heroku, lookup_field(heroku, "as"), holder, replaces, err) &&
	       lookup_wait_release(heroku, lookup_field(heroku, "app"), NULL, err);
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
	struct value *app, *list;
	const struct value *attachment, *then = value_get(before, "holder");

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app(&heroku, lookup_field(&heroku, "app"), &app, err))
		return false;
	if (!app)
		return true;
	if (!find(&heroku, &list, &attachment, err))
		return false;
	const struct value *now = holder_describe(&heroku, attachment);
	if (value_equal(now, then))
		return true;
	if (attachment && !value_equal(now, value_get(before, "wanted")))
		return fail(err, ERROR_DRIFT,
		            "%s of %s is now an attachment of %s, which this step did not make",
		            lookup_field(&heroku, "as"), lookup_field(&heroku, "app"),
		            value_get_text(now, "addon", ""));
	if (then && then->kind == VALUE_MAP)
		return attach(&heroku, then, attachment != NULL, err);
	return !attachment || holder_detach(&heroku, attachment, err);
}

const struct step_module heroku_attachment = {
	.name = "heroku.attachment",
	.text = "Attaches an add-on, also another app's, to an app under a name, or under one "
		"more.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/attachment/${as}", NULL},
	.touches = (const char *const[]){"heroku/app/${app}/config", NULL},
	.reads = (const char *const[]){"heroku/addon/${addon}",
                                       "heroku/app/${app}/attachment/${of}", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
