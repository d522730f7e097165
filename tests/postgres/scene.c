/* SPDX-License-Identifier: MIT */
/* What the tests of PostgreSQL stand on. */
#include "scene.h"
#include "engine/base/clock.h"
#include "steps/postgres/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

int scene_open(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);

	strcpy(scene->directory, "/tmp/plan-postgres-XXXXXX");
	/* The server may run as another account, which must be able to pass. */
	if (!mkdtemp(scene->directory) || chmod(scene->directory, 0711) != 0 ||
	    !scratch_make(&scene->cluster, scene->directory, "a", NULL, &scene->err)) {
		fprintf(stderr, "no cluster: %s\n", scene->err.text);
		scratch_remove_tree(scene->directory);
		free(scene);
		return -1;
	}
	scene->admin = scene_session(scene, NULL);
	*state = scene;
	return 0;
}

int scene_close(void **state)
{
	struct scene *scene = *state;

	PQfinish(scene->admin);
	scratch_destroy(&scene->cluster);
	scratch_remove_tree(scene->directory);
	arena_free(&scene->arena);
	free(scene);
	return 0;
}

PGconn *scene_session(struct scene *scene, const char *role)
{
	struct database database;
	char url[300];

	snprintf(url, sizeof url, "postgres://%s:%s@localhost:%d/%s",
	         role ? role : scene->cluster.user, role ? "x" : scene->cluster.password,
	         scene->cluster.port, scene->cluster.database);
	if (!database_understand(&scene->arena, "scene", url, &database, &scene->err))
		fail_msg("%s", scene->err.text);
	PGconn *connection = database_open(&database, "test", &scene->err);
	if (!connection)
		fail_msg("%s", scene->err.text);
	return connection;
}

void must(PGconn *connection, const char *sql)
{
	PGresult *result = PQexec(connection, sql);
	ExecStatusType status = PQresultStatus(result);

	PQclear(result);
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		fail_msg("%s in: %.200s", PQerrorMessage(connection), sql);
}

const char *ask(struct scene *scene, PGconn *connection, const char *sql)
{
	PGresult *result = PQexec(connection, sql);
	const char *text = "";

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		fail_msg("%s in: %.200s", PQerrorMessage(connection), sql);
	if (PQntuples(result) > 0)
		text = arena_text(&scene->arena, PQgetvalue(result, 0, 0));
	PQclear(result);
	return text;
}

const char *state_of(PGconn *connection, const char *sql, char state[6])
{
	PGresult *result = PQexec(connection, sql);
	const char *found = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	snprintf(state, 6, "%s",
	         found ? found : (PQstatus(connection) == CONNECTION_OK ? "" : "gone"));
	PQclear(result);
	return state;
}

void pause_ms(int64_t duration_ms)
{
	nanosleep(&(struct timespec){.tv_sec = duration_ms / 1000,
	                             .tv_nsec = duration_ms % 1000 * 1000000L},
	          NULL);
}

static void send_one(struct load *load, const char *sql)
{
	char state[6];
	int64_t from_ms = clock_real_ms();

	state_of(load->connection, sql, state);
	int64_t took_ms = clock_real_ms() - from_ms;
	if (took_ms > load->longest_ms)
		load->longest_ms = took_ms;
	if (!state[0])
		load->done++;
	else if (strcmp(state, "25006") == 0)
		load->refused++;
	else if (strcmp(state, "40P01") == 0)
		load->deadlocked++;
	else if (strcmp(state, "25P02") != 0) { /* what follows an error in its transaction */
		load->other++;
		snprintf(load->last_error, sizeof load->last_error, "%s: %.200s", state,
		         PQerrorMessage(load->connection));
	}
}

static void *run(void *context)
{
	struct load *load = context;

	for (size_t i = 0; !atomic_load(&load->stop); i++) {
		send_one(load, load->statements[i % load->count]);
		if (load->pause_ms)
			pause_ms(load->pause_ms);
	}
	return NULL;
}

void load_start(struct load *load)
{
	assert_int_equal(pthread_create(&load->thread, NULL, run, load), 0);
}

void load_stop(struct load *load)
{
	atomic_store(&load->stop, true);
	pthread_join(load->thread, NULL);
	PQfinish(load->connection);
}
