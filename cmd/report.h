/* SPDX-License-Identifier: MIT */
/* Tells people, or a program, what a walk does while it goes. */
#ifndef PLAN_REPORT_H
#define PLAN_REPORT_H

#include "engine/walk.h"

#include <stdio.h>

struct report {
	FILE *stream;
	bool json, color;
	const char *back_to;   /* on the way back: before which step; else NULL */
	int64_t waiting_at_ms; /* real clock, when a wait was last printed */
};

/* A walk_options.tell with a struct report as context. */
void report_event(void *context, const struct walk_event *event);

/* The last lines: outcome, downtime, and the next command. Gives the exit code. */
int report_result(const struct report *report, const struct plan *plan,
                  const struct walk_result *result);

/* The exit code that stands for a result. */
int report_exit_code(const struct walk_result *result);

/* "done", "failed", "rolled back", ...: for records and --json. */
const char *report_outcome(enum walk_outcome outcome);

#endif
