/* SPDX-License-Identifier: MIT */
/* What the process of a postgres.replicate step runs: its own sessions, and a crew. There is one in
 * a process. */
#ifndef PLAN_POSTGRES_REPLICATOR_H
#define PLAN_POSTGRES_REPLICATOR_H

#include <stdbool.h>

struct error;
struct step;

/* Registers and captures the tables, divides them into chunks, and lets the crew begin; from here
 * on step->tend looks after it. On failure nothing runs. */
bool replicator_begin(struct step *step, struct error *err);

bool replicator_runs(void);

/* Whether everything follows, and what was logged meanwhile has been applied once. */
bool replicator_caught_up(bool *caught_up, struct error *err);

void replicator_end(struct step *step);

#endif
