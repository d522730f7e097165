/* SPDX-License-Identifier: MIT */
/* heroku.addon.destroyed: an add-on of an app is gone, and its data with it but for a backup. */
#include "steps/heroku/backup.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app that owns it."},
	{"addon", FIELD_STRING, 0, NULL, NULL, "The name of the add-on."},
	{"attachment", FIELD_STRING, 0, NULL, NULL,
         "Or the name under which the app has it attached."},
	{"backup_first", FIELD_BOOL, 0, "false", NULL,
         "Of a database: capture a backup before, and go on only when it is whole."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool check(const struct value *with, struct error *err)
{
	if (!value_get(with, "addon") == !value_get(with, "attachment"))
		return fail(err, ERROR_PLAN, "write either `addon:` or `attachment:`");
	return true;
}

static bool backs_up(const struct step *step)
{
	return value_get_bool(step->with, "backup_first", false);
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
	if (!addon)
		return true;
	const char *name = heroku_text(addon, "name", err);
	const char *service = name ? heroku_text(addon, "addon_service.name", err) : NULL;
	int64_t last = -1;
	if (!service || (backs_up(step) && !backup_last(&heroku, &last, err)))
		return false;
	value_set_text(step->arena, seen, "name", name);
	value_set_text(step->arena, seen, "service", service);
	value_set_number(step->arena, seen, "last", last);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const char *service = value_get_text(seen, "service", "");

	if (!value_get_bool(seen, "exists", false))
		return true;
	if (backs_up(step) && strcmp(service, "heroku-postgresql") != 0)
		return fail(err, ERROR_REFUSED, "of %s, which is %s, no backup can be captured",
		            value_get_text(seen, "name", ""), service);
	if (backs_up(step))
		changes_add(changes, "backup", NULL, value_get(seen, "name"),
		            "captured and found whole before");
	changes_add(changes, "addon", value_get(seen, "name"), NULL, "its data is deleted");
	return true;
}

static bool refuse_primary(struct heroku *heroku, const struct value *addon, struct error *err)
{
	const char *app = lookup_field(heroku, "app"), *id = heroku_text(addon, "id", err);
	struct value *list;

	if (!id || !lookup_attachments(heroku, app, &list, err))
		return false;
	const char *primary =
		heroku_text_or_null(lookup_item(list, "name", "DATABASE"), "addon.id");
	return !primary || strcmp(primary, id) != 0 ||
	       fail(err, ERROR_REFUSED,
	            "%s is the DATABASE of %s; promote another one first, or lead DATABASE_URL "
	            "elsewhere",
	            heroku_text_or_null(addon, "name"), app);
}

static bool destroy(struct heroku *heroku, const char *id, struct error *err)
{
	const char *app = lookup_field(heroku, "app");
	struct value *addon;
	enum heroku_outcome outcome =
		heroku_write(heroku, "DELETE", heroku_path(heroku, "/apps/%s/addons/%s", app, id),
	                     NULL, NULL, err);

	if (outcome == HEROKU_REFUSED)
		return false;
	for (int poll = 0;; poll++) {
		if (!lookup_addon(heroku, id, &addon, err))
			return false;
		if (!addon || strcmp(value_get_text(addon, "state", ""), "deprovisioned") == 0)
			return true;
		if (outcome == HEROKU_UNSURE && poll > 5)
			return fail(err, ERROR_RETRY, "the add-on is still there");
		if (!lookup_pause(heroku, poll, err))
			return false;
	}
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *addon;

	(void)changes;
	if (!heroku_open(&heroku, step, err) || !find(&heroku, &addon, err))
		return false;
	const char *id = addon ? heroku_text(addon, "id", err) : NULL;
	if (!id)
		return !addon;
	if (!refuse_primary(&heroku, addon, err))
		return false;
	int64_t last = value_get_number(step->before, "last", -1);
	if (backs_up(step) && !backup_capture(&heroku, addon, last, err))
		return false;
	/* A backup takes its time. */
	return refuse_primary(&heroku, addon, err) && destroy(&heroku, id, err);
}

const struct step_module heroku_addon_destroyed = {
	.name = "heroku.addon.destroyed",
	.text = "Removes an add-on of an app, and its data with it; of a database a backup can be "
		"captured before.",
	.traits = STEP_IRREVERSIBLE | STEP_DESTROYS,
	.fields = fields,
	.subjects = (const char *const[]){"heroku/addon/${addon}",
                                          "heroku/app/${app}/attachment/${attachment}", NULL},
	.touches = (const char *const[]){"heroku/app/${app}/addons", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
};
