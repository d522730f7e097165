/* SPDX-License-Identifier: MIT */
/* Transactions of others that keep us from a lock: who they are, and the end of those that the plan
 * says may be ended.
 *
 * A transaction is known by its virtual transaction id, which every role may read; user, state and
 * query of other roles' sessions only show to members of pg_read_all_stats. */
#ifndef PLAN_POSTGRES_BLOCKER_H
#define PLAN_POSTGRES_BLOCKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pg_conn PGconn;
struct arena;
struct error;
struct lock;
struct text;

struct blocker {
	const char *transaction; /* virtual id, the same for as long as the transaction lives */
	const char
		*prepared; /* name of a prepared transaction: it has no process; NULL otherwise */
	int pid;           /* 0 of a prepared one */
	const char *user, *application, *state; /* "" where we may not see them */
	const char *table;                      /* one that it holds, as in "public.orders" */
	const char *query;                      /* its last statement, on one line, shortened; "" */
	const char *query_started;              /* with time zone; "" */
	bool waiting;          /* only stands before us in the queue: it is not ended */
	bool vacuum;           /* an autovacuum worker, which yields when asked properly */
	int64_t seen_ms;       /* clock_real_ms() since when it is in the way */
	bool now;              /* it was in the way at the last look */
	bool ended;            /* by us */
	const char *not_ended; /* why it could not be; NULL */
	struct blocker *next;
};

struct blockers {
	struct arena *arena;
	struct blocker *first;
	size_t count; /* all that were ever seen */
};

/* Looks who holds, or stands in the queue for, what keeps the tables of that lock from us, and did
 * so for at least that long already. New ones are added, known ones marked. */
bool blocker_look(PGconn *connection, const struct lock *lock, int64_t for_ms,
                  struct blockers *blockers, struct error *err);

/* Who holds what sessions of this application (a LIKE pattern) wait for, whatever it is; the same
 * list. The transaction of these is "pid N". */
bool blocker_look_at_sessions(PGconn *connection, const char *application,
                              struct blockers *blockers, struct error *err);

/* Ends the sessions of those that were in the way at the last look, hold a lock, and have kept us
 * waiting for that long. One that we have no right to end is marked, which is no error. */
bool blocker_end(PGconn *connection, int64_t after_ms, struct blockers *blockers,
                 struct error *err);

/* True when one that was in the way at the last look, and holds a lock, had been for that long. */
bool blocker_stays(const struct blockers *blockers, int64_t for_ms);

/* "pid 812 (user app, idle in transaction) on public.orders: UPDATE ...; ...": those of the last
 * look, or those that were ended. "" when there is none. */
void blocker_print(const struct blockers *blockers, bool ended, struct text *out);

/* The items as a text that PostgreSQL reads as text[]. */
void blocker_array(struct text *out, const char *const *items, size_t count);

#endif
