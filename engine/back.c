/* SPDX-License-Identifier: MIT */
/* The way back: which effects, newest first, and where it ends. */
#include "engine/run.h"
#include "engine/walk.h"

#include <stdlib.h>

struct effect {
	const struct plan_step *step;
	int64_t seq; /* of its first intent in this run */
};

static int newest_first(const void *left, const void *right)
{
	const struct effect *a = left, *b = right;

	return a->seq < b->seq ? 1 : a->seq > b->seq ? -1 : 0;
}

static bool has_effect(const struct plan_step *step, const struct run_step *known)
{
	if (known->intent_seq == 0 || step->module->traits & STEP_READ_ONLY)
		return false;
	switch (known->state) {
	case RUN_DONE:
	case RUN_UNKNOWN:
	case RUN_FAILED:
	case RUN_UNDO_UNKNOWN:
		return true;
	case RUN_PENDING:
	case RUN_WAITING:
		return known->was_done; /* only to be looked at again; what it did is there */
	case RUN_UNDONE:
	case RUN_PASSED:
		return false;
	}
	return false;
}

static int64_t first_effect_of(const struct plan *plan, struct run *run,
                               const struct plan_step *to)
{
	int64_t oldest = 0;

	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		int64_t seq = run_step(run, step->id)->intent_seq;
		bool same = step == to || (to->each && to->name == step->name);
		if (same && has_effect(step, run_step(run, step->id)) && (!oldest || seq < oldest))
			oldest = seq;
	}
	return oldest;
}

static void judge(struct way_back *line, const struct run_step *known)
{
	const struct plan_step *step = line->step;

	if (step->rollback == ROLLBACK_NOTHING) {
		line->what = BACK_PASS;
		line->why = step->rollback_why;
	} else if (step->rollback == ROLLBACK_NEVER && known->state == RUN_DONE) {
		line->what = BACK_STOP;
		line->why = step->rollback_why;
	} else if (step->rollback != ROLLBACK_STEPS && !step->module->revert) {
		line->what = BACK_STOP;
		line->why = "its module has no inverse";
	}
}

struct way_back *walk_preview(const struct plan *plan, const struct run *run, const char *back_to,
                              struct arena *arena, struct error *err)
{
	struct run *known = run_writable(run);
	const struct plan_step *to = plan_find(plan, back_to);
	struct effect *effects = arena_array(arena, plan->step_count + 1, sizeof *effects);
	struct way_back *first = NULL, **end = &first;
	size_t count = 0;

	err->kind = ERROR_NONE;
	if (!to) {
		fail(err, ERROR_PLAN, "there is no step %s in this plan", back_to);
		return NULL;
	}
	int64_t oldest = first_effect_of(plan, known, to);
	for (size_t i = 0; oldest && i < plan->step_count; i++) {
		const struct run_step *step = run_step(known, plan->steps[i].id);
		if (has_effect(&plan->steps[i], step) && step->intent_seq >= oldest)
			effects[count++] = (struct effect){&plan->steps[i], step->intent_seq};
	}
	qsort(effects, count, sizeof *effects, newest_first);
	for (size_t i = 0; i < count; i++) {
		struct way_back *line = arena_alloc(arena, sizeof *line);
		line->step = effects[i].step;
		line->what = BACK_UNDO;
		judge(line, run_step(known, line->step->id));
		*end = line;
		end = &line->next;
		if (line->what == BACK_STOP)
			break;
	}
	return first;
}
