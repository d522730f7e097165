/* SPDX-License-Identifier: MIT */
/* What a comparison found: how many rows differ, and the first of them by key. */
#ifndef PLAN_POSTGRES_DISCREPANCY_H
#define PLAN_POSTGRES_DISCREPANCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct text;
struct value;

struct discrepancies {
	struct arena *arena;
	size_t limit;       /* so many are told */
	size_t count;       /* that were told */
	struct value *told; /* LIST of texts: "public.orders: id = 5 is only in source" */
	int64_t rows;       /* that differ; a table that is missing counts as one */
	bool more;          /* there are more than that: not all were counted */
	size_t tables;      /* that have any */
	const char *table;  /* of the last one */
};

void discrepancy_begin(struct discrepancies *discrepancies, struct arena *arena, size_t limit);

/* Whether one more would be told. */
bool discrepancy_is_wanted(const struct discrepancies *discrepancies);

/* One or more rows of a table (quoted) that differ, and which; text NULL: they are only counted. */
void discrepancy_add(struct discrepancies *discrepancies, const char *table, int64_t rows,
                     const char *text);

/* Back to what it was: what was found since will be found again. */
void discrepancy_forget(struct discrepancies *discrepancies, const struct discrepancies *before);

/* "at least 3 rows of 2 tables differ: public.orders: id = 5 is only in source; ...; and 1 more" */
void discrepancy_print(const struct discrepancies *discrepancies, struct text *out);

#endif
