/* SPDX-License-Identifier: MIT */
/* What conditions can measure before a migration: how much of what stands in the way there is, and
 * for how long the oldest transaction has been open. */
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "steps/postgres/modules.h"
#include "steps/postgres/preflight.h"
#include "steps/postgres/query.h"

#include <stdlib.h>

/* Room that is not known must not stop a plan for good: it is told as a warning instead. */
#define TAKEN_FOR_ENOUGH 1e9

static const struct rows *ask_all(struct preflight *preflight, const char *const ids[],
                                  enum side side, struct error *err)
{
	struct rows *all = arena_alloc(preflight->arena, sizeof *all);
	const struct party *party = &preflight->parties[side];

	for (size_t i = 0; i < SIDES; i++)
		if (!preflight->parties[i].session) {
			fail(err, ERROR_REFUSED, "%s: %s", preflight->parties[i].word,
			     preflight->parties[i].pooled);
			return NULL;
		}
	for (size_t i = 0; ids[i]; i++) {
		struct rows rows;
		if (!preflight_ask(preflight, preflight_check(ids[i]), side, &rows, err)) {
			fail_while(err, "%s", party->word);
			return NULL;
		}
		for (const struct row *row = rows.first; row; row = row->next)
			rows_add(all, preflight->arena, row->cells);
	}
	return all;
}

static const char *name_objects(struct arena *arena, const struct rows *rows, const char *unit)
{
	enum { NAMED = 10 };
	struct text out = {0};
	size_t told = 0;

	text_format(&out, "%zu %s", rows->count, unit);
	for (const struct row *row = rows->first; row && told < NAMED; row = row->next)
		text_format(&out, "%s%s", told++ ? ", " : ": ", row->cells[0]);
	text_add(&out, rows->count > told ? ", ..." : "");
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}

/* How many things these checks find. */
static bool count(struct step *step, const char *const ids[], enum side side, const char *unit,
                  struct reading *reading, struct error *err)
{
	struct preflight preflight;
	const struct rows *rows = preflight_open(&preflight, step, false, err)
	                                  ? ask_all(&preflight, ids, side, err)
	                                  : NULL;

	preflight_close(&preflight);
	if (!rows)
		return false;
	reading->value = value_number(step->arena, (int64_t)rows->count);
	reading->text = name_objects(step->arena, rows, unit);
	return true;
}

static bool extensions_missing(struct step *step, const struct value *of, struct reading *reading,
                               struct error *err)
{
	(void)of;
	return count(step,
	             (const char *const[]){"unavailable_extension", "missing_extension", NULL},
	             TARGET, "extensions", reading, err);
}

static bool wraparound_vacuums(struct step *step, const struct value *of, struct reading *reading,
                               struct error *err)
{
	(void)of;
	return count(step, (const char *const[]){"wraparound_vacuum", NULL}, SOURCE, "processes",
	             reading, err);
}

static bool target_tables(struct step *step, const struct value *of, struct reading *reading,
                          struct error *err)
{
	(void)of;
	return count(step, (const char *const[]){"table_exists", "other_tables", NULL}, TARGET,
	             "tables", reading, err);
}

static bool large_objects(struct step *step, const struct value *of, struct reading *reading,
                          struct error *err)
{
	struct preflight preflight;
	const struct rows *rows =
		preflight_open(&preflight, step, false, err)
			? ask_all(&preflight, (const char *const[]){"large_objects", NULL}, SOURCE,
	                          err)
			: NULL;

	(void)of;
	preflight_close(&preflight);
	if (!rows)
		return false;
	reading->value = value_number(step->arena,
	                              rows->first ? strtoll(rows->first->cells[1], NULL, 10) : 0);
	return true;
}

static bool free_space(struct step *step, const struct value *of, struct reading *reading,
                       struct error *err)
{
	struct preflight preflight;
	double times = -1;
	bool fine = preflight_open(&preflight, step, false, err) &&
	            preflight_free_space(&preflight, &times, err);

	(void)of;
	preflight_close(&preflight);
	reading->value = value_real(step->arena, times < 0 ? TAKEN_FOR_ENOUGH : times);
	reading->text = times < 0 ? "not known, as the step names no target_space, and taken for "
	                            "enough"
	                          : arena_printf(step->arena, "%.2f x", times);
	return fine;
}

