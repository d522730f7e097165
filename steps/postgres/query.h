/* SPDX-License-Identifier: MIT */
/* One statement at a time: what it gave, or an error whose kind says what to do next.
 *
 * The kind follows from the SQLSTATE: RETRY for what may go away by itself (a lost connection, a
 * server that restarts, a deadlock, a lock that was not to be had, a full disk), REFUSED for
 * missing rights, FAILED for the rest. */
#ifndef PLAN_POSTGRES_QUERY_H
#define PLAN_POSTGRES_QUERY_H

#include "engine/base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;
struct arena;
struct text;

/* The result, to be cleared by the caller, or NULL and err. More than one statement may stand in
 * sql where there are no parameters; the last result counts. */
PGresult *query(PGconn *connection, const char *sql, struct error *err);

/* With parameters $1... as texts; NULL is NULL. */
PGresult *query_with(PGconn *connection, const char *sql, size_t count, const char *const *values,
                     struct error *err);

/* The same, without a result. */
bool query_run(PGconn *connection, const char *sql, struct error *err);
bool query_run_with(PGconn *connection, const char *sql, size_t count, const char *const *values,
                    struct error *err);

/* The first field of the first row. Text in the arena; NULL when it is null or there is no row. */
bool query_text(PGconn *connection, const char *sql, struct arena *arena, const char **out,
                struct error *err);
bool query_number(PGconn *connection, const char *sql, int64_t *out, struct error *err);

/* A field of a result; NULL when it is null. */
const char *query_field(const PGresult *result, int row, int column);
int64_t query_field_number(const PGresult *result, int row, int column);

/* What a SQLSTATE means for the engine; NULL or "" is a lost connection. */
enum error_kind query_error_kind(const char *sqlstate);

/* True when the result's SQLSTATE is that one. */
bool query_state_is(const PGresult *result, const char *sqlstate);

/* Fills err from a failed result (may be NULL: the connection's own message) and returns false. */
bool query_failed(PGconn *connection, const PGresult *result, struct error *err);

/* Adds "name" with quotes. */
void query_quote_name(struct text *out, const char *name);

#endif
