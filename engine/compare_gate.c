/* SPDX-License-Identifier: MIT */
/* Gates: conditions paired, and what each of them lets pass before and after. */
#include "engine/compare_parts.h"
#include "engine/unit.h"

#include <math.h>
#include <string.h>

static const struct {
	const char *noun;
	size_t offset;
} groups[] = {
	{"precondition", offsetof(struct plan_step, preconditions)},
	{"postcondition", offsetof(struct plan_step, postconditions)},
	{"invariant", offsetof(struct plan_step, invariants)},
};

/* ---- What passes ---- */

/* A range of numbers, or a list of values. */
struct passes {
	bool range;
	double low, high;
	bool low_open, high_open;
	const struct value *list; /* one value, or a LIST */
};

static bool read_number(const struct value *value, struct quantity *quantity)
{
	struct error err = {0};

	*quantity = (struct quantity){0};
	if (value->kind == VALUE_INT)
		quantity->number = (double)value->as.number;
	else if (value->kind == VALUE_REAL)
		quantity->number = value->as.real;
	else
		return value->kind == VALUE_TEXT && unit_parse(value->as.text, quantity, &err);
	return true;
}

static bool is_same_value(const struct value *a, const struct value *b)
{
	struct quantity left, right;

	if (value_equal(a, b))
		return true;
	return read_number(a, &left) && read_number(b, &right) &&
	       strcmp(left.unit, right.unit) == 0 && !(left.number < right.number) &&
	       !(left.number > right.number);
}

/* False when it cannot be told: a reference stands where the limit should. */
static bool what_passes(const struct compare *compare, const struct plan_condition *condition,
                        struct passes *passes)
{
	struct quantity limit = {0};

	*passes = (struct passes){.low = -INFINITY, .high = INFINITY};
	switch (condition->comparator) {
	case COMPARE_TRUE:
		passes->list = value_bool(compare->arena, true);
		return true;
	case COMPARE_EQUALS:
	case COMPARE_ONE_OF:
		passes->list = condition->limit;
		return !strstr(condition->limit->kind == VALUE_TEXT ? condition->limit->as.text
		                                                    : "",
		               "${");
	case COMPARE_BELOW:
	case COMPARE_AT_MOST:
		passes->range = true;
		passes->high_open = condition->comparator == COMPARE_BELOW;
		if (!read_number(condition->limit, &limit))
			return false;
		passes->high = limit.number;
		return true;
	case COMPARE_ABOVE:
	case COMPARE_AT_LEAST:
		passes->range = true;
		passes->low_open = condition->comparator == COMPARE_ABOVE;
		if (!read_number(condition->limit, &limit))
			return false;
		passes->low = limit.number;
		return true;
	}
	return false;
}

static bool lets_pass(const struct passes *passes, const struct value *value)
{
	struct quantity number;
	bool many = !passes->range && passes->list->kind == VALUE_LIST;

	if (passes->range)
		return read_number(value, &number) &&
		       (passes->low_open ? number.number > passes->low
		                         : number.number >= passes->low) &&
		       (passes->high_open ? number.number < passes->high
		                          : number.number <= passes->high);
	if (!many)
		return is_same_value(passes->list, value);
	for (const struct value *one = passes->list->as.items.first; one; one = one->next)
		if (is_same_value(one, value))
			return true;
	return false;
}

/* All that `inner` lets pass, `outer` does too. */
static bool encloses(const struct passes *outer, const struct passes *inner)
{
	if (inner->range && !outer->range)
		return false;
	if (inner->range) {
		bool low = inner->low > outer->low ||
		           (inner->low >= outer->low && (inner->low_open || !outer->low_open));
		bool high = inner->high < outer->high ||
		            (inner->high <= outer->high && (inner->high_open || !outer->high_open));
		return low && high;
	}
	if (inner->list->kind != VALUE_LIST)
		return lets_pass(outer, inner->list);
	for (const struct value *one = inner->list->as.items.first; one; one = one->next)
		if (!lets_pass(outer, one))
			return false;
	return true;
}

