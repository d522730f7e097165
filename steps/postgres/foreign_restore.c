/* SPDX-License-Identifier: MIT */
/* Parked foreign keys, triggers and rules come back. */
#include "engine/base/arena.h"
#include "engine/base/text.h"
#include "engine/step.h"
#include "steps/postgres/foreign_parts.h"
#include "steps/postgres/query.h"

#include <libpq-fe.h>
#include <string.h>

#define TABLE_SQL "pg_catalog.format('%I.%I', p.schema, p.relation)"
#define COMMENT_SQL                                                                     \
	"coalesce('COMMENT ON CONSTRAINT ' || pg_catalog.quote_ident(p.name) || ' ON '" \
	" || " TABLE_SQL " || ' IS ' || pg_catalog.quote_literal(p.comment) || ';', '')"
#define PARKED OUR_SCHEMA ".parked"

/* Each gives: table, the one it refers to or null, mode of the lock, what it is, how many triggers
 * and rules, and the statements; they end with what becomes of the row. */

/* A trigger that is gone by now is left out, and its row goes. */
static const char acting_sql[] =
	"SELECT " TABLE_SQL ", NULL, CASE WHEN pg_catalog.bool_or(p.kind = 'rule')"
	" THEN '" LOCK_ALL "' ELSE '" LOCK_WRITES "' END, 'triggers',"
	" pg_catalog.count(*) FILTER (WHERE p.kind = 'trigger'),"
	" pg_catalog.count(*) FILTER (WHERE p.kind = 'rule'),"
	" coalesce(pg_catalog.string_agg(pg_catalog.format("
	"  'ALTER TABLE ONLY %I.%I ENABLE %s %s %I;', p.schema, p.relation,"
	"  CASE p.enabled WHEN 'R' THEN 'REPLICA' WHEN 'A' THEN 'ALWAYS' ELSE '' END, p.kind,"
	"  p.name), '') FILTER (WHERE EXISTS (SELECT FROM pg_catalog.pg_trigger t"
	"    WHERE t.tgrelid = pg_catalog.to_regclass(" TABLE_SQL ") AND t.tgname = p.name)"
	"   OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r"
	"    WHERE r.ev_class = pg_catalog.to_regclass(" TABLE_SQL
	") AND r.rulename = p.name)), '')"
	" || pg_catalog.format('DELETE FROM " PARKED " WHERE kind <> ''key'' AND schema = %L"
	" AND relation = %L', p.schema, p.relation) "
	"FROM " PARKED " p WHERE p.kind <> 'key' GROUP BY p.schema, p.relation ORDER BY 1";

/* One that was not valid says so in its definition, and is done with. */
static const char keys_sql[] =
	"SELECT " TABLE_SQL ", p.refers, '" LOCK_WRITES "', 'foreign key ' || p.name, 0, 0,"
	" pg_catalog.format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s%s;', p.schema, p.relation,"
	"  p.name, p.definition, CASE WHEN p.valid THEN ' NOT VALID' ELSE '' END)"
	" || " COMMENT_SQL " || CASE WHEN p.valid THEN 'UPDATE " PARKED " SET added = true'"
	"  ELSE 'DELETE FROM " PARKED "' END || ' WHERE id = ' || p.id "
	"FROM " PARKED " p WHERE p.kind = 'key' AND NOT p.partitioned AND NOT p.added "
	"ORDER BY p.id";

static const char validate_sql[] =
	"SELECT " TABLE_SQL ", NULL, '" LOCK_VACUUM "', 'foreign key ' || p.name, 0, 0,"
	" pg_catalog.format('ALTER TABLE %I.%I VALIDATE CONSTRAINT %I;', p.schema, p.relation,"
	"  p.name) || 'DELETE FROM " PARKED " WHERE id = ' || p.id "
	"FROM " PARKED " p WHERE p.kind = 'key' AND NOT p.partitioned AND p.added ORDER BY p.id";

/* Those whose parts below are all there and valid: the server takes them over as they are. */
static const char parents_sql[] =
	"SELECT " TABLE_SQL ", p.refers, '" LOCK_WRITES "', 'foreign key ' || p.name, 0, 0,"
	" pg_catalog.format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s;', p.schema, p.relation,"
	"  p.name, p.definition)"
	" || " COMMENT_SQL " || 'DELETE FROM " PARKED " WHERE id = ' || p.id "
	"FROM " PARKED " p WHERE p.kind = 'key' AND p.partitioned AND NOT EXISTS ("
	"  SELECT FROM " PARKED " b, pg_catalog.pg_partition_tree("
	"   pg_catalog.to_regclass(" TABLE_SQL ")) t WHERE b.kind = 'key' AND t.level > 0"
	"   AND t.relid = pg_catalog.to_regclass("
	"    pg_catalog.format('%I.%I', b.schema, b.relation))"
	"   AND b.definition = p.definition) ORDER BY p.id";

