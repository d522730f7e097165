/* SPDX-License-Identifier: MIT */
/* Why a replication does not get on: who holds what we wait for, which side is at it for how long,
 * and a log that grows faster than it is applied.
 *
 * Statements of other roles only show to members of pg_read_all_stats; their pids always do. */
#ifndef PLAN_POSTGRES_STALL_H
#define PLAN_POSTGRES_STALL_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct error;
struct text;
typedef struct pg_conn PGconn;

/* Zero it before the first call. */
struct stall {
	int64_t done, changed_ms; /* as last seen, and clock_real_ms() since when */
	int64_t looked_ms;        /* clock_real_ms() of the last look for reasons */
	int64_t logged, deleted;  /* rows of all logs since the statistics began, at that look */
	char why[600];            /* what was found; "" when all goes well */
};

struct stall_sides {
	PGconn *source, *target; /* of the direction that is carried out */
	bool follows;            /* every table does: what counts is how far behind it is */
	int64_t behind_ms;       /* then */
};

/* done: any figure that changes when something was done. Sets stall->why, at most once in some
 * seconds; it is not empty when nothing was done for ten seconds, or the target is that far
 * behind. */
bool stall_watch(struct stall *stall, const struct stall_sides *sides, int64_t done,
                 struct arena *arena, struct error *err);

#endif
