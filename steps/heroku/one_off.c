/* SPDX-License-Identifier: MIT */
/* Starts one-off dynos, finds them again and learns how they ended. */
#include "steps/heroku/one_off.h"
#include "engine/base/clock.h"
#include "steps/heroku/lookup.h"

#include <stdlib.h>
#include <string.h>

enum {
	LOG_LINES = 1500,   /* as many as Heroku keeps */
	LOG_LATE_MS = 8000, /* a line may come so much later than what it tells */
	LOG_POLL_MS = 1000,
	CLOCKS_DIFFER_MS = 60000,             /* Heroku's and ours, at most */
	LOG_AGE_MS = 6 * 24 * 60 * 60 * 1000, /* Heroku keeps a week */
};

/* ---- The log ---- */

/* *text NULL: it cannot be read. */
static bool read_log(struct heroku *heroku, const char *app, const char **text, struct error *err)
{
	struct value *body = value_map(heroku->arena), *session;
	struct http_response response;
	struct error refused = {0};

	*text = NULL;
	value_set_number(heroku->arena, body, "lines", LOG_LINES);
	value_set_text(heroku->arena, body, "source", "heroku");
	value_set_bool(heroku->arena, body, "tail", false);
	if (heroku_write(heroku, "POST", heroku_path(heroku, "/apps/%s/log-sessions", app), body,
	                 &session, &refused) != HEROKU_DONE)
		return refused.kind != ERROR_CANCELLED ||
		       fail(err, refused.kind, "%s", refused.text);
	struct http_request request = {
		.method = "GET",
		.url = heroku_text(session, "logplex_url", err),
		.timeout_ms = 20000,
		.ca_file = heroku->ca_file,
		.step = heroku->step,
	};
	if (!request.url)
		return false;
	if (!http_send(&request, &response, heroku->arena, &refused))
		return refused.kind != ERROR_CANCELLED ||
		       fail(err, refused.kind, "%s", refused.text);
	if (response.status == 200)
		*text = response.body;
	return true;
}

/* "2026-01-02T03:04:05.678901+00:00 heroku[run.1234]: text". */
struct line {
	int64_t at_ms;
	const char *dyno, *text;
};

static bool split(struct arena *arena, const char *from, const char *end, struct line *line)
{
	const char *copy = arena_text_n(arena, from, (size_t)(end - from));
	const char *open = strstr(copy, " heroku["), *close = open ? strstr(open, "]: ") : NULL;

	if (!close)
		return false;
	open += strlen(" heroku[");
	line->at_ms = heroku_time_ms(copy);
	line->dyno = arena_text_n(arena, open, (size_t)(close - open));
	line->text = close + strlen("]: ");
	return line->at_ms >= 0;
}

/* Names of dynos come again: what is told counts from the line that has the marker on. */
static void take_line(struct one_off_trace *trace, const struct line *line, const char *marker,
                      size_t number)
{
	static const char starting[] = "Starting process with command",
			  exited[] = "Process exited with status ";

	if (strncmp(line->text, starting, sizeof starting - 1) == 0 && strstr(line->text, marker)) {
		trace->state = ONE_OFF_ENDED;
		trace->dyno = line->dyno;
		trace->line = number;
		trace->status = -1;
	} else if (trace->dyno && strcmp(line->dyno, trace->dyno) == 0 && trace->status < 0 &&
	           strncmp(line->text, exited, sizeof exited - 1) == 0) {
		trace->status = strtol(line->text + sizeof exited - 1, NULL, 10);
	}
}

static bool find_in_log(struct heroku *heroku, const struct one_off *one_off,
                        struct one_off_trace *trace, struct error *err)
{
	const char *text;
	size_t number = 0;

	if (!read_log(heroku, one_off->app, &text, err))
		return false;
	trace->log_was_read = text != NULL;
	for (const char *end; text && *text; text = *end ? end + 1 : end) {
		struct line line;
		end = text + strcspn(text, "\n");
		number++;
		if (!split(heroku->arena, text, end, &line))
			continue;
		if (!trace->log_since_ms)
			trace->log_since_ms = line.at_ms;
		take_line(trace, &line, one_off->marker, number);
	}
	if (number < LOG_LINES)
		trace->log_since_ms = 0;
	return true;
}

/* ---- Dynos ---- */

static bool is_over(const char *state)
{
	return strcmp(state, "crashed") == 0 || strcmp(state, "down") == 0;
}

static bool find_dyno(struct heroku *heroku, const struct one_off *one_off,
                      struct one_off_trace *trace, struct error *err)
{
	struct value *list;

	if (!heroku_list(heroku, heroku_path(heroku, "/apps/%s/dynos", one_off->app), &list, err))
		return false;
	for (const struct value *dyno = list ? list->as.items.first : NULL; dyno;
	     dyno = dyno->next) {
		const char *command = value_get_text(dyno, "command", "");
		if (!strstr(command, one_off->marker) || is_over(value_get_text(dyno, "state", "")))
			continue;
		trace->state = ONE_OFF_RUNNING;
		trace->dyno = heroku_text(dyno, "name", err);
		trace->id = heroku_text(dyno, "id", err);
		trace->line = SIZE_MAX;
		return trace->dyno && trace->id;
	}
	return true;
}

