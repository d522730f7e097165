/* SPDX-License-Identifier: MIT */
/* The users of a rehearsed app. */
#include "steps/rehearsal/users.h"
#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "steps/http/client.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MS = 15, ANSWER_WITHIN_MS = 10000, CREATED = 201 };

#define LOG_LIMIT ((size_t)256 * 1024 * 1024)

static void nap(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

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

	fprintf(log, "%" PRId64 " %" PRId64 " %d user-%" PRId64 "\n", sent_ms, clock_now_ms(),
	        answered ? (int)response.status : 0, number);
	fflush(log);
	arena_free(&arena);
}

static _Noreturn void visit_for_ever(const struct users_visit *visit, const char *log_path,
                                     pid_t parent)
{
	FILE *log = fopen(log_path, "we");

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	if (!log || getppid() != parent)
		_exit(1);
	for (int64_t number = 1;; number++) {
		write_one(visit, number, log);
		nap(PAUSE_MS);
	}
}

bool users_start(struct users *users, const struct users_visit *visit, const char *log_path,
                 struct error *err)
{
	pid_t parent = getpid();

	snprintf(users->log_path, sizeof users->log_path, "%s", log_path);
	fflush(NULL);
	users->pid = fork();
	if (users->pid == 0)
		visit_for_ever(visit, log_path, parent);
	if (users->pid > 0)
		return true;
	users->pid = 0;
	return fail(err, ERROR_RETRY, "start the users: %s", strerror(errno));
}

/* Between two writes, so that none is left without a word: the log ends in a whole line. */
void users_stop(struct users *users)
{
	if (users->pid <= 0)
		return;
	kill(users->pid, SIGTERM);
	while (waitpid(users->pid, NULL, 0) < 0 && errno == EINTR)
		;
	users->pid = 0;
}

/* ---- What they noted ---- */

struct line {
	int64_t sent_ms, answered_ms;
	int status;
	char key[32];
};

static bool read_line(const char **at, struct line *line)
{
	const char *end = strchr(*at, '\n');

	if (!end || sscanf(*at, "%" SCNd64 " %" SCNd64 " %d %31s", &line->sent_ms,
	                   &line->answered_ms, &line->status, line->key) != 4)
		return false;
	*at = end + 1;
	return true;
}

static char *read_log(const struct users *users, struct arena *arena, struct error *err)
{
	size_t length;

	return file_read(arena, users->log_path, LOG_LIMIT, &length, err);
}

bool users_read(const struct users *users, int64_t from_ms, struct arena *arena,
                struct users_story *story, struct error *err)
{
	char *data = read_log(users, arena, err);
	const char *at = data;
	struct line line;
	int64_t last_success_ms = 0;
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
			continue;
		}
		if (refused_since && last_success_ms && line.answered_ms >= from_ms)
			story->outage_ms = (story->outage_ms < 0 ? 0 : story->outage_ms) +
			                   line.answered_ms - last_success_ms;
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
		const char *at = read_log(users, &arena, &err);
		struct line line = {0};
		bool seen = false;
		while (at && read_line(&at, &line))
			seen = line.status == CREATED && line.sent_ms >= from_ms;
		arena_free(&arena);
		if (seen)
			return true;
		nap(50);
	}
	return false;
}
