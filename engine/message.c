/* SPDX-License-Identifier: MIT */
/* Takes what the processes of steps say: into the journal, into the live view, to the observer. */
#include "engine/base/clock.h"
#include "engine/walking.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct hearing {
	struct walking *walking;
	struct task *task;
	const struct value *message;
	struct arena *arena;
};

static struct value *body_of(const struct hearing *hearing, const char *const *keys)
{
	struct value *body = value_map(hearing->arena);

	for (; *keys; keys++) {
		const struct value *item = value_get(hearing->message, *keys);
		if (item)
			value_set(hearing->arena, body, *keys, value_copy(hearing->arena, item));
	}
	return body;
}

static bool record(const struct hearing *hearing, enum record_kind kind, struct value *body)
{
	return walking_append(hearing->walking, kind, hearing->task->step->id, body);
}

static void tell(const struct hearing *hearing, enum walk_news news, const struct value *body)
{
	walking_tell(hearing->walking, news, hearing->task->step,
	             value_get_text(hearing->message, "text", NULL), body);
}

/* What is shown of the step from now on: what it said last. */
static struct value *live_of(const struct hearing *hearing, const char *state)
{
	struct value *live = value_copy(hearing->arena, hearing->message);
	int64_t timeout_at_ms = idle_timeout_at_ms(hearing->task);

	value_remove(live, "event");
	value_remove(live, "before");
	value_set_text(hearing->arena, live, "state", state);
	value_set_number(hearing->arena, live, "at_ms", clock_now_ms());
	value_set_number(hearing->arena, live, "since_ms", hearing->task->since_ms);
	if (timeout_at_ms && !value_get(live, "until_ms"))
		value_set_number(hearing->arena, live, "timeout_at_ms", timeout_at_ms);
	return live;
}

static void show_live(const struct hearing *hearing, const char *state, bool at_once)
{
	live_show(hearing->walking, hearing->task, live_of(hearing, state), at_once);
}

/* Both at once: each alone would be written to the disk by itself. */
static bool record_and_show(const struct hearing *hearing, enum record_kind kind,
                            struct value *body, const char *state)
{
	live_shown(hearing->task);
	return walking_append_live(hearing->walking, kind, hearing->task->step->id, body,
	                           live_of(hearing, state));
}

/* ---- One function an event ---- */

static bool hear_looked(const struct hearing *hearing)
{
	struct walking *walking = hearing->walking;
	const struct value *outputs = value_get(hearing->message, "outputs");
	const struct value *changes = value_get(hearing->message, "changes");

	hearing->task->closed_with_word = true;
	if (outputs)
		value_set(&walking->arena, walking->predicted, hearing->task->step->id,
		          value_copy(&walking->arena, outputs));
	if (changes && changes->as.items.count > 0) {
		walking->changes_ahead[hearing->task->step->order] = true;
		walking->result->changed++;
	}
	tell(hearing, NEWS_LOOKED, hearing->message);
	walking_settle(walking, hearing->task->step, SETTLED_DONE);
	return true;
}

static const char *waiting_text(const struct hearing *hearing)
{
	const struct value *conditions = value_get(hearing->message, "conditions");
	const struct value *one = conditions ? conditions->as.items.first : NULL;

	for (; one; one = one->next) {
		if (value_get_bool(one, "holds", false) && one->next)
			continue;
		const char *of = value_get_text(one, "of", NULL);
		return arena_printf(
			hearing->arena, "%s%s%s is %s, must be %s%s",
			value_get_text(one, "check", ""), of ? " of " : "", of ? of : "",
			value_get_text(one, "is", "unknown"), value_get_text(one, "must_be", ""),
			value_get_bool(one, "holds", false) ? "; holds, must stay so" : "");
	}
	return "";
}

static bool hear_waiting(const struct hearing *hearing)
{
	static const char *const keys[] = {"for", "conditions", NULL};
	struct task *task = hearing->task;
	bool first = task->state == TASK_LOOKING;
	bool last = value_get(hearing->message, "until_ms") != NULL; /* it sleeps until then */

	if (task->state != TASK_ACTING)
		task_enter(task, TASK_WAITING);
	show_live(hearing, "waiting", first || last);
	walking_tell(hearing->walking, NEWS_WAITING, task->step, waiting_text(hearing),
	             hearing->message);
	if (!first || run_step(hearing->walking->options->run, task->step->id)->waiting_since_ms)
		return true;
	return record(hearing, RECORD_WAIT, body_of(hearing, keys));
}

static bool answer(struct task *task, char letter)
{
	return write(task->channel.descriptor, &letter, 1) == 1;
}

/* What stands on a step that acts once more was made before that. */
static void look_at_users_again(const struct hearing *hearing)
{
	const struct plan_step *step = hearing->task->step;

	for (size_t i = 0; i < step->user_count; i++)
		hearing->walking->passing[step->users[i]->order] = false;
}

