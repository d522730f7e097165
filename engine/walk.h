/* SPDX-License-Identifier: MIT */
/* The one walk over a plan: to look, to apply, to go back. The mode is a parameter; a rehearsal is
 * an apply in another world.
 *
 * Invariants:
 *  - Each running step is a process; this one is single-threaded and alone appends to the journal.
 *  - A step acts only after its intent is durable, and after every precondition and approval held.
 *  - What the journal acknowledges is not done again; what it announced and does not acknowledge is
 *    looked up first.
 */
#ifndef PLAN_WALK_H
#define PLAN_WALK_H

#include "engine/journal.h"
#include "engine/plan.h"

struct run;

enum walk_mode {
	WALK_LOOK, /* observe and compare; changes nothing, needs no lock */
	WALK_APPLY,
	WALK_REVERT, /* from the newest effect back to `back_to`, inclusive */
};

enum walk_outcome {
	WALK_DONE,    /* nothing is left to do (LOOK: all was looked at) */
	WALK_FAILED,  /* a step failed */
	WALK_REFUSED, /* drift, foreign object, a way back that is closed */
	WALK_PARKED,  /* waits for a person, a window or a time far away; or was asked to stop */
	WALK_ROLLED_BACK,   /* failed and went back by itself */
	WALK_PERSON_NEEDED, /* the way back failed or ended at a point of no return */
	WALK_INTERRUPTED,   /* by a signal; see `signal` */
};

/* What a walk tells while it goes. Texts live until the callback returns. */
enum walk_news {
	NEWS_START,    /* the step begins to look, or to go back */
	NEWS_LOOKED,   /* changes, outputs (LOOK only) */
	NEWS_WAITING,  /* text says for what */
	NEWS_PROGRESS, /* text */
	NEWS_ACTING,   /* its intent is durable: body holds changes */
	NEWS_RETRY,    /* text */
	NEWS_DONE,     /* body: outputs, changed */
	NEWS_FAILED,   /* text */
	NEWS_UNDONE,
	NEWS_PASSED, /* text: why the way back passes over it */
	NEWS_NOTE,
	NEWS_JUMP, /* a rehearsal passed over a wait: text */
};

struct walk_event {
	enum walk_news news;
	const struct plan_step *step; /* NULL when it is about the run */
	const char *text;             /* may be NULL */
	const struct value *body;     /* MAP, may be NULL */
};

struct walk_options {
	enum walk_mode mode;
	const struct plan *plan;
	struct journal *journal;     /* locked by the caller; NULL while looking without one */
	struct run *run;             /* what the journal says; kept up to date */
	const struct value *secrets; /* resolve_secrets(); NULL: references to them stay unknown */
	const struct value *connections; /* resolve_connections(), or those of a rehearsal */
	size_t jobs;                     /* steps at once; 0: 8 */
	const char *through;    /* APPLY, LOOK: this step and what it needs only; NULL: all */
	const char *back_to;    /* REVERT */
	const char *approve_as; /* give every approval in this name (rehearsal); NULL */
	bool wait_for_people;   /* do not park when only people are waited for */
	bool allow_commands;    /* the operator lets STEP_COMMANDS start programs */
	int64_t park_after_ms;  /* park when nothing can happen for so long; 0: one hour */
	void (*tell)(void *context, const struct walk_event *event); /* may be NULL */
	void *context;
};

struct walk_result {
	enum walk_outcome outcome;
	int signal;                                    /* of WALK_INTERRUPTED */
	size_t done, changed, failed, waiting, undone; /* steps */
	char step[256];                                /* the one it is about, or "" */
	struct error error;  /* of FAILED, REFUSED, PERSON_NEEDED; for PARKED what is waited for */
	int64_t downtime_ms; /* -1: it never began */
};

/* False only when the journal could not be written: then error says so and nothing more was done.
 */
bool walk(const struct walk_options *options, struct walk_result *result);

/* Installs the handlers that let SIGINT, SIGTERM and SIGHUP end a walk in good order. */
void walk_catch_signals(void);

/* How many people must approve the step, and whether that one may ("user@host"). */
int64_t walk_approvals_needed(const struct plan_step *step);
bool walk_may_approve(const struct plan_step *step, const char *who);

/* How long users have been shut out in this run, or were; -1: they never were. running: and are
 * still; may be NULL. */
int64_t walk_downtime_ms(const struct plan *plan, struct run *run, bool *running);

/* One line of a preview of the way back. */
struct way_back {
	const struct plan_step *step;
	enum { BACK_UNDO, BACK_PASS, BACK_STOP } what;
	const char *why; /* of PASS and STOP */
	struct way_back *next;
};

/* What WALK_REVERT to that step would do, newest effect first; ends at the first BACK_STOP.
 * NULL with ERROR_PLAN when there is no such step, ERROR_NONE when there is nothing to undo. */
struct way_back *walk_preview(const struct plan *plan, const struct run *run, const char *back_to,
                              struct arena *arena, struct error *err);

#endif
