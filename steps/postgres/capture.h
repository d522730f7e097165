/* SPDX-License-Identifier: MIT */
/* Capture: triggers that log the key of every row that is written, in the writer's own transaction.
 *
 * A log holds keys only, typed, without an index: the new key of an insert or update, the old one
 * of a delete and of an update that changes its bytes, and a row of NULLs for TRUNCATE. A table
 * without a usable key logs the class of the old and of the new row (relation_class_sql()). Log row
 * and data row commit together, so whoever sees the one sees the other, in whatever order
 * transactions commit.
 *
 * Any role may go on writing: INSERT on the logs is granted to PUBLIC, and every name in a function
 * is qualified. The triggers are ENABLE ALWAYS. */
#ifndef PLAN_POSTGRES_CAPTURE_H
#define PLAN_POSTGRES_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct error;
struct lock_options;
struct relation;
struct relations;
struct step;
typedef struct pg_conn PGconn;

/* The log of a table, whose oid is that of the captured side: "plan_replication.log_16384". In the
 * arena. */
const char *capture_log(unsigned oid, struct arena *arena);

/* What must not change under us, as an expression over the table with that oid: columns with the
 * transactions that last changed them, and our triggers likewise. */
const char *capture_fingerprint_sql(unsigned oid, struct arena *arena);

struct capture {
	const struct relations *relations;
	int64_t lock_timeout_ms;
	bool way_back; /* what sessions of our own apply is not logged */
	struct step *step;
};

/* Captures every table that is not captured yet: one transaction each, with lock_timeout and
 * retries, so that no statement of the application waits longer. Complete when it returns true:
 * only then may a chunk be read. */
bool capture_install(PGconn *connection, const struct capture *capture, struct error *err);

/* Switches capture off or on, all tables in one transaction. */
bool capture_enable(PGconn *connection, const struct capture *capture, bool enabled,
                    struct error *err);

/* Takes triggers, functions and logs away, one table a transaction, wherever they are; harmless
 * when they are gone. What was logged is lost. */
bool capture_remove(PGconn *connection, int64_t lock_timeout_ms, struct step *step,
                    struct error *err);

#endif