/* ---- */

static bool carry_out(PGconn *connection, void *context, struct error *err)
{
	return query_run(connection, context, err);
}

static bool do_row(PGconn *connection, const struct foreign *foreign, const PGresult *rows, int row,
                   struct foreign_report *report, struct error *err)
{
	const char *table = PQgetvalue(rows, row, 0), *what = PQgetvalue(rows, row, 3);
	struct lock lock = foreign_lock(foreign, PQgetvalue(rows, row, 2),
	                                arena_printf(foreign->arena, "%s of %s", what, table));

	lock.work = carry_out;
	lock.context = PQgetvalue(rows, row, 6);
	if (foreign->step)
		step_progress(foreign->step, "%s", lock.doing);
	if (!foreign_trees(connection, foreign, table, query_field(rows, row, 1), &lock, err))
		return fail_while(err, "%s", lock.doing);
	if (!lock_tables(connection, &lock, &report->lock, err))
		return false;
	size_t acting = (size_t)query_field_number(rows, row, 4);
	size_t rules = (size_t)query_field_number(rows, row, 5);
	report->triggers += acting;
	report->rules += rules;
	report->keys += acting + rules == 0;
	return true;
}

/* A key that the rows do not fit is noted, and the others are gone on with. */
static bool is_violation(const struct error *err)
{
	return strstr(err->text, "(SQLSTATE 23503)") != NULL;
}

static void note_invalid(const PGresult *rows, int row, struct text *invalid)
{
	if (invalid->length)
		text_add(invalid, ", ");
	text_format(invalid, "%s of %s", PQgetvalue(rows, row, 3), PQgetvalue(rows, row, 0));
}

/* All rows of one of the statements above. invalid: NULL when every error ends it. */
static bool do_all(PGconn *connection, const struct foreign *foreign, const char *sql,
                   struct foreign_report *report, struct text *invalid, struct error *err)
{
	PGresult *rows = query(connection, sql, err);
	bool fine = rows != NULL;

	for (int row = 0; fine && row < PQntuples(rows); row++) {
		fine = do_row(connection, foreign, rows, row, report, err);
		if (fine || !invalid || !is_violation(err))
			continue;
		note_invalid(rows, row, invalid);
		fine = true;
	}
	PQclear(rows);
	return fine;
}

static bool begin(PGconn *connection, const struct foreign *foreign, struct foreign_report *report,
                  bool *any, struct error *err)
{
	int64_t count;

	*report = (struct foreign_report){.lock.blockers.arena = foreign->arena, .invalid = ""};
	if (!foreign_count(connection, &count, err))
		return false;
	*any = count > 0;
	return true;
}

bool foreign_restore(PGconn *connection, const struct foreign *foreign,
                     struct foreign_report *report, struct error *err)
{
	bool any;

	if (!begin(connection, foreign, report, &any, err))
		return false;
	return !any || (do_all(connection, foreign, keys_sql, report, NULL, err) &&
	                do_all(connection, foreign, acting_sql, report, NULL, err));
}

/* From the leaves upwards, one level each time, as long as something comes of it. */
static bool add_parents(PGconn *connection, const struct foreign *foreign,
                        struct foreign_report *report, struct text *invalid, struct error *err)
{
	for (size_t before = report->keys;; before = report->keys) {
		if (!do_all(connection, foreign, parents_sql, report, invalid, err))
			return false;
		if (report->keys == before)
			return true;
	}
}

bool foreign_validate(PGconn *connection, const struct foreign *foreign,
                      struct foreign_report *report, struct error *err)
{
	struct text invalid = {.limit = 2000};
	bool any;

	if (!begin(connection, foreign, report, &any, err))
		return false;
	if (!any)
		return true;
	bool fine = do_all(connection, foreign, validate_sql, report, &invalid, err) &&
	            add_parents(connection, foreign, report, &invalid, err);
	report->invalid = arena_text(foreign->arena, text_string(&invalid));
	text_free(&invalid);
	if (!fine || !report->invalid[0])
		return fine;
	return fail(err, ERROR_FAILED,
	            "rows that were there before do not fit these foreign keys, which hold for new "
	            "rows: mend them and repeat the step: %.2000s",
	            report->invalid);
}

bool foreign_count(PGconn *connection, int64_t *count, struct error *err)
{
	int64_t there;

	*count = 0;
	if (!query_number(connection,
	                  "SELECT (pg_catalog.to_regclass('" PARKED "') IS NOT NULL)::int", &there,
	                  err))
		return false;
	return !there || query_number(connection, "SELECT count(*) FROM " PARKED, count, err);
}
