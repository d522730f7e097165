/* SPDX-License-Identifier: MIT */
/* One direction of replication as one process works on it: a session on either side, and the
 * tables.
 *
 * source and target are roles here: after the switch the old target is the source of the way back.
 */
#ifndef PLAN_POSTGRES_LINK_H
#define PLAN_POSTGRES_LINK_H

#include "steps/postgres/pump.h"
#include "steps/postgres/relation.h"

struct arena;
struct database;

/* A table with its row in plan_replication.relation of the target. */
struct followed {
	const struct relation *relation; /* of the source */
	const struct relation *there;    /* of the target */
	int64_t id;                      /* in the state */
	const char *log;                 /* "plan_replication.log_16384" on the source */
	const char *read, *stage, *stage_in, *analyze, *apply; /* see batch_sql.c */
	bool staged;             /* this session has its temporary table */
	bool following;          /* part of every batch, as last read */
	int64_t consumed;        /* log rows since its last VACUUM */
	const char *fingerprint; /* the last that was seen to hold */
	int64_t pending;         /* log rows when the batch began, counted up to a bound */
};

struct link {
	struct arena *arena;
	/* Something people should know; the text is copied. NULL: nobody listens. */
	void (*tell)(void *context, const char *text);
	void *context;
	const struct database *from, *to;
	PGconn *source, *target;
	PGconn *pusher; /* a second session on the source, opened when it is needed */
	struct pump pump;
	struct followed *tables;
	size_t table_count;
};

/* Opens the sessions; purpose is shown in pg_stat_activity of both. */
bool link_open(struct link *link, const char *purpose, struct error *err);
void link_close(struct link *link);

/* Fills tables: those of the source that have a row in the state of the target, both sides compared
 * by columns. ERROR_DRIFT names what differs, and how to mend it. */
bool link_read_tables(struct link *link, struct error *err);

/* A table that came to the source since, in a schema of those that are known; NULL: there is none.
 */
bool link_find_new_table(const struct link *link, struct arena *arena, const char **table,
                         struct error *err);
#define LINK_NEW_TABLE                                                                           \
	"%s is new on the source and is not replicated: make it on the target too, and run the " \
	"step with postgres.replicate again"

/* The same columns with the same types, in whatever order. */
bool link_same_columns(const struct relation *a, const struct relation *b);

/* Waits until all that a snapshot of the source could see is on its disk: what it commits
 * asynchronously and we apply could vanish in a crash there. lsn: pg_current_wal_insert_lsn() after
 * that snapshot was taken. */
bool link_wait_for_wal(struct link *link, const char *lsn, struct error *err);

/* To whoever listens. */
void link_tell(const struct link *link, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Throws both sessions' transactions away; false when a session is lost. */
bool link_rollback(struct link *link);

#endif
