/* SPDX-License-Identifier: MIT */
/* heroku.maintenance: the router answers with the maintenance page, or no longer does. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"enabled", FIELD_BOOL, FIELD_REQUIRED, NULL, NULL,
         "Whether users see the maintenance page."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err))
		return false;
	const struct value *now = value_get(app, "maintenance");
	if (app && (!now || now->kind != VALUE_BOOL))
		return fail(err, ERROR_FAILED, "Heroku's answer has no truth at maintenance");
	value_set_bool(step->arena, seen, "enabled", app && now->as.truth);
	return true;
}

static bool set(struct step *step, bool enabled, struct error *err)
{
	struct heroku heroku;
	struct value *body = value_map(step->arena);

	if (!heroku_open(&heroku, step, err))
		return false;
	value_set_bool(step->arena, body, "maintenance", enabled);
	return heroku_must(&heroku, "PATCH",
	                   heroku_path(&heroku, "/apps/%s", lookup_field(&heroku, "app")), body,
	                   NULL, err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	(void)changes;
	return set(step, value_get_bool(step->with, "enabled", false), err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	bool then = value_get_bool(before, "enabled", false);
	struct value *seen = value_map(step->arena);

	if (!observe(step, seen, err))
		return false;
	return value_get_bool(seen, "enabled", !then) == then || set(step, then, err);
}

const struct step_module heroku_maintenance = {
	.name = "heroku.maintenance",
	.text = "Switches the maintenance mode of an app on or off.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/maintenance", NULL},
	.observe = observe,
	.apply = apply,
	.revert = revert,
};
