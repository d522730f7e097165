/* SPDX-License-Identifier: MIT */
/* Conditions measured and compared, in the process of a step. */
#ifndef PLAN_CONDITION_H
#define PLAN_CONDITION_H

#include "engine/plan.h"

/* How one condition stands at a moment. */
struct standing {
	bool holds;
	struct value *value;    /* as measured; NULL when it could not be */
	const char *text;       /* the value for people */
	const char *limit_text; /* "below 200 commits" */
	const char *of_text;    /* what it is about; NULL */
	int64_t holds_at_ms;    /* wall clock at which time alone makes it hold; 0 unknown */
	int64_t again_ms;
};

/* A group that is watched until all of it holds. */
struct watch {
	const struct plan_conditions *conditions;
	const char *noun;       /* "precondition", "postcondition" */
	int64_t began_ms;       /* wall clock from which `within` counts */
	int64_t *held_since_ms; /* per condition; 0 when it does not hold */
};

struct watch watch_begin(struct step *step, const struct plan_conditions *conditions,
                         const char *noun, int64_t began_ms);

/* Waits until all hold, each for its stable_for, at the same moment. evidence: LIST of MAPs with
 * what was measured. May be called again to confirm: what has been stable stays so. */
bool watch_wait(struct step *step, struct watch *watch, struct value **evidence, struct error *err);

/* Measures one. False with ERROR_RETRY when it cannot be measured just now. */
bool condition_measure(struct step *step, const struct plan_condition *condition,
                       struct standing *standing, struct error *err);

/* All hold at this moment; the error names the first that does not. */
bool conditions_hold_now(struct step *step, const struct plan_conditions *conditions,
                         struct error *err);

#endif
