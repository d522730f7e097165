/* SPDX-License-Identifier: MIT */
/* How a run stands at a moment: what its journal says, what its steps said last, who holds it, and
 * what people asked for. Reads only the journal. */
#ifndef PLAN_SITUATION_H
#define PLAN_SITUATION_H

#include "cmd/session.h"

enum phase {
	PHASE_PENDING,    /* what it needs is not done */
	PHASE_READY,      /* it could begin */
	PHASE_LOOKING,    /* at what it governs */
	PHASE_CONDITIONS, /* its preconditions are waited for */
	PHASE_PEOPLE,     /* an approval, or that the run goes on */
	PHASE_RUNNING,    /* it acts */
	PHASE_RETRYING,
	PHASE_CHECKING, /* its postconditions are waited for */
	PHASE_SERVING,
	PHASE_RESTARTING, /* its service ended before its time */
	PHASE_DONE,
	PHASE_FAILED,
	PHASE_IN_DOUBT, /* an intent without a result, and nobody is at it */
	PHASE_GOING_BACK,
	PHASE_UNDO_FAILED,
	PHASE_UNDO_IN_DOUBT,
	PHASE_UNDONE,
	PHASE_PASSED, /* the way back passed over it */
};

enum { PHASES = PHASE_PASSED + 1 };

struct situation {
	struct session *session;
	struct arena *arena;      /* of the session */
	const struct value *live; /* MAP step -> what it said last, "" of the run; NULL: nothing */
	bool held;                /* a process carries the plan out, or takes the way back */
	struct holder holder;     /* of held */
	bool plan_changed;        /* since the run began */
	int64_t now_ms;
	const struct request **requests; /* from people: those that were read, then the others */
	size_t request_count;
	const struct request *paused;  /* who asked for it; NULL: it is not paused */
	const struct request *stopped; /* who asked for it since the run was taken up; NULL */
};

/* Lives as long as the session. */
void situation_read(struct situation *situation, struct session *session);

/* "not begun", "running", "parked", ... */
const char *situation_word(const struct situation *situation);

enum phase situation_phase(const struct situation *situation, const struct plan_step *step);

/* "pending", "running", ... of people and --json. */
const char *situation_phase_word(enum phase phase);

/* What the step said last since the run was taken up, or NULL. */
const struct value *situation_said(const struct situation *situation, const char *step);

/* What is live of the run as a whole while it is held, or NULL. */
const struct value *situation_of_run(const struct situation *situation);

/* What is live of the process of the step (state, since_ms), or NULL when it has none. */
const struct value *situation_process(const struct situation *situation, const char *step);

/* "heroku.postgres.lag of x is 5,123 commits, must be below 200 commits". */
const char *situation_condition(struct arena *arena, const struct value *condition);

#endif
