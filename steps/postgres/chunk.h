/* SPDX-License-Identifier: MIT */
/* The initial copy: ranges of pages of a table, each copied in a short transaction of its own on
 * the source, and in one on the target that also records it, so that a kill repeats at most the
 * chunks in flight.
 *
 * Chunks of one table may be from different moments: what changed meanwhile is in the log, and
 * batch_finalise() puts it right. That holds as long as rows stay where they are: a rewrite of the
 * table (VACUUM FULL, CLUSTER, TRUNCATE, some ALTERs) is seen by its filenode and begins the table
 * anew, as generation + 1; the log is kept. */
#ifndef PLAN_POSTGRES_CHUNK_H
#define PLAN_POSTGRES_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct followed;
struct link;

#define CHUNK_PAGES 4096 /* 32 MiB of heap */
#define CHUNK_PAGES_TEXT "4096"

/* Divides a captured table into chunks; to be called after every capture is committed. Begins a new
 * generation where there is one, with an empty table. from_generation: what the caller believes it
 * is; when it is another one by now somebody else was faster, and nothing is done. */
bool chunk_plan(struct link *link, struct followed *table, int64_t from_generation,
                struct error *err);

/* Copies the next chunk that nobody else is at. *found is false when there is none. The last chunk
 * of a table makes its phase PHASE_COPIED. A table that was rewritten is planned anew instead. */
bool chunk_copy_next(struct link *link, bool *found, struct error *err);

/* Planned anew: its rows, or their places, are not what they were when the copy began. ERROR_DRIFT
 * when its columns are others now. */
bool chunk_begin_anew(struct link *link, struct followed *table, int64_t generation,
                      const char *why, struct error *err);

#endif
