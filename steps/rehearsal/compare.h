/* SPDX-License-Identifier: MIT */
/* Whether data arrived: every row of one database looked up in another. */
#ifndef PLAN_REHEARSAL_COMPARE_H
#define PLAN_REHEARSAL_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct comparison {
	int64_t tables, rows; /* of the first database */
	int64_t missing;      /* rows of it that the last one lacks, or has otherwise */
	char where[128];      /* a table with such rows; "" */
};

/* Looks at all tables outside the system's schemas, each as it is at one moment; the first before
 * the last, so that what is written to the last meanwhile does no harm. */
bool compare_databases(const char *first, const char *last, struct comparison *comparison,
                       struct error *err);

/* How many of the keys are not in public.visits. */
bool compare_keys(const char *database, const char *const *keys, size_t count, int64_t *missing,
                  struct error *err);

#endif
