/* SPDX-License-Identifier: MIT */
/* Capture: triggers that log the key of every row that is written, in the writer's own transaction.
 */
#include "steps/postgres/capture.h"
#include "engine/base/text.h"
#include "engine/step.h"
#include "steps/postgres/capture_sql.h"
#include "steps/postgres/lock.h"
#include "steps/postgres/ours.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A row to commit when nobody else does: see link_wait_for_wal(). */
static const char make_beat[] =
	"CREATE TABLE IF NOT EXISTS " OUR_SCHEMA ".beat (n bigint NOT NULL) WITH (fillfactor = 10);"
	"INSERT INTO " OUR_SCHEMA ".beat SELECT 0 WHERE NOT EXISTS (SELECT FROM " OUR_SCHEMA
	".beat);"
	"GRANT USAGE ON SCHEMA " OUR_SCHEMA " TO PUBLIC;";

const char *capture_log(unsigned oid, struct arena *arena)
{
	return arena_printf(arena, OUR_SCHEMA ".log_%u", oid);
}

const char *capture_fingerprint_sql(unsigned oid, struct arena *arena)
{
	return arena_printf(
		arena,
		"SELECT pg_catalog.md5(pg_catalog.concat((SELECT pg_catalog.string_agg("
		"pg_catalog.concat_ws(',', attnum, attname, atttypid, atttypmod, attcollation, "
		"attnotnull,"
		" attgenerated, attidentity, attisdropped, attmissingval::text, xmin), ';' ORDER "
		"BY attnum)"
		" FROM pg_catalog.pg_attribute WHERE attrelid = %u AND attnum > 0), '/',"
		" (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(',', tgname, tgenabled, "
		"xmin), ';'"
		" ORDER BY tgname) FROM pg_catalog.pg_trigger WHERE tgrelid = %u"
		" AND pg_catalog.starts_with(tgname, '" OUR_PREFIX "') AND tgname <> '" OUR_PREFIX
		"fence')))",
		oid, oid);
}

/* ---- Installing ---- */

static bool run_statements(PGconn *connection, void *context, struct error *err)
{
	return query_run(connection, context, err);
}

/* How many of our triggers stand on the table: they are made together, so all or none. */
static bool is_captured(PGconn *connection, const struct relation *relation, struct arena *arena,
                        bool *captured, struct error *err)
{
	int64_t count;

	if (!query_number(
		    connection,
		    arena_printf(arena,
	                         "SELECT count(*) FROM pg_catalog.pg_trigger WHERE tgrelid = %u AND"
	                         " tgname = '%s'",
	                         relation->oid, capture_triggers[0]),
		    &count, err))
		return false;
	*captured = count > 0;
	return true;
}

/* What is done to one table. */
struct work {
	const char *mode, *doing; /* see lock.h */
	const char *statements;
	int64_t lock_timeout_ms;
	struct step *step;
};

static bool under_lock(PGconn *connection, const char *table, const struct work *work,
                       struct error *err)
{
	struct arena arena = {0};
	struct lock_report report = {.blockers.arena = &arena};
	struct lock lock = {
		.tables = &table,
		.count = 1,
		.mode = work->mode,
		.doing = work->doing,
		.limits = {.lock_timeout_ms = work->lock_timeout_ms, .give_up_after_ms = 600000},
		.step = work->step,
		.work = run_statements,
		.context = arena_text(&arena, work->statements),
	};
	bool fine = lock_tables(connection, &lock, &report, err);

	arena_free(&arena);
	return fine;
}

static bool capture_one(PGconn *connection, const struct capture *capture,
                        const struct relation *relation, struct error *err)
{
	struct arena arena = {0};
	struct work work = {
		.mode = LOCK_WRITES,
		.doing = "capture",
		.statements = capture_sql_install(relation, capture->way_back, &arena),
		.lock_timeout_ms = capture->lock_timeout_ms,
		.step = capture->step,
	};
	bool captured, fine = is_captured(connection, relation, &arena, &captured, err) &&
	                      (captured || under_lock(connection, relation->quoted, &work, err));

	arena_free(&arena);
	return fine || fail_while(err, "capture %s", relation->quoted);
}

