/* SPDX-License-Identifier: MIT */
/* THE interface: a step is a module behind one struct.
 *
 * Each running step is a process. For it the engine calls, in this order,
 *   observe -> plan -> (conditions, intent made durable, go-ahead) -> apply -> verify,
 * to look only observe and plan, and to go back observe -> revert. The same lines serve
 * `plan diff`, `plan apply`, `plan rollback` and `plan rehearse`.
 *
 * Invariants:
 *  - observe reads and never writes. What revert needs is in what observe saw.
 *  - apply and revert may be called again after a crash at any point: each effect is looked up
 * first.
 *  - Whatever is allocated lives in step->arena; nothing survives the process but the outputs.
 *  - Loops over anything slow go through step_sleep(), or ask step_stopping().
 */
#ifndef PLAN_STEP_H
#define PLAN_STEP_H

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/value.h"
#include "engine/field.h"

enum {
	STEP_READ_ONLY = 1 << 0,    /* changes nothing: needs no way back */
	STEP_IRREVERSIBLE = 1 << 1, /* has no inverse, the plan must say so */
	STEP_SERVICE =
		1 << 2, /* runs on after it is satisfied, until the steps that need it are done */
	STEP_DESTROYS = 1 << 3, /* its subject is gone afterwards */
	STEP_PERSON = 1 << 4,   /* a person does it and says so: `plan approve STEP` */
	STEP_COMMANDS = 1 << 5, /* starts programs that the plan names: needs --allow-commands */
	STEP_FORESEES = 1 << 6, /* reads only, and can say before its turn what it will find */
};

struct step_host; /* the engine's side */

struct step {
	const char *id; /* "move-domain[www.example.com]" */
	const struct step_module *module;
	const struct value *with; /* MAP: the fields, resolved, checked, defaults filled in */
	struct value *outputs;    /* MAP: filled by step_output() */
	struct arena *arena;
	bool looking;   /* only look: parts of `with` may be UNKNOWN, apps may not exist yet */
	bool attempted; /* an earlier try announced its intent: what is there may be ours */
	int64_t attempted_at_ms; /* when that was, wall clock; 0 otherwise */
	bool was_done; /* the journal says this step was done before: what is there is ours */
	const struct value *before; /* what the first intent of this run saw, or NULL */
	const char *last_error;     /* what the last try of this run failed with, or NULL */
	/* Of a SERVICE, set by apply(): looks after what it has started, several times a second
	 * while the step waits for its postconditions. False: the step fails with err. */
	bool (*tend)(struct step *step, struct error *err);
	struct step_host *host;
};

/* One difference between the world and the plan. */
struct change {
	const char *path;         /* "web.quantity", "DATABASE_URL", "" for the whole */
	const struct value *from; /* NULL: will be added */
	const struct value *to;   /* NULL: will be removed */
	const char *note;         /* why, or what to know; may be NULL */
	struct change *next;
};

struct changes {
	struct arena *arena;
	struct change *first, *last;
	size_t count; /* 0: the world is as the plan wants it */
};

void changes_add(struct changes *changes, const char *path, const struct value *from,
                 const struct value *to, const char *note);

/* Adds a change for each key of wanted whose value in seen differs; prefix is put before the path.
 */
void changes_compare(struct changes *changes, const char *prefix, const struct value *seen,
                     const struct value *wanted);

struct metric;

struct step_module;

/* Whether a step with these fields has an inverse. */
bool step_has_inverse(const struct step_module *module, const struct value *with);

struct step_module {
	const char *name; /* what a plan writes after `uses:` */
	const char *text; /* one sentence */
	unsigned traits;
	const struct field *fields, *outputs; /* end with {0}; NULL when there are none */
	const struct metric *metrics;         /* what conditions may test; ends with {0} */

	/* What it governs and what it reads besides, as path templates over fields and outputs:
	 * "heroku/app/${app}/config". A later step whose subject equals or encloses an earlier one
	 * takes over from it: after a run only the last word on a subject is compared. NULL-ended.
	 */
	const char *const *subjects, *const *reads;

	/* What it changes besides, without the last word on it. Both lists and `reads` also make
	 * the blast radius of `plan diff REV..REV`, offline: there an output that has the name of a
	 * field is taken to give what the field says. NULL-ended. */
	const char *const *touches;

	/* Rules across fields that the table cannot say, offline, on `with` as written (references
	 * to steps are UNKNOWN). May be NULL. */
	bool (*check)(const struct value *with, struct error *err);

	/* The same where the connections of the plan have a say: LIST of MAPs with `name` and
	 * `uses`, as written. May be NULL. */
	bool (*check_connections)(const struct value *with, const struct value *connections,
	                          struct error *err);

	/* seen is an empty MAP to fill. Also sets the outputs that are known (step_output). */
	bool (*observe)(struct step *step, struct value *seen, struct error *err);

