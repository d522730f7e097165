/* SPDX-License-Identifier: MIT */
/* One direction of replication as one process works on it: a session on either side, and the
 * tables. */
#include "steps/postgres/link.h"
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "steps/postgres/batch_sql.h"
#include "steps/postgres/capture.h"
#include "steps/postgres/database.h"
#include "steps/postgres/fence.h"
#include "steps/postgres/query.h"

#include <libpq-fe.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define FLUSH_PATIENCE_MS 30 /* before we push with a commit of our own */
#define FLUSH_LONGEST_MS 30000
#define FLUSH_LOOK_NS 1000000

static const char target_settings[] =
	/* What is staged is looked at once, and a batch is one transaction: a little memory saves
           much. */
	"SET work_mem = '16MB'; SET maintenance_work_mem = '128MB'; SET jit = off;"
	/* Our own changes are not logged for the way back: see capture_install(). */
	"SET plan_replication.applying = 'on';";

/* Tables that are closed to others are open to us: those of the old database while it follows, and
 * those of the new one after a way back. */
static bool pass_fence(struct link *link, struct error *err)
{
	int64_t fences;

	return query_number(link->target,
	                    "SELECT (pg_catalog.to_regclass('" OUR_SCHEMA
	                    ".fence') IS NOT NULL)::int",
	                    &fences, err) &&
	       (!fences || query_number(link->target, "SELECT count(*) FROM " OUR_SCHEMA ".fence",
	                                &fences, err)) &&
	       (!fences || fence_pass(link->target, err));
}

bool link_open(struct link *link, const char *purpose, struct error *err)
{
	link->source = database_open(link->from, purpose, err);
	if (!link->source)
		return false;
	link->target = database_open(link->to, purpose, err);
	bool fine = link->target && query_run(link->target, target_settings, err) &&
	            query_run(link->source, "SET jit = off", err);
	fine = fine && pass_fence(link, err);
	if (!fine)
		link_close(link);
	return fine;
}

void link_close(struct link *link)
{
	PQfinish(link->source);
	PQfinish(link->target);
	PQfinish(link->pusher);
	link->source = link->target = link->pusher = NULL;
}

void link_tell(const struct link *link, const char *format, ...)
{
	va_list arguments;

	if (!link->tell)
		return;
	va_start(arguments, format);
	link->tell(link->context, arena_vprintf(link->arena, format, arguments));
	va_end(arguments);
}

bool link_rollback(struct link *link)
{
	struct error ignored;

	return query_run(link->source, "ROLLBACK", &ignored) &&
	       query_run(link->target, "ROLLBACK", &ignored);
}

/* ---- Tables ---- */

static const struct column *column_named(const struct relation *relation, const char *name)
{
	for (size_t i = 0; i < relation->column_count; i++)
		if (strcmp(relation->columns[i].name, name) == 0)
			return &relation->columns[i];
	return NULL;
}

bool link_same_columns(const struct relation *a, const struct relation *b)
{
	if (a->column_count != b->column_count)
		return false;
	for (size_t i = 0; i < a->column_count; i++) {
		const struct column *other = column_named(b, a->columns[i].name);
		if (!other || strcmp(other->type, a->columns[i].type) != 0 ||
		    other->generated != a->columns[i].generated)
			return false;
	}
	return true;
}

/* Binary goes only between the same types. */
static bool compare_columns(struct relation *here, const struct relation *there, struct error *err)
{
	for (size_t i = 0; i < here->column_count; i++) {
		const struct column *mine = &here->columns[i];
		const struct column *theirs = column_named(there, mine->name);
		if (!theirs)
			return fail(err, ERROR_DRIFT,
			            "the column %s of %s is missing on the other side: ALTER TABLE "
			            "%s ADD "
			            "COLUMN %s %s there, then go on",
			            mine->quoted, here->quoted, here->quoted, mine->quoted,
			            mine->type);
		if (mine->generated != theirs->generated)
			return fail(err, ERROR_DRIFT,
			            "the column %s of %s is generated on one side only",
			            mine->quoted, here->quoted);
		if (strcmp(mine->type, theirs->type) != 0)
			here->binary = false;
	}
	for (size_t i = 0; i < there->column_count; i++)
		if (!column_named(here, there->columns[i].name))
			return fail(err, ERROR_DRIFT,
			            "the column %s of %s is gone on the source: ALTER TABLE %s "
			            "DROP COLUMN "
			            "%s there too, then go on",
			            there->columns[i].quoted, here->quoted, here->quoted,
			            there->columns[i].quoted);
	return true;
}

