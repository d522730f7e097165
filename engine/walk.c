/* SPDX-License-Identifier: MIT */
/* The one walk: starts what is ready, listens to what runs, and decides when it is over. */
#include "engine/walk.h"
#include "engine/base/clock.h"
#include "engine/walking.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_JOBS 8
#define DEFAULT_PARK_AFTER_MS ((int64_t)60 * 60 * 1000)
#define TICK_MS 250
#define REHEARSAL_TICK_MS 20

/* ---- Signals ---- */

static volatile sig_atomic_t caught_signal;

static void catch_signal(int number)
{
	if (caught_signal)
		_exit(128 + number); /* the second one leaves at once; the journal is whole anyway */
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

bool walking_append(struct walking *walking, enum record_kind kind, const char *step,
                    struct value *body)
{
	struct run *run = walking->options->run;
	struct record record = {.run = run->number, .kind = kind, .step = step, .body = body};

	if (!walking->options->journal)
		return true;
	if (!journal_append(walking->options->journal, &record, &walking->result->error)) {
		walking->journal_broken = true;
		return false;
	}
	run_apply(run, &record);
	return true;
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

/* Whether a step needs nothing of this walk: it was done, and looking again would tell nothing. */
static bool is_behind(const struct walking *walking, const struct plan_step *step)
{
	const struct run_step *known = run_step(walking->options->run, step->id);
	bool serves = step->module->traits & STEP_SERVICE && step->module->serve;

	if (known->state != RUN_DONE)
		return false;
	if (walking->options->mode == WALK_APPLY)
		return !serves;
	return step->module->traits & (STEP_READ_ONLY | STEP_PERSON) ||
	       run_superseded(walking->options->run, step->id);
}

static void settle_what_is_behind(struct walking *walking)
{
	const struct plan *plan = walking->options->plan;

	for (size_t i = 0; i < plan->step_count; i++)
		walking->missing[i] = plan->steps[i].need_count;
	/* In topological order: what becomes ready here is not started before the loop has ended. */
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		if (walking->included[i] && step->need_count == 0)
			add_ready(walking, step);
	}
	for (size_t i = 0; i < plan->step_count; i++)
		if (walking->included[i] && is_behind(walking, &plan->steps[i]))
			walking_settle(walking, &plan->steps[i], SETTLED_DONE);
}

static bool begin(struct walking *walking)
{
	size_t count = walking->options->plan->step_count + 1;
	struct arena *arena = &walking->arena;

	walking->settled = arena_array(arena, count, sizeof *walking->settled);
	walking->missing = arena_array(arena, count, sizeof *walking->missing);
	walking->included = arena_array(arena, count, sizeof *walking->included);
	walking->changes_ahead = arena_array(arena, count, sizeof *walking->changes_ahead);
	walking->ready = arena_array(arena, 2 * count, sizeof *walking->ready);
	walking->predicted = value_map(arena);
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
	    !(step->module->traits & (STEP_READ_ONLY | STEP_PERSON)))
		return false;
	walking_tell(walking, NEWS_LOOKED, step, "looked at in its turn", NULL);
	walking_settle(walking, step, SETTLED_DONE);
	return true;
}

static size_t running(const struct walking *walking)
{
	size_t count = 0;

	for (size_t i = 0; i < walking->task_count; i++)
		count += walking->tasks[i].state != TASK_SERVING;
	return count;
}

