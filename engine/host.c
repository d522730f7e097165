/* SPDX-License-Identifier: MIT */
/* What the engine does for a module, inside the process of a step. */
#include "engine/host.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/condition.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLICE_MS 200          /* how often a sleeper looks up */
#define REHEARSAL_SLICE_MS 20 /* where the clock may have jumped meanwhile */

#define HIDDEN_LEAST 4 /* bytes of a secret that is looked for in texts */

static volatile sig_atomic_t stop_asked;
static bool paused; /* as the engine said last */

static void ask_to_stop(int signal_number)
{
	(void)signal_number;
	stop_asked = 1;
}

void host_listen(void)
{
	struct sigaction action = {.sa_handler = ask_to_stop};

	stop_asked = 0;
	sigaction(SIGTERM, &action, NULL);
	signal(SIGINT, SIG_IGN); /* the terminal sends it to the whole group; the engine decides */
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

struct value *host_message(struct step *step, const char *event)
{
	struct value *message = value_map(step->arena);

	value_set_text(step->arena, message, "event", event);
	return message;
}

/* A server may say again what it was sent, and what a server says is told to people. */
static void hide_secrets(struct step *step, struct value *value)
{
	const struct value *secrets = step->host->scope->secrets;
	const struct value *secret = secrets ? secrets->as.items.first : NULL;

	if (value->kind == VALUE_LIST || value->kind == VALUE_MAP)
		for (struct value *item = value->as.items.first; item; item = item->next)
			hide_secrets(step, item);
	for (; value->kind == VALUE_TEXT && secret; secret = secret->next) {
		const char *content = value_reveal(secret);
		if (content && strlen(content) >= HIDDEN_LEAST)
			value->as.text =
				text_replace(step->arena, value->as.text, content, "(hidden)");
	}
}

bool host_send(struct step *step, struct value *message, struct error *err)
{
	static const char *const told[] = {"text", "error", "changes", "conditions"};

	for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
		struct value *one = value_get(message, told[i]);
		if (one)
			hide_secrets(step, one);
	}
	if (channel_send(&step->host->channel, message))
		return true;
	return fail(err, ERROR_CANCELLED, "the engine is gone");
}

static bool take_pause(char word)
{
	if (word != HOST_PAUSE && word != HOST_RESUME)
		return false;
	paused = word == HOST_PAUSE;
	return true;
}

bool host_answer(struct step *step, char *answer, struct error *err)
{
	for (;;) {
		if (stop_asked)
			return fail(err, ERROR_CANCELLED, "stopped while waiting for the go-ahead");
		struct pollfd wait = {step->host->channel.descriptor, POLLIN, 0};
		if (poll(&wait, 1, SLICE_MS) <= 0)
			continue;
		ssize_t count = read(wait.fd, answer, 1);
		if (count == 1 && !take_pause(*answer))
			return true;
		if (count == 0 || (count < 0 && errno != EINTR))
			return fail(err, ERROR_CANCELLED, "the engine is gone");
	}
}

bool step_paused(const struct step *step)
{
	char word;

	while (recv(step->host->channel.descriptor, &word, 1, MSG_DONTWAIT) == 1)
		take_pause(word);
	return paused;
}

bool step_stopping(const struct step *step)
{
	(void)step;
	return stop_asked != 0;
}

void step_output(struct step *step, const char *name, struct value *value)
{
	value_set(step->arena, step->outputs, name, value);
}

void step_output_text(struct step *step, const char *name, const char *text)
{
	value_set_text(step->arena, step->outputs, name, text);
}

static bool begins_with(const char *text, const char *prefix)
{
	return text && strncmp(text, prefix, strlen(prefix)) == 0;
}

const struct value *step_connections(struct step *step, const char *uses_prefix)
{
	struct value *found = value_list(step->arena);
	const struct value *all = step->host->connections;

	for (const struct value *one = all ? all->as.items.first : NULL; one; one = one->next)
		if (begins_with(value_get_text(one, "uses", NULL), uses_prefix))
			value_add(found, value_copy(step->arena, one));
	return found;
}

const struct value *step_connection(struct step *step, const char *name, const char *uses_prefix,
                                    struct error *err)
{
	const struct value *fitting = step_connections(step, uses_prefix);
	const struct value *first = fitting->as.items.first;

	if (!name && fitting->as.items.count == 1)
		return first;
	for (const struct value *one = first; name && one; one = one->next)
		if (strcmp(value_get_text(one, "name", ""), name) == 0)
			return one;
	if (name)
		fail(err, ERROR_PLAN, "there is no connection %s with `uses: %s`", name,
		     uses_prefix);
	else if (!first)
		fail(err, ERROR_PLAN, "it needs a connection with `uses: %s` in the plan",
		     uses_prefix);
	else
		fail(err, ERROR_PLAN, "the plan has %zu connections with `uses: %s`; name one",
		     fitting->as.items.count, uses_prefix);
	return NULL;
}

