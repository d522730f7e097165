/* SPDX-License-Identifier: MIT */
/* How far a replication is, for people: read from its state, so that it is the same after a
 * restart. */
#ifndef PLAN_POSTGRES_PROGRESS_H
#define PLAN_POSTGRES_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "steps/postgres/stall.h"

struct error;
struct step;

#define PROGRESS_SAMPLES 60

/* Zero it before the first call. */
struct progress {
	int64_t shown_ms; /* clock_real_ms() of the last time */
	int64_t pages[PROGRESS_SAMPLES],
		at_ms[PROGRESS_SAMPLES]; /* a ring of what was copied when */
	int64_t count;
	struct stall stall;
};

/* Once a second, through step_progress(); why it does not get on is noted, too. source and target
 * are those of the direction that is carried out. */
bool progress_show(struct progress *progress, struct step *step, PGconn *source, PGconn *target,
                   struct error *err);

#endif
