/* SPDX-License-Identifier: MIT */
/* Whether two databases have the same schema: every object one by one, by identity and definition.
 */
#ifndef PLAN_POSTGRES_SCHEMA_COMPARE_H
#define PLAN_POSTGRES_SCHEMA_COMPARE_H

#include "steps/postgres/schema_list.h"

struct schema_comparison {
	PGconn *source, *target;     /* given, as the next two */
	const struct value *schemas; /* see relation_list() */
	enum schema_extent extent;

	/* What was found; each is a LIST in the arena. */

	/* MAPs {kind, object, what, source, target}: what is "missing" (on the target),
	 * "different" or "surplus"; source and target are the definitions. What is a part of
	 * something missing is not named besides. */
	struct value *differences;
	struct value *present;  /* MAPs {kind, object}: what stands alone and is on both sides */
	struct value *left_out; /* TEXTs: privileges of roles that the target does not have, or
	                         * that own all there */
};

/* With SCHEMA_EARLY what plan_replication.held of the target still holds is passed over; with
 * SCHEMA_ALL it counts as missing. Where the servers are of different major versions, expressions
 * may differ in layout, parentheses and qualification of names. Reads only. */
bool schema_compare(struct schema_comparison *comparison, struct arena *arena, struct error *err);

/* "table public.a is missing; index public.b is different; and 3 more", for messages. */
const char *schema_differences_text(const struct value *differences, struct arena *arena);

#endif
