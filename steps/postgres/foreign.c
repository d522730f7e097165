/* SPDX-License-Identifier: MIT */
/* Foreign keys, triggers and rules are parked. */
#include "steps/postgres/foreign.h"
#include "engine/base/arena.h"
#include "steps/postgres/foreign_parts.h"
#include "steps/postgres/ours.h"
#include "steps/postgres/query.h"
#include "steps/postgres/table.h"

#include <libpq-fe.h>
#include <string.h>

/* A key that is parked again before it was validated keeps what it was at first. */
static const char prepare_sql[] =
	"CREATE TABLE IF NOT EXISTS " OUR_SCHEMA ".parked ("
	" id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
	" kind text NOT NULL CHECK (kind IN ('key', 'trigger', 'rule')),"
	" schema text NOT NULL, relation text NOT NULL, name text NOT NULL,"
	" definition text NOT NULL, enabled text NOT NULL, comment text,"
	" valid boolean, partitioned boolean, refers text,"
	" added boolean NOT NULL DEFAULT false,"
	" UNIQUE (kind, schema, relation, name))";

/* ---- Foreign keys ---- */

/* Those at the top of their trees; dropping one drops what hangs on it. */
static const char keys_sql[] =
	"SELECT k.oid, k.conrelid::pg_catalog.regclass, pg_catalog.quote_ident(k.conname),"
	" k.confrelid::pg_catalog.regclass "
	"FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid "
	"WHERE k.contype = 'f' AND k.conparentid = 0 AND c.relpersistence <> 't' AND EXISTS ("
	"  SELECT FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace n ON n.oid = "
	"t.relnamespace"
	"  WHERE t.oid IN (k.conrelid, k.confrelid) AND n.nspname <> '" OUR_SCHEMA "' AND (%s)) "
	"ORDER BY 2, 3";

/* A key has further rows in the catalogue for each partition it points to: they have the same
 * table as the row they hang on, and come back by themselves. */
static const char park_key_sql[] =
	"WITH RECURSIVE tree AS ("
	"  SELECT k.* FROM pg_catalog.pg_constraint k WHERE k.oid = $1::oid"
	"  UNION ALL SELECT k.* FROM pg_catalog.pg_constraint k JOIN tree p"
	"  ON k.conparentid = p.oid AND k.conrelid <> p.conrelid) "
	"INSERT INTO " OUR_SCHEMA ".parked (kind, schema, relation, name, definition, enabled,"
	" comment, valid, partitioned, refers) "
	"SELECT 'key', n.nspname, c.relname, k.conname, pg_catalog.pg_get_constraintdef(k.oid), '',"
	" pg_catalog.obj_description(k.oid, 'pg_constraint'), k.convalidated, c.relkind = 'p',"
	" k.confrelid::pg_catalog.regclass "
	"FROM tree k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"ON CONFLICT (kind, schema, relation, name) DO UPDATE SET added = false";

struct key {
	struct arena *arena;
	const char *oid, *table, *name;
};

static bool drop_key(PGconn *connection, void *context, struct error *err)
{
	const struct key *key = context;

	return query_run_with(connection, park_key_sql, 1, &key->oid, err) &&
	       query_run(connection,
	                 arena_printf(key->arena, "ALTER TABLE %s DROP CONSTRAINT %s", key->table,
	                              key->name),
	                 err);
}

static bool park_keys(PGconn *connection, const struct foreign *foreign,
                      struct foreign_report *report, struct error *err)
{
	const char *namespaces = foreign->namespaces ? foreign->namespaces : table_every_schema;
	PGresult *keys = query(connection, arena_printf(foreign->arena, keys_sql, namespaces), err);
	bool fine = keys != NULL;

	for (int row = 0; fine && row < PQntuples(keys); row++) {
		struct key key = {foreign->arena, PQgetvalue(keys, row, 0),
		                  PQgetvalue(keys, row, 1), PQgetvalue(keys, row, 2)};
		struct lock lock = foreign_lock(foreign, LOCK_ALL, "drop a foreign key");
		lock.work = drop_key;
		lock.context = &key;
		fine = (foreign_trees(connection, foreign, key.table, PQgetvalue(keys, row, 3),
		                      &lock, err) &&
		        lock_tables(connection, &lock, &report->lock, err)) ||
		       fail_while(err, "%s of %s", key.name, key.table);
		report->keys += fine;
	}
	PQclear(keys);
	return fine;
}

/* ---- Triggers and rules ---- */

/* What is disabled anyway does not act, and stays as it is. Ours stay. */
#define ACTING_SQL                                                                           \
	"SELECT 'trigger' AS kind, t.tgrelid AS relid, t.tgname AS name,"                    \
	" pg_catalog.pg_get_triggerdef(t.oid) AS definition, t.tgenabled::text AS enabled "  \
	"FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal AND t.tgenabled <> 'D'"       \
	" AND NOT pg_catalog.starts_with(t.tgname, '" OUR_PREFIX "') "                       \
	"UNION ALL SELECT 'rule', r.ev_class, r.rulename, pg_catalog.pg_get_ruledef(r.oid)," \
	" r.ev_enabled::text FROM pg_catalog.pg_rewrite r "                                  \
	"WHERE r.ev_enabled <> 'D' AND r.ev_type <> '1'"

