/* SPDX-License-Identifier: MIT */
/* The inside of a cut-over: only cutover.c, cutover_there.c and cutover_back.c. */
#ifndef PLAN_POSTGRES_CUTOVER_PARTS_H
#define PLAN_POSTGRES_CUTOVER_PARTS_H

#include "engine/base/text.h"
#include "steps/postgres/batch.h"
#include "steps/postgres/cutover.h"
#include "steps/postgres/fence.h"
#include "steps/postgres/foreign.h"

struct cutover_phase {
	const char *name;
	const char *text; /* for people, while it lasts */
	bool (*run)(struct cutover *cutover, struct error *err);
};

/* One after the other, with a note of how long each took. */
bool cutover_run(struct cutover *cutover, const struct cutover_phase *phases, struct error *err);

bool cutover_read_modes(struct cutover *cutover, struct error *err);

/* Of the row in the link's target; waits for the batch that is on its way. */
bool cutover_set_mode(struct cutover *cutover, const struct link *link, const char *mode,
                      struct error *err);

/* Foreign keys that came back NOT VALID: online, while everybody writes. */
bool cutover_validate(struct cutover *cutover, PGconn *side, struct error *err);

/* Batches until twice nothing came, in that mode. */
bool cutover_drain(struct cutover *cutover, struct link *link, const char *mode, struct error *err);

/* The link's tables as read on its source, or on its target. */
struct relations *cutover_relations(const struct link *link, bool of_target);

struct fence cutover_fence(const struct cutover *cutover, bool of_target);
struct foreign cutover_foreign(const struct cutover *cutover);
void cutover_tell_ended(struct cutover *cutover, const struct lock_report *report);

#endif