bool one_off_find(struct heroku *heroku, const struct one_off *one_off, struct one_off_trace *trace,
                  struct error *err)
{
	*trace = (struct one_off_trace){.status = -1};
	if (!find_dyno(heroku, one_off, trace, err))
		return false;
	return trace->state == ONE_OFF_RUNNING || find_in_log(heroku, one_off, trace, err);
}

bool one_off_find_late(struct heroku *heroku, const struct one_off *one_off, int64_t asked_at_ms,
                       struct one_off_trace *trace, bool *proven, struct error *err)
{
	int64_t began_ms = clock_real_ms();

	for (;;) {
		if (!one_off_find(heroku, one_off, trace, err))
			return false;
		bool settled = trace->state == ONE_OFF_RUNNING ||
		               (trace->state == ONE_OFF_ENDED && trace->status >= 0);
		bool late = clock_now_ms() > asked_at_ms + LOG_LATE_MS &&
		            clock_real_ms() > began_ms + LOG_POLL_MS;
		if (settled || late)
			break;
		step_progress(heroku->step, "looking in the log for what became of an earlier try");
		if (!step_sleep(heroku->step, LOG_POLL_MS, err))
			return false;
	}
	*proven = trace->log_was_read && clock_now_ms() < asked_at_ms + LOG_AGE_MS &&
	          trace->log_since_ms + CLOCKS_DIFFER_MS < asked_at_ms;
	return true;
}

bool one_off_start(struct heroku *heroku, const struct one_off *one_off,
                   struct one_off_trace *trace, struct error *err)
{
	struct arena *arena = heroku->arena;
	struct value *body = value_map(arena), *dyno;
	const char *path = heroku_path(heroku, "/apps/%s/dynos", one_off->app);
	int64_t asked_at_ms = clock_now_ms();
	bool proven;

	value_set_text(arena, body, "command",
	               arena_printf(arena, "%s # %s", one_off->command, one_off->marker));
	value_set_bool(arena, body, "attach", false);
	value_set_number(arena, body, "time_to_live", one_off->time_to_live_ms / 1000);
	if (one_off->size)
		value_set_text(arena, body, "size", one_off->size);
	if (one_off->env)
		value_set(arena, body, "env", value_copy(arena, one_off->env));
	enum heroku_outcome outcome = heroku_write(heroku, "POST", path, body, &dyno, err);
	if (outcome == HEROKU_DONE) {
		*trace = (struct one_off_trace){.state = ONE_OFF_RUNNING, .status = -1};
		trace->dyno = heroku_text(dyno, "name", err);
		trace->id = heroku_text(dyno, "id", err);
		return trace->dyno && trace->id;
	}
	struct error unsure = *err;
	if (outcome != HEROKU_UNSURE ||
	    !one_off_find_late(heroku, one_off, asked_at_ms, trace, &proven, err))
		return false;
	if (trace->state != ONE_OFF_NONE)
		return true;
	if (proven)
		*err = unsure;
	else
		fail(err, ERROR_FAILED, "%s; whether the command was started is not known",
		     unsure.text);
	return false;
}

/* Until it is gone from the list. */
static bool await_end(struct heroku *heroku, const struct one_off *one_off,
                      const struct one_off_trace *trace, struct error *err)
{
	const char *path = heroku_path(heroku, "/apps/%s/dynos/%s", one_off->app, trace->id);

	for (int poll = 0;; poll++) {
		struct value *dyno;
		if (!heroku_get(heroku, path, &dyno, err))
			return false;
		const char *state = value_get_text(dyno, "state", "");
		if (!dyno || is_over(state))
			return true;
		step_progress(heroku->step, "%s is %s", trace->dyno, state);
		if (!lookup_pause(heroku, poll, err))
			return false;
	}
}

bool one_off_await(struct heroku *heroku, const struct one_off *one_off,
                   struct one_off_trace *trace, struct error *err)
{
	const char *dyno = trace->dyno;

	if (trace->state == ONE_OFF_RUNNING && !await_end(heroku, one_off, trace, err))
		return false;
	for (int64_t waited_ms = 0;; waited_ms += LOG_POLL_MS) {
		*trace = (struct one_off_trace){.status = -1};
		if (!find_in_log(heroku, one_off, trace, err))
			return false;
		bool told = trace->state == ONE_OFF_ENDED && strcmp(trace->dyno, dyno) == 0 &&
		            trace->status >= 0;
		if (told)
			return true;
		if (!trace->log_was_read || waited_ms >= LOG_LATE_MS)
			break;
		step_progress(heroku->step, "%s has ended; waiting for the log to say how", dyno);
		if (!step_sleep(heroku->step, LOG_POLL_MS, err))
			return false;
	}
	trace->state = ONE_OFF_ENDED;
	trace->dyno = dyno;
	trace->status = -1;
	return true;
}

bool one_off_stop(struct heroku *heroku, const struct one_off *one_off, struct one_off_trace *trace,
                  struct error *err)
{
	const char *path =
		heroku_path(heroku, "/apps/%s/dynos/%s/actions/stop", one_off->app, trace->id);

	if (heroku_write(heroku, "POST", path, NULL, NULL, err) == HEROKU_REFUSED)
		return false;
	return await_end(heroku, one_off, trace, err);
}
