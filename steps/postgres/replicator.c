/* SPDX-License-Identifier: MIT */
/* What the process of a postgres.replicate step runs: its own sessions, and a crew. */
#include "steps/postgres/replicator.h"
#include "engine/base/clock.h"
#include "engine/step.h"
#include "steps/postgres/capture.h"
#include "steps/postgres/chunk.h"
#include "steps/postgres/crew.h"
#include "steps/postgres/link.h"
#include "steps/postgres/progress.h"
#include "steps/postgres/query.h"
#include "steps/postgres/stream.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#define TEND_MS 100
#define SHIFT_MS 200
#define NEW_TABLES_MS 30000
#define DEFAULT_WORKERS 4

/* One session of the target holds it while a replication is carried out: two would be in each
 * other's way. */
#define RUN_LOCK "SELECT pg_catalog.pg_try_advisory_lock(1886151021)::int"
#define RUN_LOCK_PATIENCE_MS 20000

/* Who works is told by the mode: before the switch those that copy and follow, after it one that
 * brings what is written on the target back to the source, and nobody once it has ended. */
enum shift { SHIFT_NONE, SHIFT_THERE, SHIFT_BACK };

/* What this process runs; a step has a process of its own. */
static struct crew crew;
static struct link
	keeper; /* the sessions of this process itself; the target's holds the run lock */
static struct progress progress;
static bool running;
static bool fresh; /* the keeper's tables were read after their chunks were planned, just now */
static enum shift shift;
static int64_t shift_at_ms;
static int64_t new_tables_at_ms; /* when it was last looked for some */
static char new_table[256];      /* the one that people were told of; "" */

/* ---- Beginning ---- */

static bool read_shift(enum shift *wanted, struct error *err)
{
	struct arena arena = {0};
	struct stream_row row;
	bool exists;
	bool fine = state_read(keeper.target, &arena, &row, &exists, err);

	if (fine && (!exists || strcmp(row.mode, MODE_ENDED) == 0))
		*wanted = SHIFT_NONE;
	else if (fine)
		*wanted = strcmp(row.mode, MODE_SWITCHED) == 0 ? SHIFT_BACK : SHIFT_THERE;
	arena_free(&arena);
	return fine;
}

static void tell(void *context, const char *text)
{
	step_note(context, "%s", text);
}

static bool open_keeper(struct step *step, const struct stream *stream, struct error *err)
{
	int64_t began_ms = clock_real_ms(), ours = 0;

	keeper = (struct link){
		.arena = step->arena,
		.tell = tell,
		.context = step,
		.from = &stream->source,
		.to = &stream->target,
	};
	if (!link_open(&keeper, "replicate", err))
		return false;
	/* A session that died may be noticed late. */
	while (query_number(keeper.target, RUN_LOCK, &ours, err)) {
		if (ours)
			return true;
		if (clock_real_ms() - began_ms > RUN_LOCK_PATIENCE_MS)
			return fail(err, ERROR_RETRY,
			            "another process carries this replication out");
		if (!step_sleep(step, TEND_MS, err))
			return false;
	}
	return false;
}

static bool register_table(const struct relation *relation, struct error *err)
{
	const char *values[] = {relation->schema, relation->name,
	                        arena_printf(keeper.arena, "%u", relation->oid)};
	PGresult *result =
		query_with(keeper.target,
	                   "WITH made AS (INSERT INTO " OUR_SCHEMA
	                   ".relation (schema, name, source_oid, phase)"
	                   " VALUES ($1, $2, $3::oid, 'new') ON CONFLICT (schema, name) DO NOTHING)"
	                   " SELECT source_oid = $3::oid FROM " OUR_SCHEMA
	                   ".relation WHERE schema = $1 AND name = $2",
	                   3, values, err);
	bool other = result && PQntuples(result) == 1 && query_field(result, 0, 0)[0] == 'f';

	PQclear(result);
	if (other)
		return fail(err, ERROR_DRIFT,
		            "%s is another table now than when its copy began: end the replication "
		            "with "
		            "postgres.complete and begin anew",
		            relation->quoted);
	return result != NULL;
}

static bool has_content(const struct relation *relation, struct error *err)
{
	for (size_t i = 0; i < relation->column_count; i++)
		if (!relation->columns[i].generated)
			return true;
	return fail(err, ERROR_REFUSED,
	            "%s has no column that could be copied: add one, drop it, or leave its schema "
	            "out of `schemas`",
	            relation->quoted);
}

