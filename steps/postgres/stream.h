/* SPDX-License-Identifier: MIT */
/* A stream: one replication from a database to another, named after the two connections of the
 * plan, "source:target".
 *
 * postgres.replicate makes it and gives its name; the steps and conditions that go on with it are
 * told the name, and find everything else in the databases. */
#ifndef PLAN_POSTGRES_STREAM_H
#define PLAN_POSTGRES_STREAM_H

#include "steps/postgres/database.h"
#include "steps/postgres/state.h"

struct step;
struct value;

struct stream {
	struct database source, target; /* as in the plan: source is the one that is left */
};

/* From its name; NULL: from the fields `of`, or `source` and `target`, of the step. */
bool stream_find(struct step *step, const struct value *name, struct stream *stream,
                 struct error *err);

/* A session on the target, and what its state says; ERROR_REFUSED when there is no stream. Close
 * it. */
PGconn *stream_open_state(struct step *step, const struct stream *stream, struct stream_row *row,
                          struct error *err);

/* "source:target" */
const char *stream_name(struct step *step, const struct stream *stream);

#endif
