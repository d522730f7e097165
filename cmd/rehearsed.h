/* SPDX-License-Identifier: MIT */
/* What a rehearsal showed, for people and for programs. */
#ifndef PLAN_REHEARSED_H
#define PLAN_REHEARSED_H

#include "cmd/session.h"
#include "engine/walk.h"

/* Adds what the journal of the run tells: outcome, exit, steps, budget_s, lag_at_gate and lag_most
 * (commits, when a gate measured them), engine_downtime_s, journal. */
bool rehearsed_read(struct session *session, const struct walk_result *result, int code,
                    struct value *report, struct error *err);

/* True when all that was written is there, nothing was done twice and nothing is left over. */
bool rehearsed_is_good(const struct value *report);

void rehearsed_print(const struct value *report, const struct plan *plan, bool color);

#endif
