/* SPDX-License-Identifier: MIT */
/* A plan is data: what a file says, checked whole, with for_each unrolled and the edges drawn. */
#ifndef PLAN_PLAN_H
#define PLAN_PLAN_H

#include "engine/registry.h"

struct plan_input {
	const char *name;
	struct field field;        /* type, flags, choices, text */
	const struct value *value; /* the one in force, checked; NULL when none was given */
};

struct plan_secret {
	const char *name;
	const char *env, *file; /* one of the two */
	struct place at;
};

struct plan_connection {
	const char *name;
	const struct connection_kind *kind;
	const struct value *with; /* MAP as written, inputs put in, secrets still references */
	struct place at;
};

enum comparator {
	COMPARE_TRUE, /* no comparator was written */
	COMPARE_BELOW,
	COMPARE_AT_MOST,
	COMPARE_ABOVE,
	COMPARE_AT_LEAST,
	COMPARE_EQUALS,
	COMPARE_ONE_OF,
};

struct plan_condition {
	const char *check; /* as written */
	const struct metric *metric;
	const struct value *of; /* as written, may hold references; NULL */
	enum comparator comparator;
	const struct value *limit; /* as written, may hold references; NULL for COMPARE_TRUE */
	int64_t stable_for_ms, within_ms; /* 0: not given */
	struct place at;
};

struct plan_conditions {
	const struct plan_condition *list;
	size_t count;
};

struct plan_approval {
	int64_t by;               /* how many people; 0: none needed */
	const struct value *from; /* LIST of names who may, or NULL */
	const char *text;
};

enum rollback_kind {
	ROLLBACK_INVERSE, /* the module's own */
	ROLLBACK_STEPS,   /* a list of steps, in rollback_steps */
	ROLLBACK_NOTHING, /* passed over; rollback_why */
	ROLLBACK_NEVER,   /* irreversible: the way back stops here; rollback_why */
};

enum on_failure { ON_FAILURE_STOP, ON_FAILURE_CONTINUE, ON_FAILURE_ROLL_BACK };

struct plan_step {
	const char *id;   /* unique: "move-domain[www.example.com]", or the name when there is no
	                     for_each */
	const char *name; /* its key in the plan */
	const struct value *each;    /* the item of for_each, or NULL; as written: all of it */
	const struct value *written; /* its map in the document */
	bool left_out;               /* by `if`; only in a plan read as written */
	const char *title;           /* NULL when the plan gives none */
	const struct step_module *module;
	const struct value
		*with; /* MAP; inputs and ${each} put in, ${steps.} and ${secrets.} still there */
	struct plan_step **needs; /* the steps that come first, from `needs` and from references */
	size_t need_count;
	struct plan_step **users; /* the inverse of needs */
	size_t user_count;
	struct plan_conditions preconditions, postconditions, invariants;
	struct plan_approval approval;
	int64_t timeout_ms;     /* for acting, not for waiting; 0: none */
	int64_t retry_attempts; /* at least 1 */
	int64_t backoff_from_ms, backoff_to_ms;
	enum on_failure on_failure;
	const char *roll_back_to; /* name of a step, of ON_FAILURE_ROLL_BACK */
	enum rollback_kind rollback;
	struct plan_step *rollback_steps; /* of ROLLBACK_STEPS, in the order to run */
	size_t rollback_step_count;
	const char *rollback_why;
	size_t order; /* place in a topological order that keeps the order of the file where it can
	               */
	struct place at;
};

struct plan {
	struct arena arena;
	const char *file;      /* as the operator gave it; "-" is standard input */
	const char *directory; /* what paths are relative to */
	const char *name, *summary;
	const struct registry *registry;
	const struct value *root; /* the document as written */
	struct plan_input *inputs;
	size_t input_count;
	struct plan_secret *secrets;
	size_t secret_count;
	struct plan_connection *connections;
	size_t connection_count;
	const struct value *windows;                 /* MAP name -> MAP, or NULL */
	const struct value *notify;                  /* as written, or NULL */
	const char *downtime_begins, *downtime_ends; /* names of steps, or NULL */
	int64_t downtime_budget_ms;
	const struct plan_step *defaults; /* timeout, retry, on_failure of steps that say nothing */
	struct plan_step *steps;          /* in topological order (order 0, 1, ...) */
	size_t step_count;
	struct plan_step **by_id, **by_name; /* sorted, for plan_find() */
	char digest[65]; /* BLAKE2b-256 of the canonical document and the inputs, hexadecimal */
};

/* All that is wrong with a file; each with its place. */
struct problem {
	struct place at;
	char text[1024]; /* what, why, and what to do */
};

struct problems {
	struct arena arena;
	struct problem *list; /* in the order of the file */
	size_t count, capacity;
};

void problems_add(struct problems *problems, struct place at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void problems_free(struct problems *problems);

/* So many that no more are taken, and nobody reads on. */
bool problems_full(const struct problems *problems);

/* Inputs that the operator set: --set name=value (TEXT) and --inputs FILE. */
struct plan_options {
	const struct value *inputs; /* MAP, or NULL */
	const char *directory;      /* instead of the file's own; NULL */
	/* For readers who compare and never run: one step for each that is written, whatever
	 * `for_each` and `if` say; ${each} and inputs without a value stay references. After
	 * problems the plan holds what could be read. */
	bool as_written;
};

/* Reads and checks everything, offline. False when there is any problem. The plan owns all it
 * points to; plan_free() also after false. */
bool plan_load(struct plan *plan, const char *file, const struct registry *registry,
               const struct plan_options *options, struct problems *problems);

/* A plan in memory; file is only a name for messages, and the base of paths. */
struct plan_source {
	const char *file, *data;
	size_t length;
};

/* The same from memory. */
bool plan_parse(struct plan *plan, const struct plan_source *source,
                const struct registry *registry, const struct plan_options *options,
                struct problems *problems);

void plan_free(struct plan *plan);

/* By id, else by name: then the first of its for_each. NULL. */
struct plan_step *plan_find(const struct plan *plan, const char *id);

/* True when `first` comes before `second` by needs, directly or not. */
bool plan_comes_before(const struct plan_step *first, const struct plan_step *second);

#endif
