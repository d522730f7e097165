/* SPDX-License-Identifier: MIT */
/* The way back: which effects, newest first, and where it ends. */
#include "engine/walking.h"

#include <stdio.h>
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

/* When the run came to the step, also when there was nothing for it to do: what was brought about
 * since is what the way back undoes. 0: it did not come there. */
static int64_t reached_at(const struct plan *plan, struct run *run, const struct plan_step *to)
{
	int64_t oldest = 0;

	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		int64_t seq = run_step(run, step->id)->reached_seq;
		bool same = step == to || (to->each && to->name == step->name);
		if (same && seq && (!oldest || seq < oldest))
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
	} else if (step->rollback != ROLLBACK_STEPS &&
	           !step_has_inverse(step->module, step->with)) {
		line->what = BACK_STOP;
		line->why = step->module->revert ? "it says nothing of how to undo it"
		                                 : "its module has no inverse";
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
	int64_t oldest = reached_at(plan, known, to);
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

/* ---- Taking it ---- */

bool back_begin(struct walking *walking)
{
	struct error err = {0};

	walking->going_back = true;
	walking->back = walk_preview(walking->options->plan, walking->options->run,
	                             walking->roll_back_to, &walking->arena, &err);
	if (err.kind == ERROR_NONE)
		return true;
	walking->result->error = err;
	walking->result->outcome = WALK_REFUSED;
	walking->back = NULL;
	return true;
}

static bool pass_over(struct walking *walking, const struct way_back *line)
{
	struct value *body = value_map(&walking->arena);

	value_set_text(&walking->arena, body, "why", line->why);
	walking_tell(walking, NEWS_PASSED, line->step, line->why, NULL);
	return walking_append(walking, RECORD_PASSED, line->step->id, body);
}

static void stop_at(struct walking *walking, const struct way_back *line)
{
	struct walk_result *result = walking->result;

	result->outcome = walking->options->mode == WALK_REVERT ? WALK_REFUSED : WALK_PERSON_NEEDED;
	snprintf(result->step, sizeof result->step, "%s", line->step->id);
	fail(&result->error, ERROR_REFUSED, "the way back ends here, it cannot be undone: %s",
	     line->why);
	walking->back = NULL;
}

/* One step of the way back at a time, newest first. False at the end of it, or when broken. */
bool back_step(struct walking *walking)
{
	while (walking->back) {
		const struct way_back *line = walking->back;
		if (walking->result->outcome == WALK_PERSON_NEEDED) {
			walking->back = NULL;
			break;
		}
		walking->back = line->next;
		switch (line->what) {
		case BACK_PASS:
			if (!pass_over(walking, line))
				return false;
			continue;
		case BACK_STOP:
			stop_at(walking, line);
			return false;
		case BACK_UNDO:
			walking_tell(walking, NEWS_START, line->step, NULL, NULL);
			return task_start(walking, line->step, WALK_REVERT) != NULL;
		}
	}
	return false;
}
