/* SPDX-License-Identifier: MIT */
/* Whether a connection leads through a transaction pooler. */
#include "steps/postgres/pooler.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "steps/postgres/database.h"
#include "steps/postgres/query.h"

#include <libpq-fe.h>
#include <poll.h>

enum { PATIENCE_MS = 5000, ROUNDS = 2, ROUNDS_OF_PROXY = 12 };

static const char *const reasons_shared =
	"two sessions were given the same server process, one after the other";
static const char *const reasons_changed = "a session was given another server process";
static const char *const reasons_waits =
	"a session was given no server process while another one was in a transaction";
static const char *const reasons_refuses = "it takes no transactions";

/* *pid is 0 when no reply came in time. A pooler with few server processes lets us wait for our own
 * other session. */
static bool ask_pid(PGconn *connection, int64_t *pid, struct error *err)
{
	struct pollfd socket = {.fd = PQsocket(connection), .events = POLLIN};
	int64_t until = clock_real_ms() + PATIENCE_MS;

	*pid = 0;
	if (!PQsendQuery(connection, "SELECT pg_catalog.pg_backend_pid()"))
		return query_failed(connection, NULL, err);
	while (PQisBusy(connection)) {
		int64_t left = until - clock_real_ms();
		if (left <= 0)
			return true;
		poll(&socket, 1, (int)left);
		if (!PQconsumeInput(connection))
			return query_failed(connection, NULL, err);
	}
	PGresult *result = PQgetResult(connection);
	bool fine = PQresultStatus(result) == PGRES_TUPLES_OK;
	if (fine)
		*pid = query_field_number(result, 0, 0);
	else
		query_failed(connection, result, err);
	while (result) {
		PQclear(result);
		result = PQgetResult(connection);
	}
	return fine;
}

/* A pooler that takes single statements only says so with a violation of the protocol, and hangs
 * up.
 */
static bool begin(PGconn *connection, const char **why, struct error *err)
{
	/* The first result: PQexec() would give what became of the connection after it. */
	PGresult *result =
		PQsendQuery(connection, "BEGIN READ ONLY") ? PQgetResult(connection) : NULL;
	bool fine = PQresultStatus(result) == PGRES_COMMAND_OK;

	if (!fine && (PQstatus(connection) == CONNECTION_OK || query_state_is(result, "08P01"))) {
		*why = reasons_refuses;
		fine = true;
	}
	if (!fine)
		query_failed(connection, result, err);
	while (result) {
		PQclear(result);
		result = PQgetResult(connection);
	}
	return fine;
}

/* While one is in a transaction, the other one must keep its process. */
static bool watch(PGconn *one, PGconn *other, const char **why, struct error *err)
{
	int64_t mine, theirs, again = 0;

	if (!ask_pid(one, &mine, err) || !begin(other, why, err) || *why ||
	    !ask_pid(other, &theirs, err))
		return *why != NULL;
	if (mine == theirs)
		*why = reasons_shared;
	else if (!ask_pid(one, &again, err))
		return false;
	else if (again == 0)
		*why = reasons_waits;
	else if (again != mine)
		*why = reasons_changed;
	return *why || query_run(other, "COMMIT", err);
}

/* Whether something between us and the server has said another process number than it has. A pooler
 * of whole sessions does so, too, and one may pass the number on: it only tells how closely to
 * look. Where others keep a transaction pooler busy, each round misses it now and then. */
static bool rounds_for(PGconn *connection, int *rounds, struct error *err)
{
	int64_t pid;

	if (!ask_pid(connection, &pid, err))
		return false;
	*rounds = pid == PQbackendPID(connection) ? ROUNDS : ROUNDS_OF_PROXY;
	return true;
}

bool pooler_probe(const struct database *database, const char **why, struct error *err)
{
	PGconn *one = database_connect(database, "preflight", err);
	PGconn *other = one ? database_connect(database, "preflight", err) : NULL;
	int rounds = 0;
	bool fine = other && rounds_for(one, &rounds, err);

	*why = NULL;
	for (int i = 0; i < rounds && fine && !*why; i++)
		fine = i % 2 ? watch(other, one, why, err) : watch(one, other, why, err);
	PQfinish(one);
	PQfinish(other);
	return fine;
}