static const char acting_tables_sql[] =
	"SELECT c.oid, c.oid::pg_catalog.regclass,"
	" pg_catalog.count(*) FILTER (WHERE a.kind = 'trigger'),"
	" pg_catalog.count(*) FILTER (WHERE a.kind = 'rule') "
	"FROM (" ACTING_SQL ") a JOIN pg_catalog.pg_class c ON c.oid = a.relid"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname <> '" OUR_SCHEMA
	"' AND (%s) GROUP BY c.oid ORDER BY 2";

static const char park_acting_sql[] =
	"INSERT INTO " OUR_SCHEMA ".parked (kind, schema, relation, name, definition, enabled) "
	"SELECT a.kind, n.nspname, c.relname, a.name, a.definition, a.enabled"
	" FROM (" ACTING_SQL ") a JOIN pg_catalog.pg_class c ON c.oid = a.relid"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid "
	"ON CONFLICT (kind, schema, relation, name) DO UPDATE SET enabled = excluded.enabled";

static const char disable_sql[] =
	"SELECT pg_catalog.string_agg(pg_catalog.format('ALTER TABLE ONLY %%s DISABLE %%s %%I',"
	" a.relid::pg_catalog.regclass, a.kind, a.name), '; ') "
	"FROM (" ACTING_SQL ") a WHERE a.relid = %s::oid";

static bool disable(PGconn *connection, void *context, struct error *err)
{
	const struct key *table = context;
	const char *sql = NULL;

	return query_run_with(connection, park_acting_sql, 1, &table->oid, err) &&
	       query_text(connection, arena_printf(table->arena, disable_sql, table->oid),
	                  table->arena, &sql, err) &&
	       (!sql || query_run(connection, sql, err));
}

static bool park_acting(PGconn *connection, const struct foreign *foreign,
                        struct foreign_report *report, struct error *err)
{
	const char *namespaces = foreign->namespaces ? foreign->namespaces : table_every_schema;
	PGresult *tables =
		query(connection, arena_printf(foreign->arena, acting_tables_sql, namespaces), err);
	bool fine = tables != NULL;

	for (int row = 0; fine && row < PQntuples(tables); row++) {
		const char *name = PQgetvalue(tables, row, 1);
		int64_t rules = query_field_number(tables, row, 3);
		struct key table = {foreign->arena, PQgetvalue(tables, row, 0), name, NULL};
		struct lock lock = foreign_lock(foreign, rules ? LOCK_ALL : LOCK_WRITES,
		                                "disable the triggers of a table");
		lock.tables = &name;
		lock.count = 1;
		lock.work = disable;
		lock.context = &table;
		fine = lock_tables(connection, &lock, &report->lock, err) ||
		       fail_while(err, "%s", name);
		report->triggers += fine ? (size_t)query_field_number(tables, row, 2) : 0;
		report->rules += fine ? (size_t)rules : 0;
	}
	PQclear(tables);
	return fine;
}

/* ---- */

static const char trees_sql[] =
	"SELECT DISTINCT x.relid FROM pg_catalog.unnest(ARRAY[$1, $2]::pg_catalog.regclass[]) t,"
	" LATERAL (SELECT t AS relid UNION ALL"
	"   SELECT p.relid FROM pg_catalog.pg_partition_tree(t) p) x "
	"WHERE t IS NOT NULL ORDER BY 1";

bool foreign_trees(PGconn *connection, const struct foreign *foreign, const char *table,
                   const char *other, struct lock *lock, struct error *err)
{
	const char *const values[] = {table, other};
	PGresult *result = query_with(connection, trees_sql, 2, values, err);

	if (!result)
		return false;
	const char **names =
		arena_array(foreign->arena, (size_t)PQntuples(result) + 1, sizeof *names);
	for (int row = 0; row < PQntuples(result); row++)
		names[row] = arena_text(foreign->arena, PQgetvalue(result, row, 0));
	lock->tables = names;
	lock->count = (size_t)PQntuples(result);
	PQclear(result);
	return true;
}

struct lock foreign_lock(const struct foreign *foreign, const char *mode, const char *doing)
{
	return (struct lock){
		.mode = mode, .doing = doing, .limits = foreign->limits, .step = foreign->step};
}

bool foreign_park(PGconn *connection, const struct foreign *foreign, struct foreign_report *report,
                  struct error *err)
{
	*report = (struct foreign_report){.lock.blockers.arena = foreign->arena, .invalid = ""};
	return ours_prepare(connection, err) && query_run(connection, prepare_sql, err) &&
	       park_keys(connection, foreign, report, err) &&
	       park_acting(connection, foreign, report, err);
}
