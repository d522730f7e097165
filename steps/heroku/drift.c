/* SPDX-License-Identifier: MIT */
/* What became different between two apps since an inventory of them was taken: somebody deployed
 * the old one, set a config var, added a domain. */
#include "engine/base/text.h"
#include "steps/heroku/inventory.h"

#include <string.h>

static bool lists(const struct value *list, const char *what)
{
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next)
		if (value_reveal(one) && strcmp(value_reveal(one), what) == 0)
			return true;
	return false;
}

static bool is_among(const struct value *things, const char *what)
{
	for (const struct value *one = things->as.items.first; one; one = one->next)
		if (strcmp(value_get_text(one, "what", ""), what) == 0)
			return true;
	return false;
}

static void count(struct text *line, int64_t *number, const char *what, const char *why)
{
	text_format(line, "%s%s (%s)", *number ? ", " : "", what, why);
	(*number)++;
}

/* What stands in the plan as accepted, and what was otherwise on purpose already then, is none. */
static void compare(const struct value *things, const struct value *copied,
                    const struct value *changed, struct text *line, int64_t *number)
{
	for (const struct value *one = things->as.items.first; one; one = one->next) {
		const char *what = value_get_text(one, "what", "");
		const char *why = value_get_text(one, "why", "");
		bool otherwise = strcmp(why, inventory_other_value) == 0 && !lists(changed, what);
		if (otherwise || !value_get_bool(one, "accepted", true))
			count(line, number, what, why);
	}
	/* Other things have names that change by themselves, as the number of a release. */
	for (const struct value *one = copied->as.items.first; one; one = one->next)
		if (strncmp(value_reveal(one), "config:", 7) == 0 &&
		    !is_among(things, value_reveal(one)))
			count(line, number, value_reveal(one), "it is gone from the old app");
}

bool inventory_drift(struct step *step, const struct value *of, struct reading *reading,
                     struct error *err)
{
	const char *name = value_reveal(of);
	const struct value *copied = step_output_of(step, name, "copied");
	struct step taking = *step;
	struct value *things;
	struct text line = {0};
	int64_t number = 0;

	if (!copied || copied->kind != VALUE_LIST)
		return fail(err, ERROR_RETRY, "%s is no heroku.inventory that was taken", name);
	struct value *with = step_with_of(step, name, err);
	if (!with)
		return false;
	taking.with = with->as.items.first;
	if (!inventory_take(&taking, &things, err))
		return false;
	compare(things, copied, step_output_of(step, name, "changed"), &line, &number);
	reading->value = value_number(step->arena, number);
	reading->text = arena_printf(step->arena, "%lld thing%s%s%s", (long long)number,
	                             number == 1 ? "" : "s", number ? ": " : "",
	                             number ? text_string(&line) : "");
	text_free(&line);
	return true;
}
