/* SPDX-License-Identifier: MIT */
/* When nothing but time can help: timeouts, the jumps of a rehearsal, and parking. */
#include "engine/base/clock.h"
#include "engine/walking.h"

#include <signal.h>
#include <stdio.h>

#define DEFAULT_PARK_AFTER_MS ((int64_t)60 * 60 * 1000)

/* Since when the timeout of its step runs; 0 while it waits. Looking counts: a server that never
 * ends its answer must not hold a run. */
static int64_t timed_since_ms(const struct task *task)
{
	if (!task->step->timeout_ms || task->sleeping_until_ms)
		return 0;
	switch (task->state) {
	case TASK_LOOKING:
		return task->started_ms;
	case TASK_ACTING:
		return task->acting_since_ms;
	case TASK_WAITING:
	case TASK_OFFERED:
	case TASK_SERVING:
		return 0;
	}
	return 0;
}

int64_t idle_timeout_at_ms(const struct task *task)
{
	int64_t since = timed_since_ms(task);

	return since ? clock_now_ms() + since + task->step->timeout_ms - clock_real_ms() : 0;
}

void idle_enforce_timeouts(struct walking *walking)
{
	int64_t now = clock_real_ms();

	for (size_t i = 0; i < walking->task_count; i++) {
		struct task *task = &walking->tasks[i];
		int64_t since = timed_since_ms(task);
		bool late = since && now - since > task->step->timeout_ms;
		if (late && !task->kill_at_ms) {
			task->timed_out = true;
			task->dropped = true;
			task_stop(task);
		}
		if (task->kill_at_ms && now > task->kill_at_ms)
			kill(task->pid, SIGKILL);
	}
}

/* In a rehearsal, when all that runs merely waits for time, time passes at once. */
void idle_jump(struct walking *walking)
{
	int64_t until = 0;
	const struct plan_step *step = NULL;
	char text[128];

	if (!clock_can_jump() || walking->ready_first < walking->ready_count)
		return;
	for (size_t i = 0; i < walking->task_count; i++) {
		const struct task *task = &walking->tasks[i];
		if (task->state == TASK_SERVING)
			continue;
		if (task->sleeping_until_ms <= clock_now_ms())
			return;
		if (!until || task->sleeping_until_ms < until) {
			until = task->sleeping_until_ms;
			step = task->step;
		}
	}
	if (!until)
		return;
	struct arena arena = {0};
	int64_t forward = until - clock_now_ms();
	snprintf(text, sizeof text, "passed over %s of waiting",
	         clock_duration_text(&arena, forward));
	arena_free(&arena);
	walking_tell(walking, NEWS_JUMP, step, text, NULL);
	clock_jump_ms(forward);
}

static bool waits_long(const struct walking *walking, const struct task *task)
{
	int64_t after = walking->options->park_after_ms ? walking->options->park_after_ms
	                                                : DEFAULT_PARK_AFTER_MS;
	if (task->state == TASK_OFFERED)
		return !walking->options->wait_for_people;
	return task->sleeping_until_ms - clock_now_ms() > after;
}

static bool nothing_happens_soon(const struct walking *walking)
{
	size_t running = walking_running(walking);

	if (running == 0)
		return walking->paused && walking->ready_first < walking->ready_count &&
		       !walking->options->wait_for_people;
	if (walking->ready_first < walking->ready_count && running < walking_jobs(walking))
		return false;
	for (size_t i = 0; i < walking->task_count; i++)
		if (walking->tasks[i].state != TASK_SERVING &&
		    !waits_long(walking, &walking->tasks[i]))
			return false;
	return true;
}

/* Nothing can happen for long: better to end, and to be run again when it can. */
void idle_park(struct walking *walking)
{
	struct walk_result *result = walking->result;

	if (walking->options->mode != WALK_APPLY || walking->ending || clock_can_jump() ||
	    !nothing_happens_soon(walking))
		return;
	walking->ending = true;
	result->outcome = WALK_PARKED;
	if (walking_running(walking) == 0) {
		fail(&result->error, ERROR_CANCELLED,
		     "the run is paused; `plan resume` lets it go on");
		return;
	}
	const struct task *task = &walking->tasks[0];
	for (size_t i = 1; task->state == TASK_SERVING && i < walking->task_count; i++)
		task = &walking->tasks[i];
	struct arena arena = {0};
	snprintf(result->step, sizeof result->step, "%s", task->step->id);
	if (task->state == TASK_OFFERED)
		fail(&result->error, ERROR_CANCELLED, "it waits for %s", task->offered_for);
	else
		fail(&result->error, ERROR_CANCELLED, "it waits until %s",
		     clock_text(&arena, task->sleeping_until_ms));
	arena_free(&arena);
}
