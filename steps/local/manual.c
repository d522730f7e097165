/* SPDX-License-Identifier: MIT */
/* manual: a person does it and says so. */
#include "steps/local/local.h"

static const struct field fields[] = {
	{"text", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "What is to be done."},
	{"undo", FIELD_STRING, 0, NULL, NULL, "What is to be done on the way back."},
	{0},
};

/* Nobody but the person knows. Before the go-ahead, which is the person's word, it is not done. */
static bool observe(struct step *step, struct value *seen, struct error *err)
{
	(void)err;
	value_set_bool(step->arena, seen, "done", step->was_done || step->attempted);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	if (!value_get_bool(seen, "done", false))
		changes_add(changes, "a person", NULL, value_get(step->with, "text"), NULL);
	return true;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	(void)changes;
	(void)err;
	step_note(step, "a person said that it is done");
	return true;
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	const char *undo = value_get_text(step->with, "undo", NULL);

	(void)before;
	(void)err;
	if (undo)
		step_note(step, "to be undone by hand: %s", undo);
	return true;
}

const struct step_module local_manual = {
	.name = "manual",
	.text = "A person does what no API offers, and says so.",
	.traits = STEP_PERSON,
	.fields = fields,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
