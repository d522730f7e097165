/* SPDX-License-Identifier: MIT */
/* The one way in which tables that an application uses are locked.
 *
 * In one attempt all tables are locked together, which takes no longer than lock_timeout_ms in all:
 * whoever queues behind us waits no longer than that and the work. When it does not succeed
 * everything is released, and after a pause of random length comes the next attempt, until
 * give_up_after_ms. As attempts are shorter than deadlock_timeout (1 s unless somebody changed it),
 * a deadlock with the application ends by our own giving up. The work must be quick: changes to
 * the catalogue, in as few round trips as possible. */
#ifndef PLAN_POSTGRES_LOCK_H
#define PLAN_POSTGRES_LOCK_H

#include "steps/postgres/blocker.h"

struct step;

#define LOCK_VACUUM "SHARE UPDATE EXCLUSIVE" /* keeps out VACUUM and DDL, no application */
#define LOCK_WRITES "SHARE ROW EXCLUSIVE"    /* keeps out writers; CREATE and DISABLE TRIGGER */
#define LOCK_ALL "ACCESS EXCLUSIVE"          /* keeps out readers too; DROP TRIGGER */

struct lock_limits {
	int64_t lock_timeout_ms; /* of one attempt; 0: 200 */
	int64_t end_after_ms; /* transactions that keep us waiting for longer are ended; 0: none */
	int64_t give_up_after_ms; /* 0: 60,000 */
};

struct lock {
	const char *const *tables; /* quoted names; locked without their children, in this order at
	                            * first, then in the one that gets furthest */
	size_t count;              /* 0: the work is done all the same */
	const char *mode;          /* LOCK_... */
	const char *doing; /* for progress and errors: "close the tables"; the tables are named */
	struct lock_limits limits;
	struct step *step; /* for progress and stopping between attempts; NULL: neither */

	/* Done in the transaction while the locks are held, before its commit; again with each
	 * attempt, so it must leave nothing behind but what is in the transaction. Retried with
	 * everything else when it fails with ERROR_RETRY. */
	bool (*work)(PGconn *connection, void *context, struct error *err);
	void *context;
};

struct lock_report {
	struct blockers blockers; /* .arena must be set: all who were in the way */
	int attempts;             /* here and below: of all calls with the same report */
	int64_t waited_ms;        /* from the first attempt to the locks */
	int64_t held_ms;    /* from the first request of the attempt that succeeded to its commit */
	int64_t longest_ms; /* the same of whichever attempt took longest: nobody waited longer */
};

/* Locks, works, commits. On false nothing was changed, unless the reply to the commit was lost:
 * whoever calls it looks before doing it again. ERROR_RETRY with the blockers named after
 * give_up_after_ms, ERROR_CANCELLED when asked to stop, what the work failed with otherwise. The
 * connection must not be in a transaction. */
bool lock_tables(PGconn *connection, const struct lock *lock, struct lock_report *report,
                 struct error *err);

#endif
