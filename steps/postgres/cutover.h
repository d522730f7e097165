/* SPDX-License-Identifier: MIT */
/* The cut-over of a stream, and the way back: two lists of phases. Each phase looks at what is
 * there first, so that either list can be begun again at its beginning after a crash at any point.
 *
 *   there  ready, prepare, hold, fence, drain, sequences, keys, open | park, rights, follow,
 * validate back   hold, fence, drain, sequences | park, keys, capture, rights, open, tidy, validate
 *
 * Up to the bar nobody writes anywhere: that is the write outage. Which phases are behind us is
 * told by the modes of the stream's rows: target's forward, switching, switched (from `open` on),
 * returning; the source's, which is there while there is a way back, returning, switched (from
 * `follow` on), returned (once `sequences` are set). */
#ifndef PLAN_POSTGRES_CUTOVER_H
#define PLAN_POSTGRES_CUTOVER_H

#include "steps/postgres/link.h"
#include "steps/postgres/lock.h"
#include "steps/postgres/stream.h"

struct cutover {
	struct step *step;
	struct stream stream;
	struct link there; /* from the source to the target */
	struct link back;  /* the other way */
	const char *there_mode,
		*back_mode;     /* of the rows on target and source; "" where there is none */
	const char *namespaces; /* the schemas of the replication: see relation_schemas_sql() */
	struct lock_limits limits;
	int64_t most_lag_ms; /* more than that is not ready */
	int64_t closed_ms;   /* clock_real_ms() when writers were first kept waiting; 0: not yet */
	int64_t outage_ms;   /* from there until writes were possible again; 0: not yet */
};

/* Opens the sessions and reads where the stream stands. */
bool cutover_open(struct cutover *cutover, struct step *step, struct error *err);
void cutover_close(struct cutover *cutover);

/* Writes move to the target. */
bool cutover_there(struct cutover *cutover, struct error *err);

/* Writes come back to the source, with every row that was written on the target. */
bool cutover_back(struct cutover *cutover, struct error *err);

#endif
