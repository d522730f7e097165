/* SPDX-License-Identifier: MIT */
/* The one walk: starts what is ready, listens to what runs, and decides when it is over. */
#include "engine/walk.h"
#include "engine/base/clock.h"
#include "engine/record.h"
#include "engine/walking.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_JOBS 8
#define TICK_MS 250
#define REHEARSAL_TICK_MS 20

/* ---- Signals ---- */

static volatile sig_atomic_t caught_signal;

static void catch_signal(int number)
{
	if (caught_signal)
		_exit(128 +
		      number); /* the second one leaves at once; the journal is whole anyway */
	caught_signal = number;
}

void walk_catch_signals(void)
{
	struct sigaction action = {.sa_handler = catch_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* ---- What all parts of a walk use ---- */

void walking_tell(struct walking *walking, enum walk_news news, const struct plan_step *step,
                  const char *text, const struct value *body)
{
	struct walk_event event = {news, step, text, body};

	if (walking->options->tell)
		walking->options->tell(walking->options->context, &event);
}

bool walking_append_live(struct walking *walking, enum record_kind kind, const char *step,
                         struct value *body, const struct value *live)
{
	struct run *run = walking->options->run;
	const char *why = NULL;
	struct record record = {
		.run = run->number, .kind = kind, .step = step, .body = body, .live = live};

	if (!walking->options->journal)
		return true;
	assert(record_is_described(kind, body, &walking->arena, &why));
	(void)why;
	if (!journal_append(walking->options->journal, &record, &walking->result->error)) {
		walking->journal_broken = true;
		return false;
	}
	run_apply(run, &record);
	return true;
}

bool walking_append(struct walking *walking, enum record_kind kind, const char *step,
                    struct value *body)
{
	return walking_append_live(walking, kind, step, body, NULL);
}

static void add_ready(struct walking *walking, const struct plan_step *step)
{
	walking->ready[walking->ready_count++] = step;
}

void walking_settle(struct walking *walking, const struct plan_step *step, enum settled how)
{
	bool looking = walking->options->mode == WALK_LOOK;

	if (walking->settled[step->order] != SETTLED_NOT)
		return;
	walking->settled[step->order] = how;
	if (how == SETTLED_FAILED && !looking)
		return;
	for (size_t i = 0; i < step->user_count; i++) {
		const struct plan_step *user = step->users[i];
		if (walking->changes_ahead[step->order])
			walking->changes_ahead[user->order] = true;
		if (--walking->missing[user->order] == 0 && walking->included[user->order] &&
		    walking->settled[user->order] == SETTLED_NOT)
			add_ready(walking, user);
	}
}

/* ---- Beginning ---- */

static void include_with_needs(struct walking *walking, const struct plan_step *step)
{
	if (walking->included[step->order])
		return;
	walking->included[step->order] = true;
	for (size_t i = 0; i < step->need_count; i++)
		include_with_needs(walking, step->needs[i]);
}

static bool choose_steps(struct walking *walking)
{
	const struct plan *plan = walking->options->plan;
	const char *through = walking->options->through;

	if (through && !plan_find(plan, through))
		return fail(&walking->result->error, ERROR_PLAN, "there is no step %s in this plan",
		            through);
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		bool named = !through || strcmp(step->id, through) == 0 ||
		             strcmp(step->name, through) == 0;
		if (named)
			include_with_needs(walking, step);
	}
	return true;
}

/* Whether what a step did, or found, is what the plan counts on now: the steps that it needs were
 * not undone since, or a later step has taken its work over. One that is to be looked at again
 * stands. */
static bool stands(const struct walking *walking, const struct plan_step *step,
                   const bool *standing)
{
	const struct run_step *known = run_step(walking->options->run, step->id);

	if (known->state != RUN_DONE && !(known->state == RUN_PENDING && known->was_done))
		return false;
	for (size_t i = 0; i < step->need_count; i++)
		if (!standing[step->needs[i]->order])
			return run_superseded(walking->options->run, step->id);
	return true;
}

/* Whether a step that stands needs nothing of this walk: looking again would tell nothing. */
static bool is_behind(const struct walking *walking, const struct plan_step *step)
{
	if (run_step(walking->options->run, step->id)->state != RUN_DONE)
		return false;
	if (walking->options->mode == WALK_APPLY)
		return !(step->module->traits & STEP_SERVICE && step->module->serve);
	return step->module->traits & (STEP_READ_ONLY | STEP_PERSON) ||
	       run_superseded(walking->options->run, step->id);
}

static void settle_what_is_behind(struct walking *walking)
{
	const struct plan *plan = walking->options->plan;
	bool *standing = arena_array(&walking->arena, plan->step_count + 1, sizeof *standing);

	for (size_t i = 0; i < plan->step_count; i++)
		walking->missing[i] = plan->steps[i].need_count;
	/* In topological order: what becomes ready here is not started before the loop has ended.
	 */
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		if (walking->included[i] && step->need_count == 0)
			add_ready(walking, step);
	}
	for (size_t i = 0; i < plan->step_count; i++) {
		standing[i] = walking->included[i] && stands(walking, &plan->steps[i], standing);
		if (!standing[i] || !is_behind(walking, &plan->steps[i]))
			continue;
		if (walking->missing[i] == 0 || walking->options->mode == WALK_LOOK)
			walking_settle(walking, &plan->steps[i], SETTLED_DONE);
		else
			walking->passing[i] = true;
	}
}

