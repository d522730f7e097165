/* SPDX-License-Identifier: MIT */
/* Connections to PostgreSQL: the connection string is passed whole, names are never looked up in a
 * search path, nothing waits for ever. */
#ifndef PLAN_POSTGRES_CLIENT_H
#define PLAN_POSTGRES_CLIENT_H

#include <stdbool.h>

struct error;
typedef struct pg_conn PGconn;

/* Connected, with an empty search_path and timeouts; NULL and ERROR_RETRY when that fails. Close it
 * with PQfinish(). The connection string never gets into the error. */
PGconn *postgres_connect(const char *conninfo, struct error *err);

/* True in *writable when it is no standby and transactions are not read only by default. */
bool postgres_is_writable(const char *conninfo, bool *writable, struct error *err);

#endif
