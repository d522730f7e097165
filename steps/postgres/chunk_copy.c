/* SPDX-License-Identifier: MIT */
/* One chunk of the initial copy: read in a short transaction of the source, written in one of the
 * target that also records it. */
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "steps/postgres/capture.h"
#include "steps/postgres/chunk.h"
#include "steps/postgres/link.h"
#include "steps/postgres/query.h"
#include "steps/postgres/state.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* No page of 8 KiB holds more rows. */
#define ROWS_OF_A_PAGE "291"
/* From this version on the server reads a range of ctids by its pages. */
#define RANGES_SINCE 140000

/* The row lock of the chunk is its lease: it ends with the session of whoever holds it. The
 * generation is locked too, so that nobody begins the table anew while this chunk is on its way. */
static const char lease_sql[] =
	"BEGIN; SELECT r.id, r.generation, r.filenode, r.fingerprint, c.number, c.first_page, "
	"c.end_page,"
	" EXISTS (SELECT FROM " OUR_SCHEMA ".held h WHERE h.stage = 'key' AND h.done"
	"  AND h.schema = r.schema AND h.relation = r.name)"
	" FROM " OUR_SCHEMA ".relation r JOIN " OUR_SCHEMA ".chunk c ON c.relation = r.id"
	" AND c.generation = r.generation WHERE r.phase = 'copying' AND NOT c.done"
	" ORDER BY r.pages DESC, r.id, c.number LIMIT 1"
	" FOR UPDATE OF c SKIP LOCKED FOR SHARE OF r SKIP LOCKED";

struct lease {
	struct followed *table;
	int64_t generation, number, first_page, end_page;
	const char *filenode, *fingerprint;
	bool keyed; /* the table has its keys already: rows met twice must be passed over */
	int64_t began_ms;
};

static bool take_lease(struct link *link, struct lease *lease, struct error *err)
{
	PGresult *result = query(link->target, lease_sql, err);

	if (!result)
		return fail_while(err, "choose a chunk");
	*lease = (struct lease){.began_ms = clock_real_ms()};
	for (size_t i = 0; PQntuples(result) == 1 && i < link->table_count; i++)
		if (link->tables[i].id == query_field_number(result, 0, 0))
			*lease = (struct lease){
				.table = &link->tables[i],
				.generation = query_field_number(result, 0, 1),
				.filenode = arena_text(link->arena, query_field(result, 0, 2)),
				.fingerprint = arena_text(link->arena, query_field(result, 0, 3)),
				.number = query_field_number(result, 0, 4),
				.first_page = query_field_number(result, 0, 5),
				.end_page = query_field_number(result, 0, 6),
				.keyed = query_field(result, 0, 7)[0] == 't',
				.began_ms = clock_real_ms(),
			};
	PQclear(result);
	return true;
}

/* ---- The source ---- */

/* Under a lock that no rewrite passes, the function reads the catalog as it is now, whatever the
 * snapshot. */
static bool is_unmoved(struct link *link, const struct lease *lease, bool *unmoved,
                       struct error *err)
{
	const struct relation *relation = lease->table->relation;
	const char *sql = arena_printf(
		link->arena,
		"BEGIN; LOCK TABLE ONLY %s IN ACCESS SHARE MODE;"
		"SELECT pg_catalog.pg_relation_filenode(c.oid), (%s) FROM pg_catalog.pg_class c"
		" WHERE c.oid = %u AND c.oid = pg_catalog.to_regclass(%s)",
		relation->quoted, capture_fingerprint_sql(relation->oid, link->arena),
		relation->oid, relation->literal);
	PGresult *result = query(link->source, sql, err);

	*unmoved = result && PQntuples(result) == 1 &&
	           strcmp(query_field(result, 0, 0), lease->filenode) == 0 &&
	           strcmp(query_field(result, 0, 1), lease->fingerprint) == 0;
	PQclear(result);
	return result != NULL;
}

/* Before 14 a range of ctids would read the whole table: every possible ctid is named instead. */
static const char *range_sql(const struct link *link, const struct lease *lease)
{
	if (PQserverVersion(link->source) >= RANGES_SINCE)
		return arena_printf(link->arena, "ctid >= '(%lld,0)' AND ctid < '(%lld,0)'",
		                    (long long)lease->first_page, (long long)lease->end_page);
	return arena_printf(
		link->arena,
		"ctid = ANY (ARRAY(SELECT pg_catalog.format('(%%s,%%s)', p, i)::pg_catalog.tid FROM"
		" pg_catalog.generate_series(%lld::int8, %lld::int8 - 1) p,"
		" pg_catalog.generate_series(1, " ROWS_OF_A_PAGE ") i))",
		(long long)lease->first_page, (long long)lease->end_page);
}

static const char *read_sql(const struct link *link, const struct lease *lease)
{
	const struct relation *relation = lease->table->relation;

	return arena_printf(link->arena,
	                    "COPY (SELECT %s FROM ONLY %s WHERE %s) TO STDOUT (FORMAT %s)",
	                    relation_columns_sql(relation, "", link->arena), relation->quoted,
	                    range_sql(link, lease), relation->binary ? "binary" : "text");
}

