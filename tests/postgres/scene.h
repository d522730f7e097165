/* SPDX-License-Identifier: MIT */
/* What the tests of PostgreSQL stand on: throw-away clusters, sessions, and an application. */
#ifndef PLAN_TEST_POSTGRES_SCENE_H
#define PLAN_TEST_POSTGRES_SCENE_H

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "steps/postgres/scratch.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct scene {
	char directory[64];
	struct scratch cluster;
	struct arena arena;
	struct error err;
	PGconn *admin; /* superuser, pinned as the product's own sessions are */
};

/* Group set-up and tear-down: *state becomes a scene with a running cluster. */
int scene_open(void **state);
int scene_close(void **state);

/* A session as that role (password "x" is set for it), NULL: the superuser. Pinned. */
PGconn *scene_session(struct scene *scene, const char *role);

/* Runs it and fails the test when that does not work. */
void must(PGconn *connection, const char *sql);

/* The first field, in the scene's arena; "" when there is none. */
const char *ask(struct scene *scene, PGconn *connection, const char *sql);

/* The SQLSTATE of one statement; "" when it worked. */
const char *state_of(PGconn *connection, const char *sql, char state[6]);

void pause_ms(int64_t duration_ms);

/* An application: a thread that sends one statement after the other until it is stopped. */
struct load {
	PGconn *connection;
	const char *const *statements; /* sent in turn, with a BEGIN in between where written */
	size_t count;
	int64_t pause_ms;
	atomic_bool stop;
	pthread_t thread;
	int64_t longest_ms; /* of one statement */
	long done, refused, deadlocked, other;
	char last_error[300];
};

void load_start(struct load *load);
void load_stop(struct load *load);

#endif