static bool begin(struct walking *walking)
{
	size_t count = walking->options->plan->step_count + 1;
	struct arena *arena = &walking->arena;

	walking->settled = arena_array(arena, count, sizeof *walking->settled);
	walking->missing = arena_array(arena, count, sizeof *walking->missing);
	walking->included = arena_array(arena, count, sizeof *walking->included);
	walking->passing = arena_array(arena, count, sizeof *walking->passing);
	walking->changes_ahead = arena_array(arena, count, sizeof *walking->changes_ahead);
	walking->ready = arena_array(arena, 2 * count, sizeof *walking->ready);
	walking->predicted = value_map(arena);
	walking->restarts = arena_array(arena, count, sizeof *walking->restarts);
	if (walking->options->mode == WALK_REVERT) {
		walking->roll_back_to = walking->options->back_to;
		walking->ending = true;
		return true;
	}
	if (!choose_steps(walking))
		return false;
	settle_what_is_behind(walking);
	return true;
}

/* ---- Starting steps ---- */

/* A check of something that earlier steps have yet to bring about can only be made in its turn. */
static bool looks_too_early(struct walking *walking, const struct plan_step *step)
{
	if (walking->options->mode != WALK_LOOK || !walking->changes_ahead[step->order] ||
	    step->module->traits & STEP_FORESEES ||
	    !(step->module->traits & (STEP_READ_ONLY | STEP_PERSON)))
		return false;
	walking_tell(walking, NEWS_LOOKED, step, "looked at in its turn", NULL);
	walking_settle(walking, step, SETTLED_DONE);
	return true;
}

size_t walking_running(const struct walking *walking)
{
	size_t count = 0;

	for (size_t i = 0; i < walking->task_count; i++)
		count += walking->tasks[i].state != TASK_SERVING;
	return count;
}

size_t walking_jobs(const struct walking *walking)
{
	return walking->options->jobs ? walking->options->jobs : DEFAULT_JOBS;
}

static bool start_ready(struct walking *walking)
{
	size_t jobs = walking_jobs(walking);

	while (!walking->ending && walking->ready_first < walking->ready_count &&
	       walking_running(walking) < jobs &&
	       !(walking->paused && walking_running(walking) == 0)) {
		const struct plan_step *step = walking->ready[walking->ready_first++];
		if (walking->settled[step->order] != SETTLED_NOT || looks_too_early(walking, step))
			continue;
		if (walking->passing[step->order]) {
			walking_settle(walking, step, SETTLED_DONE);
			continue;
		}
		walking_tell(walking, NEWS_START, step, NULL, NULL);
		if (!task_start(walking, step, walking->options->mode))
			return fail(&walking->result->error, ERROR_FAILED,
			            "start a process for step %s: %s", step->id, strerror(errno));
	}
	return true;
}

/* ---- Listening ---- */

static bool hear_task(struct walking *walking, size_t index)
{
	struct task *task = &walking->tasks[index];
	struct arena arena = {0};
	struct value *message;
	bool open = channel_fill(&task->channel), fine = true;

	while (fine && (message = channel_next(&task->channel, &arena))) {
		fine = message_handle(walking, task, message, &arena);
		arena_free(&arena);
	}
	arena_free(&arena);
	if (fine && !open)
		task_end(walking, index);
	return fine && !walking->journal_broken;
}

