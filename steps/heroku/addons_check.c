/* SPDX-License-Identifier: MIT */
/* heroku.addons.check: every plan still exists and is offered in the region, before anything is
 * made. */
#include "engine/base/text.h"
#include "steps/heroku/availability.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED | FIELD_EXISTS, NULL, NULL,
         "The app whose add-ons are looked at."},
	{"region", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "Where they shall run."},
	AVAILABILITY_FIELDS,
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *addons, *offers, *problems = value_map(step->arena);

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *app = lookup_field(&heroku, "app"), *region = lookup_field(&heroku, "region");
	if (!heroku_list(&heroku, heroku_path(&heroku, "/apps/%s/addons", app), &addons, err) ||
	    !availability_read(&heroku, region, &offers, err))
		return false;
	if (!addons || !offers)
		return fail(err, ERROR_FAILED, "there is no %s %s", addons ? "region" : "app",
		            addons ? region : app);
	for (const struct value *one = addons->as.items.first; one; one = one->next) {
		const char *plan = heroku_text(one, "plan.name", err), *taken, *why;
		const char *service = plan ? heroku_text(one, "addon_service.name", err) : NULL;
		if (!service)
			return false;
		if (availability_is_excepted(step, service))
			continue;
		if (!availability_judge(&heroku, offers, plan, &taken, &why, err))
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
	const struct value *first = problems ? problems->as.items.first : NULL;
	const char *region = value_get_text(step->with, "region", "");
	bool skip = availability_skips(step);
	struct text text = {0};

	(void)changes;
	if (!first)
		return true;
	for (const struct value *one = first; one; one = one->next)
		text_format(&text, "%s%s (%s)", one == first ? "" : ", ", one->key, one->as.text);
	if (!skip)
		fail(err, ERROR_REFUSED,
		     "add-ons that cannot be had in %s: %s; write `unavailable: {%s: OTHER}` or "
		     "`skip`, here and where they are made",
		     region, text_string(&text), first->key);
	else if (!step->looking)
		step_note(step, "left out, since they cannot be had in %s: %s", region,
		          text_string(&text));
	text_free(&text);
	return skip;
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
