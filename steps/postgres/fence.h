/* SPDX-License-Identifier: MIT */
/* Tables closed against writes, and opened again.
 *
 * The fence of a table is a statement trigger that refuses INSERT, UPDATE, DELETE, TRUNCATE, MERGE
 * and COPY with SQLSTATE 25006, to everyone: owners, superusers and sessions in replica role too.
 * Creating it waits for the transactions that write to the table, so once it is up there are none.
 * A statement trigger fires for the table that the statement names, so parents get one as well.
 *
 * It is a fence against mistakes, not against malice: an owner may disable it, and a session may
 * pass that sets plan_replication.pass to the token in plan_replication.fence, as ours does to
 * apply rows on the way back. What it does not cover: nextval() and setval(), large objects, new
 * tables (fence_look() names them), DDL. The worker of a subscription fires no statement triggers:
 * fence_raise() refuses while there is an enabled one. */
#ifndef PLAN_POSTGRES_FENCE_H
#define PLAN_POSTGRES_FENCE_H

#include "steps/postgres/lock.h"
#include "steps/postgres/table.h"

#define FENCE_STATE "25006"

struct fence {
	const char *namespaces; /* condition on n: see relation_schemas_sql(); NULL: all schemas */
	const char *closed_by;  /* for the message to the application: "step close of plan move" */
	struct lock_limits limits;
	struct step *step; /* for progress and stopping; NULL: neither */
	struct arena *arena;
};

struct fence_report {
	struct lock_report lock; /* who was in the way, who was ended, how long it took */
	size_t tables;           /* closed, or opened, now */
	size_t already;          /* were closed before */
	bool together;           /* in one transaction; otherwise one table after the other */
};

struct fence_state {
	size_t up;
	struct tables missing; /* not closed: created since, attached, or opened by somebody */
};

/* Closes all tables in one transaction, or, when that did not succeed for half of
 * give_up_after_ms though nobody stays in the way, one after the other: an application that locks
 * its tables in no order at all leaves no moment at which they can be had together. False: none is
 * closed that was not before, as far as the connection goes. May be repeated. */
bool fence_raise(PGconn *connection, const struct fence *fence, struct fence_report *report,
                 struct error *err);

/* Opens every closed table of the database: all of them in one transaction, by disabling; what is
 * ours is dropped then, table by table. ERROR_RETRY when that could not be completed: they are open
 * all the same. May be repeated. */
bool fence_lower(PGconn *connection, const struct fence *fence, struct fence_report *report,
                 struct error *err);

bool fence_look(PGconn *connection, const struct fence *fence, struct fence_state *state,
                struct error *err);

/* Lets this session through, until it ends. ERROR_REFUSED when no fence is there. */
bool fence_pass(PGconn *connection, struct error *err);

#endif
