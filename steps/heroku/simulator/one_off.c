/* SPDX-License-Identifier: MIT */
/* One-off dynos, which end, and the log that says how.
 *
 * No command is executed; its first word says what becomes of it: `sleep N` takes N seconds, `exit
 * N` and `false` fail, `bash` waits for somebody to stop it, anything else is done soon and well.
 */
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "steps/heroku/simulator/world.h"

#include <stdlib.h>
#include <string.h>

enum { RUN_MS = 700, DAY_S = 86400, LOG_MOST = 1500 };

/* ---- The log ---- */

static void log_line(struct world *world, const json_t *dyno, const char *text)
{
	struct arena arena = {0};
	const char *at = clock_text(&arena, clock_now_ms());

	at = arena_printf(&arena, "%.23s000+00:00", at);
	world_add(world, "logs",
	          json_pack("{s:O, s:s, s:s, s:s, s:s}", "app", json_object_get(dyno, "app"), "at",
	                    at, "source", "heroku", "dyno", text_of(dyno, "name"), "text", text));
	arena_free(&arena);
}

static void log_printf(struct world *world, const json_t *dyno, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void log_printf(struct world *world, const json_t *dyno, const char *format, ...)
{
	struct arena arena = {0};
	va_list arguments;

	va_start(arguments, format);
	log_line(world, dyno, arena_vprintf(&arena, format, arguments));
	va_end(arguments);
	arena_free(&arena);
}

static void open_session(struct call *call)
{
	json_t *app = app_of(call), *session;
	json_int_t lines = json_integer_value(json_object_get(call->body, "lines"));
	char url[160];

	if (!app)
		return;
	if (lines < 0 || lines > LOG_MOST) {
		refuse(call, 422, "invalid_params", "Lines must be between 1 and %d", LOG_MOST);
		return;
	}
	json_t *id = new_id();
	snprintf(url, sizeof url, "%s/_sim/logs/%s", call->world->base_url, json_string_value(id));
	session = world_add(call->world, "log_sessions",
	                    json_pack("{s:o, s:o, s:s, s:o, s:o, s:I, s:s, s:s}", "created_at",
	                              new_time(), "id", id, "logplex_url", url, "updated_at",
	                              new_time(), "_app", reference_to(app), "_lines",
	                              lines ? lines : 100, "_source", text_of(call->body, "source"),
	                              "_dyno", text_of(call->body, "dyno_name")));
	reply(call, 201, visible(session));
}

static bool is_wanted(const json_t *line, const json_t *session)
{
	const char *source = text_of(session, "_source"), *dyno = text_of(session, "_dyno");

	return world_is_of(line, json_object_get(session, "_app")) &&
	       (!*source || strcmp(source, text_of(line, "source")) == 0) &&
	       (!*dyno || strcmp(dyno, text_of(line, "dyno")) == 0);
}

/* The newest lines that are wanted, oldest first. */
static void read_session(struct call *call)
{
	const json_t *session = world_find_by(call->world, "log_sessions", "id", call->part[0]);
	json_t *line;
	json_int_t skip = 0;
	struct text out = {0};
	size_t i;

	if (!session) {
		refuse(call, 404, "not_found", "There is no such session.");
		return;
	}
	one_off_settle(call->world);
	json_array_foreach(world_list(call->world, "logs"), i, line) skip +=
		is_wanted(line, session);
	skip -= json_integer_value(json_object_get(session, "_lines"));
	json_array_foreach(world_list(call->world, "logs"), i, line)
	{
		if (is_wanted(line, session) && skip-- <= 0)
			text_format(&out, "%s %s[%s]: %s\n", text_of(line, "at"),
			            text_of(line, "source"), text_of(line, "dyno"),
			            text_of(line, "text"));
	}
	call->plain = strdup(text_string(&out));
	text_free(&out);
	reply(call, 200, json_null());
}

/* ---- Dynos ---- */

/* How long the command takes and how it ends. */
static int64_t life_ms(const char *command, int *status)
{
	*status = strncmp(command, "false", 5) == 0 ? 1 : 0;
	if (strncmp(command, "exit ", 5) == 0)
		*status = atoi(command + 5) & 255;
	if (strncmp(command, "sleep ", 6) == 0)
		return (int64_t)(strtod(command + 6, NULL) * 1000);
	return strncmp(command, "bash", 4) == 0 ? DAY_S * (int64_t)1000 : RUN_MS;
}

void one_off_begin(struct world *world, json_t *dyno, int64_t time_to_live_s)
{
	const char *command = text_of(dyno, "command");
	int status;
	int64_t life = life_ms(command, &status);

	if (time_to_live_s <= 0 || time_to_live_s > DAY_S)
		time_to_live_s = DAY_S;
	if (life >= time_to_live_s * 1000) {
		life = time_to_live_s * 1000;
		status = 143;
	}
	json_object_set_new(dyno, "_ends_at", json_integer(clock_real_ms() + life));
	json_object_set_new(dyno, "_status", json_integer(status));
	log_printf(world, dyno, "Starting process with command `%s`", command);
	log_line(world, dyno, "State changed from starting to up");
}

void one_off_end(struct world *world, json_t *dyno, int status)
{
	log_printf(world, dyno, "Process exited with status %d", status);
	log_line(world, dyno, "State changed from up to complete");
	world_remove(world, "dynos", dyno);
}

void one_off_settle(struct world *world)
{
	json_t *all = world_list(world, "dynos");

	for (size_t i = 0; i < json_array_size(all);) {
		json_t *dyno = json_array_get(all, i), *ends = json_object_get(dyno, "_ends_at");
		if (ends && clock_real_ms() >= json_integer_value(ends))
			one_off_end(world, dyno,
			            (int)json_integer_value(json_object_get(dyno, "_status")));
		else
			i++;
	}
}

const struct route log_routes[] = {
	{"POST", "/apps/?/log-sessions", open_session},
	{"GET", "/_sim/logs/?", read_session},
	{0},
};
