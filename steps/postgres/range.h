/* SPDX-License-Identifier: MIT */
/* A part of a table: the rows whose key lies behind one and not behind another, in the order of the
 * key's leading columns.
 *
 * Ranges that follow one another hold every row of either side exactly once, whatever order a side
 * has: so rows that differ are never missed. That both sides put a row into the same range, and no
 * row seems to differ that does not, takes columns in whose order both agree (see twin.h). */
#ifndef PLAN_POSTGRES_RANGE_H
#define PLAN_POSTGRES_RANGE_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct relation;

#define RANGE_COLUMNS 8 /* of a longer key the first ones are enough */

struct range {
	size_t columns;                   /* 0: the whole table */
	const char *after[RANGE_COLUMNS]; /* texts; after[0] NULL: from the beginning */
	const char *upto[RANGE_COLUMNS];  /* that one is inside; upto[0] NULL: to the end */
};

/* How many rows are compared at a time. */
struct pace {
	int64_t rows;
	int64_t fixed; /* 0: as many as take GOAL_MS */
};

#define PACE_GOAL_MS 400

/* "(t."a", t."b") > ($1::int, $2::text) AND (...) <= ($3::int, ...)" over the key of that side;
 * "true" for the whole table. In the arena. */
const char *range_condition_sql(const struct range *range, const struct relation *relation,
                                struct arena *arena);

/* The values of $1... in order; how many. values has room for 2 * RANGE_COLUMNS. */
size_t range_values(const struct range *range, const char **values);

/* The key, as texts, of the row so many rows behind `after`; no row when there are fewer. */
const char *range_boundary_sql(const struct range *range, const struct relation *relation,
                               int64_t rows, struct arena *arena);

/* After so many rows took so long. */
void pace_adapt(struct pace *pace, int64_t rows, int64_t took_ms);

#endif