/* ---- Words ---- */

static const char *limit_text(struct compare *compare, const struct plan_condition *condition)
{
	static const char *const words[] = {
		[COMPARE_TRUE] = "holds",        [COMPARE_BELOW] = "below",
		[COMPARE_AT_MOST] = "at most",   [COMPARE_ABOVE] = "above",
		[COMPARE_AT_LEAST] = "at least", [COMPARE_EQUALS] = "equals",
		[COMPARE_ONE_OF] = "one of",
	};
	const char *limit = compare_print(compare, condition->limit);

	return limit ? arena_printf(compare->arena, "%s %s", words[condition->comparator], limit)
	             : words[COMPARE_TRUE];
}

static const char *time_text(struct compare *compare, const char *before, int64_t time_ms)
{
	return time_ms ? arena_printf(compare->arena, "%s %s", before,
	                              compare_duration(compare, time_ms))
	               : NULL;
}

static const char *within_text(struct compare *compare, int64_t within_ms)
{
	return within_ms ? time_text(compare, "within", within_ms) : "at once";
}

static const char *whole_text(struct compare *compare, const struct plan_condition *condition)
{
	const char *stable = time_text(compare, "stable for", condition->stable_for_ms);

	return arena_printf(compare->arena, "%s%s%s, %s", limit_text(compare, condition),
	                    stable ? ", " : "", stable ? stable : "",
	                    within_text(compare, condition->within_ms));
}

static const char *of_text(struct compare *compare, const struct plan_condition *condition,
                           bool old)
{
	const struct value *of = old ? compare_renamed(compare, condition->of) : condition->of;
	const char *name = of ? value_reveal(of) : NULL;
	const struct plan_step *step =
		old && name && condition->metric && condition->metric->of == OF_STEP
			? plan_find(compare->plan[OLD], name)
			: NULL;

	if (step && compare->pair[OLD][step->order] != NO_PAIR)
		return compare->plan[NEW]->steps[compare->pair[OLD][step->order]].name;
	return of ? compare_print(compare, of) : "";
}

/* In a plan with problems it may not even be a map. */
static const char *check_text(struct compare *compare, const struct plan_condition *condition)
{
	return condition->check ? compare_clean(compare->arena, condition->check) : "(unreadable)";
}

static const char *name_text(struct compare *compare, const char *noun,
                             const struct plan_condition *condition, const char *of)
{
	return arena_printf(compare->arena, "%s %s%s%s", noun, check_text(compare, condition),
	                    of[0] ? " of " : "", of);
}

/* ---- One pair ---- */

static void compare_limits(struct compare *compare, struct difference difference,
                           const struct plan_condition *old, const struct plan_condition *new)
{
	struct passes before, after;

	difference.from = limit_text(compare, old);
	difference.to = limit_text(compare, new);
	if (what_passes(compare, old, &before) && what_passes(compare, new, &after)) {
		bool more = encloses(&after, &before), less = encloses(&before, &after);
		if (more && less)
			return;
		difference.effect = more ? EFFECT_LOOSENED : less ? EFFECT_TIGHTENED : EFFECT_NONE;
	}
	compare_add(compare, difference);
}

static void compare_pair(struct compare *compare, struct difference difference,
                         const struct plan_condition *old, const struct plan_condition *new)
{
	struct difference stable = difference, within = difference;

	compare_limits(compare, difference, old, new);
	if (old->stable_for_ms != new->stable_for_ms) {
		stable.from = old->stable_for_ms
		                      ? time_text(compare, "stable for", old->stable_for_ms)
		                      : "not for any time";
		stable.to = new->stable_for_ms
		                    ? time_text(compare, "stable for", new->stable_for_ms)
		                    : "not for any time";
		stable.effect = new->stable_for_ms < old->stable_for_ms ? EFFECT_LOOSENED
		                                                        : EFFECT_TIGHTENED;
		compare_add(compare, stable);
	}
	within.from = within_text(compare, old->within_ms);
	within.to = within_text(compare, new->within_ms);
	within.effect = new->within_ms > old->within_ms ? EFFECT_LOOSENED : EFFECT_TIGHTENED;
	compare_add(compare, within);
}

