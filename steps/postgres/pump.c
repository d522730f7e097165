/* SPDX-License-Identifier: MIT */
/* Rows flow from one server to another. */
#include "steps/postgres/pump.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "steps/postgres/query.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <time.h>

/* A pause for the rate is worth a system call only when it is due by so much. */
#define PAUSE_LEAST_MS 20

static bool begin(PGconn *connection, const char *sql, ExecStatusType wanted, struct error *err)
{
	PGresult *result = query(connection, sql, err);
	bool begun = result && PQresultStatus(result) == wanted;

	PQclear(result);
	return begun || (result && fail(err, ERROR_FAILED, "the server does not copy"));
}

static void keep_rate(const struct pump *pump, int64_t began_ms)
{
	if (pump->bytes_per_second <= 0)
		return;
	int64_t due_ms = pump->bytes * 1000 / pump->bytes_per_second;
	int64_t ahead_ms = due_ms - (clock_real_ms() - began_ms);
	if (ahead_ms < PAUSE_LEAST_MS)
		return;
	struct timespec pause = {ahead_ms / 1000, ahead_ms % 1000 * 1000000};
	nanosleep(&pause, NULL);
}

/* The command's result, and the end of all results. Gives the number of rows. */
static bool finish(PGconn *connection, int64_t *rows, struct error *err)
{
	bool fine = true;

	for (PGresult *result; (result = PQgetResult(connection)); PQclear(result)) {
		if (PQresultStatus(result) == PGRES_COMMAND_OK)
			*rows = strtoll(PQcmdTuples(result), NULL, 10);
		else if (fine)
			fine = query_failed(connection, result, err);
	}
	return fine;
}

static bool flow(struct pump *pump, PGconn *from, PGconn *to, struct error *err)
{
	int64_t began_ms = clock_real_ms();
	char *row = NULL;
	int length;

	while ((length = PQgetCopyData(from, &row, 0)) > 0) {
		int sent = PQputCopyData(to, row, length);
		PQfreemem(row);
		if (sent != 1)
			return query_failed(to, NULL, err);
		pump->bytes += length;
		keep_rate(pump, began_ms);
	}
	return length == -1 || query_failed(from, NULL, err);
}

bool pump_copy(struct pump *pump, PGconn *from, const char *copy_to, PGconn *to,
               const char *copy_from, struct error *err)
{
	int64_t read = 0;

	pump->rows = pump->bytes = 0;
	if (!begin(from, copy_to, PGRES_COPY_OUT, err))
		return fail_while(err, "read");
	if (!begin(to, copy_from, PGRES_COPY_IN, err))
		return fail_while(err, "write");
	if (!flow(pump, from, to, err) || !finish(from, &read, err)) {
		PQputCopyEnd(to, "the other side failed");
		return fail_while(err, "read");
	}
	if (PQputCopyEnd(to, NULL) != 1)
		return query_failed(to, NULL, err);
	if (!finish(to, &pump->rows, err))
		return fail_while(err, "write");
	return pump->rows == read || fail(err, ERROR_FAILED, "%lld rows were read, %lld written",
	                                  (long long)read, (long long)pump->rows);
}