static bool start_ready(struct walking *walking)
{
	size_t jobs = walking->options->jobs ? walking->options->jobs : DEFAULT_JOBS;

	while (!walking->ending && walking->ready_first < walking->ready_count &&
	       running(walking) < jobs && !(walking->paused && running(walking) == 0)) {
		const struct plan_step *step = walking->ready[walking->ready_first++];
		if (walking->settled[step->order] != SETTLED_NOT || looks_too_early(walking, step))
			continue;
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

/* ---- Time ---- */

static void enforce_timeouts(struct walking *walking)
{
	int64_t now = clock_real_ms();

	for (size_t i = 0; i < walking->task_count; i++) {
		struct task *task = &walking->tasks[i];
		bool late = task->state == TASK_ACTING && task->step->timeout_ms &&
			    !task->sleeping_until_ms &&
			    now - task->acting_since_ms > task->step->timeout_ms;
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
static void jump_if_idle(struct walking *walking)
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
	snprintf(text, sizeof text, "passed over %s of waiting", clock_duration_text(&arena, forward));
	arena_free(&arena);
	walking_tell(walking, NEWS_JUMP, step, text, NULL);
	clock_jump_ms(forward);
}

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

static bool waits_long(const struct walking *walking, const struct task *task)
{
	int64_t after = walking->options->park_after_ms ? walking->options->park_after_ms
	                                                : DEFAULT_PARK_AFTER_MS;
	if (task->state == TASK_OFFERED)
		return !walking->options->wait_for_people;
	return task->sleeping_until_ms - clock_now_ms() > after;
}

/* Nothing can happen for long: better to end, and to be run again when it can. */
static void park_if_idle(struct walking *walking)
{
	struct walk_result *result = walking->result;

	if (walking->options->mode != WALK_APPLY || walking->ending || clock_can_jump() ||
	    running(walking) == 0 || walking->ready_first < walking->ready_count)
		return;
	for (size_t i = 0; i < walking->task_count; i++)
		if (walking->tasks[i].state != TASK_SERVING &&
		    !waits_long(walking, &walking->tasks[i]))
			return;
	const struct task *task = &walking->tasks[0];
	struct arena arena = {0};
	result->outcome = WALK_PARKED;
	snprintf(result->step, sizeof result->step, "%s", task->step->id);
	if (task->state == TASK_OFFERED)
		fail(&result->error, ERROR_CANCELLED, "it waits for %s", task->offered_for);
	else
		fail(&result->error, ERROR_CANCELLED, "it waits until %s",
		     clock_text(&arena, task->sleeping_until_ms));
	arena_free(&arena);
	walking->ending = true;
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

/* Services end when all that use them are settled, or when nothing else runs at the end. */
static void release_services(struct walking *walking)
{
	for (size_t i = 0; i < walking->task_count; i++) {
		struct task *task = &walking->tasks[i];
		bool needed = false;
		if (task->state != TASK_SERVING || task->kill_at_ms)
			continue;
		for (size_t u = 0; u < task->step->user_count && !walking->ending; u++) {
			size_t order = task->step->users[u]->order;
			needed |= walking->included[order] && walking->settled[order] == SETTLED_NOT;
		}
		if (needed)
			continue;
		task->dropped = true;
		task_stop(task);
	}
}

/* ---- Going back ---- */

static bool start_going_back(struct walking *walking)
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
static bool step_back(struct walking *walking)
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

/* ---- The loop ---- */

/* Nothing runs any more. True when the walk goes on all the same: it turns back. */
static bool turn_back(struct walking *walking)
{
	if (!walking->roll_back_to || walking->signalled_at_ms)
		return false;
	if (!walking->going_back && !start_going_back(walking))
		return false;
	return step_back(walking);
}

static bool one_round(struct walking *walking)
{
	obey_signals(walking);
	if (!gate_read_requests(walking) || !start_ready(walking))
		return false;
	if (walking->ending && !walking->going_back)
		stop_all(walking, walking->result->outcome == WALK_PARKED || walking->roll_back_to ||
		                          walking->signalled_at_ms != 0);
	release_services(walking);
	if (!listen_to_tasks(walking))
		return false;
	enforce_timeouts(walking);
	watch_budget(walking);
	park_if_idle(walking);
	jump_if_idle(walking);
	return true;
}

static bool is_over(struct walking *walking)
{
	if (walking->task_count > 0)
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
			      result->outcome != WALK_REFUSED && result->outcome != WALK_INTERRUPTED;

	if (walking->options->mode == WALK_APPLY && went_back_well)
		result->outcome = WALK_ROLLED_BACK;
	result->downtime_ms = budget_downtime_ms(walking->options->plan, walking->options->run);
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
