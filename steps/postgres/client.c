/* SPDX-License-Identifier: MIT */
/* Connections to PostgreSQL. */
#include "steps/postgres/client.h"
#include "engine/base/error.h"

#include <libpq-fe.h>
#include <string.h>

/* Defaults that a connection string may override by naming them itself. */
static const char *const keywords[] = {"connect_timeout",  "keepalives_idle", "tcp_user_timeout",
                                       "application_name", "dbname",          NULL};

static void first_line(const char *message, char *out, size_t size)
{
	size_t length = strcspn(message, "\n");

	if (length >= size)
		length = size - 1;
	memcpy(out, message, length);
	out[length] = '\0';
}

static bool run(PGconn *connection, const char *sql, struct error *err)
{
	PGresult *result = PQexec(connection, sql);
	ExecStatusType status = PQresultStatus(result);
	char line[256];

	PQclear(result);
	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		return true;
	first_line(PQerrorMessage(connection), line, sizeof line);
	return fail(err, ERROR_RETRY, "%s", line);
}

PGconn *postgres_connect(const char *conninfo, struct error *err)
{
	const char *const values[] = {"10", "30", "20000", "plan", conninfo, NULL};
	PGconn *connection = PQconnectdbParams(keywords, values, 1);
	char line[256];

	if (PQstatus(connection) != CONNECTION_OK) {
		first_line(PQerrorMessage(connection), line, sizeof line);
		fail(err, ERROR_RETRY, "connect to the database: %s", line);
		PQfinish(connection);
		return NULL;
	}
	if (run(connection, "SET search_path = ''", err) &&
	    run(connection, "SET statement_timeout = '15s'", err) &&
	    run(connection, "SET lock_timeout = '5s'", err))
		return connection;
	PQfinish(connection);
	return NULL;
}

bool postgres_is_writable(const char *conninfo, bool *writable, struct error *err)
{
	PGconn *connection = postgres_connect(conninfo, err);

	if (!connection)
		return false;
	PGresult *result = PQexec(
		connection, "SELECT NOT pg_catalog.pg_is_in_recovery() AND "
			    "pg_catalog.current_setting('default_transaction_read_only') = 'off'");
	bool answered = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
	if (answered)
		*writable = strcmp(PQgetvalue(result, 0, 0), "t") == 0;
	else
		fail(err, ERROR_RETRY, "the database did not answer");
	PQclear(result);
	PQfinish(connection);
	return answered;
}
