/* SPDX-License-Identifier: MIT */
/* The order: what a step waits for, what must be behind a point of no return, and who is shut out
 * how long. */
#include "engine/compare_parts.h"

#include <string.h>

#define NAMES_LIMIT 40

const char *compare_names(struct compare *compare, int side, const bool *marked)
{
	const struct plan *plan = compare->plan[side];
	struct text out = {0};
	size_t count = 0;

	for (size_t i = 0; i < plan->step_count; i++) {
		if (!marked[i])
			continue;
		if (count++ < NAMES_LIMIT)
			text_format(&out, "%s%s", out.length ? ", " : "",
			            compare_clean(compare->arena, plan->steps[i].name));
	}
	if (count > NAMES_LIMIT)
		text_format(&out, " and %zu more", count - NAMES_LIMIT);
	const char *names = out.length ? arena_text(compare->arena, text_string(&out)) : NULL;
	text_free(&out);
	return names;
}

static bool *marks(struct compare *compare, int side)
{
	return arena_array(&compare->scratch, compare->plan[side]->step_count + 1, sizeof(bool));
}

/* Also right for plans whose steps wait for each other, which have problems but are compared. */
bool *compare_before(struct compare *compare, int side, const struct plan_step *step)
{
	const struct plan_step **stack =
		arena_array(&compare->scratch, compare->plan[side]->step_count + 1, sizeof(void *));
	bool *before = marks(compare, side);
	size_t count = 0;

	stack[count++] = step;
	while (count > 0) {
		const struct plan_step *at = stack[--count];
		for (size_t i = 0; i < at->need_count; i++) {
			if (before[at->needs[i]->order])
				continue;
			before[at->needs[i]->order] = true;
			stack[count++] = at->needs[i];
		}
	}
	before[step->order] = false; /* in a plan with a cycle */
	return before;
}

/* ---- What a step waits for ---- */

static bool *direct(struct compare *compare, int side, const struct plan_step *step)
{
	bool *needs = marks(compare, side);

	for (size_t i = 0; i < step->need_count; i++)
		needs[step->needs[i]->order] = true;
	return needs;
}

/* Marks of a side for steps that are there on both sides and marked only on this one. */
static const char *only_here(struct compare *compare, int side, const bool *here, const bool *there)
{
	bool *only = marks(compare, side);

	for (size_t i = 0; i < compare->plan[side]->step_count; i++) {
		size_t pair = compare->pair[side][i];
		only[i] = here[i] && pair != NO_PAIR && !there[pair];
	}
	return compare_names(compare, side, only);
}

static bool is_same_set(const struct compare *compare, const bool *old, const bool *new)
{
	size_t before = 0, after = 0;

	for (size_t i = 0; i < compare->plan[OLD]->step_count; i++) {
		size_t pair = compare->pair[OLD][i];
		before += old[i];
		if (old[i] && (pair == NO_PAIR || !new[pair]))
			return false;
	}
	for (size_t i = 0; i < compare->plan[NEW]->step_count; i++)
		after += new[i];
	return before == after;
}

static bool is_final(const struct plan_step *step)
{
	return step->rollback == ROLLBACK_NEVER ||
	       (step->module && step->module->traits & STEP_DESTROYS);
}

static void add_waits(struct compare *compare, const struct plan_step *old,
                      const struct plan_step *new, bool needs_changed)
{
	bool final = is_final(old) && is_final(new);
	const bool *before = compare_before(compare, OLD, old);
	const bool *after = compare_before(compare, NEW, new);
	const char *lost = only_here(compare, OLD, before, after);
	const char *won = only_here(compare, NEW, after, before);
	struct difference difference = {
		.topic = final ? TOPIC_NO_RETURN : TOPIC_ORDER,
		.subject = compare_clean(compare->arena, new->name),
	};

	difference.note = final ? "no longer comes after" : "no longer waits for";
	difference.names = lost;
	difference.effect = EFFECT_LOOSENED;
	if (final || needs_changed)
		compare_add(compare, difference);
	difference.note = final ? "now comes after" : "now waits for";
	difference.names = won;
	difference.effect = EFFECT_TIGHTENED;
	if (final || needs_changed)
		compare_add(compare, difference);
}