static bool register_tables(const struct relations *relations, struct error *err)
{
	for (const struct relation *one = relations->first; one; one = one->next)
		if (!has_content(one, err))
			return false;
	for (const struct relation *one = relations->first; one; one = one->next)
		if (!register_table(one, err))
			return fail_while(err, "register %s", one->quoted);
	return true;
}

/* What would change rows on its own account, or is in the way; by table. */
static const char obstacles_sql[] =
	"SELECT pg_catalog.format('%I.%I', r.schema, r.name),"
	" (SELECT count(*) FROM pg_catalog.pg_constraint k WHERE k.contype = 'f'"
	"  AND c.oid IN (k.conrelid, k.confrelid)),"
	" (SELECT count(*) FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT "
	"t.tgisinternal"
	"  AND t.tgenabled <> 'D' AND NOT pg_catalog.starts_with(t.tgname, '" OUR_PREFIX "')),"
	" r.phase = 'new' FROM " OUR_SCHEMA ".relation r JOIN pg_catalog.pg_class c"
	" ON c.oid = pg_catalog.to_regclass(pg_catalog.format('%I.%I', r.schema, r.name)) ORDER BY "
	"1";

static bool is_empty(struct step *step, const char *table, struct error *err)
{
	int64_t rows;

	if (!query_number(keeper.target,
	                  arena_printf(step->arena,
	                               "SELECT count(*) FROM (SELECT FROM ONLY %s LIMIT 1) x",
	                               table),
	                  &rows, err))
		return false;
	return rows == 0 ||
	       fail(err, ERROR_REFUSED,
	            "%s of the target has rows already: empty it, or take a fresh database", table);
}

/* A cascade or a trigger there would change rows that no log knows. */
static bool target_is_fit(struct step *step, struct error *err)
{
	PGresult *rows = query(keeper.target, obstacles_sql, err);
	bool fine = rows != NULL;

	for (int row = 0; fine && row < PQntuples(rows); row++) {
		const char *table = arena_text(step->arena, query_field(rows, row, 0));
		if (query_field_number(rows, row, 1))
			fine = fail(err, ERROR_REFUSED,
			            "%s of the target has foreign keys: they come at the switch; "
			            "make the "
			            "tables with postgres.schema, or drop them",
			            table);
		else if (query_field_number(rows, row, 2))
			fine = fail(err, ERROR_REFUSED,
			            "%s of the target has triggers, which would act twice: they "
			            "come at the "
			            "switch; make the tables with postgres.schema, or disable them",
			            table);
		else if (query_field(rows, row, 3)[0] == 't')
			fine = is_empty(step, table, err);
	}
	PQclear(rows);
	return fine;
}

/* Chunks of every table that has none yet; all captures are committed by now. */
static bool plan_chunks(struct error *err)
{
	PGresult *rows = query(
		keeper.target,
		"SELECT id, generation FROM " OUR_SCHEMA ".relation WHERE phase = 'new'", err);
	bool fine = rows != NULL;

	for (int row = 0; fine && row < PQntuples(rows); row++)
		for (size_t i = 0; fine && i < keeper.table_count; i++)
			if (keeper.tables[i].id == query_field_number(rows, row, 0))
				fine = chunk_plan(&keeper, &keeper.tables[i],
				                  query_field_number(rows, row, 1), err);
	PQclear(rows);
	return fine;
}

static bool prepare(struct step *step, const struct stream *stream, struct error *err)
{
	struct relations relations;
	const char *identity = NULL, *other = NULL;
	struct capture capture = {
		.relations = &relations,
		.lock_timeout_ms = value_get_number(step->with, "lock_timeout", 200),
		.step = step,
	};

	if (!open_keeper(step, stream, err) ||
	    !state_identity(keeper.source, step->arena, &identity, err) ||
	    !state_identity(keeper.target, step->arena, &other, err))
		return false;
	if (strcmp(identity, other) == 0)
		return fail(err, ERROR_PLAN, "source and target are the same database");
	enum shift shift_now;
	const char *namespaces =
		relation_schemas_sql(keeper.source, value_get(step->with, "schemas"), step->arena);
	return relation_list(keeper.source, value_get(step->with, "schemas"), step->arena,
	                     &relations, err) &&
	       state_prepare(keeper.target, err) &&
	       state_create_stream(keeper.target, step_token(step), identity, err) &&
	       query_run_with(keeper.target, "UPDATE " OUR_SCHEMA ".stream SET namespaces = $1", 1,
	                      &namespaces, err) &&
	       register_tables(&relations, err) && read_shift(&shift_now, err) &&
	       (shift_now == SHIFT_BACK || target_is_fit(step, err)) &&
	       link_read_tables(&keeper, err) && capture_install(keeper.source, &capture, err) &&
	       plan_chunks(err) && link_read_tables(&keeper, err);
}