static bool take_table(struct link *link, const PGresult *rows, int row,
                       const struct relations *here, const struct relations *there,
                       struct error *err)
{
	struct followed *table = &link->tables[link->table_count];
	const char *schema = query_field(rows, row, 1), *name = query_field(rows, row, 2);
	struct relation *mine = relation_find(here, schema, name);
	const struct relation *theirs = relation_find(there, schema, name);

	if (!mine || !theirs)
		return fail(err, ERROR_DRIFT,
		            "the table %s.%s is gone on the %s side: make it again, or end the "
		            "replication "
		            "with postgres.complete and begin anew",
		            schema, name, mine ? "target's" : "source's");
	if (!compare_columns(mine, theirs, err))
		return false;
	*table = (struct followed){
		.relation = mine,
		.there = theirs,
		.id = query_field_number(rows, row, 0),
		.log = capture_log(mine->oid, link->arena),
		.following = strcmp(query_field(rows, row, 3), "following") == 0,
	};
	batch_sql_make(table, link->arena);
	link->table_count++;
	return true;
}

bool link_read_tables(struct link *link, struct error *err)
{
	struct relations here, there;

	if (!relation_list(link->source, NULL, link->arena, &here, err) ||
	    !relation_list(link->target, NULL, link->arena, &there, err))
		return false;
	PGresult *rows = query(
		link->target,
		"SELECT id, schema, name, phase FROM " OUR_SCHEMA ".relation ORDER BY id", err);
	bool fine = rows != NULL;
	link->table_count = 0;
	link->tables = arena_array(link->arena, fine ? (size_t)PQntuples(rows) + 1 : 1,
	                           sizeof *link->tables);
	for (int row = 0; fine && row < PQntuples(rows); row++)
		fine = take_table(link, rows, row, &here, &there, err);
	PQclear(rows);
	return fine;
}

bool link_find_new_table(const struct link *link, struct arena *arena, const char **table,
                         struct error *err)
{
	struct relations now;

	*table = NULL;
	if (!relation_list(link->source, NULL, arena, &now, err))
		return false;
	for (const struct relation *one = now.first; one && !*table; one = one->next) {
		bool schema = false, known = false;
		for (size_t i = 0; i < link->table_count; i++) {
			const struct relation *ours = link->tables[i].relation;
			schema = schema || strcmp(ours->schema, one->schema) == 0;
			known = known || ours->oid == one->oid;
		}
		if (schema && !known)
			*table = one->quoted;
	}
	return true;
}

/* ---- The source's WAL ---- */

/* A commit that must reach the disk takes all before it along. */
static bool push(struct link *link, struct error *err)
{
	if (!link->pusher && !(link->pusher = database_open(link->from, "flush", err)))
		return false;
	return query_run(link->pusher, "UPDATE " OUR_SCHEMA ".beat SET n = n + 1", err);
}

bool link_wait_for_wal(struct link *link, const char *lsn, struct error *err)
{
	static const char sql[] =
		"SELECT pg_catalog.pg_current_wal_flush_lsn() >= $1::pg_catalog.pg_lsn";
	int64_t began_ms = clock_real_ms();
	bool pushed = false;

	for (;;) {
		PGresult *result = query_with(link->source, sql, 1, &lsn, err);
		bool flushed = result && query_field(result, 0, 0)[0] == 't';
		PQclear(result);
		if (flushed || !result)
			return result != NULL;
		int64_t waited_ms = clock_real_ms() - began_ms;
		if (waited_ms > FLUSH_LONGEST_MS)
			return fail(err, ERROR_RETRY, "the source does not write its WAL to disk");
		if (waited_ms > FLUSH_PATIENCE_MS && !pushed) {
			if (!push(link, err))
				return fail_while(err, "make the source write its WAL");
			pushed = true;
		}
		nanosleep(&(struct timespec){.tv_nsec = FLUSH_LOOK_NS}, NULL);
	}
}
