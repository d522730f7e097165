/* SPDX-License-Identifier: MIT */
/* Compares databases row by row, through sorted hashes. */
#include "steps/rehearsal/compare.h"
#include "engine/base/error.h"
#include "steps/postgres/client.h"
#include "steps/postgres/count.h"
#include "steps/rehearsal/rows.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool compare_table(PGconn *first, PGconn *last, const char *table,
                          struct comparison *comparison, struct error *err)
{
	PGresult *ours = rows_hashes(first, table, err);
	PGresult *theirs = ours ? rows_hashes(last, table, err) : NULL;

	if (theirs) {
		int64_t missing = rows_missing(ours, theirs);
		comparison->tables++;
		comparison->rows += PQntuples(ours);
		comparison->missing += missing;
		if (missing)
			snprintf(comparison->where, sizeof comparison->where, "%s", table);
	}
	PQclear(ours);
	PQclear(theirs);
	return theirs || fail_while(err, "table %s", table);
}

bool compare_databases(const char *first, const char *last, struct comparison *comparison,
                       struct error *err)
{
	PGconn *from = postgres_connect(first, err);
	PGconn *to = from ? postgres_connect(last, err) : NULL;
	PGresult *tables = to ? rows_query(from, postgres_tables_sql, err) : NULL;
	bool fine = tables != NULL;

	*comparison = (struct comparison){0};
	for (int i = 0; fine && i < PQntuples(tables); i++)
		fine = compare_table(from, to, PQgetvalue(tables, i, 0), comparison, err);
	PQclear(tables);
	PQfinish(from);
	PQfinish(to);
	return fine;
}

static int by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

bool compare_keys(const char *database, const char *const *keys, size_t count, int64_t *missing,
                  struct error *err)
{
	PGconn *connection = postgres_connect(database, err);
	PGresult *rows =
		connection ? rows_query(connection, "SELECT key FROM public.visits", err) : NULL;
	size_t have = rows ? (size_t)PQntuples(rows) : 0;
	const char **there = calloc(have + 1, sizeof *there);

	*missing = 0;
	for (size_t i = 0; there && i < have; i++)
		there[i] = PQgetvalue(rows, (int)i, 0);
	if (there)
		qsort(there, have, sizeof *there, by_text);
	for (size_t i = 0; there && rows && i < count; i++)
		if (!bsearch(&keys[i], there, have, sizeof *there, by_text))
			(*missing)++;
	bool fine = rows && there;
	free(there);
	PQclear(rows);
	PQfinish(connection);
	return fine;
}
