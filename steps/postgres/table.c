/* SPDX-License-Identifier: MIT */
/* Every table that can be written to. */
#include "steps/postgres/table.h"
#include "engine/base/arena.h"
#include "engine/base/text.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"

#include <libpq-fe.h>
#include <string.h>

#define NAMED_MOST 12

const char table_every_schema[] = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";

/* Members of extensions come and go with them. */
static const char list_sql[] =
	"SELECT c.oid, n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner),"
	" c.relkind = 'p', pg_catalog.pg_has_role(c.relowner, 'USAGE'), t.tgenabled "
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" LEFT JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid"
	"   AND t.tgname = '" OUR_PREFIX "fence' AND NOT t.tgisinternal "
	"WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname <> '" OUR_SCHEMA
	"' AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'"
	"   AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid)"
	" AND (%s) ORDER BY 2, 3";

const char *table_quote(struct arena *arena, const char *schema, const char *name)
{
	struct text out = {0};

	query_quote_name(&out, schema);
	text_add(&out, ".");
	query_quote_name(&out, name);
	const char *quoted = arena_text(arena, text_string(&out));
	text_free(&out);
	return quoted;
}

static void append(struct tables *tables, struct table *table)
{
	if (tables->last)
		tables->last->next = table;
	else
		tables->first = table;
	tables->last = table;
	tables->count++;
}

static void take_row(struct tables *tables, struct arena *arena, const PGresult *result, int row)
{
	struct table *table = arena_alloc(arena, sizeof *table);

	table->oid = (unsigned)query_field_number(result, row, 0);
	table->schema = arena_text(arena, PQgetvalue(result, row, 1));
	table->name = arena_text(arena, PQgetvalue(result, row, 2));
	table->quoted = table_quote(arena, table->schema, table->name);
	table->owner = arena_text(arena, PQgetvalue(result, row, 3));
	table->partitioned = strcmp(PQgetvalue(result, row, 4), "t") == 0;
	table->owned = strcmp(PQgetvalue(result, row, 5), "t") == 0;
	table->fence = PQgetvalue(result, row, 6)[0];
	append(tables, table);
}

bool table_list(PGconn *connection, const char *namespaces, struct arena *arena,
                struct tables *tables, struct error *err)
{
	const char *sql =
		arena_printf(arena, list_sql, namespaces ? namespaces : table_every_schema);
	PGresult *result = query(connection, sql, err);

	*tables = (struct tables){0};
	if (!result)
		return fail_while(err, "list the tables");
	for (int row = 0; row < PQntuples(result); row++)
		take_row(tables, arena, result, row);
	PQclear(result);
	return true;
}

bool table_list_fenced(PGconn *connection, struct arena *arena, struct tables *tables,
                       struct error *err)
{
	return table_list(connection, "t.tgrelid IS NOT NULL", arena, tables, err);
}

struct tables table_pick(const struct tables *tables, bool (*wanted)(const struct table *),
                         struct arena *arena)
{
	struct tables picked = {0};

	for (const struct table *table = tables->first; table; table = table->next) {
		if (!wanted(table))
			continue;
		struct table *copy = arena_alloc(arena, sizeof *copy);
		*copy = *table;
		copy->next = NULL;
		append(&picked, copy);
	}
	return picked;
}

const char *const *table_names(const struct tables *tables, struct arena *arena)
{
	const char **names = arena_array(arena, tables->count + 1, sizeof *names);
	size_t count = 0;

	for (const struct table *table = tables->first; table; table = table->next)
		names[count++] = table->quoted;
	return names;
}

const char *table_text(const struct tables *tables, struct arena *arena)
{
	struct text out = {0};
	size_t count = 0;

	for (const struct table *table = tables->first; table && count < NAMED_MOST;
	     table = table->next)
		text_format(&out, "%s%s.%s", count++ ? ", " : "", table->schema, table->name);
	if (tables->count > count)
		text_format(&out, ", and %zu more", tables->count - count);
	const char *text = arena_text(arena, text_string(&out));
	text_free(&out);
	return text;
}