static bool let_act(const struct hearing *hearing)
{
	static const char *const keys[] = {"before", "changes", "conditions", "subjects", NULL};
	struct task *task = hearing->task;
	enum record_kind kind = task->mode == WALK_REVERT ? RECORD_UNDO_INTENT : RECORD_INTENT;

	task_enter(task, TASK_ACTING);
	task->acting_since_ms = clock_real_ms();
	if (!record_and_show(hearing, kind, body_of(hearing, keys), "acting"))
		return false;
	if (kind == RECORD_INTENT) {
		tell(hearing, NEWS_ACTING, hearing->message);
		look_at_users_again(hearing);
	}
	answer(task, 'g');
	return true;
}

/* Its preconditions hold, and now it waits for people. */
static void show_offered(const struct hearing *hearing, bool at_once)
{
	static const char *const keys[] = {"conditions", NULL};
	struct value *live = body_of(hearing, keys);
	struct hearing shown = *hearing;

	value_set_text(hearing->arena, live, "for", hearing->task->offered_word);
	value_set_text(hearing->arena, live, "text", hearing->task->offered_for);
	shown.message = live;
	show_live(&shown, "waiting", at_once);
}

static bool hear_ready(const struct hearing *hearing)
{
	struct task *task = hearing->task;
	const char *before = task->state == TASK_OFFERED ? task->offered_word : NULL;

	if (gate_opens(hearing->walking, task))
		return let_act(hearing);
	if (hearing->walking->journal_broken)
		return false;
	bool news = task->offered_word != before;
	task_enter(task, TASK_OFFERED);
	show_offered(hearing, news);
	if (news)
		walking_tell(hearing->walking, NEWS_WAITING, task->step, task->offered_for, NULL);
	answer(task, 'w');
	return true;
}

static const char *live_word(const struct task *task)
{
	if (task->state == TASK_SERVING)
		return "serving";
	return task_is_acting(task) ? "acting" : "waiting";
}

static bool hear_sleeping(const struct hearing *hearing)
{
	hearing->task->sleeping_until_ms = value_get_number(hearing->message, "until_ms", 0);
	hearing->task->sleeping_since_ms = clock_real_ms();
	if (value_get(hearing->message, "text"))
		show_live(hearing, live_word(hearing->task), true);
	return true;
}

/* The time that it slept is not counted against its timeout. */
static bool hear_awake(const struct hearing *hearing)
{
	struct task *task = hearing->task;
	int64_t slept_ms = clock_real_ms() - task->sleeping_since_ms;

	task->sleeping_until_ms = 0;
	task->started_ms += slept_ms;
	task->acting_since_ms += slept_ms;
	return true;
}

static bool hear_pin(const struct hearing *hearing)
{
	static const char *const keys[] = {"name", "identity", NULL};

	return record(hearing, RECORD_PIN, body_of(hearing, keys));
}

static bool hear_note(const struct hearing *hearing)
{
	static const char *const keys[] = {"text", NULL};

	tell(hearing, NEWS_NOTE, NULL);
	return record(hearing, RECORD_NOTE, body_of(hearing, keys));
}

static bool hear_retrying(const struct hearing *hearing)
{
	static const char *const keys[] = {"text", NULL};

	tell(hearing, NEWS_RETRY, NULL);
	show_live(hearing, hearing->task->state == TASK_SERVING ? "serving" : "retrying", true);
	return !hearing->walking->options->journal ||
	       record(hearing, RECORD_NOTE, body_of(hearing, keys));
}

static bool hear_progress(const struct hearing *hearing)
{
	tell(hearing, NEWS_PROGRESS, hearing->message);
	show_live(hearing, live_word(hearing->task), false);
	return true;
}

static bool hear_done(const struct hearing *hearing)
{
	static const char *const keys[] = {"outputs", "subjects", "changed", NULL};
	struct task *task = hearing->task;
	struct walking *walking = hearing->walking;
	bool serves = task->step->module->traits & STEP_SERVICE && task->step->module->serve;

	if (serves)
		task_enter(task, TASK_SERVING);
	else
		task->closed_with_word = true;
	if (!record_and_show(hearing, RECORD_DONE, body_of(hearing, keys),
	                     serves ? "serving" : "done"))
		return false;
	walking->result->done++;
	if (value_get_bool(hearing->message, "changed", false))
		walking->result->changed++;
	tell(hearing, NEWS_DONE, hearing->message);
	walking_settle(walking, task->step, SETTLED_DONE);
	return true;
}

static bool hear_undone(const struct hearing *hearing)
{
	hearing->task->closed_with_word = true;
	hearing->walking->result->undone++;
	tell(hearing, NEWS_UNDONE, NULL);
	struct value *body = value_map(hearing->arena);
	/* What a person did is undone: their word for it holds no longer. */
	if (hearing->task->step->module->traits & STEP_PERSON)
		value_set_bool(hearing->arena, body, "void_approvals", true);
	return record(hearing, RECORD_UNDONE, body);
}

