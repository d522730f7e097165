/* SPDX-License-Identifier: MIT */
/* Services: steps that run on after they are satisfied, as long as other steps need them. */
#include "engine/base/clock.h"
#include "engine/walking.h"

#include <stdio.h>

#define FIRST_PAUSE_MS 500
#define LONGEST_PAUSE_MS 60000
#define RECOVERED_MS 300000 /* one that served for so long is started again at once */

static bool is_needed(const struct walking *walking, const struct plan_step *step)
{
	if (walking->ending)
		return false;
	for (size_t i = 0; i < step->user_count; i++) {
		size_t order = step->users[i]->order;
		if (walking->included[order] && walking->settled[order] == SETTLED_NOT)
			return true;
	}
	return false;
}

/* One that was started again and waits for what may never hold any more keeps the run waiting. */
static bool is_on_its_own(const struct walking *walking, const struct task *task)
{
	return task->state == TASK_SERVING || (task->mode == WALK_APPLY && !task_is_acting(task) &&
	                                       walking->restarts[task->step->order].tries > 0);
}

static void release(struct walking *walking)
{
	for (size_t i = 0; i < walking->task_count; i++) {
		struct task *task = &walking->tasks[i];
		if (!is_on_its_own(walking, task) || task->kill_at_ms ||
		    is_needed(walking, task->step))
			continue;
		task->dropped = true;
		task_stop(task);
	}
}

struct value *service_died(struct walking *walking, const struct task *task, const char *text,
                           struct arena *arena)
{
	struct value *live = value_map(arena);
	struct restart *restart = &walking->restarts[task->step->order];
	int64_t pause_ms = FIRST_PAUSE_MS;

	if (task->state == TASK_SERVING && clock_now_ms() - task->since_ms > RECOVERED_MS)
		restart->tries = 0;
	for (int64_t i = 0; i < restart->tries && pause_ms < LONGEST_PAUSE_MS; i++)
		pause_ms *= 2;
	restart->tries++;
	pause_ms = pause_ms < LONGEST_PAUSE_MS ? pause_ms : LONGEST_PAUSE_MS;
	restart->at_ms = clock_real_ms() + pause_ms;
	value_set_text(arena, live, "error", text);
	value_set_number(arena, live, "tries", restart->tries);
	value_set_number(arena, live, "next_at_ms", clock_now_ms() + pause_ms);
	walking_tell(walking, NEWS_RETRY, task->step,
	             arena_printf(arena, "the service ended (%s); it is started again in %s", text,
	                          clock_duration_text(arena, pause_ms)),
	             NULL);
	return live;
}

bool service_is_due(const struct walking *walking)
{
	for (size_t i = 0; i < walking->options->plan->step_count; i++)
		if (walking->restarts[i].at_ms &&
		    is_needed(walking, &walking->options->plan->steps[i]))
			return true;
	return false;
}

static bool restart(struct walking *walking)
{
	for (size_t i = 0; i < walking->options->plan->step_count; i++) {
		const struct plan_step *step = &walking->options->plan->steps[i];
		struct restart *due = &walking->restarts[i];
		if (!due->at_ms || clock_real_ms() < due->at_ms || !is_needed(walking, step))
			continue;
		due->at_ms = 0;
		if (!task_start(walking, step, walking->options->mode))
			return fail(&walking->result->error, ERROR_FAILED,
			            "start the service of step %s again", step->id);
	}
	return true;
}

bool service_tend(struct walking *walking)
{
	release(walking);
	return restart(walking);
}