/* ---- Running ---- */

static bool begin_shift(struct step *step, enum shift wanted, struct error *err)
{
	bool back = wanted == SHIFT_BACK;

	if (shift != SHIFT_NONE)
		crew_stop(&crew);
	shift = SHIFT_NONE;
	progress = (struct progress){0}; /* what was slow before is no news */
	if (wanted == SHIFT_NONE)
		return true;
	crew = (struct crew){
		.step = step,
		.from = back ? keeper.to : keeper.from,
		.to = back ? keeper.from : keeper.to,
		.mode = back ? MODE_SWITCHED : MODE_FORWARD,
		.bytes_per_second = value_get_number(step->with, "max_rate", 0),
	};
	int64_t workers = value_get_number(step->with, "workers", DEFAULT_WORKERS);
	/* Read later than the fingerprints, so that columns which change in between are noticed. */
	crew.read = fresh && !back ? &keeper : NULL;
	fresh = false;
	if (!crew_make(&crew, back ? 0 : (size_t)workers, err))
		return false;
	shift = wanted;
	return true;
}

bool replicator_caught_up(bool *caught_up, struct error *err)
{
	int64_t left;

	if (!query_number(keeper.target,
	                  "SELECT count(*) + (SELECT count(*) FROM " OUR_SCHEMA
	                  ".stream WHERE applied_at IS"
	                  " NULL) FROM " OUR_SCHEMA ".relation WHERE phase <> 'following'",
	                  &left, err))
		return false;
	*caught_up = left == 0;
	return true;
}

static bool change_shift(struct step *step, struct error *err)
{
	enum shift wanted;

	if (clock_real_ms() - shift_at_ms < SHIFT_MS)
		return true;
	shift_at_ms = clock_real_ms();
	if (!read_shift(&wanted, err))
		return false;
	if (step_paused(step) && wanted != SHIFT_NONE) {
		wanted = SHIFT_NONE;
		step_progress(step, "paused; nothing is lost meanwhile, and the log grows");
	}
	if (wanted != shift)
		return begin_shift(step, wanted, err);
	/* A table that was altered began anew after everyone had nothing left to copy. */
	bool all = true;
	if (shift != SHIFT_THERE || !crew_copied(&crew))
		return true;
	if (!replicator_caught_up(&all, err))
		return false;
	if (!all)
		crew_call_copiers(&crew);
	return true;
}

/* Told now rather than at the switch, which refuses then. */
static bool tell_of_new_tables(struct step *step, struct error *err)
{
	struct arena arena = {0};
	const char *table = NULL;

	if (shift != SHIFT_THERE || clock_real_ms() - new_tables_at_ms < NEW_TABLES_MS)
		return true;
	new_tables_at_ms = clock_real_ms();
	bool fine = link_find_new_table(&keeper, &arena, &table, err);
	if (fine && table && strncmp(table, new_table, sizeof new_table - 1) != 0)
		step_note(step, LINK_NEW_TABLE, table);
	if (fine)
		snprintf(new_table, sizeof new_table, "%s", table ? table : "");
	arena_free(&arena);
	return fine;
}

/* Also called by step_sleep(). */
static bool tend(struct step *step, struct error *err)
{
	if (!change_shift(step, err))
		return false;
	if (shift == SHIFT_NONE)
		return true;
	bool back = shift == SHIFT_BACK;
	return tell_of_new_tables(step, err) && crew_tend(&crew, err) &&
	       progress_show(&progress, step, back ? keeper.target : keeper.source,
	                     back ? keeper.source : keeper.target, err);
}

bool replicator_begin(struct step *step, struct error *err)
{
	static struct stream stream; /* as long as the crew */

	if (!stream_find(step, NULL, &stream, err))
		return false;
	if (!prepare(step, &stream, err)) {
		link_close(&keeper); /* it holds the run lock, which the next try wants */
		return false;
	}
	running = fresh = true;
	step->tend = tend;
	return true;
}

bool replicator_runs(void)
{
	return running;
}

void replicator_end(struct step *step)
{
	struct error ignored;

	step->tend = NULL;
	running = false;
	begin_shift(step, SHIFT_NONE, &ignored);
	link_close(&keeper);
}
