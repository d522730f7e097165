/* SPDX-License-Identifier: MIT */
/* Objects that wait until the data is there: plan_replication.held of the database that is written
 * to.
 *
 * postgres.schema fills the table from the dump; each row is built by exactly one transaction that
 * also marks it, so that what is built is known after a crash. */
#ifndef PLAN_POSTGRES_HELD_H
#define PLAN_POSTGRES_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
typedef struct pg_conn PGconn;

/* When something is built; the words are stored in held.stage. */
#define HELD_KEY                                                                           \
	"key" /* primary keys, unique and exclusion constraints, unique indexes: after the \
	       * table's rows are right */
#define HELD_INDEX "index" /* other indexes, statistics, CLUSTER: after its keys */
#define HELD_PARENTS                                                                    \
	"parents" /* of partitioned tables, ATTACH, and what belongs to no table: after \
	           * all tables */
#define HELD_SWITCH                                                                         \
	"switch"           /* foreign keys (NOT VALID), triggers, rules, row security: when \
	                    * writes move */
#define HELD_AFTER "after" /* VALIDATE CONSTRAINT, materialised views: online, after the switch */

struct held_row {
	int64_t id; /* the order in which they are built */
	const char *stage;
	const char *type;   /* as pg_dump says it: "INDEX", "FK CONSTRAINT", "TRIGGER", ... */
	const char *schema; /* with relation: the table it belongs to; "" where none */
	const char *relation;
	const char *name;
	const char *definition; /* one or more statements */
	bool done;
	const char *error; /* why the last try failed; NULL */
	struct held_row *next;
};

/* Makes the schema and the table where they are not; harmless when they are. */
bool held_prepare(PGconn *connection, struct error *err);

/* Adds one that is not done. */
bool held_add(PGconn *connection, const struct held_row *row, struct error *err);

/* Which: those of a stage; schema and relation NULL: of every table. */
struct held_pick {
	const char *stage, *schema, *relation;
};

/* Those, in order. */
bool held_list(PGconn *connection, struct held_pick pick, struct arena *arena,
               struct held_row **first, struct error *err);

/* Builds those of a stage that are not done, each in a transaction of its own that also marks it.
 * What exists already, as after a lost reply to a commit, cannot be: the mark commits with it.
 * Another session that builds the same row is waited for, at most the lock_timeout. The first that
 * fails ends it: the reason is kept in held.error. */
bool held_build(PGconn *connection, const char *stage, const char *schema, const char *relation,
                struct arena *arena, struct error *err);

/* All of a stage in one transaction, which is quicker, and all or nothing. */
bool held_build_together(PGconn *connection, const char *stage, struct arena *arena,
                         struct error *err);

#endif
