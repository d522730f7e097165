/* SPDX-License-Identifier: MIT */
/* Whether the plan of an add-on can be had in a region: it may be gone, or not be offered there. */
#include "steps/heroku/availability.h"
#include "steps/heroku/lookup.h"

#include <string.h>

const char *const availability_choices[] = {"stop", "skip", NULL};

bool availability_is_excepted(const struct step *step, const char *service)
{
	const struct value *except = value_get(step->with, "except");

	for (const struct value *one = except ? except->as.items.first : NULL; one; one = one->next)
		if (value_reveal(one) && strcmp(value_reveal(one), service) == 0)
			return true;
	return false;
}

bool availability_skips(const struct step *step)
{
	return strcmp(value_get_text(step->with, "unavailable", ""), "skip") == 0;
}

bool availability_read(struct heroku *heroku, const char *region, struct value **offers,
                       struct error *err)
{
	return heroku_list(heroku,
	                   heroku_path(heroku, "/regions/%s/addon-region-capabilities", region),
	                   offers, err);
}

bool availability_judge(struct heroku *heroku, const struct value *offers, const char *plan,
                        const char **taken, const char **why, struct error *err)
{
	const struct value *substitutes = value_get(heroku->step->with, "unavailable");
	struct value *found;

	*why = NULL;
	*taken = value_get_text(substitutes, plan, plan);
	if (!heroku_get(heroku, heroku_path(heroku, "/plans/%s", *taken), &found, err))
		return false;
	const char *service = found ? heroku_text(found, "addon_service.name", err) : NULL;
	if (found && !service)
		return false;
	if (!found)
		*why = "the plan is gone";
	else if (!value_get_bool(found, "installable_outside_private_network", true))
		*why = "the plan is only for private spaces";
	else if (offers && !lookup_item(offers, "addon_service.name", service))
		*why = "not offered in the region";
	if (*why && *taken != plan)
		*why = arena_printf(heroku->arena, "its substitute %s: %s", *taken, *why);
	return true;
}