	/* Pure. NULL: each key of `with` that observe also gave is compared. */
	bool (*plan)(struct step *step, const struct value *seen, struct changes *changes,
	             struct error *err);

	bool (*apply)(struct step *step, const struct changes *changes, struct error *err);

	/* NULL: observe again, and no changes may be left. */
	bool (*verify)(struct step *step, struct error *err);

	/* Restores what `before` says. NULL: no inverse. */
	bool (*revert)(struct step *step, const struct value *before, struct error *err);
	const char *undo; /* the field without which there is no inverse after all; or NULL */

	/* Of a SERVICE: runs until step_stopping(); true when it ended as asked. */
	bool (*serve)(struct step *step, struct error *err);
};

/* ---- What conditions can measure ---- */

enum metric_of {
	OF_NOTHING,
	OF_TEXT,   /* an app, a database, a host name, a URL: see the metric's text */
	OF_STEP,   /* the name of a step that comes earlier */
	OF_WINDOW, /* a name in `windows` */
	OF_CONNECTION,
	OF_REPLICATION, /* a text that postgres.replicate gave; without `of`: that of the step
	                   itself */
};

enum metric_type {
	METRIC_BOOL,     /* no comparator means: must be true */
	METRIC_NUMBER,   /* in `unit` */
	METRIC_DURATION, /* milliseconds */
	METRIC_TEXT,
};

struct reading {
	const struct value *limit; /* given: what the value will be compared with; or NULL */
	struct value *value;       /* BOOL, INT, REAL or TEXT, as the metric's type says */
	const char *text;          /* for people: "5,123 commits"; NULL: the value is printed */
	int64_t holds_at_ms; /* wall clock at which time alone makes it hold; 0 when not known. A
	                      * rehearsal may jump there. */
	int64_t again_ms;    /* when to look again; 0: the engine's default */
};

struct metric {
	const char *name; /* "heroku.postgres.lag" */
	enum metric_type type;
	const char *unit; /* "commits"; "" when it has none */
	enum metric_of of;
	const char *text;
	/* of is resolved; NULL where the condition has none. Reads only. */
	bool (*measure)(struct step *step, const struct value *of, struct reading *reading,
	                struct error *err);
};

/* ---- What the engine does for a module ---- */

/* Sets an output. While looking, what will only be known later is simply not set. */
void step_output(struct step *step, const char *name, struct value *value);
void step_output_text(struct step *step, const char *name, const char *text);

/* The connections whose `uses` begins with that prefix: LIST of MAPs with their fields resolved,
 * plus `name` and `uses`. */
const struct value *step_connections(struct step *step, const char *uses_prefix);

/* The connection of that name, or, when name is NULL, the only one whose `uses` begins with the
 * prefix. NULL with ERROR_PLAN otherwise. */
const struct value *step_connection(struct step *step, const char *name, const char *uses_prefix,
                                    struct error *err);

/* Remembers for the run what a name stood for at first contact ("heroku/app/sourceapp" was id X).
 * Another identity under the same name later is ERROR_DRIFT. A NULL identity only forgets it, for a
 * thing we destroyed ourselves. */
bool step_pin(struct step *step, const char *name, const char *identity, struct error *err);

/* Tells people how far it is; shown by apply, status and explain. Not part of the record. */
void step_progress(struct step *step, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Writes a note into the journal. */
void step_note(struct step *step, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sleeps, checks the invariants, listens for a stop. False: ERROR_CANCELLED, or an invariant broke.
 */
bool step_sleep(struct step *step, int64_t duration_ms, struct error *err);

/* Waits until the wall clock says so; a rehearsal jumps. Otherwise like step_sleep(). why: shown to
 * people; NULL where what it waits for was told already. */
bool step_wait_until(struct step *step, int64_t wall_ms, const char *why, struct error *err);

/* A person or a signal asked to stop: finish what is in flight and return ERROR_CANCELLED. */
bool step_stopping(const struct step *step);

/* Of a SERVICE: a person paused the run, so what can rest without loss should rest. */
bool step_paused(const struct step *step);

/* When an earlier step was done (wall clock), 0 if it is not. */
int64_t step_finished_at_ms(const struct step *step, const char *other);

/* An output of an earlier step, or NULL. */
const struct value *step_output_of(const struct step *step, const char *other, const char *name);

/* The fields of a step of the plan as it would get them now: LIST of MAPs, one for each of its
 * for_each; empty where the plan leaves it out. NULL on error. */
struct value *step_with_of(struct step *step, const char *other, struct error *err);

/* A name that is the same for every try of this step, also in a later run or without the journal,
 * so that what is there already is found: 12 characters of [0-9a-f] from plan and step. */
const char *step_token(const struct step *step);

/* The directory that paths in the plan are relative to. */
const char *step_directory(const struct step *step);

/* The window of that name: its MAP as written (days, from, to, zone), or NULL. */
const struct value *step_window(const struct step *step, const char *name);

#endif
