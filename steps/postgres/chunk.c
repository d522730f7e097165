/* SPDX-License-Identifier: MIT */
/* The initial copy: ranges of pages of a table, each in short transactions of its own. */
#include "steps/postgres/chunk.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "steps/postgres/capture.h"
#include "steps/postgres/link.h"
#include "steps/postgres/query.h"
#include "steps/postgres/state.h"

#include <libpq-fe.h>

/* ---- Planning ---- */

/* What the table is now, under a lock that keeps it so. */
struct look {
	const char *filenode, *fingerprint;
	int64_t pages;
};

static bool look_at_table(struct link *link, const struct followed *table, struct look *look,
                          struct error *err)
{
	const struct relation *relation = table->relation;
	const char *sql = arena_printf(link->arena,
	                               "BEGIN; LOCK TABLE ONLY %s IN ACCESS SHARE MODE;"
	                               "SELECT pg_catalog.pg_relation_filenode(%u), (%s), "
	                               "pg_catalog.pg_relation_size(%u) /"
	                               " pg_catalog.current_setting('block_size')::int8 FROM "
	                               "pg_catalog.pg_class c WHERE c.oid = %u"
	                               " AND c.oid = pg_catalog.to_regclass(%s)",
	                               relation->quoted, relation->oid,
	                               capture_fingerprint_sql(relation->oid, link->arena),
	                               relation->oid, relation->oid, relation->literal);
	PGresult *result = query(link->source, sql, err);
	bool there = result && PQntuples(result) == 1;

	if (there)
		*look = (struct look){
			.filenode = arena_text(link->arena, query_field(result, 0, 0)),
			.fingerprint = arena_text(link->arena, query_field(result, 0, 1)),
			.pages = query_field_number(result, 0, 2),
		};
	PQclear(result);
	if (result && !there)
		return fail(err, ERROR_DRIFT, "%s is another table now than when its capture began",
		            relation->quoted);
	return there || fail_while(err, "look at %s", relation->quoted);
}

/* All in one transaction of the target: the new generation, the empty table, its chunks. */
static bool write_plan(struct link *link, const struct followed *table, int64_t from_generation,
                       const struct look *look, struct error *err)
{
	struct arena *arena = link->arena;
	const char *values[] = {
		arena_printf(arena, "%lld", (long long)table->id),
		arena_printf(arena, "%lld", (long long)from_generation),
		look->filenode,
		look->fingerprint,
		arena_printf(arena, "%lld", (long long)look->pages),
		look->pages ? PHASE_COPYING : PHASE_COPIED,
	};
	PGresult *result = query_with(
		link->target,
		"UPDATE " OUR_SCHEMA
		".relation SET generation = generation + (phase <> 'new')::int,"
		" phase = $6, filenode = $3::oid, fingerprint = $4, pages = $5, problem = NULL"
		" WHERE id = $1 AND generation = $2::int RETURNING "
		"generation",
		6, values, err);
	bool ours = result && PQntuples(result) == 1;
	const char *generation = ours ? arena_text(arena, query_field(result, 0, 0)) : NULL;

	PQclear(result);
	if (!ours)
		return result != NULL;
	const char *chunk[] = {values[0], generation, values[4]};
	return query_run(link->target,
	                 arena_printf(arena, "TRUNCATE ONLY %s", table->there->quoted), err) &&
	       query_run_with(link->target, "DELETE FROM " OUR_SCHEMA ".chunk WHERE relation = $1",
	                      1, values, err) &&
	       query_run_with(
		       link->target,
		       "INSERT INTO " OUR_SCHEMA ".chunk (relation, generation, number, first_page,"
		       " end_page) SELECT $1, $2, p / " CHUNK_PAGES_TEXT ", p,"
		       " least(p + " CHUNK_PAGES_TEXT ", $3::int8) FROM"
		       " pg_catalog.generate_series(0, $3::int8 - 1, " CHUNK_PAGES_TEXT ") p",
		       3, chunk, err);
}

bool chunk_plan(struct link *link, struct followed *table, int64_t from_generation,
                struct error *err)
{
	struct look look = {0};

	return (look_at_table(link, table, &look, err) && query_run(link->source, "COMMIT", err) &&
	        query_run(link->target, "BEGIN", err) &&
	        write_plan(link, table, from_generation, &look, err) &&
	        query_run(link->target, "COMMIT", err)) ||
	       fail_while(err, "divide %s into chunks", table->relation->quoted);
}

bool chunk_begin_anew(struct link *link, struct followed *table, int64_t generation,
                      const char *why, struct error *err)
{
	struct relations here, there;
	const struct relation *relation = table->relation;

	link_tell(link, "the copy of %s begins anew: %s", relation->quoted, why);
	if (!relation_list(link->source, NULL, link->arena, &here, err) ||
	    !relation_list(link->target, NULL, link->arena, &there, err))
		return false;
	const struct relation *now = relation_find(&here, relation->schema, relation->name);
	const struct relation *other = relation_find(&there, relation->schema, relation->name);
	if (!now || now->oid != relation->oid || !other)
		return fail(err, ERROR_DRIFT,
		            "%s is gone, or another table: end the replication with "
		            "postgres.complete and "
		            "begin anew",
		            relation->quoted);
	if (!link_same_columns(now, relation) || !link_same_columns(now, other))
		return fail(err, ERROR_DRIFT,
		            "the columns of %s changed on one side: make the same change on the "
		            "other (%s "
		            "here, %s there), then go on with `plan apply`",
		            relation->quoted, relation_columns_sql(now, "", link->arena),
		            relation_columns_sql(other, "", link->arena));
	return chunk_plan(link, table, generation, err);
}
