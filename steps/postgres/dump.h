/* SPDX-License-Identifier: MIT */
/* The schema of a database as SQL, by pg_dump and pg_restore.
 *
 * They run as our own account and are told where to connect by their environment alone. Nothing is
 * written to a disk: the archive and the texts are in memory that goes with us. */
#ifndef PLAN_POSTGRES_DUMP_H
#define PLAN_POSTGRES_DUMP_H

#include <stdbool.h>

struct error;
struct step;
struct value;
typedef struct pg_conn PGconn;

struct dump {
	const char *pre_data;  /* what rows need: types, functions, tables, views, privileges */
	const char *post_data; /* what is better made after them: keys, indexes, triggers */
};

/* True when the list of schemas means every one of the user's. */
bool dump_takes_all(const struct value *schemas);

/* The SQL that makes the schemas again, in the arena of the step; owners, tablespaces,
 * publications, subscriptions and security labels are left out. source is an open connection to the
 * database; what it was opened with is what pg_dump gets. ERROR_REFUSED when every pg_dump here is
 * older than the server. */
bool dump_schema(struct step *step, PGconn *source, const struct value *schemas, struct dump *dump,
                 struct error *err);

#endif
