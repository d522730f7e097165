/* SPDX-License-Identifier: MIT */
/* Approvals, deadlines, retries, what happens on failure, and the way back. */
#include "engine/compare_parts.h"

#include <string.h>

/* ---- Approvals ---- */

static const char *people(struct compare *compare, int64_t count)
{
	return arena_printf(compare->arena, "%lld %s", (long long)count,
	                    count == 1 ? "person" : "people");
}

static const char *approval_text(struct compare *compare, const struct plan_step *step)
{
	const struct plan_approval *approval = &step->approval;
	const char *from = compare_print(compare, approval->from);

	return arena_printf(compare->arena, "%s%s%s%s%s", people(compare, approval->by),
	                    from ? " of " : "", from ? from : "", approval->text ? ": " : "",
	                    approval->text ? compare_clean(compare->arena, approval->text) : "");
}

static bool holds_all(const struct value *outer, const struct value *inner)
{
	for (const struct value *one = compare_items(inner); one; one = one->next) {
		bool found = false;
		for (const struct value *other = compare_items(outer); other && !found;
		     other = other->next)
			found = value_equal(one, other);
		if (!found)
			return false;
	}
	return true;
}

/* No list: anybody may. */
static enum effect effect_of_people(const struct value *old, const struct value *new)
{
	if (!new || (old && holds_all(new, old)))
		return EFFECT_LOOSENED;
	return !old || holds_all(old, new) ? EFFECT_TIGHTENED : EFFECT_NONE;
}

static void compare_people(struct compare *compare, struct difference difference,
                           const struct plan_approval *old, const struct plan_approval *new)
{
	const char *from = compare_print(compare, old->from),
		   *to = compare_print(compare, new->from);

	if (value_equal(old->from, new->from))
		return;
	difference.what = "who may approve";
	difference.from = from ? from : "anybody";
	difference.to = to ? to : "anybody";
	difference.effect = effect_of_people(old->from, new->from);
	compare_add(compare, difference);
}

static void compare_approvals(struct compare *compare, const struct plan_step *old,
                              const struct plan_step *new)
{
	struct difference difference = {.topic = TOPIC_APPROVALS,
	                                .subject = compare_name(compare, old, new)};
	int64_t before = old ? old->approval.by : 0, after = new ? new->approval.by : 0;

	difference.effect = after < before ? EFFECT_LOOSENED : EFFECT_TIGHTENED;
	if (before > 0 && after > 0) {
		difference.what = "how many must approve";
		difference.from = people(compare, before);
		difference.to = people(compare, after);
		compare_add(compare, difference);
		compare_people(compare, difference, &old->approval, &new->approval);
		difference.what = "what they are told";
		difference.effect = EFFECT_NONE;
		difference.from = old->approval.text
		                          ? compare_clean(compare->arena, old->approval.text)
		                          : NULL;
		difference.to = new->approval.text
		                        ? compare_clean(compare->arena, new->approval.text)
		                        : NULL;
		compare_add(compare, difference);
		return;
	}
	difference.what = "approval";
	difference.from = before > 0 ? approval_text(compare, old) : NULL;
	difference.to = after > 0 ? approval_text(compare, new) : NULL;
	if (!old)
		difference.effect = EFFECT_NONE;
	if (!old || !new)
		difference.note = old ? "goes with the step" : "comes with the step";
	compare_add(compare, difference);
}

/* ---- Deadlines, retries, failure ---- */

static const char *timeout_text(struct compare *compare, int64_t timeout_ms)
{
	return timeout_ms ? compare_duration(compare, timeout_ms) : "none";
}

static void compare_timeout(struct compare *compare, struct difference difference,
                            const struct plan_step *old, const struct plan_step *new)
{
	int64_t before = old->timeout_ms, after = new->timeout_ms;

	difference.what = "timeout";
	difference.from = timeout_text(compare, before);
	difference.to = timeout_text(compare, after);
	difference.effect =
		!after || (before && after > before) ? EFFECT_LOOSENED : EFFECT_TIGHTENED;
	if (before != after)
		compare_add(compare, difference);
}

static const char *retry_text(struct compare *compare, const struct plan_step *step)
{
	return step->retry_attempts == 1
	               ? "1 attempt"
	               : arena_printf(compare->arena, "%lld attempts, %s to %s apart",
	                              (long long)step->retry_attempts,
	                              compare_duration(compare, step->backoff_from_ms),
	                              compare_duration(compare, step->backoff_to_ms));
}

static const char *failure_text(struct compare *compare, const struct plan_step *step, bool old)
{
	switch (step->on_failure) {
	case ON_FAILURE_STOP:
		return "stop";
	case ON_FAILURE_CONTINUE:
		return "continue";
	case ON_FAILURE_ROLL_BACK:
		return arena_printf(compare->arena, "roll back to %s",
		                    old ? compare_step_name(compare, step->roll_back_to)
		                        : compare_clean(compare->arena, step->roll_back_to));
	}
	return "stop";
}

static enum effect effect_of_failure(enum on_failure old, enum on_failure new)
{
	static const int care[] = {
		[ON_FAILURE_CONTINUE] = 0, [ON_FAILURE_STOP] = 1, [ON_FAILURE_ROLL_BACK] = 2};

	if (care[old] == care[new])
		return EFFECT_NONE;
	return care[new] < care[old] ? EFFECT_LOOSENED : EFFECT_TIGHTENED;
}

/* Both take it from `defaults`: there it is shown, once. */
static bool is_by_default(const struct plan_step *old, const struct plan_step *new, const char *key)
{
	return old->written && new->written && !value_get(old->written, key) &&
	       !value_get(new->written, key);
}

