/* SPDX-License-Identifier: MIT */
/* postgres.replicate: captures every change of a database, copies what is there, and follows. A
 * service: it goes on following until the steps that use it are done. */
#include "engine/step.h"
#include "steps/postgres/capture.h"
#include "steps/postgres/crew.h"
#include "steps/postgres/link.h"
#include "steps/postgres/modules.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"
#include "steps/postgres/replicator.h"
#include "steps/postgres/stream.h"

#include <libpq-fe.h>
#include <string.h>

#define TEND_MS 100
#define DEFAULT_WORKERS 4

static const struct field fields[] = {
	{"source", FIELD_CONNECTION, FIELD_REQUIRED, NULL, NULL, "The database that is left."},
	{"target", FIELD_CONNECTION, FIELD_REQUIRED, NULL, NULL,
         "The database that takes over; its tables are there, and empty."},
	{"schemas", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "The schemas whose tables are replicated; [all], the default: all but the system's."},
	{"lock_timeout", FIELD_DURATION, 0, "200ms", NULL,
         "How long a statement of the application may have to wait for us, at most."},
	{"workers", FIELD_INT, 0, "4", NULL, "How many processes copy, 1 to 32."},
	{"max_rate", FIELD_RATE, 0, "unlimited", NULL,
         "How much is copied, at most, by all of them together."},
	{0},
};

static const struct field outputs[] = {
	{"stream", FIELD_STRING, 0, NULL, NULL, "The replication, for `of` of other steps."},
	{"tables", FIELD_INT, 0, NULL, NULL, "How many tables it has."},
	{0},
};

static bool check(const struct value *with, struct error *err)
{
	int64_t workers = value_get_number(with, "workers", DEFAULT_WORKERS);

	return (workers >= 1 && workers < CREW_MOST) ||
	       fail(err, ERROR_PLAN, "workers must be 1 to %d", CREW_MOST - 1);
}

/* ---- Looking ---- */

static bool is_ours(const struct step *step, const struct stream_row *row, struct error *err)
{
	return strcmp(row->id, step_token(step)) == 0 ||
	       fail(err, ERROR_REFUSED,
	            "another replication, of another plan or step, writes to this database: end "
	            "that one "
	            "with postgres.complete first");
}

static bool see_phases(struct step *step, PGconn *target, struct value *seen, struct error *err)
{
	PGresult *result = query(target,
	                         "SELECT count(*), count(*) FILTER (WHERE phase = 'following')"
	                         " FROM " OUR_SCHEMA ".relation",
	                         err);
	if (!result)
		return false;
	value_set_number(step->arena, seen, "tables", query_field_number(result, 0, 0));
	value_set_number(step->arena, seen, "following", query_field_number(result, 0, 1));
	PQclear(result);
	step_output(step, "tables", value_copy(step->arena, value_get(seen, "tables")));
	return true;
}

