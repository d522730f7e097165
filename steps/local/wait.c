/* SPDX-License-Identifier: MIT */
/* wait: time passes. A restart does not start it anew. */
#include "engine/base/clock.h"
#include "steps/local/local.h"

static const struct field fields[] = {
	{"for", FIELD_DURATION, FIELD_REQUIRED, NULL, NULL, "How long."},
	{0},
};

static int64_t ends_at_ms(const struct step *step)
{
	int64_t began_ms = step->attempted_at_ms ? step->attempted_at_ms : clock_now_ms();

	return began_ms + value_get_number(step->with, "for", 0);
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	(void)err;
	value_set_bool(step->arena, seen, "over",
	               step->was_done || (step->attempted && clock_now_ms() >= ends_at_ms(step)));
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	if (value_get_bool(seen, "over", false))
		return true;
	const char *text = clock_duration_text(step->arena, value_get_number(step->with, "for", 0));
	changes_add(changes, "wait", NULL, value_text(step->arena, text), NULL);
	return true;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	(void)changes;
	return step_wait_until(step, ends_at_ms(step), "the time of this step", err);
}

const struct step_module local_wait = {
	.name = "wait",
	.text = "Waits for a time.",
	.traits = STEP_READ_ONLY,
	.fields = fields,
	.observe = observe,
	.plan = plan,
	.apply = apply,
};