void compare_order(struct compare *compare, const struct plan_step *old,
                   const struct plan_step *new)
{
	struct difference difference = {.topic = TOPIC_ORDER, .what = "needs"};

	if (!old && !new->need_count)
		return;
	if (!new)
		return; /* who waited for it says so */
	difference.subject = compare_clean(compare->arena, new->name);
	const bool *needs = direct(compare, NEW, new);
	difference.to = compare_names(compare, NEW, needs);
	if (!old) {
		compare_add(compare, difference);
		return;
	}
	const bool *needed = direct(compare, OLD, old);
	bool changed = !is_same_set(compare, needed, needs);
	difference.from = compare_names(compare, OLD, needed);
	if (changed)
		compare_add(compare, difference);
	if (changed || is_final(new))
		add_waits(compare, old, new, changed);
}

/* ---- Downtime ---- */

bool *compare_shut_out(struct compare *compare, int side)
{
	const struct plan *plan = compare->plan[side];
	const struct plan_step *begins =
		plan->downtime_begins ? plan_find(plan, plan->downtime_begins) : NULL;
	const struct plan_step *ends =
		plan->downtime_ends ? plan_find(plan, plan->downtime_ends) : NULL;
	bool *inside = marks(compare, side);

	if (!begins || !ends)
		return inside;
	/* What is before the end and comes after the begin, found forwards along users. */
	const bool *before = compare_before(compare, side, ends);
	const struct plan_step **stack =
		arena_array(&compare->scratch, plan->step_count + 1, sizeof(void *));
	size_t count = 0;
	inside[begins->order] = true;
	stack[count++] = begins;
	while (count > 0) {
		const struct plan_step *at = stack[--count];
		for (size_t i = 0; i < at->user_count; i++) {
			const struct plan_step *user = at->users[i];
			if (inside[user->order] || (!before[user->order] && user != ends))
				continue;
			inside[user->order] = true;
			stack[count++] = user;
		}
	}
	return inside;
}

static const char *named(struct compare *compare, const char *name)
{
	return name ? compare_clean(compare->arena, name) : NULL;
}

static const char *budget_text(struct compare *compare, int side)
{
	int64_t budget_ms = compare->plan[side]->downtime_budget_ms;

	return budget_ms ? compare_duration(compare, budget_ms) : NULL;
}

/* Steps of a side that are inside here and not there, or not there at all. */
static const char *newly_inside(struct compare *compare, int side, const bool *here,
                                const bool *there)
{
	bool *only = marks(compare, side);

	for (size_t i = 0; i < compare->plan[side]->step_count; i++) {
		size_t pair = compare->pair[side][i];
		only[i] = here[i] && (pair == NO_PAIR || !there[pair]);
	}
	return compare_names(compare, side, only);
}

void compare_downtime(struct compare *compare)
{
	const struct plan *old = compare->plan[OLD], *new = compare->plan[NEW];
	struct difference difference = {.topic = TOPIC_DOWNTIME, .what = "budget"};
	int64_t before = old->downtime_budget_ms, after = new->downtime_budget_ms;

	difference.from = budget_text(compare, OLD);
	difference.to = budget_text(compare, NEW);
	difference.effect =
		!after || (before && after > before) ? EFFECT_LOOSENED : EFFECT_TIGHTENED;
	compare_add(compare, difference);
	difference.effect = EFFECT_NONE;
	difference.what = "begins with";
	difference.from = compare_step_name(compare, old->downtime_begins);
	difference.to = named(compare, new->downtime_begins);
	compare_add(compare, difference);
	difference.what = "ends with";
	difference.from = compare_step_name(compare, old->downtime_ends);
	difference.to = named(compare, new->downtime_ends);
	compare_add(compare, difference);
	const bool *was = compare_shut_out(compare, OLD), *is = compare_shut_out(compare, NEW);
	difference.what = "steps while users are shut out";
	difference.from = newly_inside(compare, OLD, was, is);
	difference.to = NULL;
	compare_add(compare, difference);
	difference.from = NULL;
	difference.to = newly_inside(compare, NEW, is, was);
	compare_add(compare, difference);
}
