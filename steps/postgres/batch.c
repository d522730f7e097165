/* SPDX-License-Identifier: MIT */
/* A batch: everything that was logged and is visible in one snapshot of the source, applied in one
 * transaction of the target. */
#include "steps/postgres/batch.h"
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "steps/postgres/batch_sql.h"
#include "steps/postgres/capture.h"
#include "steps/postgres/link.h"
#include "steps/postgres/query.h"
#include "steps/postgres/state.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* Counting further would not change what is done. */
#define PENDING_MOST 100000
/* Up to so many keys, or a twentieth of the table, rows are looked up by the index. */
#define FEW_KEYS 1000
#define FEW_PART 20
/* Log rows consumed before their dead rows are cleared away. */
#define VACUUM_AFTER 5000
/* Without anything to do the target is told that it is up to date so often. */
#define BEAT_MS 250

/* One batch: which tables, and what was seen when it began. */
struct batch {
	struct link *link;
	struct followed **tables; /* those whose log may have rows */
	size_t count;
	const char *lsn; /* of the source's WAL, after the snapshot */
	bool nested;     /* of the sessions now: joins only by index */
	bool finalising; /* one table is put right, the others are not looked at */
	struct batch_report *report;
	const struct batch_inspector *inspector; /* NULL: nobody looks */
};

/* ---- The source's snapshot ---- */

static const char *lock_sql(const struct batch *batch)
{
	struct arena *arena = batch->link->arena;
	struct text out = {0};

	for (size_t i = 0; i < batch->count; i++)
		text_format(&out, "%sONLY %s, ONLY %s", i ? ", " : "",
		            batch->tables[i]->relation->quoted, batch->tables[i]->log);
	const char *sql = arena_text(arena, text_string(&out));
	text_free(&out);
	return sql;
}

static const char *pending_sql(const struct batch *batch)
{
	struct text out = {0};

	for (size_t i = 0; i < batch->count; i++)
		text_format(&out, "%s(SELECT count(*) FROM (SELECT FROM ONLY %s LIMIT %d) x)",
		            i ? ", " : "", batch->tables[i]->log, PENDING_MOST);
	const char *sql = arena_printf(batch->link->arena, "ARRAY[%s]::int8[]", text_string(&out));
	text_free(&out);
	return sql;
}

static const char *fingerprints_sql(const struct batch *batch)
{
	struct text out = {0};

	for (size_t i = 0; i < batch->count; i++)
		text_format(&out, "%s(%s)", i ? ", " : "",
		            capture_fingerprint_sql(batch->tables[i]->relation->oid,
		                                    batch->link->arena));
	const char *sql = arena_printf(batch->link->arena, "ARRAY[%s]::text[]", text_string(&out));
	text_free(&out);
	return sql;
}

/* "{1,0,3}" into pending of the tables; the number of all. */
static int64_t take_pending(struct batch *batch, const char *array)
{
	int64_t sum = 0;
	const char *at = array + 1;

	for (size_t i = 0; i < batch->count; i++) {
		char *end;
		batch->tables[i]->pending = strtoll(at, &end, 10);
		sum += batch->tables[i]->pending;
		at = *end == ',' ? end + 1 : end;
	}
	return sum;
}

/* True with report->changed unset when all are as they were. */
static void compare_fingerprints(struct batch *batch, const char *array)
{
	const char *at = array + 1;

	for (size_t i = 0; i < batch->count; i++) {
		size_t length = strcspn(at, ",}");
		const char *known = batch->tables[i]->fingerprint;
		if (strlen(known) != length || strncmp(at, known, length) != 0) {
			batch->report->changed = batch->tables[i];
			return;
		}
		at += length + (at[length] == ',');
	}
}

/* Of another process this waits until the source has committed, too: between the two commits of
 * that batch its log rows are still there to be seen, and deleting them would fail. Tables that are
 * put right are in no batch, so they need not wait. */
static const char *wait_sql(const struct batch *batch)
{
	return batch->finalising ? ""
	                         : "LOCK TABLE " OUR_SCHEMA ".beat IN SHARE UPDATE EXCLUSIVE MODE;";
}

/* Locks first: LOCK takes no snapshot, and an ALTER that waits for us has not rewritten anything we
 * read. */
static bool take_snapshot(struct batch *batch, int64_t *pending, struct error *err)
{
	struct link *link = batch->link;
	const char *sql = arena_printf(
		link->arena,
		"BEGIN ISOLATION LEVEL REPEATABLE READ; %s LOCK TABLE %s IN ACCESS SHARE MODE;"
		"SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::int8,"
		" pg_catalog.pg_current_wal_insert_lsn(), %s, %s",
		wait_sql(batch), lock_sql(batch), pending_sql(batch), fingerprints_sql(batch));
	PGresult *result = query(link->source, sql, err);

	if (!result)
		return fail_while(err, "take a snapshot of the source");
	batch->report->source_ms = query_field_number(result, 0, 0);
	batch->lsn = arena_text(link->arena, query_field(result, 0, 1));
	*pending = take_pending(batch, query_field(result, 0, 2));
	compare_fingerprints(batch, query_field(result, 0, 3));
	PQclear(result);
	return true;
}

