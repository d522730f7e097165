/* SPDX-License-Identifier: MIT */
/* heroku.app.destroyed: an app is gone, and its add-ons and their data with it. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app(&heroku, lookup_field(&heroku, "app"), &app, err))
		return false;
	value_set_bool(step->arena, seen, "exists", app != NULL);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	if (value_get_bool(seen, "exists", false))
		changes_add(changes, "app", value_get(step->with, "app"), NULL,
		            "its add-ons and their data are deleted");
	return true;
}

/* A name that still points at a deleted app could be taken over by somebody else. */
static bool refuse_domains(struct heroku *heroku, const char *name, struct error *err)
{
	struct value *list;

	if (!heroku_list(heroku, heroku_path(heroku, "/apps/%s/domains", name), &list, err))
		return false;
	const struct value *custom = lookup_item(list, "kind", "custom");
	if (!custom)
		return true;
	return fail(err, ERROR_REFUSED, "%s still has the domain %s; move or remove it first", name,
	            value_get_text(custom, "hostname", "?"));
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *app;

	(void)changes;
	if (!heroku_open(&heroku, step, err))
		return false;
	const char *name = lookup_field(&heroku, "app");
	if (!lookup_app(&heroku, name, &app, err))
		return false;
	if (app) {
		if (!refuse_domains(&heroku, name, err))
			return false;
		if (!heroku_delete(&heroku, heroku_path(&heroku, "/apps/%s", name), err))
			return false;
	}
	return step_pin(step, arena_printf(step->arena, "heroku/app/%s", name), NULL, err);
}

const struct step_module heroku_app_destroyed = {
	.name = "heroku.app.destroyed",
	.text = "Deletes an app, its add-ons and their data.",
	.traits = STEP_IRREVERSIBLE | STEP_DESTROYS,
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
};