/* Prepared transactions count: they hold their locks without a session. */
static const char oldest[] =
	"SELECT round(extract(epoch FROM clock_timestamp() - since) * 1000)::bigint, who FROM ("
	"SELECT xact_start AS since, format('process %s, %s', pid, coalesce(nullif("
	"application_name, ''), usename::text)) AS who FROM pg_stat_activity WHERE datname = "
	"current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND "
	"application_name <> 'plan' AND application_name NOT LIKE 'plan %' UNION ALL SELECT "
	"prepared, format('prepared as %L', gid) FROM pg_prepared_xacts WHERE database = "
	"current_database()) t WHERE since IS NOT NULL ORDER BY since LIMIT 1";

static const char unseen[] =
	"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usesysid IS "
	"NOT NULL AND query = '<insufficient privilege>'";

static bool read_oldest(struct step *step, PGconn *session, struct reading *reading,
                        struct error *err)
{
	int64_t hidden, age_ms = 0;
	const char *who = "none is open";
	PGresult *result = query(session, oldest, err);

	if (!result)
		return false;
	if (PQntuples(result) > 0) {
		age_ms = query_field_number(result, 0, 0);
		who = arena_text(step->arena, query_field(result, 0, 1));
	}
	PQclear(result);
	if (!query_number(session, unseen, &hidden, err))
		return false;
	reading->value = value_number(step->arena, age_ms > 0 ? age_ms : 0);
	reading->text =
		arena_printf(step->arena, "%s (%s)",
	                     clock_duration_text(step->arena, age_ms > 0 ? age_ms : 0), who);
	if (hidden > 0)
		reading->text =
			arena_printf(step->arena,
		                     "%s; %lld sessions of other roles cannot be seen without "
		                     "pg_read_all_stats",
		                     reading->text, (long long)hidden);
	return true;
}

static bool longest_transaction(struct step *step, const struct value *of, struct reading *reading,
                                struct error *err)
{
	struct database database;
	PGconn *session = value_reveal(of) && database_find(step, value_reveal(of), &database, err)
	                          ? database_open(&database, "preflight", err)
	                          : NULL;

	if (!value_reveal(of))
		return fail(err, ERROR_PLAN, "`of` must be the name of a connection");
	bool fine = session && read_oldest(step, session, reading, err);
	PQfinish(session);
	return fine;
}

const struct metric postgres_preflight_metrics[] = {
	{
		.name = "preflight.extensions_missing",
		.type = METRIC_NUMBER,
		.unit = "extensions",
		.text = "How many extensions of the source are not made on the target; in a step "
			"with `source` and `target`.",
		.measure = extensions_missing,
	},
	{
		.name = "preflight.wraparound_vacuums",
		.type = METRIC_NUMBER,
		.unit = "processes",
		.text = "How many autovacuums to prevent wraparound work on tables of the source; "
			"in a step with `source` and `target`.",
		.measure = wraparound_vacuums,
	},
	{
		.name = "preflight.large_objects",
		.type = METRIC_NUMBER,
		.unit = "objects",
		.text = "How many large objects the source has; in a step with `source` and "
			"`target`.",
		.measure = large_objects,
	},
	{
		.name = "preflight.target_tables",
		.type = METRIC_NUMBER,
		.unit = "tables",
		.text = "How many tables and views the target has already, without those of an "
			"earlier run; in a step with `source` and `target`.",
		.measure = target_tables,
	},
	{
		.name = "preflight.free_space",
		.type = METRIC_NUMBER,
		.unit = "x",
		.text = "How many times the source the target has room for, by `target_space`; "
			"taken for enough where that is not given, and told as a warning.",
		.measure = free_space,
	},
	{
		.name = "postgres.longest_transaction",
		.type = METRIC_DURATION,
		.unit = "",
		.of = OF_CONNECTION,
		.text = "For how long the oldest transaction of others has been open, prepared "
			"ones "
			"included; of: a connection.",
		.measure = longest_transaction,
	},
	{0},
};
