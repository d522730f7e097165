/* SPDX-License-Identifier: MIT */
/* A program with all that it starts: fed, listened to, and ended as one group when its time is up,
 * when a stop is asked for, and when we are gone ourselves. */
#ifndef PLAN_LOCAL_SUPERVISE_H
#define PLAN_LOCAL_SUPERVISE_H

#include "engine/step.h"
#include "steps/local/process.h"

struct supervise {
	struct process process; /* input, output and leader are filled in */
	const char *input;      /* what it reads; NULL: nothing */
	int64_t limit_ms;
	struct step *step; /* whose stop and invariants are minded */
	/* Each line of its output; whole is false when the line was too long and its end is lost.
	 */
	void (*line)(void *context, const char *line, bool whole);
	void *context;
};

/* *status as waitpid() has it. False: it could not be started, ran out of time (ERROR_FAILED), or
 * was stopped; the group has ended in any case. */
bool supervise(const struct supervise *what, int *status, struct error *err);

#endif
