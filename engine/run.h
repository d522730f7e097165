/* SPDX-License-Identifier: MIT */
/* A run is what its journal says: the records folded into the state of every step. */
#ifndef PLAN_RUN_H
#define PLAN_RUN_H

#include "engine/base/arena.h"
#include "engine/journal.h"

enum run_state {
	RUN_PENDING,
	RUN_WAITING, /* for conditions or people */
	RUN_UNKNOWN, /* an intent without a result: the effect is looked up before anything else */
	RUN_DONE,
	RUN_FAILED,
	RUN_UNDO_UNKNOWN, /* the same on the way back */
	RUN_UNDONE,
	RUN_PASSED, /* the way back passed over it */
};

struct run_step {
	const char *id;
	enum run_state state;
	bool was_done;                /* it was done once, and is to be looked at again */
	const struct value *before;   /* MAP: what the first intent of this run saw; NULL before */
	const struct value *outputs;  /* MAP of the last RECORD_DONE, or NULL */
	const struct value *subjects; /* LIST of texts of the last intent or done, or NULL */
	int64_t intent_seq;           /* of the first intent that was not undone since; 0: none */
	int64_t intent_at_ms;         /* wall clock of that */
	int64_t reached_seq;          /* of its first intent or done that was not undone since; 0 */
	int64_t done_seq, done_at_ms;
	int64_t waiting_since_ms; /* of the first RECORD_WAIT since it was last settled; 0 */
	int64_t attempts;         /* intents in this run */
	const char *error_kind, *error_text; /* of the last failure, else NULL */
	bool changed;                        /* of the last RECORD_DONE: it acted in that run */
	bool undo_failed;                    /* of UNDO_UNKNOWN: the undo ended with error_text */
	int64_t said_at_ms; /* of the last record about it, wall clock; 0: there is none */
};

struct run_approval {
	const char *step, *who, *digest;
	struct run_approval *next;
};

struct run {
	struct arena arena;
	int64_t number;            /* of this run in its journal, from 1; 0: there is none yet */
	bool open;                 /* begun and not ended with success */
	const char *digest;        /* of plan and inputs now in force */
	const struct value *begin; /* body of RECORD_BEGIN, or of the last RECORD_AMEND over it */
	int64_t begun_at_ms, ended_at_ms;
	int64_t started_at_ms;    /* of the last RECORD_START: somebody took it up */
	const char *started_mode; /* of that: "apply", "rollback", "rehearse"; NULL */
	const char *outcome;      /* of the last RECORD_END, else NULL */
	int64_t last_seq;
	int64_t last_downtime_ms; /* `downtime_ms` of the last RECORD_END, else 0 */
	char identity[40]; /* random, made with RECORD_BEGIN: which run it is, wherever its journal
	                      goes */
	struct run_step **steps; /* hash table, by id */
	size_t step_count, step_room;
	struct value *pins; /* MAP name -> identity */
	struct run_approval *approvals;
};

/* Reads the last run of the journal. An empty journal gives number 0. */
bool run_load(struct run *run, struct journal *journal, struct error *err);
void run_free(struct run *run);

/* Folds one more record in. Copies what it keeps. RECORD_BEGIN starts from nothing. */
void run_apply(struct run *run, const struct record *record);

/* Never NULL: a step that is not known yet is added, pending. */
struct run_step *run_step(struct run *run, const char *id);

/* Whether the step of that name, or any instance of its for_each, is done. */
bool run_any_done(const struct run *run, const char *name);

/* The same run without const, for readers that only look steps up. */
struct run *run_writable(const struct run *run);

/* What a name was pinned to, or NULL. */
const char *run_pin(const struct run *run, const char *name);

/* How many different people approved the step for the digest in force. */
int64_t run_approvals(const struct run *run, const char *step);

/* The outer subject is the inner one, or stands around it ("heroku/app/x" and
 * "heroku/app/x/config"). */
bool run_encloses(const char *outer, const char *inner);

/* For each of its subjects, a step that was done later governs the same one or one around it. */
bool run_superseded(struct run *run, const char *id);

/* "done", "waiting", ...: for people and for --json. */
const char *run_state_name(enum run_state state);

#endif
