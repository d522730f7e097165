/* SPDX-License-Identifier: MIT */
/* Users of the app, in a process of their own that knows nothing of the plan: they write without
 * pause through the router, note each answer, and so measure the outage from outside. */
#ifndef PLAN_REHEARSAL_USERS_H
#define PLAN_REHEARSAL_USERS_H

#include "engine/base/arena.h"
#include "engine/base/error.h"

#include <stdint.h>
#include <sys/types.h>

struct users {
	pid_t pid; /* 0 when they are not there */
	char log_path[300];
};

/* Who they visit. */
struct users_visit {
	int router_port;  /* on 127.0.0.1 */
	const char *host; /* the custom domain; NULL: `app` by its path */
	const char *app;
};

/* What they went through. */
struct users_story {
	const char **keys; /* of the rows whose writing was acknowledged */
	size_t key_count;
	int64_t refused;   /* answers other than 201, or none */
	int64_t outage_ms; /* all time between two successes with a refusal between, of those since
	                    * from_ms; -1: none */
	bool open_at_end;  /* the last answer was a success */
};

/* They die with the calling process. */
bool users_start(struct users *users, const struct users_visit *visit, const char *log_path,
                 struct error *err);
void users_stop(struct users *users);

/* Waits until a write succeeded after now, at most within_ms of real time. */
bool users_see_success(const struct users *users, int64_t within_ms);

/* from_ms: by clock_now_ms(). */
bool users_read(const struct users *users, int64_t from_ms, struct arena *arena,
                struct users_story *story, struct error *err);

#endif