static bool listen_to_tasks(struct walking *walking)
{
	struct pollfd *waits = calloc(walking->task_count + 1, sizeof *waits);
	size_t count = walking->task_count;
	bool fine = true;

	if (!waits)
		return fail(&walking->result->error, ERROR_FAILED, "out of memory");
	for (size_t i = 0; i < count; i++)
		waits[i] = (struct pollfd){walking->tasks[i].channel.descriptor, POLLIN, 0};
	int got = poll(waits, count, clock_can_jump() ? REHEARSAL_TICK_MS : TICK_MS);
	/* From the end: a task that ends is replaced by the last one. */
	for (size_t i = count; got > 0 && fine && i-- > 0;)
		if (waits[i].revents)
			fine = hear_task(walking, i);
	free(waits);
	return fine;
}

/* ---- The budget ---- */

static void watch_budget(struct walking *walking)
{
	char why[512];

	if (walking->ending || walking->going_back || !budget_used_up(walking, why, sizeof why))
		return;
	fail(&walking->result->error, ERROR_FAILED, "%s", why);
	snprintf(walking->result->step, sizeof walking->result->step, "%s",
	         walking->options->plan->downtime_begins);
	walking->result->outcome = WALK_FAILED;
	walking->result->failed++;
	walking_tell(walking, NEWS_NOTE, NULL, why, NULL);
	walking->roll_back_to = walking->options->plan->downtime_begins;
	walking->ending = true;
}

/* ---- Ending ---- */

static void stop_all(struct walking *walking, bool acting_too)
{
	for (size_t i = 0; i < walking->task_count; i++) {
		struct task *task = &walking->tasks[i];
		if (task->kill_at_ms || (task_is_acting(task) && !acting_too))
			continue;
		task->dropped = true;
		task_stop(task);
	}
}

static void obey_signals(struct walking *walking)
{
	if (!caught_signal || walking->signalled_at_ms)
		return;
	walking->signalled_at_ms = clock_real_ms();
	walking->ending = true;
	walking->roll_back_to = NULL;
	walking->back = NULL;
	walking->result->outcome = WALK_INTERRUPTED;
	walking->result->signal = caught_signal;
	stop_all(walking, true);
}

/* ---- The loop ---- */

/* Nothing runs any more. True when the walk goes on all the same: it turns back. */
static bool turn_back(struct walking *walking)
{
	if (!walking->roll_back_to || walking->signalled_at_ms)
		return false;
	if (!walking->going_back && !back_begin(walking))
		return false;
	return back_step(walking);
}

static bool one_round(struct walking *walking)
{
	obey_signals(walking);
	if (!gate_read_requests(walking) || !start_ready(walking))
		return false;
	if (walking->ending && !walking->going_back)
		stop_all(walking, walking->result->outcome == WALK_PARKED ||
		                          walking->roll_back_to || walking->signalled_at_ms != 0);
	if (!service_tend(walking))
		return false;
	if (!listen_to_tasks(walking))
		return false;
	idle_enforce_timeouts(walking);
	watch_budget(walking);
	idle_park(walking);
	idle_jump(walking);
	live_tend(walking);
	return true;
}

static bool is_over(struct walking *walking)
{
	if (walking->task_count > 0 || service_is_due(walking))
		return false;
	if (walking->ready_first < walking->ready_count && !walking->ending)
		return false;
	return !turn_back(walking);
}

static void kill_all(struct walking *walking)
{
	for (size_t i = 0; i < walking->task_count; i++) {
		kill(walking->tasks[i].pid, SIGKILL);
		walking->tasks[i].dropped = true;
		walking->tasks[i].closed_with_word = true;
	}
	while (walking->task_count > 0)
		task_end(walking, walking->task_count - 1);
}

static void conclude(struct walking *walking)
{
	struct walk_result *result = walking->result;
	bool went_back_well = walking->going_back && result->outcome != WALK_PERSON_NEEDED &&
	                      result->outcome != WALK_REFUSED &&
	                      result->outcome != WALK_INTERRUPTED;

	if (walking->options->mode == WALK_APPLY && went_back_well)
		result->outcome = WALK_ROLLED_BACK;
	result->downtime_ms = walk_downtime_ms(walking->options->plan, walking->options->run, NULL);
}

bool walk(const struct walk_options *options, struct walk_result *result)
{
	struct walking walking = {.options = options, .result = result};

	*result = (struct walk_result){.outcome = WALK_DONE, .downtime_ms = -1};
	bool fine = begin(&walking);
	while (fine && !is_over(&walking))
		fine = one_round(&walking);
	if (!fine) {
		kill_all(&walking);
		if (result->outcome == WALK_DONE)
			result->outcome = WALK_FAILED;
	}
	conclude(&walking);
	free(walking.tasks);
	arena_free(&walking.arena);
	return !walking.journal_broken;
}
