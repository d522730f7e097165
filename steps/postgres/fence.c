/* SPDX-License-Identifier: MIT */
/* Tables closed against writes, and opened again. */
#include "steps/postgres/fence.h"
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/step.h"
#include "steps/postgres/ours.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"

#include <libpq-fe.h>
#include <sodium.h>
#include <string.h>

#define TRIGGER OUR_PREFIX "fence"

enum { GIVE_UP_AFTER_MS = 60000, ROUNDS_MOST = 4, STAYS_MS = 1000 };

/* Everything about who closed the table is in the trigger's argument: a transaction with an old
 * snapshot sees no row that tells it. It runs with our rights, as the application's roles have none
 * on our schema. */
static const char prepare_sql[] =
	"CREATE TABLE IF NOT EXISTS " OUR_SCHEMA ".fence (token text NOT NULL); "
	"CREATE OR REPLACE FUNCTION " OUR_SCHEMA ".fence() RETURNS trigger LANGUAGE plpgsql "
	"SECURITY DEFINER SET search_path = pg_catalog AS $fence$ BEGIN "
	"IF EXISTS (SELECT FROM " OUR_SCHEMA ".fence WHERE token OPERATOR(pg_catalog.=) "
	"    pg_catalog.current_setting('" OUR_SCHEMA ".pass', true)) THEN RETURN NULL; END IF; "
	"RAISE EXCEPTION USING ERRCODE = '" FENCE_STATE "', "
	"SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, MESSAGE = pg_catalog.format("
	"'%I.%I is closed for writing: %s', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0]), "
	"HINT = pg_catalog.format('The data is being moved to another database. To open the table "
	"again: plan rollback; or by hand: ALTER TABLE %I.%I DISABLE TRIGGER " TRIGGER "', "
	"TG_TABLE_SCHEMA, TG_TABLE_NAME); END $fence$";

static const char subscriptions_sql[] =
	"SELECT pg_catalog.string_agg(s.subname, ', ') FROM pg_catalog.pg_subscription s "
	"WHERE s.subenabled AND s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d"
	" WHERE d.datname = pg_catalog.current_database())";

/* ---- Before ---- */

static bool prepare(PGconn *connection, const struct fence *fence, struct error *err)
{
	char token[33];
	unsigned char noise[16];
	const char *const values[] = {token};
	const char *subscriptions = NULL;

	randombytes_buf(noise, sizeof noise);
	sodium_bin2hex(token, sizeof token, noise, sizeof noise);
	if (!query_text(connection, subscriptions_sql, fence->arena, &subscriptions, err))
		return false;
	if (subscriptions)
		return fail(
			err, ERROR_REFUSED,
			"this database subscribes to another one, whose changes no fence stops; "
			"ALTER SUBSCRIPTION ... DISABLE first: %s",
			subscriptions);
	return ours_prepare(connection, err) && query_run(connection, prepare_sql, err) &&
	       query_run_with(connection,
	                      "INSERT INTO " OUR_SCHEMA ".fence SELECT $1 WHERE NOT EXISTS "
	                      "(SELECT FROM " OUR_SCHEMA ".fence)",
	                      1, values, err);
}

static bool is_closed(const struct table *table)
{
	return table->fence == 'A';
}

static bool is_open(const struct table *table)
{
	return table->fence != 'A';
}

static bool is_foreign(const struct table *table)
{
	return !table->owned;
}

static bool refuse_foreign_tables(const struct tables *tables, struct arena *arena,
                                  struct error *err)
{
	struct tables foreign = table_pick(tables, is_foreign, arena);

	if (!foreign.count)
		return true;
	return fail(err, ERROR_REFUSED,
	            "our role does not own these tables, and only the owner can close them: %s. "
	            "Connect as the owner, or GRANT the owner's role to ours",
	            table_text(&foreign, arena));
}

/* What is done in one transaction. */
struct some {
	const struct table *first;
	size_t count;
	const char *closed_by;
};

static struct lock lock_for(const struct fence *fence, const char *mode, const char *doing)
{
	return (struct lock){
		.mode = mode, .doing = doing, .limits = fence->limits, .step = fence->step};
}

/* ---- Disabling ---- */

static bool disable(PGconn *connection, void *context, struct error *err)
{
	const struct some *some = context;
	const struct table *table = some->first;
	struct text sql = {0};

	for (size_t i = 0; i < some->count; i++, table = table->next)
		text_format(&sql, "ALTER TABLE ONLY %s DISABLE TRIGGER " TRIGGER ";",
		            table->quoted);
	bool fine = sql.full ? fail(err, ERROR_FAILED, "too many tables to open them together")
	                     : query_run(connection, text_string(&sql), err);
	text_free(&sql);
	return fine;
}

static bool open_together(PGconn *connection, const struct fence *fence,
                          const struct tables *closed, struct lock_report *report,
                          struct error *err)
{
	struct some all = {closed->first, closed->count, NULL};
	struct lock lock = lock_for(fence, LOCK_WRITES, "open the tables");

