/* SPDX-License-Identifier: MIT */
/* From the tree of a file to a plan; only plan.c, decode*.c and graph.c. */
#ifndef PLAN_DECODE_H
#define PLAN_DECODE_H

#include "engine/base/names.h"
#include "engine/plan.h"

/* A step as written, before `if` and `for_each` turn it into none, one or many. */
struct declaration {
	const char *name;
	const struct value *map;
	const struct value *each; /* LIST of items, or NULL */
	bool included;
	size_t index;        /* in the file */
	size_t first, count; /* its instances in decoder.steps */
	size_t *needs;       /* indexes of declarations, from needs and references */
	size_t need_count, need_room;
};

struct decoder {
	struct plan *plan;
	struct arena *arena;  /* the plan's */
	struct arena scratch; /* what is not needed any more when the plan is read */
	struct problems *problems;
	const struct plan_options *options;
	struct declaration *declarations; /* in the order of the file */
	size_t declaration_count;
	struct names by_name, inputs, secrets, connections;
	size_t *needed_by; /* a stamp on each declaration: index + 1 of the last that needs it */
	struct plan_step *steps; /* instances, in the order of the file */
	size_t step_count;
	struct declaration *at;    /* whose references are being read, or NULL */
	const struct value *each;  /* the item for ${each}, or NULL */
	size_t expanded;           /* bytes of text that references were replaced in */
	size_t unrolled;           /* values that for_each makes */
	size_t guessed;            /* words that were compared with misspelt ones */
	struct plan_step defaults; /* timeout, retry, on_failure */
};

/* A key of the language. */
struct key {
	const char *name;
	enum value_kind kind; /* VALUE_NULL: any */
	bool required;
	const char *text;
};

extern const struct key plan_keys[], step_keys[], condition_keys[], input_keys[], retry_keys[],
	approval_keys[], downtime_keys[], window_keys[], secret_keys[], defaults_keys[],
	notify_keys[];

/* Reports unknown, missing and wrongly typed keys. False when value is no map. */
bool decode_keys(struct decoder *decoder, const struct value *map, const struct key *keys,
                 const char *of);

/* The plan is read as written: see plan_options. */
bool decode_as_written(const struct decoder *decoder);

/* A copy with inputs and ${each} put in. References to steps and secrets stay; they are checked,
 * and make an edge. */
struct value *decode_value(struct decoder *decoder, const struct value *value,
                           bool secrets_allowed);

/* True when a text inside still holds a reference. */
bool decode_has_reference(const struct value *value);

/* The same with each text that holds one replaced by UNKNOWN. */
struct value *decode_masked(struct decoder *decoder, const struct value *value);

/* A map of fields: `with` of a step, or the rest of a connection (skip names a key to pass over).
 */
struct value *decode_fields(struct decoder *decoder, const struct value *map,
                            const struct field *fields, const char *skip, const char *of,
                            struct place at);

/* The rules of the module across its fields; `at` is where they begin. */
void decode_check_module(struct decoder *decoder, const struct plan_step *step, struct place at);

bool decode_duration(struct decoder *decoder, const struct value *map, const char *key,
                     int64_t *duration_ms);

/* The same for a limit, which is never 0. */
void decode_limit(struct decoder *decoder, const struct value *map, const char *key,
                  int64_t *duration_ms);

struct declaration *decode_find(struct decoder *decoder, const char *name);

/* The declaration at hand needs that one. */
void decode_need(struct decoder *decoder, size_t needed);
const char *decode_nearest_step(struct decoder *decoder, const char *name);

/* Counts the work of looking for the nearest of so many words; false when it was enough. */
bool decode_may_guess(struct decoder *decoder, size_t candidates);

void decode_inputs(struct decoder *decoder);
void decode_rest_of_head(struct decoder *decoder);
void decode_declarations(struct decoder *decoder);
void decode_steps(struct decoder *decoder);
void decode_conditions(struct decoder *decoder, const struct value *list,
                       struct plan_conditions *conditions);

/* Draws the edges, names cycles in full, and lays the steps out in plan->steps. */
bool graph_order(struct decoder *decoder);

#endif
