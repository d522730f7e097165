/* SPDX-License-Identifier: MIT */
/* What of a dump is held until the rows are there, and for which stage: see held.h. */
#ifndef PLAN_POSTGRES_SCHEMA_HOLD_H
#define PLAN_POSTGRES_SCHEMA_HOLD_H

#include "engine/base/names.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct error;
struct grants;
struct held_row;
struct toc_entry;
struct value;
typedef struct pg_conn PGconn;

struct hold {
	struct arena *arena;
	struct grants *grants;
	int target_version;       /* PQserverVersion() */
	struct names tables;      /* ordinary ones of the source, leaves of partitioned ones too */
	struct names populated;   /* materialized views of the source that have their rows */
	struct value *left_out;   /* LIST of TEXTs: what is not carried, and why */
	struct value *waited_for; /* LIST of TEXTs: foreign keys that lock their table while they
	                           * are checked */
	struct held_row *first, **end;
	int64_t count;
};

bool hold_begin(struct hold *hold, PGconn *source, PGconn *target, struct grants *grants,
                struct arena *arena, struct error *err);

/* The rows for the entries behind the data, in their order; comments go with what they are about.
 */
void hold_entries(struct hold *hold, const struct toc_entry *first);

/* The rows that fill the materialized views among the entries, in their order. */
void hold_refreshes(struct hold *hold, const struct toc_entry *first);

#endif
