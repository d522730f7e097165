/* SPDX-License-Identifier: MIT */
/* A table that is on both sides, to be compared. */
#ifndef PLAN_POSTGRES_TWIN_H
#define PLAN_POSTGRES_TWIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct discrepancies;
struct link;
struct relation;
struct value;
typedef struct pg_conn PGconn;

struct twin {
	const struct relation *sides[2]; /* see pair.h; they have the same columns */
	size_t ordered; /* leading columns of the key in whose order both sides agree; 0: no range
	                 * of keys is the same rows on both sides */
	bool convert;   /* the encodings of the databases differ */
	struct twin *next;
};

struct twins {
	struct twin *first, *last;
	size_t count;
	int64_t rows; /* the planner's estimate */
};

/* Which of them are wanted: a LIST of "schema.table" or "table"; NULL or empty: all. ERROR_PLAN for
 * one that is not there. Those that are on one side only, or whose columns differ, become
 * discrepancies.
 */
struct twin_choice {
	const struct value *schemas; /* of databases without a stream: see relation_list() */
	const struct value *tables;
	const char *names[2]; /* what the sides are called */
};

/* Those that a stream replicates; other tables in their schemas are on one side only, or left out.
 */
bool twin_list_followed(struct link *link, const struct twin_choice *choice, struct twins *twins,
                        struct discrepancies *discrepancies, struct error *err);

/* Those of two databases. */
bool twin_list(PGconn *const sides[2], const struct twin_choice *choice, struct arena *arena,
               struct twins *twins, struct discrepancies *discrepancies, struct error *err);

#endif
