/* SPDX-License-Identifier: MIT */
/* heroku.addon.destroyed: an add-on of an app is gone, and its data with it. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app that owns it."},
	{"addon", FIELD_STRING, 0, NULL, NULL, "The name of the add-on."},
	{"attachment", FIELD_STRING, 0, NULL, NULL,
         "Or the name under which the app has it attached."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool check(const struct value *with, struct error *err)
{
	if (!value_get(with, "addon") == !value_get(with, "attachment"))
		return fail(err, ERROR_PLAN, "write either `addon:` or `attachment:`");
	return true;
}

static bool find(struct heroku *heroku, struct value **addon, struct error *err)
{
	const char *name = lookup_field(heroku, "addon"), *as = lookup_field(heroku, "attachment");
	const char *app = lookup_field(heroku, "app");
	struct value *list;

	*addon = NULL;
	if (as) {
		if (!lookup_attachments(heroku, app, &list, err))
			return false;
		name = heroku_text_or_null(lookup_item(list, "name", as), "addon.id");
	}
	if (!name)
		return true;
	if (!lookup_addon(heroku, name, addon, err))
		return false;
	if (!*addon)
		return true;
	const char *state = value_get_text(*addon, "state", "");
	if (strcmp(state, "deprovisioned") == 0)
		*addon = NULL;
	const char *owner = *addon ? heroku_text(*addon, "app.name", err) : app;
	if (!owner)
		return false;
	return strcmp(owner, app) == 0 ||
	       fail(err, ERROR_REFUSED, "the add-on %s belongs to %s, not to %s", name, owner, app);
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *addon, *app;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    !find(&heroku, &addon, err))
		return false;
	value_set_bool(step->arena, seen, "exists", addon != NULL);
	if (addon)
		value_set_text(step->arena, seen, "name", heroku_text_or_null(addon, "name"));
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)step, (void)err;
	if (value_get_bool(seen, "exists", false))
		changes_add(changes, "addon", value_get(seen, "name"), NULL, "its data is deleted");
	return true;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *addon, *list;

	(void)changes;
	if (!heroku_open(&heroku, step, err) || !find(&heroku, &addon, err))
		return false;
	const char *app = lookup_field(&heroku, "app");
	const char *id = addon ? heroku_text(addon, "id", err) : NULL;
	if (!id)
		return !addon;
	if (!lookup_attachments(&heroku, app, &list, err))
		return false;
	const char *primary =
		heroku_text_or_null(lookup_item(list, "name", "DATABASE"), "addon.id");
	if (primary && strcmp(primary, id) == 0)
		return fail(err, ERROR_REFUSED,
		            "%s is the DATABASE of %s; promote another one first",
		            heroku_text_or_null(addon, "name"), app);
	enum heroku_outcome outcome =
		heroku_write(&heroku, "DELETE", heroku_path(&heroku, "/apps/%s/addons/%s", app, id),
	                     NULL, NULL, err);
	if (outcome == HEROKU_REFUSED)
		return false;
	for (int poll = 0; addon; poll++) {
		if (!find(&heroku, &addon, err) || (addon && !lookup_pause(&heroku, poll, err)))
			return false;
		if (addon && outcome == HEROKU_UNSURE && poll > 5)
			return fail(err, ERROR_RETRY, "the add-on is still there");
	}
	return true;
}

const struct step_module heroku_addon_destroyed = {
	.name = "heroku.addon.destroyed",
	.text = "Removes an add-on of an app, and its data with it.",
	.traits = STEP_IRREVERSIBLE | STEP_DESTROYS,
	.fields = fields,
	.subjects = (const char *const[]){"heroku/addon/${addon}", NULL},
	.touches = (const char *const[]){"heroku/app/${app}/addons", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
};
