/* SPDX-License-Identifier: MIT */
/* Every table that can be written to: ordinary ones, leaves, parents of partitions and of
 * inheritance. Wider than relation.h, which has those whose rows are copied.
 *
 * Left out: tables that belong to an extension, foreign and temporary ones, and our own. */
#ifndef PLAN_POSTGRES_TABLE_H
#define PLAN_POSTGRES_TABLE_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;
typedef struct pg_conn PGconn;

struct table {
	unsigned oid;
	const char *schema, *name;
	const char *quoted; /* "schema"."name", in quotes */
	const char *owner;
	bool partitioned; /* holds no rows itself */
	bool owned;       /* our role may act as its owner */
	char fence;       /* tgenabled of its fence: 'A' when it is up; 0 when there is none */
	struct table *next;
};

struct tables {
	struct table *first, *last;
	size_t count;
};

/* A condition on namespaces n: every schema of the user's. */
extern const char table_every_schema[];

/* "schema"."name", in quotes. In the arena. */
const char *table_quote(struct arena *arena, const char *schema, const char *name);

/* Those of the namespaces n for which a condition holds: see relation_schemas_sql(). NULL: every
 * schema of the user's. Sorted by schema and name. */
bool table_list(PGconn *connection, const char *namespaces, struct arena *arena,
                struct tables *tables, struct error *err);

/* Every one that has a fence, up or not, wherever it is now and whatever it is called. */
bool table_list_fenced(PGconn *connection, struct arena *arena, struct tables *tables,
                       struct error *err);

/* Copies of those that are wanted, in the same order. */
struct tables table_pick(const struct tables *tables, bool (*wanted)(const struct table *),
                         struct arena *arena);

/* Their quoted names, as many as tables->count, in the arena. */
const char *const *table_names(const struct tables *tables, struct arena *arena);

/* "public.a, public.b, and 3 more": for messages. In the arena. */
const char *table_text(const struct tables *tables, struct arena *arena);

#endif
