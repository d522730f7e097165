/* SPDX-License-Identifier: MIT */
/* What a step does: its module, fields, and when it is there at all. */
#include "engine/compare_parts.h"

#include <string.h>

static const struct field *fields_of(const struct plan_step *step)
{
	return step->module ? step->module->fields : NULL;
}

static struct value *masked_with(struct compare *compare, const struct plan_step *step)
{
	struct value *masked = value_map(compare->arena);

	for (const struct value *one = compare_items(value_get(step->written, "with")); one;
	     one = one->next)
		if (one->key)
			value_set(compare->arena, masked, one->key,
			          compare_masked(compare, one,
			                         compare_field(fields_of(step), one->key)));
	return masked;
}

/* All of a step on one line: what somebody would ask who sees it for the first time. */
static const char *whole_text(struct compare *compare, const struct plan_step *step)
{
	static const char *const keys[] = {"for_each", "if"};
	struct text out = {0};
	const struct value *with = masked_with(compare, step);
	const char *uses = value_get_text(step->written, "uses", "(no module)");

	text_add(&out, compare_clean(compare->arena, uses));
	if (with->as.items.count)
		text_format(&out, " %s", compare_print(compare, with));
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const struct value *value = value_get(step->written, keys[i]);
		if (value)
			text_format(&out, ", %s %s", keys[i], compare_print(compare, value));
	}
	if (step->rollback == ROLLBACK_NOTHING && step->rollback_why)
		text_format(&out, ", passed over on the way back: %s",
		            compare_clean(compare->arena, step->rollback_why));
	if (step->on_failure == ON_FAILURE_CONTINUE)
		text_add(&out, ", on failure continue");
	const char *copy = arena_text(compare->arena, text_string(&out));
	text_free(&out);
	return copy;
}

static void compare_presence(struct compare *compare, struct difference difference,
                             const struct plan_step *old, const struct plan_step *new)
{
	const struct plan_step *step = new ? new : old;
	unsigned traits = step && step->module ? step->module->traits : 0;
	/* What looks or asks a person is itself a gate. */
	bool gate = traits & (STEP_READ_ONLY | STEP_PERSON);

	difference.from = old ? whole_text(compare, old) : NULL;
	difference.to = new ? whole_text(compare, new) : NULL;
	if (gate)
		difference.effect = old ? EFFECT_LOOSENED : EFFECT_TIGHTENED;
	if (gate && !compare->whole)
		difference.note = traits & STEP_PERSON ? "a person has a say here"
		                                       : "it looks or waits, and changes nothing";
	if (step && step->left_out)
		difference.note = "left out as the inputs are by default";
	compare_add(compare, difference);
}

static void compare_key(struct compare *compare, struct difference difference, const char *key,
                        const struct plan_step *old, const struct plan_step *new)
{
	const struct value *before = value_get(old->written, key);

	difference.what = key;
	compare_values(compare, difference, compare_renamed(compare, before),
	               value_get(new->written, key), NULL);
}

/* What `if` makes of the inputs as they are without --set. */
static void compare_left_out(struct compare *compare, struct difference difference,
                             const struct plan_step *old, const struct plan_step *new)
{
	difference.what = "as the inputs are by default";
	difference.from = old->left_out ? "left out" : "carried out";
	difference.to = new->left_out ? "left out" : "carried out";
	difference.effect = new->left_out ? EFFECT_LOOSENED : EFFECT_NONE;
	compare_add(compare, difference);
}

void compare_step(struct compare *compare, const struct plan_step *old, const struct plan_step *new)
{
	static const char *const keys[] = {"uses", "title", "for_each", "if"};
	struct difference difference = {
		.topic = TOPIC_STEPS,
		.subject = compare_name(compare, old, new),
	};

	if (!old || !new) {
		compare_presence(compare, difference, old, new);
		return;
	}
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		compare_key(compare, difference, keys[i], old, new);
	compare_left_out(compare, difference, old, new);
	if (strcmp(old->name, new->name) != 0) {
		struct difference renamed = difference;
		renamed.what = "name";
		renamed.from = compare_clean(compare->arena, old->name);
		renamed.to = compare_clean(compare->arena, new->name);
		renamed.note = "the same work under another name";
		compare_add(compare, renamed);
	}
	static const struct field none[] = {{0}};
	struct compare_maps maps = {
		.old = compare_renamed(compare, value_get(old->written, "with")),
		.new = value_get(new->written, "with"),
		.fields = fields_of(new) ? fields_of(new) : none,
		.prefix = "with.",
	};
	if (old->module != new->module) {
		/* Two modules: their fields have nothing in common. */
		struct value *before = masked_with(compare, old),
			     *after = masked_with(compare, new);
		difference.what = "with";
		difference.from = compare_print(compare, before);
		difference.to = compare_print(compare, after);
		compare_add(compare, difference);
		return;
	}
	compare_entries(compare, difference, &maps);
}
