/* SPDX-License-Identifier: MIT */
/* Why a step is where it is: reasons, each a sentence with its facts, and what to type next. */
#ifndef PLAN_EXPLAINED_H
#define PLAN_EXPLAINED_H

#include "cmd/situation.h"

struct explained {
	const struct situation *situation;
	const struct plan_step *step;
	const struct run_step *known;
	const struct value *said; /* what it said last; NULL */
	enum phase phase;
	struct value *because; /* LIST of MAPs: kind, text, and facts of that kind */
	struct value *next;    /* LIST of commands, the first one first: "approve FILE STEP" */
	const char *options; /* which the commands need, with a blank before: "" or " --set a=b" */
};

/* Fills all that it can say of the step. */
void explained_step(struct explained *explained, const struct situation *situation,
                    const struct plan_step *step, const char *options);

/* Of a step that is in the file but not in the plan; false: there is none of that name. */
bool explained_left_out(struct explained *explained, const struct situation *situation,
                        const char *name, const char *options);

/* Adds a reason; facts may be added to what it gives. */
struct value *explained_add(struct explained *explained, const char *kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds `plan COMMAND FILE STEP`, once; step may be "", or have an option before it, "--to ". */
void explained_next(struct explained *explained, const char *command, const char *option,
                    const char *step);

/* "2026-01-02T03:04:05Z (in 5 min)", "... (3 s ago)". */
const char *explained_time(const struct explained *explained, int64_t wall_ms);

/* explained_phase.c: one function a phase. */
void explained_phase(struct explained *explained);

/* explained_wait.c: what is waited for. */
void explained_conditions(struct explained *explained);
void explained_approvals(struct explained *explained);
void explained_running(struct explained *explained);
void explained_retry(struct explained *explained);
void explained_ahead(struct explained *explained);

#endif
