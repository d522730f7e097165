/* SPDX-License-Identifier: MIT */
/* Two databases that are to be equal, compared from outside at a moment when nobody writes. */
#ifndef PLAN_REHEARSAL_QUIET_H
#define PLAN_REHEARSAL_QUIET_H

#include <stdbool.h>
#include <stdint.h>

struct error;

struct quiet {
	int64_t tables, rows;           /* of the database that is written to */
	int64_t lost;                   /* rows of it that the other one lacks, or has otherwise */
	int64_t stale;                  /* rows of the other one that it has not, or otherwise */
	int64_t sequences, behind;      /* sequences, and those that could give a number again */
	int64_t foreign_keys, unproven; /* foreign keys, and those that are not validated on one
	                                 * side alone */
	char where[128];                /* a table that differs; "" */
};

/* Holds all writers of the database `written` back with locks (they wait, none is refused), gives
 * the other one within_ms to catch up, and compares both ways. Schemas of the system and of
 * replication are left out. A later number is never given again by the sequences of `written`. */
bool quiet_compare(const char *written, const char *other, int64_t within_ms, struct quiet *quiet,
                   struct error *err);

/* How many schemas, tables, functions and triggers of replication are in the database. */
bool quiet_leftovers(const char *url, int64_t *objects, struct error *err);

#endif
