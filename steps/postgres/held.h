/* SPDX-License-Identifier: MIT */
/* Objects that wait until the data is there: plan_replication.held of the database that is written to.
 *
 * postgres.schema fills the table from the dump; each row is built by exactly one transaction that also marks
 * it, so that what is built is known after a crash. */
#ifndef PLAN_POSTGRES_HELD_H
#define PLAN_POSTGRES_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct step;
typedef struct pg_conn PGconn;

/* When something is built; the words are stored in held.stage. */
#define HELD_KEY "key"         /* primary keys, unique and exclusion constraints, unique indexes: after the table's
                                * rows are right */
#define HELD_INDEX "index"     /* other indexes, statistics, REPLICA IDENTITY, CLUSTER: after its keys */
#define HELD_PARENTS "parents" /* of partitioned tables, ATTACH, and what belongs to no table: after all tables */
#define HELD_SWITCH "switch"   /* foreign keys (NOT VALID), triggers, rules, row security: when writes move */
#define HELD_AFTER "after"     /* VALIDATE CONSTRAINT, materialised views: online, after the switch */

struct held_row {
	int64_t id;               /* the order in which they are built */
	const char *stage;
	const char *type;         /* as pg_dump says it: "INDEX", "FK CONSTRAINT", "TRIGGER", "COMMENT", ... */
	const char *schema, *relation; /* the table it belongs to; "" where none */
	const char *name;
	const char *definition;   /* one or more statements */
	bool done;
	const char *error;        /* why the last try failed; NULL */
	struct held_row *next;
};

/* Adds one that is not done. */
bool held_add(PGconn *connection, const struct held_row *row, struct error *err);

/* Those of a stage, in order; schema and relation NULL: of every table. */
bool held_list(PGconn *connection, const char *stage, const char *schema, const char *relation,
               struct arena *arena, struct held_row **first, struct error *err);

/* Builds those of a stage that are not done, each in a transaction of its own that also marks it. What exists
 * already, as after a lost reply to a commit, cannot be: the mark commits with it. */
bool held_build(PGconn *connection, const char *stage, const char *schema, const char *relation,
                struct arena *arena, struct error *err);

#endif
