/* SPDX-License-Identifier: MIT */
/* heroku.addons.check: every plan still exists and is offered in the region, before anything is
 * made. */
#include "engine/base/text.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED | FIELD_EXISTS, NULL, NULL,
         "The app whose add-ons are looked at."},
	{"region", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "Where they shall run."},
	{"except", FIELD_STRING, FIELD_LIST, NULL, NULL, "Add-on services to leave out."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool is_excepted(const struct step *step, const char *service)
{
	const struct value *except = value_get(step->with, "except");

	for (const struct value *one = except ? except->as.items.first : NULL; one; one = one->next)
		if (value_reveal(one) && strcmp(value_reveal(one), service) == 0)
			return true;
	return false;
}

/* *why NULL when the add-on can be had there. */
static bool judge(struct heroku *heroku, const char *plan, const char *service,
                  const struct value *capabilities, const char **why, struct error *err)
{
	struct value *found;

	*why = NULL;
	if (!heroku_get(heroku, heroku_path(heroku, "/plans/%s", plan), &found, err))
		return false;
	if (!found)
		*why = "the plan is gone";
	else if (!value_get_bool(found, "installable_outside_private_network", true))
		*why = "the plan is only for private spaces";
	else if (!lookup_item(capabilities, "addon_service.name", service))
		*why = "not offered in the region";
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *addons, *capabilities, *problems = value_map(step->arena);

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *app = lookup_field(&heroku, "app"), *region = lookup_field(&heroku, "region");
	if (!heroku_list(&heroku, heroku_path(&heroku, "/apps/%s/addons", app), &addons, err) ||
	    !heroku_list(&heroku,
	                 heroku_path(&heroku, "/regions/%s/addon-region-capabilities", region),
	                 &capabilities, err))
		return false;
	if (!addons || !capabilities)
		return fail(err, ERROR_FAILED, "there is no %s %s", addons ? "region" : "app",
		            addons ? region : app);
	for (const struct value *one = addons->as.items.first; one; one = one->next) {
		const char *plan = heroku_text(one, "plan.name", err), *why;
		const char *service = plan ? heroku_text(one, "addon_service.name", err) : NULL;
		if (!service)
			return false;
		if (is_excepted(step, service))
			continue;
		if (!judge(&heroku, plan, service, capabilities, &why, err))
			return false;
		if (why)
			value_set_text(step->arena, problems, plan, why);
	}
	value_set(step->arena, seen, "problems", problems);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *problems = value_get(seen, "problems");
	struct text text = {0};

	(void)changes;
	if (!problems || problems->as.items.count == 0)
		return true;
	for (const struct value *one = problems->as.items.first; one; one = one->next)
		text_format(&text, "%s%s (%s)", one == problems->as.items.first ? "" : ", ",
		            one->key, one->as.text);
	fail(err, ERROR_REFUSED, "add-ons that cannot be had in %s: %s",
	     value_get_text(step->with, "region", ""), text_string(&text));
	text_free(&text);
	return false;
}

const struct step_module heroku_addons_check = {
	.name = "heroku.addons.check",
	.text = "Checks that every add-on plan of an app still exists and is offered in a region.",
	.traits = STEP_READ_ONLY,
	.fields = fields,
	.reads = (const char *const[]){"heroku/app/${app}/addons", NULL},
	.observe = observe,
	.plan = plan,
};
