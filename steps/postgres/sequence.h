/* SPDX-License-Identifier: MIT */
/* Sequences: read on one side, set on the other. Owned, identity and free-standing ones.
 *
 * nextval() goes on working behind a fence, so they are read when all who write are gone. Values
 * that open sessions hold back for themselves (CACHE) lie below what is read: they leave gaps, no
 * doubles. */
#ifndef PLAN_POSTGRES_SEQUENCE_H
#define PLAN_POSTGRES_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
typedef struct pg_conn PGconn;

struct sequence_options {
	const char *namespaces; /* condition on n: see relation_schemas_sql(); NULL: all schemas */
	int64_t margin;         /* so many values are left out, where its range allows; 0: exact */
	bool forward_only;      /* one that is further on already stays; not of those that cycle */
	struct arena *arena;
};

struct sequence_difference {
	const char *sequence; /* "public.orders_id_seq" */
	const char *text;     /* "41 instead of 42", "is missing" */
	bool behind;          /* it would give out a value again; a difference ahead leaves a gap */
	struct sequence_difference *next;
};

struct sequence_report {
	size_t count;                      /* read */
	size_t set;                        /* changed on the other side */
	struct sequence_difference *first; /* of sequence_compare(); notes of sequence_copy() */
	size_t differences;
};

/* ERROR_FAILED when one is missing on the other side, before any is set. May be repeated. */
bool sequence_copy(PGconn *from, PGconn *to, const struct sequence_options *options,
                   struct sequence_report *report, struct error *err);

/* Compares values with the margin, and increment, limits and cycle. */
bool sequence_compare(PGconn *from, PGconn *to, const struct sequence_options *options,
                      struct sequence_report *report, struct error *err);

#endif
