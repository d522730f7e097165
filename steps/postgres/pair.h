/* SPDX-License-Identifier: MIT */
/* Two sessions that see one state of both databases, while both go on changing.
 *
 * A batch makes the target what the source is in the batch's snapshot. Before it commits, a second
 * session of the source takes that snapshot over, and one of the target locks what is to be read;
 * after it has committed the latter takes a snapshot of its own. The mark of the stream, seen in
 * it, says whether another batch came between: then both are given up, and begun again.
 *
 * So what is read takes as long as it takes, and replication does not wait for it. What waits is
 * DDL on the tables of the pair: pair_end() soon. */
#ifndef PLAN_POSTGRES_PAIR_H
#define PLAN_POSTGRES_PAIR_H

#include "steps/postgres/link.h"

struct step;
struct twin;
typedef struct pg_result PGresult;

enum { HERE, THERE }; /* the side that is written, and the one that follows */

struct pair {
	struct step *step; /* asked whether to stop */
	struct arena *arena;
	const struct database *databases[2];
	const char *mode; /* of the stream; NULL: there is none, both are at rest */
	struct link link; /* runs the batches, when there is a stream */
	PGconn *sides[2];
	const char *waits; /* why there is no pair now, for people; NULL: it was missed by chance */

	/* While one is begun: */
	const char *lock; /* what is locked: `"public"."a", ...` */
	int64_t mark;     /* the one that the batch will have */
};

/* Opens the sessions. Zero the pair and fill the members up to `mode` before. */
bool pair_open(struct pair *pair, struct error *err);
void pair_close(struct pair *pair);

/* Snapshots for the tables from first up to last. *begun false: not now, see `waits`. */
bool pair_begin(struct pair *pair, const struct twin *first, const struct twin *last, bool *begun,
                struct error *err);
bool pair_end(struct pair *pair, struct error *err);

/* The same question to both sides, for what is one row: both answer at the same time. Clear them.
 */
bool pair_ask(struct pair *pair, const char *const sql[2], size_t count, const char *const *values,
              PGresult *answers[2], struct error *err);

/* The same for many rows: each side's come one by one. */
bool pair_begin_rows(struct pair *pair, const char *const sql[2], size_t count,
                     const char *const *values, struct error *err);

/* Takes the place of *row, which is cleared; NULL at the end. */
bool pair_next_row(struct pair *pair, int side, PGresult **row, struct error *err);

#endif
