/* SPDX-License-Identifier: MIT */
/* The users of a rehearsed app. */
#include "steps/rehearsal/users.h"
#include "engine/base/clock.h"
#include "steps/http/client.h"
#include "steps/rehearsal/helper.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PAUSE_MS = 15, ANSWER_WITHIN_MS = 10000, CREATED = 201 };

static void write_one(const struct users_visit *visit, int64_t number, FILE *log)
{
	struct arena arena = {0};
	struct error err = {0};
	struct http_response response = {0};
	const char *headers[] = {visit->host ? arena_printf(&arena, "Host: %s", visit->host) : NULL,
	                         NULL};
	struct http_request request = {
		.method = "POST",
		.url = arena_printf(&arena, "http://127.0.0.1:%d/%s%swrite?key=user-%" PRId64,
	                            visit->router_port, visit->host ? "" : visit->app,
	                            visit->host ? "" : "/", number),
		.headers = headers,
		.body = "",
		.writes = true,
		.timeout_ms = ANSWER_WITHIN_MS,
	};
	int64_t sent_ms = clock_now_ms();
	bool answered = http_send(&request, &response, &arena, &err);

	int64_t answered_ms = clock_now_ms();
	fprintf(log, "%" PRId64 " %" PRId64 " %" PRId64 " %d user-%" PRId64 "\n", sent_ms,
	        answered_ms, answered_ms - clock_real_ms(), answered ? (int)response.status : 0,
	        number);
	fflush(log);
	arena_free(&arena);
}

static _Noreturn void visit_for_ever(const struct users_visit *visit, const char *log_path)
{
	FILE *log = fopen(log_path, "we");

	if (!log)
		_exit(1);
	for (int64_t number = 1;; number++) {
		write_one(visit, number, log);
		helper_nap_ms(PAUSE_MS);
	}
}

bool users_start(struct users *users, const struct users_visit *visit, const char *log_path,
                 struct error *err)
{
	snprintf(users->log_path, sizeof users->log_path, "%s", log_path);
	users->pid = helper_fork();
	if (users->pid == 0)
		visit_for_ever(visit, log_path);
	if (users->pid > 0)
		return true;
	users->pid = 0;
	return fail(err, ERROR_RETRY, "start the users: %s", strerror(errno));
}

/* Between two writes, so that none is left without a word: the log ends in a whole line. */
void users_stop(struct users *users)
{
	helper_stop(&users->pid);
}

/* ---- What they noted ---- */

struct line {
	int64_t sent_ms, answered_ms;
	int64_t ahead_ms; /* of the real clock when it was answered: it grows by each jump */
	int status;
	char key[32];
};

static bool read_line(const char **at, struct line *line)
{
	const char *end = strchr(*at, '\n');

	if (!end || sscanf(*at, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %d %31s", &line->sent_ms,
	                   &line->answered_ms, &line->ahead_ms, &line->status, line->key) != 5)
		return false;
	*at = end + 1;
	return true;
}

bool users_read(const struct users *users, int64_t from_ms, struct arena *arena,
                struct users_story *story, struct error *err)
{
	char *data = helper_read_log(users->log_path, arena, err);
	const char *at = data;
	struct line line;
	int64_t last_success_ms = 0, ahead_when_refused_ms = 0;
	size_t lines = 0;
	bool refused_since = false;

	*story = (struct users_story){.outage_ms = -1};
	if (!data)
		return false;
	for (const char *c = data; *c; c++)
		lines += *c == '\n';
	story->keys = arena_array(arena, lines + 1, sizeof *story->keys);
	while (read_line(&at, &line)) {
		story->open_at_end = line.status == CREATED;
		if (line.status != CREATED) {
			story->refused++;
			refused_since = true;
			ahead_when_refused_ms = line.ahead_ms;
			continue;
		}
		/* A jump after the last refusal came when the app was open, and nobody had asked
		 * yet. */
		if (refused_since && last_success_ms && line.answered_ms >= from_ms)
			story->outage_ms = (story->outage_ms < 0 ? 0 : story->outage_ms) +
			                   line.answered_ms - last_success_ms -
			                   (line.ahead_ms - ahead_when_refused_ms);
		refused_since = false;
		last_success_ms = line.answered_ms;
		story->keys[story->key_count++] = arena_text(arena, line.key);
	}
	return true;
}

bool users_see_success(const struct users *users, int64_t within_ms)
{
	int64_t end_ms = clock_real_ms() + within_ms, from_ms = clock_now_ms();

	while (clock_real_ms() < end_ms) {
		struct arena arena = {0};
		struct error err = {0};
		const char *at = helper_read_log(users->log_path, &arena, &err);
		struct line line = {0};
		bool seen = false;
		while (at && read_line(&at, &line))
			seen = line.status == CREATED && line.sent_ms >= from_ms;
		arena_free(&arena);
		if (seen)
			return true;
		helper_nap_ms(50);
	}
	return false;
}
