/* SPDX-License-Identifier: MIT */
/* One statement at a time: what it gave, or an error whose kind says what to do next. */
#include "steps/postgres/query.h"
#include "engine/base/arena.h"
#include "engine/base/text.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* ---- Errors ---- */

static const struct {
	const char *state; /* a class of two characters, or one SQLSTATE of five */
	enum error_kind kind;
} kinds[] = {
	{"08", ERROR_RETRY},      /* connection */
	{"40001", ERROR_RETRY},   /* serialization failure */
	{"40P01", ERROR_RETRY},   /* deadlock */
	{"53", ERROR_RETRY},      /* out of disk, memory or connections */
	{"55P03", ERROR_RETRY},   /* lock not available */
	{"55006", ERROR_RETRY},   /* object in use */
	{"57", ERROR_RETRY},      /* cancelled, shut down, starting up */
	{"58", ERROR_RETRY},      /* input or output of the server */
	{"25P03", ERROR_RETRY},   /* ended while idle in a transaction */
	{"28", ERROR_REFUSED},    /* password, pg_hba */
	{"42501", ERROR_REFUSED}, /* rights */
	{"25006", ERROR_REFUSED}, /* read only: a standby, or fenced */
};

enum error_kind query_error_kind(const char *sqlstate)
{
	if (!sqlstate || !sqlstate[0])
		return ERROR_RETRY;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strncmp(sqlstate, kinds[i].state, strlen(kinds[i].state)) == 0)
			return kinds[i].kind;
	return ERROR_FAILED;
}

bool query_state_is(const PGresult *result, const char *sqlstate)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return state && strcmp(state, sqlstate) == 0;
}

static void put_line(struct text *out, const char *before, const char *line)
{
	if (line && line[0])
		text_format(out, "%s%.*s", before, (int)strcspn(line, "\n"), line);
}

bool query_failed(PGconn *connection, const PGresult *result, struct error *err)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	struct text out = {.limit = 2000};

	/* Of a session that had begun: one that does not come about is told by who opens it. */
	if (PQstatus(connection) != CONNECTION_OK &&
	    PQparameterStatus(connection, "server_version"))
		text_format(&out, "the connection to %s:%s/%s is lost: ", PQhost(connection),
		            PQport(connection), PQdb(connection));
	put_line(&out, "", primary ? primary : PQerrorMessage(connection));
	put_line(&out, "; ", PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL));
	put_line(&out, "; ", PQresultErrorField(result, PG_DIAG_MESSAGE_HINT));
	put_line(&out, "; in: ", PQresultErrorField(result, PG_DIAG_CONTEXT));
	fail(err, PQstatus(connection) == CONNECTION_OK ? query_error_kind(state) : ERROR_RETRY,
	     "%s%s%s%s", text_string(&out), state ? " (SQLSTATE " : "", state ? state : "",
	     state ? ")" : "");
	text_free(&out);
	return false;
}

/* ---- Statements ---- */

static PGresult *checked(PGconn *connection, PGresult *result, struct error *err)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_COPY_IN ||
	    status == PGRES_COPY_OUT)
		return result;
	query_failed(connection, result, err);
	PQclear(result);
	return NULL;
}

PGresult *query(PGconn *connection, const char *sql, struct error *err)
{
	return checked(connection, PQexec(connection, sql), err);
}

PGresult *query_with(PGconn *connection, const char *sql, size_t count, const char *const *values,
                     struct error *err)
{
	return checked(connection,
	               PQexecParams(connection, sql, (int)count, NULL, values, NULL, NULL, 0), err);
}

bool query_run(PGconn *connection, const char *sql, struct error *err)
{
	PGresult *result = query(connection, sql, err);

	PQclear(result);
	return result != NULL;
}

bool query_run_with(PGconn *connection, const char *sql, size_t count, const char *const *values,
                    struct error *err)
{
	PGresult *result = query_with(connection, sql, count, values, err);

	PQclear(result);
	return result != NULL;
}

/* ---- Fields ---- */

const char *query_field(const PGresult *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

int64_t query_field_number(const PGresult *result, int row, int column)
{
	const char *text = query_field(result, row, column);

	return text ? strtoll(text, NULL, 10) : 0;
}

bool query_text(PGconn *connection, const char *sql, struct arena *arena, const char **out,
                struct error *err)
{
	PGresult *result = query(connection, sql, err);

	*out = NULL;
	if (result && PQntuples(result) > 0)
		*out = arena_text(arena, query_field(result, 0, 0));
	PQclear(result);
	return result != NULL;
}

bool query_number(PGconn *connection, const char *sql, int64_t *out, struct error *err)
{
	PGresult *result = query(connection, sql, err);

	*out = result && PQntuples(result) > 0 ? query_field_number(result, 0, 0) : 0;
	PQclear(result);
	return result != NULL;
}

void query_quote_name(struct text *out, const char *name)
{
	text_put(out, "\"", 1);
	for (const char *at = name; *at; at++) {
		if (*at == '"')
			text_put(out, "\"", 1);
		text_put(out, at, 1);
	}
	text_put(out, "\"", 1);
}