static void compare_efforts(struct compare *compare, struct difference difference,
                            const struct plan_step *old, const struct plan_step *new)
{
	if (!is_by_default(old, new, "timeout"))
		compare_timeout(compare, difference, old, new);
	difference.what = "retry";
	difference.from = retry_text(compare, old);
	difference.to = retry_text(compare, new);
	if (!is_by_default(old, new, "retry"))
		compare_add(compare, difference);
	difference.topic = TOPIC_WAY_BACK;
	difference.what = "on failure";
	difference.from = failure_text(compare, old, true);
	difference.to = failure_text(compare, new, false);
	difference.effect = effect_of_failure(old->on_failure, new->on_failure);
	if (!is_by_default(old, new, "on_failure"))
		compare_add(compare, difference);
}

void compare_defaults(struct compare *compare)
{
	static const struct plan_step none = {.retry_attempts = 1};
	const struct plan_step *old = compare->plan[OLD]->defaults;
	const struct plan_step *new = compare->plan[NEW]->defaults;
	struct difference difference = {.topic = TOPIC_DEADLINES,
	                                .subject = "defaults",
	                                .note = "for every step that does not say"};

	/* A plan that is new, or gone, says so step by step. */
	if (compare->whole)
		return;
	compare_efforts(compare, difference, old ? old : &none, new ? new : &none);
}

/* ---- The way back ---- */

/* The steps of `rollback` with nothing secret left in their fields. */
static const struct value *masked_rollback(struct compare *compare, const struct plan_step *step)
{
	struct value *list = value_list(compare->arena);
	const struct value *one = compare_items(value_get(step->written, "rollback"));

	for (size_t i = 0; one && i < step->rollback_step_count; one = one->next, i++) {
		const struct step_module *module = step->rollback_steps[i].module;
		struct value *copy = value_copy(compare->arena, one);
		struct value *with = value_get(copy, "with");
		struct value *masked = value_map(compare->arena);
		for (const struct value *item = compare_items(with); item; item = item->next)
			if (item->key)
				value_set(
					compare->arena, masked, item->key,
					compare_masked(compare, item,
				                       compare_field(module ? module->fields : NULL,
				                                     item->key)));
		if (with)
			value_set(compare->arena, copy, "with", masked);
		value_add(list, copy);
	}
	return list;
}

static const char *way_back_text(struct compare *compare, const struct plan_step *step)
{
	switch (step->rollback) {
	case ROLLBACK_INVERSE:
		return step->module && step->module->traits & STEP_READ_ONLY
		               ? "nothing to undo"
		               : "the module's own inverse";
	case ROLLBACK_STEPS:
		return arena_printf(compare->arena, "steps of its own %s",
		                    compare_print(compare, masked_rollback(compare, step)));
	case ROLLBACK_NOTHING:
		return arena_printf(compare->arena, "passed over: %s",
		                    compare_clean(compare->arena, step->rollback_why));
	case ROLLBACK_NEVER:
		return "none";
	}
	return "none";
}

static bool is_covered(const struct plan_step *step)
{
	return step->rollback == ROLLBACK_INVERSE || step->rollback == ROLLBACK_STEPS;
}

static void compare_ways_back(struct compare *compare, struct difference difference,
                              const struct plan_step *old, const struct plan_step *new)
{
	difference.topic = TOPIC_WAY_BACK;
	difference.what = "way back";
	difference.from = way_back_text(compare, old);
	difference.to = way_back_text(compare, new);
	if (is_covered(old) != is_covered(new))
		difference.effect = is_covered(new) ? EFFECT_TIGHTENED : EFFECT_LOOSENED;
	/* Points of no return have a topic of their own; another module, another inverse. */
	if (old->rollback == ROLLBACK_INVERSE && new->rollback == ROLLBACK_INVERSE)
		return;
	if (old->rollback != ROLLBACK_NEVER && new->rollback != ROLLBACK_NEVER)
		compare_add(compare, difference);
}

static const char *no_return_text(struct compare *compare, const struct plan_step *step)
{
	return step && step->rollback == ROLLBACK_NEVER
	               ? compare_clean(compare->arena, step->rollback_why)
	               : NULL;
}

static void compare_no_return(struct compare *compare, struct difference difference,
                              const struct plan_step *old, const struct plan_step *new)
{
	difference.topic = TOPIC_NO_RETURN;
	difference.from = no_return_text(compare, old);
	difference.to = no_return_text(compare, new);
	if (!difference.from && difference.to && old) {
		difference.effect = is_covered(old) ? EFFECT_LOOSENED : EFFECT_NONE;
		difference.note = "its way back was:";
		difference.names = way_back_text(compare, old);
	} else if (difference.from && !difference.to && new) {
		difference.effect = is_covered(new) ? EFFECT_NONE : EFFECT_LOOSENED;
		difference.note = "the way back no longer stops here; it is now:";
		difference.names = way_back_text(compare, new);
	} else if (difference.from && !new) {
		difference.note = "the step is gone";
	} else if (!difference.from && difference.to && new->left_out) {
		difference.note = "left out as the inputs are by default";
	}
	compare_add(compare, difference);
}

void compare_settings(struct compare *compare, const struct plan_step *old,
                      const struct plan_step *new)
{
	struct difference difference = {.topic = TOPIC_DEADLINES,
	                                .subject = compare_name(compare, old, new)};

	compare_no_return(compare, difference, old, new);
	compare_approvals(compare, old, new);
	if (!old || !new)
		return;
	compare_efforts(compare, difference, old, new);
	compare_ways_back(compare, difference, old, new);
}