	if (!closed->count)
		return true;
	lock.tables = table_names(closed, fence->arena);
	lock.count = closed->count;
	lock.work = disable;
	lock.context = &all;
	return lock_tables(connection, &lock, report, err);
}

static bool open_each(PGconn *connection, const struct fence *fence, const struct tables *closed,
                      struct lock_report *report, struct error *err)
{
	struct some one = {closed->first, 1, NULL};
	struct lock lock = lock_for(fence, LOCK_WRITES, "open a table");

	lock.count = 1;
	lock.work = disable;
	lock.context = &one;
	for (; one.first; one.first = one.first->next) {
		lock.tables = &one.first->quoted;
		if (!lock_tables(connection, &lock, report, err))
			return fail_while(err, "%s", one.first->quoted);
	}
	return true;
}

/* ---- Closing ---- */

static void put_close(PGconn *connection, const struct table *table, const char *closed_by,
                      struct text *sql)
{
	char *literal = PQescapeLiteral(connection, closed_by, strlen(closed_by));

	bool replaces = PQserverVersion(connection) >= 140000;
	if (replaces || !table->fence)
		text_format(sql,
		            "CREATE %sTRIGGER " TRIGGER " BEFORE INSERT OR UPDATE OR DELETE OR "
		            "TRUNCATE ON %s EXECUTE FUNCTION " OUR_SCHEMA ".fence(%s);",
		            replaces ? "OR REPLACE " : "", table->quoted, literal ? literal : "''");
	text_format(sql, "ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER " TRIGGER ";", table->quoted);
	PQfreemem(literal);
}

static bool close_tables(PGconn *connection, void *context, struct error *err)
{
	const struct some *some = context;
	const struct table *table = some->first;
	struct text sql = {0};

	for (size_t i = 0; i < some->count; i++, table = table->next)
		put_close(connection, table, some->closed_by, &sql);
	bool fine = sql.full ? fail(err, ERROR_FAILED, "too many tables to close them together")
	                     : query_run(connection, text_string(&sql), err);
	text_free(&sql);
	return fine;
}

static const char *who_closes(PGconn *connection, const struct fence *fence)
{
	struct error ignored = {0};
	const char *when = NULL;

	query_text(
		connection,
		"SELECT pg_catalog.format('by user %s since %s UTC', session_user, "
		"pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'))",
		fence->arena, &when, &ignored);
	return arena_printf(fence->arena, "%s, %s", fence->closed_by ? fence->closed_by : "plan",
	                    when ? when : "");
}

static bool close_together(PGconn *connection, const struct fence *fence, const struct tables *open,
                           struct fence_report *report, struct error *err)
{
	struct some all = {open->first, open->count, who_closes(connection, fence)};
	struct lock lock = lock_for(fence, LOCK_WRITES, "close the tables");

	lock.tables = table_names(open, fence->arena);
	lock.count = open->count;
	lock.work = close_tables;
	lock.context = &all;
	lock.limits.give_up_after_ms = fence->limits.give_up_after_ms / 2 + 1;
	if (!lock_tables(connection, &lock, &report->lock, err))
		return false;
	report->tables += open->count;
	return true;
}

static bool close_each(PGconn *connection, const struct fence *fence, const struct tables *open,
                       struct fence_report *report, struct error *err)
{
	struct some one = {open->first, 1, who_closes(connection, fence)};
	struct lock lock = lock_for(fence, LOCK_WRITES, "close a table");
	int64_t until_ms = clock_real_ms() + fence->limits.give_up_after_ms / 2;

	lock.count = 1;
	lock.work = close_tables;
	lock.context = &one;
	for (; one.first; one.first = one.first->next, report->tables++) {
		lock.tables = &one.first->quoted;
		lock.limits.give_up_after_ms = until_ms - clock_real_ms();
		if (lock.limits.give_up_after_ms < 1)
			lock.limits.give_up_after_ms = 1;
		if (!lock_tables(connection, &lock, &report->lock, err))
			return fail_while(err, "%s", one.first->quoted);
	}
	report->together = false;
	return true;
}

/* Opens again what was closed one after the other, so that no half-closed database is left; the
 * disabled triggers stay. */
static bool undo(PGconn *connection, const struct fence *given, struct error *err)
{
	struct lock_report report = {.blockers.arena = given->arena};
	struct fence fence = *given;
	struct error failed = {0};
	struct tables all, closed;

	fence.step = NULL; /* not to be stopped half-way */
	if (PQstatus(connection) == CONNECTION_OK &&
	    table_list_fenced(connection, fence.arena, &all, &failed)) {
		closed = table_pick(&all, is_closed, fence.arena);
		if (open_each(connection, &fence, &closed, &report, &failed))
			return false;
	}
	return fail_while(err, "some tables stay closed until this is repeated (%.300s)",
	                  failed.text);
}

