/* SPDX-License-Identifier: MIT */
/* The rows of a table as sorted hashes, and what one list of them lacks of another. */
#ifndef PLAN_REHEARSAL_ROWS_H
#define PLAN_REHEARSAL_ROWS_H

#include <stdint.h>

struct error;
typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;

/* NULL and ERROR_FAILED when the server refuses. PQclear() it. */
PGresult *rows_query(PGconn *connection, const char *sql, struct error *err);

/* The hashes of all rows of a table, sorted; the name is quoted already. PQclear() it. */
PGresult *rows_hashes(PGconn *connection, const char *table, struct error *err);

/* Of sorted hashes: how many of the first are not in the last, each as often as it is there. */
int64_t rows_missing(const PGresult *first, const PGresult *last);

#endif