static bool wait_for_wal(struct link *link, struct error *err)
{
	const char *lsn = NULL;

	return query_text(link->source, "SELECT pg_catalog.pg_current_wal_insert_lsn()",
	                  link->arena, &lsn, err) &&
	       link_wait_for_wal(link, lsn, err) && query_run(link->source, "COMMIT", err);
}

/* ---- The target ---- */

/* Straight into the table; or, where its keys stand already, past what is there: a row that is met
 * twice has moved, so that its key is logged and it will be put right. */
static bool write_rows(struct link *link, const struct lease *lease, struct error *err)
{
	const struct relation *there = lease->table->there;
	const char *columns = relation_columns_sql(lease->table->relation, "", link->arena);
	const char *format = lease->table->relation->binary ? "binary" : "text";
	const char *into = there->quoted;

	if (lease->keyed) {
		into = "pg_temp.zz_plan_chunk";
		if (!query_run(link->target,
		               arena_printf(link->arena,
		                            "CREATE TEMP TABLE zz_plan_chunk ON COMMIT DROP AS"
		                            " SELECT %s FROM %s LIMIT 0",
		                            columns, there->quoted),
		               err))
			return false;
	}
	if (!pump_copy(&link->pump, link->source, read_sql(link, lease), link->target,
	               arena_printf(link->arena, "COPY %s (%s) FROM STDIN (FORMAT %s)", into,
	                            columns, format),
	               err))
		return false;
	return !lease->keyed ||
	       query_run(
		       link->target,
		       arena_printf(link->arena,
	                            "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s"
	                            " ON CONFLICT DO NOTHING",
	                            there->quoted, columns, columns, into),
		       err);
}

static bool record_chunk(struct link *link, const struct lease *lease, struct error *err)
{
	return query_run(link->target,
	                 arena_printf(
				 link->arena,
				 "UPDATE " OUR_SCHEMA
				 ".chunk SET done = true, rows = %lld, bytes = %lld,"
				 " milliseconds = %lld WHERE relation = %lld AND generation = %lld"
				 " AND number = %lld",
				 (long long)link->pump.rows, (long long)link->pump.bytes,
				 (long long)(clock_real_ms() - lease->began_ms),
				 (long long)lease->table->id, (long long)lease->generation,
				 (long long)lease->number),
	                 err) &&
	       query_run(link->target, "COMMIT", err);
}

/* Whoever commits the last chunk sees all of them done. */
static bool close_table(struct link *link, int64_t id, int64_t generation, struct error *err)
{
	return query_run(
		link->target,
		arena_printf(link->arena,
	                     "UPDATE " OUR_SCHEMA ".relation r SET phase = 'copied' WHERE id = %lld"
	                     " AND generation = %lld AND phase = 'copying' AND NOT EXISTS (SELECT"
	                     " FROM " OUR_SCHEMA ".chunk c WHERE c.relation = r.id"
	                     " AND c.generation = r.generation AND NOT c.done)",
	                     (long long)id, (long long)generation),
		err);
}

/* Whoever committed the last chunk may have died of it, or lost the answer: nobody takes a chunk of
 * that table any more. */
static bool close_left_open(struct link *link, bool *found, struct error *err)
{
	PGresult *rows = query(
		link->target,
		"SELECT r.id, r.generation FROM " OUR_SCHEMA
		".relation r WHERE r.phase = 'copying' AND NOT EXISTS (SELECT FROM " OUR_SCHEMA
		".chunk c WHERE c.relation = r.id AND c.generation = r.generation"
		" AND NOT c.done) LIMIT 1",
		err);
	*found = rows && PQntuples(rows) == 1;
	bool fine = rows && (!*found || close_table(link, query_field_number(rows, 0, 0),
	                                            query_field_number(rows, 0, 1), err));

	PQclear(rows);
	return fine;
}

static bool copy_chunk(struct link *link, const struct lease *lease, struct error *err)
{
	bool unmoved;

	if (!is_unmoved(link, lease, &unmoved, err))
		return false;
	if (!unmoved) {
		if (!link_rollback(link))
			return fail(err, ERROR_RETRY, "the connection was lost");
		return chunk_begin_anew(link, lease->table, lease->generation,
		                        "it was rewritten or altered", err);
	}
	return write_rows(link, lease, err) && wait_for_wal(link, err) &&
	       record_chunk(link, lease, err) &&
	       close_table(link, lease->table->id, lease->generation, err);
}

bool chunk_copy_next(struct link *link, bool *found, struct error *err)
{
	struct arena arena = {0}, *outer = link->arena;
	struct lease lease = {0};

	link->arena = &arena;
	bool fine = take_lease(link, &lease, err);
	*found = fine && lease.table;
	if (fine && !lease.table)
		fine = query_run(link->target, "ROLLBACK", err) &&
		       close_left_open(link, found, err);
	else if (fine)
		fine = copy_chunk(link, &lease, err) ||
		       fail_while(err, "copy %s, pages %lld to %lld", lease.table->relation->quoted,
		                  (long long)lease.first_page, (long long)lease.end_page);
	link->arena = outer;
	arena_free(&arena);
	return fine;
}