/* Whether somebody carries it out now. */
static bool see_running(PGconn *target, bool *somebody, struct error *err)
{
	int64_t held;

	if (!query_number(target,
	                  "SELECT count(*) FROM pg_catalog.pg_locks WHERE locktype = 'advisory' "
	                  "AND granted"
	                  " AND classid = 0 AND objid = 1886151021 AND database = (SELECT oid FROM"
	                  " pg_catalog.pg_database WHERE datname = pg_catalog.current_database())",
	                  &held, err))
		return false;
	*somebody = held > 0;
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct stream stream;
	struct stream_row row;
	bool exists = false, somebody = false;

	if (!stream_find(step, NULL, &stream, err))
		return false;
	PGconn *target = database_open(&stream.target, NULL, err);
	bool fine = target && state_read(target, step->arena, &row, &exists, err) &&
	            (!exists || is_ours(step, &row, err));
	if (fine && exists)
		fine = see_phases(step, target, seen, err) && see_running(target, &somebody, err);
	PQfinish(target);
	value_set_bool(step->arena, seen, "stream", exists);
	/* Started again in the moment in which postgres.complete ends it: it must not begin anew.
	 */
	value_set_bool(step->arena, seen, "ended",
	               fine && !exists && step->was_done && !step->looking);
	value_set_bool(step->arena, seen, "running",
	               replicator_runs() || (step->looking && (somebody || step->was_done)));
	step_output_text(step, "stream", stream_name(step, &stream));
	return fine;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	if (value_get_bool(seen, "ended", false))
		return true;
	int64_t tables = value_get_number(seen, "tables", 0);
	int64_t following = value_get_number(seen, "following", 0);

	if (!value_get_bool(seen, "stream", false))
		changes_add(changes, "capture", NULL, value_text(step->arena, "every table"), NULL);
	if (tables == 0 || following < tables)
		changes_add(
			changes, "copy",
			tables ? value_text(step->arena,
		                            arena_printf(step->arena, "%lld of %lld tables",
		                                         (long long)following, (long long)tables))
			       : NULL,
			value_text(step->arena, "every table"), NULL);
	if (!value_get_bool(seen, "running", false))
		changes_add(changes, "follow", NULL, value_text(step->arena, "running"),
		            "while the steps that use it run");
	return true;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	bool caught_up = false;

	(void)changes;
	if (!replicator_runs() && !replicator_begin(step, err))
		return false;
	while (replicator_caught_up(&caught_up, err) && !caught_up)
		if (!step_sleep(step, TEND_MS, err))
			break;
	if (!caught_up)
		replicator_end(step);
	return caught_up;
}

static bool serve(struct step *step, struct error *err)
{
	while (step_sleep(step, TEND_MS, err))
		;
	replicator_end(step);
	return err->kind == ERROR_CANCELLED;
}

/* ---- Going back ---- */

/* What postgres.schema holds back there goes with that step. */
static bool drop_if_empty(PGconn *target, struct error *err)
{
	int64_t held;

	return query_number(target, "SELECT count(*) FROM " OUR_SCHEMA ".held", &held, err) &&
	       (held > 0 || query_run(target, "DROP SCHEMA " OUR_SCHEMA " CASCADE", err));
}

static bool remove_target(struct step *step, PGconn *target, struct error *err)
{
	PGresult *rows =
		query(target,
	              "SELECT pg_catalog.format('%I.%I', schema, name) FROM " OUR_SCHEMA ".relation"
	              " WHERE pg_catalog.to_regclass(pg_catalog.format('%I.%I', schema, name))"
	              " IS NOT NULL",
	              err);
	bool fine = rows != NULL;

	for (int row = 0; fine && row < PQntuples(rows); row++)
		fine = query_run(
			target,
			arena_printf(step->arena, "TRUNCATE ONLY %s", query_field(rows, row, 0)),
			err);
	PQclear(rows);
	fine = fine && query_run(target,
	                         "DROP TABLE " OUR_SCHEMA ".stream, " OUR_SCHEMA
	                         ".relation, " OUR_SCHEMA ".chunk",
	                         err);
	return fine && drop_if_empty(target, err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct stream stream;
	struct stream_row row;
	bool exists = false;
	int64_t lock_timeout_ms = value_get_number(step->with, "lock_timeout", 200);

	if (value_get_bool(before, "stream", false))
		return true; /* it was there before this step; what it has copied since may stay */
	if (!stream_find(step, NULL, &stream, err))
		return false;
	/* After a way back the target is closed, and to be emptied all the same. */
	struct link link = {.arena = step->arena, .from = &stream.source, .to = &stream.target};
	bool fine = link_open(&link, "roll back", err) &&
	            state_read(link.target, step->arena, &row, &exists, err) &&
	            capture_remove(link.source, lock_timeout_ms, step, err) &&
	            query_run(link.source, "DROP SCHEMA IF EXISTS " OUR_SCHEMA " CASCADE", err) &&
	            (!exists || remove_target(step, link.target, err));
	link_close(&link);
	return fine;
}

const struct step_module postgres_replicate = {
	.name = "postgres.replicate",
	.text = "Captures every change of a database by triggers, copies it, and follows until the "
		"steps that use "
		"it are done.",
	.traits = STEP_SERVICE,
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"postgres/stream/${source}:${target}", NULL},
	.touches = (const char *const[]){"postgres/${source}/triggers", "postgres/${target}/data",
                                         NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
	.serve = serve,
};
