/* SPDX-License-Identifier: MIT */
/* What was found wrong or worth knowing before a migration, and how it is told.
 *
 * Findings are a LIST of MAPs with id, level, side, object, text, remedy and stops, so that they
 * are an output of their step as they are. */
#ifndef PLAN_POSTGRES_FINDING_H
#define PLAN_POSTGRES_FINDING_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct text;
struct value;

enum finding_level {
	FINDING_NOTE,    /* to know: nothing is wrong */
	FINDING_WARNING, /* it works, at a price that is named */
	FINDING_BLOCKER, /* it would fail, or lose something */
	FINDING_LEVELS
};

struct finding {
	const char *id; /* "no_key": what `accept` and `refuse` name */
	enum finding_level level;
	const char *side;   /* "source", "target" */
	const char *object; /* "public.orders" */
	const char *text;   /* a sentence that names the object */
	const char *remedy; /* SQL, or what to do; "" when there is nothing */
	bool stops;         /* the plan does not go on with it */
};

/* Which findings are meant. */
struct finding_choice {
	bool stops;
	enum finding_level least, most;
};

void finding_add(struct arena *arena, struct value *list, const struct finding *finding);

/* "source: TEXT [ID] -> REMEDY; ..."; of one id only the first few. Gives how many there are. */
size_t finding_tell(const struct value *list, struct finding_choice choice, struct text *out);

#endif