bool capture_install(PGconn *connection, const struct capture *capture, struct error *err)
{
	size_t count = 0;

	if (!ours_prepare(connection, err) || !query_run(connection, make_beat, err))
		return fail_while(err, "prepare the capture");
	for (const struct relation *one = capture->relations->first; one; one = one->next) {
		if (!capture_one(connection, capture, one, err))
			return false;
		step_progress(capture->step, "%zu of %zu tables are captured", ++count,
		              capture->relations->count);
	}
	return true;
}

/* ---- Switching and removing ---- */

bool capture_enable(PGconn *connection, const struct capture *capture, bool enabled,
                    struct error *err)
{
	struct arena arena = {0};
	struct lock_report report = {.blockers.arena = &arena};
	const char **names = arena_array(&arena, capture->relations->count + 1, sizeof *names);
	struct text out = {0};
	struct lock lock = {
		.tables = names,
		.mode = LOCK_WRITES,
		.doing = enabled ? "switch capture on" : "switch capture off",
		.limits = {.lock_timeout_ms = capture->lock_timeout_ms, .give_up_after_ms = 600000},
		.step = capture->step,
		.work = run_statements,
	};

	for (const struct relation *one = capture->relations->first; one; one = one->next) {
		names[lock.count++] = one->quoted;
		for (size_t i = 0; capture_triggers[i]; i++)
			text_format(&out, "ALTER TABLE %s %s TRIGGER %s;", one->quoted,
			            enabled ? "ENABLE ALWAYS" : "DISABLE", capture_triggers[i]);
	}
	lock.context = arena_text(&arena, text_string(&out));
	bool fine = lock_tables(connection, &lock, &report, err);
	text_free(&out);
	arena_free(&arena);
	return fine;
}

/* A captured table, wherever a rename has brought it. */
static const char captured_sql[] =
	"SELECT DISTINCT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), 'DROP TRIGGER ' "
	"|| t.tgname"
	" || pg_catalog.format(' ON %I.%I', n.nspname, c.relname)"
	" FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal"
	" AND t.tgname IN ('" OUR_PREFIX "new', '" OUR_PREFIX "old', '" OUR_PREFIX
	"key', '" OUR_PREFIX "truncate') ORDER BY 1, 3";

/* Functions and logs that no trigger uses any more. */
static const char rest_sql[] =
	"SELECT 'DROP FUNCTION ' || p.oid::pg_catalog.regprocedure FROM pg_catalog.pg_proc p"
	" JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = '" OUR_SCHEMA
	"'"
	" AND p.proname ~ '^(new|old|all)_[0-9]+$'"
	" UNION ALL SELECT pg_catalog.format('DROP TABLE %I.%I', n.nspname, c.relname)"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE n.nspname = '" OUR_SCHEMA "' AND c.relkind = 'r' AND (c.relname ~ '^log_[0-9]+$'"
	" OR c.relname = 'beat')";

static bool drop_triggers(PGconn *connection, const PGresult *rows, int64_t lock_timeout_ms,
                          struct step *step, struct error *err)
{
	bool fine = true;

	for (int row = 0; fine && row < PQntuples(rows);) {
		struct text out = {0};
		int first = row;
		for (; row < PQntuples(rows) &&
		       query_field_number(rows, row, 0) == query_field_number(rows, first, 0);
		     row++)
			text_format(&out, "%s;", query_field(rows, row, 2));
		struct work work = {
			.mode = LOCK_ALL,
			.doing = "end the capture",
			.statements = text_string(&out),
			.lock_timeout_ms = lock_timeout_ms,
			.step = step,
		};
		fine = under_lock(connection, query_field(rows, first, 1), &work, err);
		text_free(&out);
	}
	return fine;
}

static bool drop_rest(PGconn *connection, struct error *err)
{
	PGresult *rows = query(connection, rest_sql, err);
	bool fine = rows != NULL;

	for (int row = 0; fine && row < PQntuples(rows); row++)
		fine = query_run(connection, query_field(rows, row, 0), err);
	PQclear(rows);
	return fine;
}

bool capture_remove(PGconn *connection, int64_t lock_timeout_ms, struct step *step,
                    struct error *err)
{
	PGresult *rows = query(connection, captured_sql, err);
	bool fine = rows && drop_triggers(connection, rows, lock_timeout_ms, step, err);

	PQclear(rows);
	return (fine && drop_rest(connection, err)) || fail_while(err, "end the capture");
}
