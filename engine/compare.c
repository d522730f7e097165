/* SPDX-License-Identifier: MIT */
/* Compares two plans: pairs their steps, asks each part, sorts what was found. */
#include "engine/compare.h"
#include "engine/compare_parts.h"

#include <stdlib.h>
#include <string.h>

#define RENAME_LIMIT 500 /* steps on either side among which renamed ones are looked for */

const struct topic_entry compare_topics[TOPIC_COUNT] = {
	[TOPIC_NO_RETURN] = {"no_return", "Points of no return"},
	[TOPIC_DOWNTIME] = {"downtime", "Downtime"},
	[TOPIC_GATES] = {"gates", "Gates"},
	[TOPIC_APPROVALS] = {"approvals", "Approvals"},
	[TOPIC_DEADLINES] = {"deadlines", "Deadlines and retries"},
	[TOPIC_WAY_BACK] = {"way_back", "Failure and the way back"},
	[TOPIC_REACH] = {"blast_radius", "Blast radius"},
	[TOPIC_STEPS] = {"steps", "Steps"},
	[TOPIC_ORDER] = {"order", "Order"},
	[TOPIC_INPUTS] = {"inputs", "Inputs"},
	[TOPIC_SECRETS] = {"secrets", "Secrets"},
	[TOPIC_CONNECTIONS] = {"connections", "Connections"},
	[TOPIC_WINDOWS] = {"windows", "Windows"},
	[TOPIC_NOTIFY] = {"notify", "Notifications"},
	[TOPIC_PLAN] = {"plan", "The plan"},
};

const char *const compare_kind_names[] = {
	[DIFFERENCE_ADDED] = "added",
	[DIFFERENCE_REMOVED] = "removed",
	[DIFFERENCE_CHANGED] = "changed",
};

const char *const compare_effect_names[] = {
	[EFFECT_NONE] = "none",
	[EFFECT_LOOSENED] = "loosened",
	[EFFECT_TIGHTENED] = "tightened",
};

/* ---- What was found ---- */

void compare_add(struct compare *compare, struct difference difference)
{
	struct comparison *out = compare->out;
	const char *from = difference.from, *to = difference.to;

	if ((!from && !to && !difference.names) ||
	    (from && to && strcmp(from, to) == 0 && !difference.unlike))
		return;
	difference.kind = from && !to   ? DIFFERENCE_REMOVED
	                  : to && !from ? DIFFERENCE_ADDED
	                                : DIFFERENCE_CHANGED;
	if (compare->whole)
		difference.effect = EFFECT_NONE;
	difference.number = out->count;
	if (out->count == out->capacity) {
		size_t capacity = out->capacity ? out->capacity * 2 : 64;
		struct difference *list = arena_array(compare->arena, capacity, sizeof *list);
		if (out->count)
			memcpy(list, out->list, out->count * sizeof *list);
		out->list = list;
		out->capacity = capacity;
	}
	out->list[out->count++] = difference;
	out->effects[difference.effect]++;
}

static int rank(const struct difference *difference)
{
	return difference->effect == EFFECT_LOOSENED || difference->destroys ? 0 : 1;
}

static int by_topic(const void *left, const void *right)
{
	const struct difference *a = left, *b = right;

	if (a->topic != b->topic)
		return a->topic < b->topic ? -1 : 1;
	if (rank(a) != rank(b))
		return rank(a) - rank(b);
	return a->number < b->number ? -1 : 1;
}

/* ---- Pairs of steps ---- */

static void pair_steps(struct compare *compare, size_t old, size_t new)
{
	compare->pair[OLD][old] = new;
	compare->pair[NEW][new] = old;
}

static bool is_same_work(const struct plan_step *old, const struct plan_step *new)
{
	return old->module && old->module == new->module &&
	       old->with &&new->with &&value_equal(old->with, new->with);
}

/* The only old step without a pair that does the same work, or NO_PAIR. */
static size_t find_renamed(const struct compare *compare, const struct plan_step *new)
{
	const struct plan *plan = compare->plan[OLD];
	size_t found = NO_PAIR;

	for (size_t i = 0; i < plan->step_count; i++) {
		if (compare->pair[OLD][i] != NO_PAIR || !is_same_work(&plan->steps[i], new))
			continue;
		if (found != NO_PAIR)
			return NO_PAIR;
		found = i;
	}
	return found;
}

static size_t count_unpaired(const struct compare *compare, int side)
{
	size_t count = 0;

	for (size_t i = 0; i < compare->plan[side]->step_count; i++)
		count += compare->pair[side][i] == NO_PAIR;
	return count;
}