/* ---- One table ---- */

/* Without statistics of log and temporary table the planner may read the whole table for ten keys.
 */
static bool choose_joins(struct batch *batch, const struct followed *table, struct error *err)
{
	int64_t few = table->relation->rows / FEW_PART;
	bool nested = table->relation->key_count > 0 && table->following &&
	              table->pending < (few > FEW_KEYS ? few : FEW_KEYS);
	const char *sql =
		nested ? "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
		       : "SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on";

	if (nested == batch->nested)
		return true;
	batch->nested = nested;
	return query_run(batch->link->source, sql, err) && query_run(batch->link->target, sql, err);
}

static bool apply_table(struct batch *batch, struct followed *table, struct error *err)
{
	struct link *link = batch->link;

	if (!choose_joins(batch, table, err))
		return false;
	if (!table->staged && !query_run(link->target, table->stage, err))
		return fail_while(err, "stage");
	table->staged = true;
	if (!pump_copy(&link->pump, link->source, table->read, link->target, table->stage_in, err))
		return false;
	batch->report->keys += link->pump.rows;
	table->consumed += table->pending;
	if (link->pump.rows > FEW_KEYS && !query_run(link->target, table->analyze, err))
		return false;
	return query_run(link->target, table->apply, err) || fail_while(err, "apply");
}

static bool apply_tables(struct batch *batch, struct error *err)
{
	for (size_t i = 0; i < batch->count; i++)
		if (batch->tables[i]->pending > 0 && !apply_table(batch, batch->tables[i], err))
			return fail_while(err, "%s", batch->tables[i]->relation->quoted);
	return link_wait_for_wal(batch->link, batch->lsn, err);
}

/* A temporary table that a rolled back transaction made is gone. */
static void forget_stages(struct batch *batch, const bool *before)
{
	for (size_t i = 0; i < batch->count; i++)
		batch->tables[i]->staged = before[i];
}

static const char *mark_sql(const struct batch *batch)
{
	if (batch->finalising)
		return arena_printf(batch->link->arena,
		                    "UPDATE " OUR_SCHEMA ".relation SET phase = 'finalised'"
		                    " WHERE id = %lld; COMMIT",
		                    (long long)batch->tables[0]->id);
	return arena_printf(batch->link->arena,
	                    "UPDATE " OUR_SCHEMA ".stream SET mark = mark + 1,"
	                    " applied_at = pg_catalog.to_timestamp(%lld / 1000.0),"
	                    " rows_applied = rows_applied + %lld; COMMIT",
	                    (long long)batch->report->source_ms, (long long)batch->report->keys);
}

static bool inspect(const struct batch *batch, struct error *err)
{
	const struct batch_inspector *inspector = batch->inspector;

	return !inspector || inspector->inspect(batch->link, inspector->context, err);
}

/* After the target's part of the transaction was begun and locked. */
static bool carry_out(struct batch *batch, struct error *err)
{
	struct link *link = batch->link;
	bool *staged = arena_array(link->arena, batch->count + 1, sizeof *staged);
	int64_t pending = 0;

	for (size_t i = 0; i < batch->count; i++)
		staged[i] = batch->tables[i]->staged;
	bool fine = take_snapshot(batch, &pending, err);
	if (fine && batch->report->changed)
		return link_rollback(link) || fail(err, ERROR_RETRY, "the connection was lost");
	fine = fine && apply_tables(batch, err) && inspect(batch, err) &&
	       query_run(link->target, mark_sql(batch), err) &&
	       query_run(link->source, "COMMIT", err);
	if (!fine)
		forget_stages(batch, staged);
	return fine;
}

/* ---- All that follow ---- */

/* "5:fingerprint,7:fingerprint": who follows now, and as what. */
static void take_following(struct batch *batch, const char *list)
{
	struct link *link = batch->link;
	const char *at = list ? list : "";

	batch->tables = arena_array(link->arena, link->table_count + 1, sizeof *batch->tables);
	for (size_t i = 0; i < link->table_count; i++)
		link->tables[i].following = false;
	while (*at) {
		char *end;
		int64_t id = strtoll(at, &end, 10);
		size_t length = strcspn(end, ",");
		for (size_t i = 0; i < link->table_count; i++) {
			struct followed *table = &link->tables[i];
			if (table->id != id)
				continue;
			table->following = true;
			table->fingerprint = arena_text_n(link->arena, end + 1, length - 1);
			batch->tables[batch->count++] = table;
		}
		at = end[length] ? end + length + 1 : end + length;
	}
}

