/* SPDX-License-Identifier: MIT */
/* The connection `postgres` of a plan, and sessions on it.
 *
 * The connection string goes to libpq whole and is never shown. What libpq 15 does not know of
 * newer ones is translated (sslrootcert=system, sslnegotiation). In a session all settings that
 * decide how a value is written are pinned: the same row gives six different texts under six
 * settings. */
#ifndef PLAN_POSTGRES_DATABASE_H
#define PLAN_POSTGRES_DATABASE_H

#include <stdbool.h>

struct arena;
struct connection_kind;
struct error;
struct step;
typedef struct pg_conn PGconn;

extern const struct connection_kind postgres_connection;

/* A connection of the plan, understood; no socket is open. */
struct database {
	const char *name;     /* as the plan calls it: "source" */
	const char *conninfo; /* for libpq; a secret */
	const char *note;     /* what was translated, for people; NULL when nothing was */
	const char *host, *port, *dbname, *user; /* as given, "" where the string says nothing */
	const char *pooled; /* why it leads through a pooler that gives each transaction another
	                     * server process, as far as the string tells; NULL: it does not */
};

/* From the plan's connection of that name; ERROR_PLAN when it is none or cannot be understood. */
bool database_find(struct step *step, const char *connection, struct database *database,
                   struct error *err);

/* The same from a connection string; name is for messages. */
bool database_understand(struct arena *arena, const char *name, const char *url,
                         struct database *database, struct error *err);

/* A session as the server gives it: no setting is touched, so that nothing is left behind where the
 * server's sessions are shared. */
PGconn *database_connect(const struct database *database, const char *purpose, struct error *err);

/* A session with pinned settings, statement_timeout off and lock_timeout 5s. Close it with
 * PQfinish(). application_name becomes "plan", or "plan PURPOSE"; purpose may be NULL. */
PGconn *database_open(const struct database *database, const char *purpose, struct error *err);

/* "host:port/dbname" for messages; in the arena. */
const char *database_place(const struct database *database, struct arena *arena);

#endif