bool step_pin(struct step *step, const char *name, const char *identity, struct error *err)
{
	const char *pinned = run_pin(step->host->run, name);

	if (pinned && identity && strcmp(pinned, identity) != 0)
		return fail(
			err, ERROR_DRIFT,
			"%s is not what it was: this run first met %s, now it is %s; nothing was "
			"touched. Start a new run if that is meant",
			name, pinned, identity);
	if (step->host->looking || (pinned && identity) || (!pinned && !identity))
		return true;
	struct value *message = host_message(step, "pin");
	value_set_text(step->arena, message, "name", name);
	value_set_text(step->arena, message, "identity", identity);
	return host_send(step, message, err);
}

static void send_text(struct step *step, const char *event, const char *format, va_list arguments)
	__attribute__((format(printf, 3, 0)));

static void send_text(struct step *step, const char *event, const char *format, va_list arguments)
{
	struct error ignored;
	struct value *message = host_message(step, event);

	value_set_text(step->arena, message, "text", arena_vprintf(step->arena, format, arguments));
	host_send(step, message, &ignored);
}

void step_progress(struct step *step, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	send_text(step, "progress", format, arguments);
	va_end(arguments);
}

void step_note(struct step *step, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	send_text(step, "note", format, arguments);
	va_end(arguments);
}

/* One slice of a sleep: false when it is time to stop. */
static bool sleep_slice(struct step *step, int64_t duration_ms, struct error *err)
{
	int64_t slice_ms = clock_can_jump() ? REHEARSAL_SLICE_MS : SLICE_MS;

	if (stop_asked)
		return fail(err, ERROR_CANCELLED, "stopped while waiting");
	poll(NULL, 0, (int)(duration_ms < slice_ms ? duration_ms : slice_ms));
	if (stop_asked)
		return fail(err, ERROR_CANCELLED, "stopped while waiting");
	return !step->tend || step->tend(step, err);
}

static bool check_invariants(struct step *step, struct error *err)
{
	const struct plan_conditions *invariants = &step->host->plan_step->invariants;

	if (!step->host->guarded || invariants->count == 0)
		return true;
	step->host->guarded = false; /* measuring may sleep too */
	bool hold = conditions_hold_now(step, invariants, err);
	step->host->guarded = true;
	return hold || fail_while(err, "invariant");
}

bool step_sleep(struct step *step, int64_t duration_ms, struct error *err)
{
	int64_t end_ms = clock_real_ms() + duration_ms;

	for (int64_t rest = duration_ms; rest > 0; rest = end_ms - clock_real_ms())
		if (!sleep_slice(step, rest, err))
			return false;
	return check_invariants(step, err);
}

bool step_wait_until(struct step *step, int64_t wall_ms, const char *why, struct error *err)
{
	int64_t checked_ms = clock_real_ms();

	if (clock_now_ms() >= wall_ms)
		return check_invariants(step, err);
	struct value *message = host_message(step, "sleeping");
	value_set_number(step->arena, message, "until_ms", wall_ms);
	if (why)
		value_set_text(step->arena, message, "text", why);
	if (!host_send(step, message, err))
		return false;
	while (clock_now_ms() < wall_ms) {
		if (!sleep_slice(step, wall_ms - clock_now_ms(), err))
			return false;
		if (clock_real_ms() - checked_ms < 1000)
			continue;
		if (!check_invariants(step, err))
			return false;
		checked_ms = clock_real_ms();
	}
	return host_send(step, host_message(step, "awake"), err) && check_invariants(step, err);
}

static bool is_named(const struct plan_step *step, const char *name)
{
	return strcmp(step->id, name) == 0 || strcmp(step->name, name) == 0;
}

int64_t step_finished_at_ms(const struct step *step, const char *other)
{
	const struct plan *plan = step->host->plan;
	int64_t latest_ms = 0;

	for (size_t i = 0; i < plan->step_count; i++) {
		if (!is_named(&plan->steps[i], other))
			continue;
		const struct run_step *done = run_step(step->host->run, plan->steps[i].id);
		if (done->state != RUN_DONE)
			return 0;
		if (done->done_at_ms > latest_ms)
			latest_ms = done->done_at_ms;
	}
	return latest_ms;
}

const struct value *step_output_of(const struct step *step, const char *other, const char *name)
{
	const struct plan_step *found = plan_find(step->host->plan, other);

	if (!found)
		return NULL;
	return value_get(step->host->scope->outputs(step->host->scope, found), name);
}

struct value *step_with_of(struct step *step, const char *other, struct error *err)
{
	const struct plan *plan = step->host->plan;
	struct value *list = value_list(step->arena);

	for (size_t i = 0; i < plan->step_count; i++) {
		if (!is_named(&plan->steps[i], other))
			continue;
		struct value *with =
			resolve_with(step->host->scope, &plan->steps[i], step->arena, err);
		if (!with) {
			fail_while(err, "step %s", plan->steps[i].id);
			return NULL;
		}
		value_add(list, with);
	}
	return list;
}

const char *step_token(const struct step *step)
{
	return step->host->token;
}

const char *step_directory(const struct step *step)
{
	return step->host->plan->directory;
}

const struct value *step_window(const struct step *step, const char *name)
{
	return value_get(step->host->plan->windows, name);
}
