/* SPDX-License-Identifier: MIT */
/* What replication remembers, in the database that it writes to. */
#include "steps/postgres/state.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "steps/postgres/held.h"
#include "steps/postgres/ours.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"

#include <libpq-fe.h>
#include <string.h>

#define VERSION "1"

static const char make_tables[] =
	"CREATE TABLE IF NOT EXISTS " OUR_SCHEMA ".stream ("
	" single boolean PRIMARY KEY DEFAULT true CHECK (single), version int NOT NULL "
	"DEFAULT " VERSION ","
	" id text NOT NULL, source text NOT NULL, mode text NOT NULL DEFAULT 'forward',"
	" mark bigint NOT NULL DEFAULT 0, applied_at timestamptz, rows_applied bigint NOT NULL "
	"DEFAULT 0,"
	" paused boolean NOT NULL DEFAULT false, namespaces text);"
	"CREATE TABLE IF NOT EXISTS " OUR_SCHEMA ".relation ("
	" id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, schema text NOT NULL, name text NOT "
	"NULL,"
	" source_oid oid NOT NULL, phase text NOT NULL, generation int NOT NULL DEFAULT 1,"
	" filenode oid NOT NULL DEFAULT 0, fingerprint text NOT NULL DEFAULT '',"
	" pages bigint NOT NULL DEFAULT 0, problem text, UNIQUE (schema, name));"
	"CREATE TABLE IF NOT EXISTS " OUR_SCHEMA ".chunk ("
	" relation int NOT NULL, generation int NOT NULL, number int NOT NULL,"
	" first_page bigint NOT NULL, end_page bigint NOT NULL, done boolean NOT NULL DEFAULT "
	"false,"
	" rows bigint, bytes bigint, milliseconds bigint, PRIMARY KEY (relation, generation, "
	"number))"
	" WITH (fillfactor = 50);";

bool state_prepare(PGconn *connection, struct error *err)
{
	return ours_prepare(connection, err) &&
	       (query_run(connection, make_tables, err) ||
	        fail_while(err, "make the tables in " OUR_SCHEMA)) &&
	       held_prepare(connection, err);
}

static bool has_stream_table(PGconn *connection, bool *exists, struct error *err)
{
	int64_t there;

	if (!ours_find(connection, exists, err))
		return false;
	if (!*exists)
		return true;
	if (!query_number(connection,
	                  "SELECT (pg_catalog.to_regclass('" OUR_SCHEMA
	                  ".stream') IS NOT NULL)::int",
	                  &there, err))
		return false;
	*exists = there != 0;
	return true;
}

bool state_read(PGconn *connection, struct arena *arena, struct stream_row *row, bool *exists,
                struct error *err)
{
	*row = (struct stream_row){.id = "", .source = "", .mode = ""};
	*exists = false;
	if (!has_stream_table(connection, exists, err))
		return false;
	if (!*exists)
		return true;
	PGresult *result = query(
		connection,
		"SELECT id, source, mode, mark, (extract(epoch FROM applied_at) * 1000)::int8,"
		" rows_applied, paused FROM " OUR_SCHEMA ".stream",
		err);
	if (!result)
		return false;
	*exists = PQntuples(result) == 1;
	if (*exists)
		*row = (struct stream_row){
			.id = arena_text(arena, query_field(result, 0, 0)),
			.source = arena_text(arena, query_field(result, 0, 1)),
			.mode = arena_text(arena, query_field(result, 0, 2)),
			.mark = query_field_number(result, 0, 3),
			.applied_at_ms = query_field_number(result, 0, 4),
			.rows_applied = query_field_number(result, 0, 5),
			.paused = query_field(result, 0, 6)[0] == 't',
		};
	PQclear(result);
	return true;
}

bool state_create_stream(PGconn *connection, const char *id, const char *source, struct error *err)
{
	const char *const values[] = {id, source};
	PGresult *result = query_with(connection,
	                              "WITH made AS (INSERT INTO " OUR_SCHEMA ".stream (id, source)"
	                              " VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id)"
	                              " SELECT id, $2::text FROM made UNION ALL"
	                              " SELECT id, source FROM " OUR_SCHEMA ".stream",
	                              2, values, err);
	if (!result)
		return false;
	bool ours = PQntuples(result) > 0 && strcmp(query_field(result, 0, 0), id) == 0;
	bool same = ours && strcmp(query_field(result, 0, 1), source) == 0;
	PQclear(result);
	if (!ours)
		return fail(err, ERROR_REFUSED,
		            "another replication writes to this database: end it with "
		            "postgres.complete first");
	return same || fail(err, ERROR_DRIFT,
	                    "the replication into this database comes from another source than "
	                    "before (%s now)",
	                    source);
}

bool state_set_mode(PGconn *connection, const char *from, const char *to, struct error *err)
{
	const char *const values[] = {from, to};
	PGresult *result =
		query_with(connection,
	                   "UPDATE " OUR_SCHEMA ".stream SET mode = $2 WHERE mode IN ($1, $2)"
	                   " RETURNING mode",
	                   2, values, err);
	bool changed = result && PQntuples(result) == 1;

	PQclear(result);
	return changed ||
	       (result && fail(err, ERROR_DRIFT, "the replication is not in the mode %s", from));
}

bool state_identity(PGconn *connection, struct arena *arena, const char **identity,
                    struct error *err)
{
	return query_text(
		       connection,
		       "SELECT system_identifier || '/' || (SELECT oid FROM pg_catalog.pg_database"
		       " WHERE datname = pg_catalog.current_database())"
		       " FROM pg_catalog.pg_control_system()",
		       arena, identity, err) ||
	       fail_while(err, "identify the database");
}
