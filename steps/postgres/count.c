/* SPDX-License-Identifier: MIT */
/* How many rows the tables of a database have. */
#include "steps/postgres/count.h"
#include "engine/step.h"
#include "steps/postgres/client.h"
#include "steps/postgres/relation.h"

#include <libpq-fe.h>
#include <stdlib.h>

const char postgres_tables_sql[] =
	"SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) "
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE c.relkind = 'r' AND n.nspname NOT IN ('information_schema', '" OUR_SCHEMA "') "
	"AND n.nspname !~ '^pg_' "
	"ORDER BY 1";

/* One snapshot for all tables; a large one takes longer than other questions may. */
static const char *const begin_sql[] = {"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                                        "SET LOCAL statement_timeout = '20min'"};

static PGresult *query(PGconn *connection, const char *sql, struct error *err)
{
	PGresult *result = PQexec(connection, sql);
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return result;
	fail(err, ERROR_RETRY, "count rows: %.300s", PQerrorMessage(connection));
	PQclear(result);
	return NULL;
}

static bool begin(PGconn *connection, struct error *err)
{
	for (size_t i = 0; i < sizeof begin_sql / sizeof *begin_sql; i++) {
		PGresult *result = query(connection, begin_sql[i], err);
		PQclear(result);
		if (!result)
			return false;
	}
	return true;
}

static bool count_table(PGconn *connection, const char *table, struct step *step,
                        struct value *counts, struct error *err)
{
	const char *sql =
		arena_printf(step->arena, "SELECT pg_catalog.count(*) FROM ONLY %s", table);
	PGresult *result = query(connection, sql, err);

	if (!result)
		return fail_while(err, "table %s", table);
	value_set_number(step->arena, counts, table, atoll(PQgetvalue(result, 0, 0)));
	PQclear(result);
	return true;
}

bool postgres_count_rows(const char *conninfo, struct step *step, struct value *counts,
                         struct error *err)
{
	PGconn *connection = postgres_connect(conninfo, err);
	PGresult *tables = connection && begin(connection, err)
	                           ? query(connection, postgres_tables_sql, err)
	                           : NULL;
	bool fine = tables != NULL;

	for (int i = 0; fine && i < PQntuples(tables); i++) {
		fine = !step_stopping(step) || fail(err, ERROR_CANCELLED, "asked to stop");
		fine = fine && count_table(connection, PQgetvalue(tables, i, 0), step, counts, err);
	}
	PQclear(tables);
	PQfinish(connection);
	return fine;
}
