/* SPDX-License-Identifier: MIT */
/* Rows of tables through hashes. */
#include "steps/rehearsal/rows.h"
#include "engine/base/error.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

PGresult *rows_query(PGconn *connection, const char *sql, struct error *err)
{
	PGresult *result = PQexec(connection, sql);

	if (PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	fail(err, ERROR_FAILED, "compare: %.300s", PQerrorMessage(connection));
	PQclear(result);
	return NULL;
}

PGresult *rows_hashes(PGconn *connection, const char *table, struct error *err)
{
	char sql[512];

	snprintf(sql, sizeof sql,
	         "SELECT pg_catalog.md5(t::pg_catalog.text) COLLATE \"C\" FROM %s t ORDER BY 1",
	         table);
	return rows_query(connection, sql, err);
}

int64_t rows_missing(const PGresult *first, const PGresult *last)
{
	int64_t missing = 0;
	int have = PQntuples(last);

	for (int i = 0, k = 0; i < PQntuples(first); i++) {
		int order = -1;
		while (k < have &&
		       (order = strcmp(PQgetvalue(last, k, 0), PQgetvalue(first, i, 0))) < 0)
			k++;
		if (k < have && order == 0)
			k++;
		else
			missing++;
	}
	return missing;
}