static bool begin_on_target(struct batch *batch, const char *mode, struct error *err)
{
	struct link *link = batch->link;
	const char *sql = arena_printf(
		link->arena,
		"BEGIN; SELECT (SELECT pg_catalog.string_agg(id || ':' || fingerprint, ',')"
		" FROM " OUR_SCHEMA ".relation WHERE phase = 'following')"
		" FROM " OUR_SCHEMA ".stream WHERE mode = '%s' AND NOT paused FOR UPDATE",
		mode);
	PGresult *result = query(link->target, sql, err);

	if (!result)
		return fail_while(err, "begin a batch");
	batch->report->refused = PQntuples(result) == 0;
	if (!batch->report->refused)
		take_following(batch, query_field(result, 0, 0));
	PQclear(result);
	return true;
}

/* A look without locks, so that an idle replication costs nothing but this. */
static bool is_anything_logged(struct link *link, bool *logged, struct error *err)
{
	struct text out = {0};
	int64_t any = 0;

	for (size_t i = 0; i < link->table_count; i++)
		if (link->tables[i].following)
			text_format(&out, "%sEXISTS (SELECT FROM ONLY %s)",
			            out.length ? " OR " : "SELECT (", link->tables[i].log);
	text_add(&out, ")::int");
	bool fine = query_number(link->source, out.length > 6 ? text_string(&out) : "SELECT 1",
	                         &any, err);
	text_free(&out);
	*logged = any != 0;
	return fine;
}

static bool clear_away(struct batch *batch, struct error *err)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct followed *table = batch->tables[i];
		if (table->consumed < VACUUM_AFTER)
			continue;
		table->consumed = 0;
		/* Without truncation, which would lock writers out for a moment. */
		if (!query_run(batch->link->source,
		               arena_printf(batch->link->arena, "VACUUM (TRUNCATE off) %s",
		                            table->log),
		               err))
			return fail_while(err, "vacuum %s", table->log);
	}
	return true;
}

bool batch_is_due(struct link *link, int64_t last_ms, bool *due, struct error *err)
{
	*due = clock_real_ms() - last_ms >= BEAT_MS;
	return *due || is_anything_logged(link, due, err);
}

bool batch_run(struct link *link, const char *mode, struct batch_report *report, struct error *err)
{
	return batch_run_inspected(link, mode, NULL, report, err);
}

bool batch_run_inspected(struct link *link, const char *mode,
                         const struct batch_inspector *inspector, struct batch_report *report,
                         struct error *err)
{
	struct arena arena = {0}, *outer = link->arena;
	struct batch batch = {.link = link, .report = report, .inspector = inspector};

	*report = (struct batch_report){0};
	link->arena = &arena;
	bool fine = begin_on_target(&batch, mode, err);
	report->refused = report->refused || batch.count == 0;
	if (fine && report->refused)
		fine = query_run(link->target, "ROLLBACK", err);
	else if (fine)
		fine = carry_out(&batch, err) && clear_away(&batch, err);
	link->arena = outer;
	arena_free(&arena);
	return fine;
}

/* ---- One table is put right ---- */

static bool choose_copied(struct batch *batch, struct error *err)
{
	struct link *link = batch->link;
	PGresult *result =
		query(link->target,
	              "BEGIN; SELECT id, fingerprint FROM " OUR_SCHEMA ".relation WHERE"
	              " phase = 'copied' ORDER BY pages DESC LIMIT 1 FOR UPDATE SKIP LOCKED",
	              err);
	if (!result)
		return false;
	batch->tables = arena_array(link->arena, 1, sizeof *batch->tables);
	for (size_t i = 0; PQntuples(result) == 1 && i < link->table_count; i++)
		if (link->tables[i].id == query_field_number(result, 0, 0)) {
			batch->tables[0] = &link->tables[i];
			batch->tables[0]->fingerprint =
				arena_text(link->arena, query_field(result, 0, 1));
			batch->count = 1;
		}
	PQclear(result);
	return true;
}

bool batch_finalise_next(struct link *link, bool *found, struct batch_report *report,
                         struct error *err)
{
	struct arena arena = {0}, *outer = link->arena;
	struct batch batch = {.link = link, .report = report, .finalising = true};

	*report = (struct batch_report){0};
	link->arena = &arena;
	bool fine = choose_copied(&batch, err);
	*found = fine && batch.count == 1;
	if (fine && !*found)
		fine = query_run(link->target, "ROLLBACK", err);
	else if (fine)
		fine = carry_out(&batch, err);
	link->arena = outer;
	arena_free(&arena);
	return fine;
}

bool batch_undelivered(struct link *link, int64_t most, int64_t *rows, struct error *err)
{
	struct text out = {0};

	for (size_t i = 0; i < link->table_count; i++)
		text_format(&out, "%s(SELECT count(*) FROM (SELECT FROM ONLY %s LIMIT %lld) x)",
		            i ? " + " : "SELECT ", link->tables[i].log, (long long)most);
	bool fine =
		query_number(link->source, out.length ? text_string(&out) : "SELECT 0", rows, err);
	text_free(&out);
	return fine;
}
