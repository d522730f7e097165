/* SPDX-License-Identifier: MIT */
/* What conditions can measure of a replication. */
#include "engine/base/clock.h"
#include "steps/postgres/modules.h"
#include "steps/postgres/ours.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"
#include "steps/postgres/stream.h"

#include <libpq-fe.h>
#include <string.h>

#define AGAIN_MS 500

/* By the clock of the database that is written: how long ago the other one was all that it is. A
 * stream that does not follow with every table is as far behind as it is old, which is longer than
 * anybody waits for. */
static bool measure_behind(struct step *step, const struct value *of, const char *mode,
                           struct reading *reading, struct error *err)
{
	struct stream stream;
	struct stream_row row;
	int64_t now_ms = 0, left = 0;
	bool back = strcmp(mode, MODE_SWITCHED) == 0, exists = false;

	if (!stream_find(step, of, &stream, err))
		return false;
	const struct database *writer = back ? &stream.target : &stream.source;
	PGconn *reader = database_open(back ? &stream.source : &stream.target, "measure", err);
	PGconn *clock = reader ? database_open(writer, "measure", err) : NULL;
	bool fine =
		clock && state_read(reader, step->arena, &row, &exists, err) &&
		(exists || fail(err, ERROR_RETRY, "there is no replication yet")) &&
		query_number(reader,
	                     "SELECT count(*) FROM " OUR_SCHEMA
	                     ".relation WHERE phase <> 'following'",
	                     &left, err) &&
		query_number(
			clock,
			"SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::int8",
			&now_ms, err);
	PQfinish(reader);
	PQfinish(clock);
	if (!fine)
		return false;
	if (!back && strcmp(row.mode, MODE_SWITCHED) == 0) {
		reading->value = value_number(step->arena, 0);
		reading->text = "nothing: the source is closed to writers";
		return true;
	}
	if (left || !row.applied_at_ms)
		return fail(err, ERROR_RETRY, "%lld tables do not follow yet", (long long)left);
	int64_t behind_ms = now_ms > row.applied_at_ms ? now_ms - row.applied_at_ms : 0;
	reading->value = value_number(step->arena, behind_ms);
	reading->text = clock_duration_text(step->arena, behind_ms);
	reading->again_ms = AGAIN_MS;
	return true;
}

static bool measure_lag(struct step *step, const struct value *of, struct reading *reading,
                        struct error *err)
{
	return measure_behind(step, of, MODE_FORWARD, reading, err);
}

static bool measure_reverse_lag(struct step *step, const struct value *of, struct reading *reading,
                                struct error *err)
{
	return measure_behind(step, of, MODE_SWITCHED, reading, err);
}

static const char logs_sql[] =
	"SELECT pg_catalog.format('(SELECT count(*) FROM %I.%I)', n.nspname, c.relname)"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE n.nspname = '" OUR_SCHEMA "' AND c.relkind = 'r' AND c.relname ~ '^log_[0-9]+$'";

static bool count_logged(struct step *step, PGconn *connection, int64_t *rows, struct error *err)
{
	PGresult *logs = query(connection, logs_sql, err);
	const char *sum = "SELECT 0";

	for (int row = 0; logs && row < PQntuples(logs); row++)
		sum = arena_printf(step->arena, "%s + %s", sum, query_field(logs, row, 0));
	bool fine = logs && query_number(connection, sum, rows, err);
	PQclear(logs);
	return fine;
}

/* Logged on the source and not on the target yet. */
static bool measure_undelivered(struct step *step, const struct value *of, struct reading *reading,
                                struct error *err)
{
	struct stream stream;
	int64_t rows = 0;

	if (!stream_find(step, of, &stream, err))
		return false;
	PGconn *source = database_open(&stream.source, "measure", err);
	bool fine = source && count_logged(step, source, &rows, err);
	PQfinish(source);
	reading->value = value_number(step->arena, rows);
	return fine;
}

static bool measure_leftovers(struct step *step, const struct value *of, struct reading *reading,
                              struct error *err)
{
	struct database database;
	int64_t count = 0;

	if (!of || of->kind != VALUE_TEXT)
		return fail(err, ERROR_PLAN, "`of` must be a connection");
	if (!database_find(step, of->as.text, &database, err))
		return false;
	PGconn *connection = database_open(&database, "measure", err);
	bool fine = connection && ours_count(connection, &count, err);
	PQfinish(connection);
	reading->value = value_number(step->arena, count);
	return fine;
}

const struct metric replication_metrics[] = {
	{
		.name = "replication.lag",
		.type = METRIC_DURATION,
		.unit = "",
		.of = OF_REPLICATION,
		.text = "How far the target is behind the source; of: a replication, without it "
			"that of the step.",
		.measure = measure_lag,
	},
	{
		.name = "replication.reverse_lag",
		.type = METRIC_DURATION,
		.unit = "",
		.of = OF_REPLICATION,
		.text = "After the switch: how far the old database is behind the new one; of: a "
			"replication.",
		.measure = measure_reverse_lag,
	},
	{
		.name = "replication.undelivered",
		.type = METRIC_NUMBER,
		.unit = "rows",
		.of = OF_REPLICATION,
		.text = "How many changes are logged on the source and not applied; of: a "
			"replication.",
		.measure = measure_undelivered,
	},
	{
		.name = "postgres.leftovers",
		.type = METRIC_NUMBER,
		.unit = "objects",
		.of = OF_CONNECTION,
		.text = "How many objects of replication are left in a database; of: a connection.",
		.measure = measure_leftovers,
	},
	{0},
};
