/* SPDX-License-Identifier: MIT */
/* What the parts of a comparison share; only compare*.c. */
#ifndef PLAN_COMPARE_PARTS_H
#define PLAN_COMPARE_PARTS_H

#include "engine/base/text.h"
#include "engine/compare.h"

enum { OLD, NEW };

#define NO_PAIR ((size_t)-1)

struct compare {
	struct comparison *out;
	struct arena *arena;
	const struct plan *plan[2]; /* never NULL: an absent file is an empty plan */
	size_t *pair[2];            /* by order of a step: its order in the other plan, NO_PAIR */
	size_t renamed;             /* how many pairs have two names */
	bool whole;                 /* one side is absent: all is added, or removed */
	struct arena scratch;       /* emptied after each step: marks of large plans are large */
};

/* Adds a difference; kind is taken from what stands in from and to. Nothing is added when they are
 * the same, or both are NULL and there are no names. */
void compare_add(struct compare *compare, struct difference difference);

/* The name of a step to show; one of the two may be NULL. */
const char *compare_name(const struct compare *compare, const struct plan_step *old,
                         const struct plan_step *new);

/* A value in the words of the plan; NULL stays NULL. */
const char *compare_print(struct compare *compare, const struct value *value);

/* Exactly, unlike what is shown of measured times: "1 h 30 s". */
const char *compare_duration(struct compare *compare, int64_t duration_ms);

/* A copy in which nothing that may be a secret is left; field may be NULL: known to be none. */
struct value *compare_masked(struct compare *compare, const struct value *value,
                             const struct field *field);

/* The entry of the table; one that hides when the table does not know the name. */
const struct field *compare_field(const struct field *fields, const char *name);

/* An old value as the new plan would write it: references to renamed steps follow. */
const struct value *compare_renamed(struct compare *compare, const struct value *value);

/* The name that a step of the old plan has in the new one; else as it is, cleaned. NULL stays. */
const char *compare_step_name(struct compare *compare, const char *old);

/* Two values at a path, maps key by key. difference holds topic, subject and the path (what). */
void compare_values(struct compare *compare, struct difference difference, const struct value *old,
                    const struct value *new, const struct field *field);

/* Two maps, key by key; fields NULL: all keys hold no secrets. except: a key to pass over. */
struct compare_maps {
	const struct value *old, *new; /* MAP or NULL */
	const struct field *fields;
	const char *prefix, *except;
};
void compare_entries(struct compare *compare, struct difference difference,
                     const struct compare_maps *maps);

/* "a, b" of the steps of a side that are marked; NULL when none is. */
const char *compare_names(struct compare *compare, int side, const bool *marked);

/* Which steps of a side come before that one, directly or not. By order. */
bool *compare_before(struct compare *compare, int side, const struct plan_step *step);

/* From the begin of the downtime to its end. By order. */
bool *compare_shut_out(struct compare *compare, int side);

/* The first item of a list or map, NULL of all else. */
const struct value *compare_items(const struct value *value);

/* The parts. A step is NULL on the side where it is not. */
void compare_gates(struct compare *compare, const struct plan_step *old,
                   const struct plan_step *new);
void compare_settings(struct compare *compare, const struct plan_step *old,
                      const struct plan_step *new);
void compare_defaults(struct compare *compare);
void compare_step(struct compare *compare, const struct plan_step *old,
                  const struct plan_step *new);
void compare_order(struct compare *compare, const struct plan_step *old,
                   const struct plan_step *new);
void compare_downtime(struct compare *compare);
void compare_head(struct compare *compare);
void compare_reach(struct compare *compare);

#endif
