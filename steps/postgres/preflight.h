/* SPDX-License-Identifier: MIT */
/* What is asked of both sides before a migration: tables of checks, and one loop over them.
 *
 * A check is SQL that gives a row for each thing found, or a function where SQL cannot see it. Both
 * sides are read only, with the pinned settings of database_open(), so without a search path. */
#ifndef PLAN_POSTGRES_PREFLIGHT_H
#define PLAN_POSTGRES_PREFLIGHT_H

#include "engine/step.h"
#include "steps/postgres/database.h"
#include "steps/postgres/finding.h"

#include <libpq-fe.h>

enum side { SOURCE, TARGET, SIDES };

struct party {
	const char *word; /* "source", "target" */
	struct database database;
	PGconn *session;     /* NULL behind a pooler: nothing is asked there */
	const char *pooled;  /* why it is taken for a transaction pooler; NULL: it is none */
	const char *schemas; /* what of it is carried over, as an array in SQL */
	int version;         /* server_version_num */
};

struct preflight {
	struct step *step;
	struct arena *arena;
	bool all; /* every schema is carried over */
	struct party parties[SIDES];
};

/* What one thing found is told with: {0} is the object, {1} to {4} what else is to say. */
enum { CELLS = 5 };

struct row {
	const char *cells[CELLS];
	struct row *next;
};

struct rows {
	struct row *first, *last;
	size_t count;
};

void rows_add(struct rows *rows, struct arena *arena, const char *const cells[CELLS]);

enum check_where { ON_SOURCE, ON_TARGET, ON_BOTH, ON_TARGET_WITH_FACTS };

struct check {
	const char *id;
	enum finding_level level;
	enum check_where where;
	int since; /* server_version_num from which both sides can be asked; 0: any */
	/* Gives the cells. $1 is the array of schemas, $2 the facts, $3 how many milliseconds a
	 * transaction may be open. */
	const char *sql;
	/* Asked of the source: one JSON text, in which its first $1 is the array of its schemas. */
	const char *facts;
	/* Instead of sql. */
	bool (*probe)(struct preflight *preflight, enum side side, struct rows *rows,
	              struct error *err);
	const char *text, *remedy; /* with {0} to {4}; remedy may be NULL */
};

/* End with {0}. */
extern const struct check preflight_server[]; /* servers, sessions and settings */
extern const struct check preflight_tables[]; /* schemas, tables and what belongs to them */
extern const struct check preflight_pair[];   /* one side against the other */
extern const struct check preflight_probes[]; /* what SQL does not see */

/* All of these tables; NULL-ended. */
extern const struct check *const preflight_checks[];

const struct check *preflight_check(const char *id);

/* Sessions on both sides, as the fields source, target and schemas of the step say; sceptical looks
 * for poolers first. Close it in any case. */
bool preflight_open(struct preflight *preflight, struct step *step, bool sceptical,
                    struct error *err);
void preflight_close(struct preflight *preflight);

/* The rows of one check, on that side. */
bool preflight_ask(struct preflight *preflight, const struct check *check, enum side side,
                   struct rows *rows, struct error *err);

/* All checks; findings is a LIST to fill. */
bool preflight_examine(struct preflight *preflight, struct value *findings, struct error *err);

/* Bytes of what is carried over, on that side; the whole database where every schema is. */
bool preflight_size(struct preflight *preflight, enum side side, int64_t *bytes, struct error *err);

/* The field target_space in bytes; 0 when it is not given. ERROR_PLAN when it is no size. */
bool preflight_space(const struct value *with, int64_t *bytes, struct error *err);

/* How long the copy of so many bytes takes at the rate of the plan; 0: no rate is known. */
int64_t preflight_copy_ms(const struct value *with, int64_t bytes);

/* Times the room that the target has by the size of the source; < 0: not known. */
bool preflight_free_space(struct preflight *preflight, double *times, struct error *err);

#endif
