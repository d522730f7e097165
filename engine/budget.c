/* SPDX-License-Identifier: MIT */
/* The time users are shut out: measured, and kept within the budget of the plan. */
#include "engine/base/clock.h"
#include "engine/walking.h"

#include <stdio.h>

/* Wall clock at which the downtime began, 0 when it did not (or was undone). */
static int64_t began_ms(const struct plan *plan, struct run *run)
{
	const struct plan_step *begins =
		plan->downtime_begins ? plan_find(plan, plan->downtime_begins) : NULL;

	if (!begins)
		return 0;
	const struct run_step *step = run_step(run, begins->id);
	bool in_force = step->state == RUN_DONE || step->state == RUN_UNKNOWN ||
	                step->state == RUN_FAILED || step->state == RUN_UNDO_UNKNOWN;
	return in_force ? step->intent_at_ms : 0;
}

static int64_t ended_ms(const struct plan *plan, struct run *run)
{
	const struct plan_step *ends =
		plan->downtime_ends ? plan_find(plan, plan->downtime_ends) : NULL;
	const struct run_step *step = ends ? run_step(run, ends->id) : NULL;

	return step && step->state == RUN_DONE ? step->done_at_ms : 0;
}

int64_t walk_downtime_ms(const struct plan *plan, struct run *run, bool *running)
{
	int64_t began = began_ms(plan, run), ended = ended_ms(plan, run);

	if (running)
		*running = began && !ended;
	if (!began)
		return run->last_downtime_ms ? run->last_downtime_ms : -1;
	return (ended ? ended : clock_now_ms()) - began;
}

/* Going back costs about what the way here did: the acting, not the waiting. */
static int64_t undo_estimate_ms(const struct plan *plan, struct run *run, int64_t since_ms)
{
	int64_t sum_ms = 0;

	for (size_t i = 0; i < plan->step_count; i++) {
		const struct run_step *step = run_step(run, plan->steps[i].id);
		if (step->state == RUN_DONE && step->intent_at_ms >= since_ms)
			sum_ms += step->done_at_ms - step->intent_at_ms;
	}
	return sum_ms;
}

bool budget_used_up(struct walking *walking, char *why, size_t size)
{
	const struct plan *plan = walking->options->plan;
	struct run *run = walking->options->run;

	if (walking->options->mode != WALK_APPLY || !plan->downtime_budget_ms)
		return false;
	int64_t began = began_ms(plan, run);
	if (!began || ended_ms(plan, run))
		return false;
	int64_t used = clock_now_ms() - began;
	int64_t undo = undo_estimate_ms(plan, run, began);
	if (used + undo < plan->downtime_budget_ms)
		return false;
	snprintf(
		why, size,
		"the downtime budget of %lld s is used up: users have been shut out for %.1f s and "
		"going back takes about %.1f s",
		(long long)plan->downtime_budget_ms / 1000, (double)used / 1000,
		(double)undo / 1000);
	return true;
}
