/* SPDX-License-Identifier: MIT */
/* The PostgreSQL servers of a rehearsal: where the connections `postgres` of a plan lead.
 *
 * What a plan copies to is an empty server, of another major version when one is installed
 * (PLAN_TARGET_PG_BIN names the directory of its programs; else the newest under
 * /usr/lib/postgresql). What it copies from is the database of the app, or a server of its own. */
#ifndef PLAN_REHEARSAL_SERVERS_H
#define PLAN_REHEARSAL_SERVERS_H

#include "engine/plan.h"
#include "steps/postgres/scratch.h"

enum { SERVERS_MOST = 8 };

struct server {
	const char *connection; /* its name in the plan */
	bool is_target;
	char url[300];          /* of an ordinary role that owns the database */
	struct scratch scratch; /* not made (port 0) where the app has the database */
};

struct servers {
	const struct plan *plan;
	struct server list[SERVERS_MOST];
	size_t count;
	/* What the plan copies; NULL when it copies nothing. */
	const struct server *source, *target;
	const struct plan_step *replication, *switching; /* the steps; NULL */
};

/* Reads off the plan which servers there are. ERROR_REFUSED when they are too many. */
bool servers_read(struct servers *servers, const struct plan *plan, struct error *err);

/* Starts those that are not the app's, in directory; app_database: URL, "" without an app. */
bool servers_start(struct servers *servers, const char *directory, const char *app_database,
                   struct error *err);
void servers_stop(struct servers *servers);

/* What a secret of the plan is in the rehearsal: the URL of the server that a connection or a
 * DATABASE_URL gets from it; NULL when it is no database's. */
const char *servers_secret(const struct servers *servers, const struct plan *plan,
                           const char *secret);

/* NULL when there is none of that name. */
const struct server *servers_find(const struct servers *servers, const char *connection);

#endif
