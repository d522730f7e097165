/* SPDX-License-Identifier: MIT */
/* A command's hold on a plan, its journal and its run. */
#ifndef PLAN_SESSION_H
#define PLAN_SESSION_H

#include "engine/journal.h"
#include "engine/plan.h"
#include "engine/run.h"

struct session {
	struct arena arena;
	const struct plan *plan;
	bool rehearsal;          /* set before session_open(): the journal of its rehearsals */
	struct journal *journal; /* NULL when there is none yet */
	struct run run;          /* folded from the journal; number 0 when there is none */
	const struct value *secrets, *connections;
};

/* Opens the journal that belongs to the plan (makes it when `make` is set) and reads the last run.
 */
bool session_open(struct session *session, const struct plan *plan, bool make, struct error *err);
void session_close(struct session *session);

/* Reads secrets and resolves connections, for commands that meet the world. */
bool session_resolve(struct session *session, struct error *err);

enum session_take {
	TAKE_OPEN,  /* a new run, or the open one as it was */
	TAKE_AMEND, /* the open run with a changed plan */
	TAKE_AGAIN, /* a new run, although the last one was complete */
	TAKE_NEW,   /* a new run, whatever became of the last one */
};

/* Takes the lock, and begins a run or takes up the open one. `mode` is a word for the record:
 * "apply", "rollback", "rehearse". A changed plan is ERROR_REFUSED without TAKE_AMEND, and where a
 * step that is done was changed always. */
bool session_take(struct session *session, enum session_take how, const char *mode,
                  struct error *err);

/* Records how it ended. downtime_ms: -1 when there was none. */
bool session_end(struct session *session, const char *outcome, int exit_code, int64_t downtime_ms,
                 struct error *err);

/* "user@host" of this process. */
const char *session_who(struct arena *arena);

/* The state directory of a plan: PLAN_STATE_DIR, else .plan beside it. */
char *session_state_directory(struct arena *arena, const struct plan *plan);

#endif