/* A step that only got another name is the same step, else a gate could be lost with the name. */
static void pair_renamed(struct compare *compare)
{
	const struct plan *new = compare->plan[NEW];

	if (count_unpaired(compare, OLD) > RENAME_LIMIT ||
	    count_unpaired(compare, NEW) > RENAME_LIMIT)
		return;
	for (size_t i = 0; i < new->step_count; i++) {
		if (compare->pair[NEW][i] != NO_PAIR)
			continue;
		size_t old = find_renamed(compare, &new->steps[i]);
		if (old == NO_PAIR)
			continue;
		pair_steps(compare, old, i);
		compare->renamed++;
	}
}

static void make_pairs(struct compare *compare)
{
	for (int side = OLD; side <= NEW; side++) {
		size_t count = compare->plan[side]->step_count;
		compare->pair[side] =
			arena_array(compare->arena, count + 1, sizeof *compare->pair[side]);
		for (size_t i = 0; i < count; i++)
			compare->pair[side][i] = NO_PAIR;
	}
	for (size_t i = 0; i < compare->plan[NEW]->step_count; i++) {
		const char *name = compare->plan[NEW]->steps[i].name;
		const struct plan_step *old = plan_find(compare->plan[OLD], name);
		if (old && compare->pair[OLD][old->order] == NO_PAIR)
			pair_steps(compare, old->order, i);
	}
	pair_renamed(compare);
}

/* ---- At a glance ---- */

static bool is_point_of_no_return(const struct plan_step *step)
{
	return step->rollback == ROLLBACK_NEVER;
}

static void look_over(struct compare *compare, int side)
{
	const struct plan *plan = compare->plan[side];
	struct overview *overview = &compare->out->overview[side];
	bool *points = arena_array(&compare->scratch, plan->step_count + 1, sizeof *points);
	const bool *shut_out = compare_shut_out(compare, side);

	overview->steps = plan->step_count;
	overview->budget_ms = plan->downtime_budget_ms;
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		overview->gates += step->preconditions.count + step->postconditions.count +
		                   step->invariants.count;
		overview->approvals += step->approval.by > 0;
		points[i] = is_point_of_no_return(step);
		overview->points_of_no_return += points[i];
		overview->shut_out += shut_out[i];
	}
	overview->point_names = compare_names(compare, side, points);
	if (!overview->point_names)
		overview->point_names = "";
}

/* ---- The whole ---- */

static void compare_steps(struct compare *compare)
{
	const struct plan *old = compare->plan[OLD], *new = compare->plan[NEW];

	for (size_t i = 0; i < old->step_count + new->step_count; i++) {
		bool gone = i >= new->step_count;
		const struct plan_step *after = gone ? NULL : &new->steps[i], *before = NULL;
		size_t pair = gone ? NO_PAIR : compare->pair[NEW][i];
		if (gone && compare->pair[OLD][i - new->step_count] != NO_PAIR)
			continue;
		if (gone)
			before = &old->steps[i - new->step_count];
		else if (pair != NO_PAIR)
			before = &old->steps[pair];
		compare_step(compare, before, after);
		compare_gates(compare, before, after);
		compare_settings(compare, before, after);
		compare_order(compare, before, after);
		arena_free(&compare->scratch);
	}
}

void compare_plans(struct comparison *comparison, struct arena *arena, const struct plan *old,
                   const struct plan *new)
{
	struct plan *empty = arena_alloc(arena, sizeof *empty);
	struct compare compare = {.out = comparison, .arena = arena, .plan = {old, new}};
	bool readable = true;

	empty->name = empty->summary = "";
	*comparison = (struct comparison){.arena = arena};
	for (int side = OLD; side <= NEW; side++) {
		struct overview *overview = &comparison->overview[side];
		const struct value *root = compare.plan[side] ? compare.plan[side]->root : NULL;
		overview->present = compare.plan[side] != NULL;
		overview->readable = root && root->kind == VALUE_MAP;
		overview->point_names = "";
		readable = readable && (overview->readable || !overview->present);
		compare.whole = compare.whole || !overview->present;
		if (!overview->readable)
			compare.plan[side] = empty;
	}
	make_pairs(&compare);
	look_over(&compare, OLD);
	look_over(&compare, NEW);
	compare_reach(&compare);
	if (readable) {
		compare_steps(&compare);
		compare_defaults(&compare);
		compare_downtime(&compare);
		compare_head(&compare);
	}
	arena_free(&compare.scratch);
	if (comparison->count)
		qsort(comparison->list, comparison->count, sizeof *comparison->list, by_topic);
}
