/* SPDX-License-Identifier: MIT */
/* Every object of a database's schemas, with its definition. */
#include "steps/postgres/schema_list.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/base/text.h"
#include "steps/postgres/dump.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"
#include "steps/postgres/schema_kinds.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

enum { KINDS_MOST = 64 };

/* The answers of all kinds, before they are counted. */
struct answers {
	struct answer {
		const struct schema_kind *kind;
		PGresult *result;
	} items[KINDS_MOST];
	int count;
	size_t rows;
};

/* What belongs to an extension comes with it, and is nobody's to compare. A class is a catalog's
 * name, or a column with it. */
static const char *sql_of(const struct schema_kind *kind, const char *condition,
                          struct arena *arena)
{
	const char *class = strchr(kind->class, '.')
	                            ? kind->class
	                            : arena_printf(arena, "'%s'::regclass", kind->class);
	const char *in_schemas =
		!kind->schema ? ""
			      : arena_printf(arena, " JOIN pg_namespace n ON n.oid = %s AND %s",
	                                     kind->schema, condition);

	return arena_printf(
		arena,
		"SELECT (%s)::text, (%s)::text, (%s)::text, (%s)::text FROM %s%s WHERE %s"
		" AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = %s AND"
		" e.objid = %s AND e.deptype = 'e')",
		kind->identity, kind->definition ? kind->definition : "''",
		kind->of ? kind->of : "NULL", kind->role ? kind->role : "NULL", kind->from,
		in_schemas, kind->where ? kind->where : "true", class, kind->oid);
}

static bool ask(PGconn *connection, const struct schema_kind *kind, const char *condition,
                struct arena *arena, struct answers *answers, struct error *err)
{
	struct answer *answer = &answers->items[answers->count];

	answer->kind = kind;
	answer->result = query(connection, sql_of(kind, condition, arena), err);
	if (!answer->result)
		return fail_while(err, "list objects of the kind %s", kind->name);
	answers->rows += (size_t)PQntuples(answer->result);
	answers->count++;
	return true;
}

static bool ask_all(PGconn *connection, const struct value *schemas, enum schema_extent extent,
                    struct arena *arena, struct answers *answers, struct error *err)
{
	const char *condition =
		arena_printf(arena, "(%s)", relation_schemas_sql(connection, schemas, arena));
	bool whole = dump_takes_all(schemas);

	for (const struct schema_group *group = schema_groups; group->kinds; group++) {
		if (group->late && extent == SCHEMA_EARLY)
			continue;
		for (const struct schema_kind *kind = group->kinds; kind->name; kind++)
			if ((whole || kind->schema) &&
			    !ask(connection, kind, condition, arena, answers, err))
				return false;
	}
	return true;
}

static const char *column(const PGresult *result, int row, int number, struct arena *arena)
{
	return arena_text(arena, query_field(result, row, number));
}

static void take(const struct answers *answers, struct arena *arena, struct schema_list *list)
{
	list->objects = arena_array(arena, answers->rows, sizeof *list->objects);
	for (int i = 0; i < answers->count; i++) {
		const PGresult *result = answers->items[i].result;
		for (int row = 0; row < PQntuples(result); row++) {
			const char *definition = column(result, row, 1, arena);
			list->objects[list->count++] = (struct schema_object){
				.kind = answers->items[i].kind,
				.order = i,
				.identity = column(result, row, 0, arena),
				.definition = definition ? definition : "",
				.of = column(result, row, 2, arena),
				.role = column(result, row, 3, arena),
			};
		}
	}
}

int schema_object_order(const struct schema_object *one, const struct schema_object *other)
{
	if (one->order != other->order)
		return one->order - other->order;
	return strcmp(one->identity, other->identity);
}

static int by_order(const void *one, const void *other)
{
	return schema_object_order(one, other);
}

bool schema_list(PGconn *connection, const struct value *schemas, enum schema_extent extent,
                 struct arena *arena, struct schema_list *list, struct error *err)
{
	struct answers answers = {0};
	bool good = ask_all(connection, schemas, extent, arena, &answers, err);

	*list = (struct schema_list){.version = PQserverVersion(connection)};
	if (good) {
		take(&answers, arena, list);
		if (list->count)
			qsort(list->objects, list->count, sizeof *list->objects, by_order);
	}
	for (int i = 0; i < answers.count; i++)
		PQclear(answers.items[i].result);
	return good;
}

void schema_identities(const struct schema_list *list, struct arena *arena, struct names *names)
{
	*names = (struct names){0};
	if (list->count)
		names_begin(names, arena, list->count);
	for (size_t i = 0; i < list->count; i++)
		names_add(names, list->objects[i].identity, i, NULL);
}

bool schema_names(PGconn *connection, const char *sql, struct arena *arena, struct names *names,
                  struct error *err)
{
	PGresult *result = query(connection, sql, err);
	int rows = result ? PQntuples(result) : 0;

	*names = (struct names){0};
	if (rows)
		names_begin(names, arena, (size_t)rows);
	for (int row = 0; row < rows; row++)
		names_add(names, arena_text(arena, query_field(result, row, 0)), (size_t)row, NULL);
	PQclear(result);
	return result != NULL;
}