/* ---- Pairing ---- */

struct pairing {
	const struct plan_conditions *old, *new;
	bool *taken;    /* of old */
	size_t *paired; /* of new: the old one, NO_PAIR */
};

static bool is_alike(struct compare *compare, const struct plan_condition *old,
                     const struct plan_condition *new, bool same_of)
{
	return strcmp(check_text(compare, old), check_text(compare, new)) == 0 &&
	       (!same_of || strcmp(of_text(compare, old, true), of_text(compare, new, false)) == 0);
}

/* First those of one check and subject, then those of one check. */
static void pair_conditions(struct compare *compare, struct pairing *pairing, bool same_of)
{
	for (size_t n = 0; n < pairing->new->count; n++)
		for (size_t o = 0; pairing->paired[n] == NO_PAIR && o < pairing->old->count; o++) {
			if (pairing->taken[o] || !is_alike(compare, &pairing->old->list[o],
			                                   &pairing->new->list[n], same_of))
				continue;
			pairing->taken[o] = true;
			pairing->paired[n] = o;
		}
}

static const struct plan_conditions *conditions_of(const struct plan_step *step, size_t offset)
{
	static const struct plan_conditions none;

	return step ? (const struct plan_conditions *)(const void *)((const char *)step + offset)
	            : &none;
}

static void add_new(struct compare *compare, struct difference difference, const char *noun,
                    const struct plan_condition *new)
{
	difference.what = name_text(compare, noun, new, of_text(compare, new, false));
	difference.to = whole_text(compare, new);
	compare_add(compare, difference);
}

static void compare_group(struct compare *compare, struct difference difference, size_t group,
                          const struct plan_step *old, const struct plan_step *new)
{
	const char *noun = groups[group].noun;
	struct pairing pairing = {
		.old = conditions_of(old, groups[group].offset),
		.new = conditions_of(new, groups[group].offset),
	};

	pairing.taken = arena_array(compare->arena, pairing.old->count + 1, sizeof(bool));
	pairing.paired = arena_array(compare->arena, pairing.new->count + 1, sizeof(size_t));
	for (size_t n = 0; n < pairing.new->count; n++)
		pairing.paired[n] = NO_PAIR;
	pair_conditions(compare, &pairing, true);
	pair_conditions(compare, &pairing, false);
	for (size_t n = 0; n < pairing.new->count; n++) {
		const struct plan_condition *after = &pairing.new->list[n], *before;
		struct difference one = difference;
		if (pairing.paired[n] == NO_PAIR) {
			one.effect = old ? EFFECT_TIGHTENED : EFFECT_NONE;
			one.note = old ? NULL : "comes with the step";
			add_new(compare, one, noun, after);
			continue;
		}
		before = &pairing.old->list[pairing.paired[n]];
		one.what = name_text(compare, noun, after, of_text(compare, after, false));
		compare_pair(compare, one, before, after);
		one.what = arena_printf(compare->arena, "%s %s is measured of", noun,
		                        check_text(compare, after));
		one.from = of_text(compare, before, true);
		one.to = of_text(compare, after, false);
		compare_add(compare, one);
	}
	for (size_t o = 0; o < pairing.old->count; o++) {
		const struct plan_condition *before = &pairing.old->list[o];
		difference.effect = EFFECT_LOOSENED;
		difference.note = new ? NULL : "goes with the step";
		difference.what = name_text(compare, noun, before, of_text(compare, before, true));
		difference.from = whole_text(compare, before);
		if (!pairing.taken[o])
			compare_add(compare, difference);
	}
}

void compare_gates(struct compare *compare, const struct plan_step *old,
                   const struct plan_step *new)
{
	struct difference difference = {
		.topic = TOPIC_GATES,
		.subject = compare_name(compare, old, new),
	};

	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		compare_group(compare, difference, i, old, new);
}