static bool close_open(PGconn *connection, const struct fence *fence, const struct tables *open,
                       struct fence_report *report, struct error *err)
{
	bool fresh = report->already == 0 && report->tables == 0;

	if (close_together(connection, fence, open, report, err))
		return true;
	/* One by one would get no further where somebody stays, and hold the others closed. */
	if (err->kind != ERROR_RETRY || open->count < 2 || PQstatus(connection) != CONNECTION_OK ||
	    blocker_stays(&report->lock.blockers, STAYS_MS))
		return false;
	if (fence->step)
		step_note(fence->step, "The tables cannot be had together: closed one by one");
	return close_each(connection, fence, open, report, err) ||
	       (fresh && undo(connection, fence, err));
}

bool fence_raise(PGconn *connection, const struct fence *given, struct fence_report *report,
                 struct error *err)
{
	struct fence fence = *given;
	struct tables all, open;

	*report = (struct fence_report){.lock.blockers.arena = fence.arena, .together = true};
	if (fence.limits.give_up_after_ms <= 0)
		fence.limits.give_up_after_ms = GIVE_UP_AFTER_MS;
	if (!prepare(connection, &fence, err))
		return fail_while(err, "prepare to close the tables");
	/* Again, as a table may have been created between the list and the locks. */
	for (int round = 0; round < ROUNDS_MOST; round++) {
		if (!table_list(connection, fence.namespaces, fence.arena, &all, err))
			return false;
		open = table_pick(&all, is_open, fence.arena);
		if (round == 0)
			report->already = all.count - open.count;
		if (!open.count)
			return true;
		if (!refuse_foreign_tables(&open, fence.arena, err) ||
		    !close_open(connection, &fence, &open, report, err))
			return false;
	}
	return fail(err, ERROR_RETRY, "tables are created faster than they are closed: %s",
	            table_text(&open, fence.arena));
}

/* ---- Opening ---- */

static bool drop_one(PGconn *connection, void *context, struct error *err)
{
	const struct table *table = context;
	struct text sql = {0};

	text_format(&sql, "DROP TRIGGER IF EXISTS " TRIGGER " ON %s", table->quoted);
	bool fine = query_run(connection, text_string(&sql), err);
	text_free(&sql);
	return fine;
}

static bool drop_each(PGconn *connection, const struct fence *fence, const struct tables *all,
                      struct fence_report *report, struct error *err)
{
	struct lock lock =
		lock_for(fence, LOCK_ALL, "drop the fence of a table that is open already");

	lock.count = 1;
	lock.work = drop_one;
	lock.limits.end_after_ms = 0; /* no reader is ended for the sake of tidiness */
	for (struct table *table = all->first; table; table = table->next) {
		lock.tables = &table->quoted;
		lock.context = table;
		if (!lock_tables(connection, &lock, &report->lock, err))
			return fail_while(err, "%s", table->quoted);
	}
	return true;
}

static bool drop_ours(PGconn *connection, struct error *err)
{
	return query_run(connection,
	                 "DROP FUNCTION IF EXISTS " OUR_SCHEMA ".fence(); "
	                 "DROP TABLE IF EXISTS " OUR_SCHEMA ".fence",
	                 err);
}

bool fence_lower(PGconn *connection, const struct fence *fence, struct fence_report *report,
                 struct error *err)
{
	struct tables all;

	*report = (struct fence_report){.lock.blockers.arena = fence->arena, .together = true};
	for (int round = 0; round < ROUNDS_MOST; round++) {
		if (!table_list_fenced(connection, fence->arena, &all, err))
			return false;
		struct tables closed = table_pick(&all, is_closed, fence->arena);
		if (!all.count)
			return drop_ours(connection, err);
		if (!open_together(connection, fence, &closed, &report->lock, err) ||
		    !drop_each(connection, fence, &all, report, err))
			return false;
		report->tables += closed.count;
	}
	return fail(err, ERROR_RETRY, "fences are still found: %s", table_text(&all, fence->arena));
}

/* ---- Looking and passing ---- */

bool fence_look(PGconn *connection, const struct fence *fence, struct fence_state *state,
                struct error *err)
{
	struct tables all;

	if (!table_list(connection, fence->namespaces, fence->arena, &all, err))
		return false;
	state->missing = table_pick(&all, is_open, fence->arena);
	state->up = all.count - state->missing.count;
	return true;
}

bool fence_pass(PGconn *connection, struct error *err)
{
	PGresult *result =
		query(connection,
	              "SELECT pg_catalog.set_config('" OUR_SCHEMA ".pass', token, false) "
	              "FROM " OUR_SCHEMA ".fence",
	              err);

	if (!result)
		return fail_while(err, "pass the fence");
	bool there = PQntuples(result) == 1;
	PQclear(result);
	return there || fail(err, ERROR_REFUSED, "there is no fence to pass");
}