static void set_failure(struct walking *walking, const struct task *task, const char *kind,
                        const char *text)
{
	struct walk_result *result = walking->result;
	enum error_kind error = error_kind_from_name(kind);

	result->failed++;
	if (result->failed > 1 && !walking->going_back)
		return; /* the first one is the story */
	fail(&result->error, error, "%s", text);
	snprintf(result->step, sizeof result->step, "%s", task->step->id);
	bool refused = error == ERROR_REFUSED || error == ERROR_DRIFT;
	result->outcome = walking->going_back ? WALK_PERSON_NEEDED
	                  : refused           ? WALK_REFUSED
	                                      : WALK_FAILED;
}

/* What the plan says about a step that failed. */
static void follow_on_failure(struct walking *walking, const struct task *task)
{
	const struct plan_step *step = task->step;
	bool acted = run_step(walking->options->run, step->id)->intent_seq != 0;

	if (walking->going_back || task->mode != WALK_APPLY)
		return;
	switch (step->on_failure) {
	case ON_FAILURE_CONTINUE:
		return;
	case ON_FAILURE_ROLL_BACK: {
		const struct plan_step *to = plan_find(walking->options->plan, step->roll_back_to);
		/* Where even the step to go back to has done nothing yet there is no way to go. */
		if (acted || (to && run_step(walking->options->run, to->id)->intent_seq != 0))
			walking->roll_back_to = step->roll_back_to;
		walking->ending = true;
		return;
	}
	case ON_FAILURE_STOP:
		walking->ending = true;
		return;
	}
}

/* What it was at is the reason that it gave for ending. */
static const char *timeout_text(const struct hearing *hearing, const char *at)
{
	const struct plan_step *step = hearing->task->step;

	return arena_printf(hearing->arena, "it did not end within its timeout of %s: %s",
	                    clock_duration_text(hearing->arena, step->timeout_ms), at);
}

static bool take_failure(const struct hearing *hearing, const char *kind, const char *text)
{
	struct walking *walking = hearing->walking;
	struct task *task = hearing->task;
	struct value *body = value_map(hearing->arena);

	task->closed_with_word = true;
	if (task->state == TASK_SERVING && !task->dropped) {
		struct hearing died = *hearing;
		died.message = service_died(walking, task, text, hearing->arena);
		show_live(&died, "restarting", true);
		return true;
	}
	if (task->dropped && !task->timed_out)
		return true; /* we asked it to end; an open intent is looked up next time */
	if (task->timed_out)
		text = timeout_text(hearing, text);
	value_set_text(hearing->arena, body, "kind", kind);
	value_set_text(hearing->arena, body, "text", text);
	if (task->mode != WALK_LOOK &&
	    !record_and_show(hearing,
	                     task->mode == WALK_REVERT ? RECORD_UNDO_FAILED : RECORD_FAILED, body,
	                     "failed"))
		return false;
	set_failure(walking, task, kind, text);
	walking_tell(walking, NEWS_FAILED, task->step, text, body);
	follow_on_failure(walking, task);
	if (!walking->going_back)
		walking_settle(walking, task->step, SETTLED_FAILED);
	return true;
}

static bool hear_failed(const struct hearing *hearing)
{
	return take_failure(hearing, value_get_text(hearing->message, "kind", "failed"),
	                    value_get_text(hearing->message, "text", "it gave no reason"));
}

static const struct {
	const char *event;
	bool (*hear)(const struct hearing *hearing);
} events[] = {
	{"looked", hear_looked},     {"waiting", hear_waiting},   {"ready", hear_ready},
	{"sleeping", hear_sleeping}, {"awake", hear_awake},       {"pin", hear_pin},
	{"note", hear_note},         {"progress", hear_progress}, {"retrying", hear_retrying},
	{"done", hear_done},         {"undone", hear_undone},     {"failed", hear_failed},
};

bool message_handle(struct walking *walking, struct task *task, const struct value *message,
                    struct arena *arena)
{
	struct hearing hearing = {walking, task, message, arena};
	const char *event = value_get_text(message, "event", "");

	for (size_t i = 0; i < sizeof events / sizeof *events; i++)
		if (strcmp(events[i].event, event) == 0)
			return events[i].hear(&hearing);
	return true;
}

void message_lost(struct walking *walking, struct task *task, int wait_status)
{
	struct arena arena = {0};
	struct hearing hearing = {walking, task, value_map(&arena), &arena};
	char text[256];

	if (task->state == TASK_SERVING && task->dropped) {
		show_live(&hearing, "done", true);
		arena_free(&arena);
		return;
	}
	if (WIFSIGNALED(wait_status))
		snprintf(text, sizeof text, "its process ended by signal %d",
		         WTERMSIG(wait_status));
	else
		snprintf(text, sizeof text, "its process ended (status %d) without a word",
		         WEXITSTATUS(wait_status));
	take_failure(&hearing, "failed", text);
	arena_free(&arena);
}
