/* SPDX-License-Identifier: MIT */
/* A batch: everything that was logged and is visible in one snapshot of the source, applied in one
 * transaction of the target. After it the target is what the source was in that snapshot.
 *
 *   target  the row of the stream (of the table, when it is finalised) is locked: batches cannot
 * overlap, and the snapshot that follows is younger than the last one applied source  REPEATABLE
 * READ; tables and logs locked ACCESS SHARE, which takes no snapshot; then the snapshot both    for
 * each log with rows: keys are deleted from it, uncut, and flow with the current rows into a
 *           temporary table; those keys are deleted in the table and the rows inserted
 *   source  its WAL is flushed up to what was seen
 *   target  commits, synchronously; then the source
 *
 * A crash between the commits brings the keys back, and the next batch repeats what is harmless to
 * repeat. */
#ifndef PLAN_POSTGRES_BATCH_H
#define PLAN_POSTGRES_BATCH_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct followed;
struct link;

struct batch_report {
	int64_t keys;      /* of which the rows were fetched */
	int64_t source_ms; /* the source's clock when its snapshot was taken */
	bool refused; /* the stream is in another mode or paused, or nothing follows: nothing was
	                 done */
	struct followed *changed; /* a table whose columns or triggers changed: nothing was done */
};

/* Whether a batch is worth while: something is logged, or the last one (clock_real_ms()) is some
 * time ago. */
bool batch_is_due(struct link *link, int64_t last_ms, bool *due, struct error *err);

/* All tables that follow, when the stream's mode is that one and it is not paused. Without anything
 * logged it only notes that the target is up to date. */
bool batch_run(struct link *link, const char *mode, struct batch_report *report, struct error *err);

/* Looks at a batch after its tables were applied, before the target commits: link->source is in the
 * snapshot, link->target in the transaction that made the target the same. False: nothing is
 * committed. */
struct batch_inspector {
	bool (*inspect)(struct link *link, void *context, struct error *err);
	void *context;
};

/* batch_run() that is looked at. */
bool batch_run_inspected(struct link *link, const char *mode,
                         const struct batch_inspector *inspector, struct batch_report *report,
                         struct error *err);

/* Puts one copied table right, and makes it PHASE_FINALISED. *found is false when there is none to
 * do. */
bool batch_finalise_next(struct link *link, bool *found, struct batch_report *report,
                         struct error *err);

/* How many rows are logged and not applied, of every captured table; counts at most `most` of each.
 */
bool batch_undelivered(struct link *link, int64_t most, int64_t *rows, struct error *err);

#endif
