/* SPDX-License-Identifier: MIT */
/* A comparison on its way: table by table, range by range, in pairs of snapshots that are short.
 *
 * A range is right as of its own snapshot. A row that the application moves to where we have been
 * is not looked at again: only a fault of replication since then could make it differ. A table
 * whose keys both sides order differently, or that has none, is one range, and its pair of
 * snapshots lasts as long as reading it does. */
#include "steps/postgres/compare_run.h"
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "engine/step.h"
#include "steps/postgres/checksum.h"
#include "steps/postgres/database.h"
#include "steps/postgres/difference.h"
#include "steps/postgres/query.h"

#include <libpq-fe.h>
#include <string.h>

#define FIRST_ROWS 20000
/* A pair of snapshots keeps old rows from being cleared away, and DDL on its tables waiting. */
#define PAIR_MS 1500
#define PAIR_TABLES 50
#define PAIR_BYTES (64LL * 1024 * 1024)
#define WAIT_MS 250  /* while there can be no pair */
#define CHANCE_MS 10 /* after another batch came between */
#define PATIENCE_MS 120000
#define SHOW_MS 1000

/* ---- For people ---- */

static void show(struct comparison *comparison, const char *waits)
{
	struct step *step = comparison->step;
	int64_t now_ms = clock_real_ms(), took_ms = now_ms - comparison->began_ms + 1;

	if (now_ms - comparison->shown_ms < SHOW_MS || !comparison->at)
		return;
	comparison->shown_ms = now_ms;
	int64_t rate = comparison->rows * 1000 / took_ms;
	int64_t left = comparison->twins.rows - comparison->rows;
	const char *table = comparison->at->sides[HERE]->quoted;
	if (waits)
		step_progress(step, "%lld rows compared; waits: %s", (long long)comparison->rows,
		              waits);
	else if (rate > 0 && left > 0)
		step_progress(step,
		              "%lld of about %lld rows compared, %lld differ; %s; %lld rows/s, "
		              "%s left",
		              (long long)comparison->rows, (long long)comparison->twins.rows,
		              (long long)comparison->discrepancies.rows, table, (long long)rate,
		              clock_duration_text(step->arena, left * 1000 / rate));
	else
		step_progress(step, "%lld rows compared, %lld differ; %s; %lld rows/s",
		              (long long)comparison->rows,
		              (long long)comparison->discrepancies.rows, table, (long long)rate);
}

/* ---- One range ---- */

/* Where the next range ends; upto stays NULL when it is the last one. */
static bool find_boundary(struct comparison *comparison, struct range *range, struct arena *arena,
                          struct error *err)
{
	const char *values[2 * RANGE_COLUMNS];
	size_t count = range_values(range, values);
	PGresult *row = query_with(comparison->pair.sides[HERE],
	                           range_boundary_sql(range, comparison->at->sides[HERE],
	                                              comparison->pace.rows, arena),
	                           count, values, err);
	if (!row)
		return false;
	for (size_t i = 0; PQntuples(row) == 1 && i < range->columns; i++)
		range->upto[i] = arena_text(comparison->step->arena, query_field(row, 0, (int)i));
	PQclear(row);
	return true;
}

/* What the planner knows of a table may be old, and one that reads the whole of it for each range
 * never ends. */
static bool prefer_index(struct comparison *comparison, bool ranged, struct error *err)
{
	const char *sql =
		ranged ? "SET LOCAL enable_seqscan = off" : "SET LOCAL enable_seqscan = on";

	return query_run(comparison->pair.sides[HERE], sql, err) &&
	       query_run(comparison->pair.sides[THERE], sql, err);
}

static void step_on(struct comparison *comparison, const struct range *range)
{
	memcpy(comparison->done, range->upto, sizeof comparison->done);
	if (!range->columns || !range->upto[0]) {
		comparison->done[0] = NULL;
		comparison->at = comparison->at->next;
	}
}

static bool compare_range(struct comparison *comparison, const struct range *range,
                          struct error *err)
{
	struct checksum sums[2];
	const struct twin *twin = comparison->at;
	int64_t began_ms = clock_real_ms();

	if (!checksum_take(&comparison->pair, twin, range, sums, err))
		return fail_while(err, "sum up %s", twin->sides[HERE]->quoted);
	bool same = checksum_is_equal(&sums[HERE], &sums[THERE]);
	int64_t rows = sums[HERE].rows > sums[THERE].rows ? sums[HERE].rows : sums[THERE].rows;
	if (range->columns)
		pace_adapt(&comparison->pace, rows, clock_real_ms() - began_ms);
	const struct discrepancies before = comparison->discrepancies;
	if (!same && !difference_find(&comparison->pair, twin, range, rows,
	                              &comparison->discrepancies, err)) {
		discrepancy_forget(&comparison->discrepancies, &before);
		return false;
	}
	comparison->rows += sums[HERE].rows;
	return true;
}

static bool compare_next(struct comparison *comparison, struct error *err)
{
	struct arena arena = {0};
	struct range range = {.columns = comparison->at->ordered};

	memcpy(range.after, comparison->done, sizeof range.after);
	bool fine = prefer_index(comparison, range.columns > 0, err) &&
	            (!range.columns || find_boundary(comparison, &range, &arena, err)) &&
	            compare_range(comparison, &range, err);
	arena_free(&arena);
	if (fine)
		step_on(comparison, &range);
	return fine;
}

/* ---- One pair ---- */

/* Small tables share a pair. */
static const struct twin *last_of_pair(const struct comparison *comparison)
{
	const struct twin *last = comparison->at;
	int64_t bytes = last->sides[HERE]->bytes;

	for (size_t i = 1; i < PAIR_TABLES && last->next; i++) {
		bytes += last->next->sides[HERE]->bytes;
		if (bytes > PAIR_BYTES)
			break;
		last = last->next;
	}
	return last;
}

static bool compare_in_pair(struct comparison *comparison, struct error *err)
{
	const struct twin *last = last_of_pair(comparison);
	struct pair *pair = &comparison->pair;
	bool begun;

	if (!pair_begin(pair, comparison->at, last, &begun, err))
		return false;
	show(comparison, begun ? NULL : pair->waits);
	if (!begun)
		return step_sleep(comparison->step, pair->waits ? WAIT_MS : CHANCE_MS, err);
	int64_t until_ms = clock_real_ms() + PAIR_MS;
	while (comparison->at && comparison->at != last->next && clock_real_ms() < until_ms)
		if (!compare_next(comparison, err) || !step_sleep(comparison->step, 0, err))
			return false;
	return pair_end(pair, err);
}

/* ---- The whole ---- */

static bool open_pair(struct comparison *comparison, struct error *err)
{
	struct pair *pair = &comparison->pair;

	pair->step = comparison->step;
	pair->arena = comparison->step->arena;
	comparison->choice.names[HERE] = pair->databases[HERE]->name;
	comparison->choice.names[THERE] = pair->databases[THERE]->name;
	return pair_open(pair, err);
}

static bool list_tables(struct comparison *comparison, struct error *err)
{
	struct pair *pair = &comparison->pair;
	bool fine =
		pair->mode ? twin_list_followed(&pair->link, &comparison->choice,
	                                        &comparison->twins, &comparison->discrepancies, err)
			   : twin_list(pair->sides, &comparison->choice, pair->arena,
	                               &comparison->twins, &comparison->discrepancies, err);

	comparison->at = comparison->twins.first;
	comparison->began_ms = clock_real_ms();
	comparison->pace.rows = comparison->pace.fixed ? comparison->pace.fixed : FIRST_ROWS;
	return fine;
}

/* What may go away by itself is waited for, as long as something is compared now and then. */
static bool try_again(struct comparison *comparison, struct error *err)
{
	do {
		int64_t now_ms = clock_real_ms();
		pair_close(&comparison->pair);
		if (!comparison->failing_ms || comparison->failed_at != comparison->rows)
			comparison->failing_ms = now_ms;
		comparison->failed_at = comparison->rows;
		if (err->kind != ERROR_RETRY || now_ms - comparison->failing_ms > PATIENCE_MS)
			return false;
		show(comparison, err->text);
		*err = (struct error){0};
		if (!step_sleep(comparison->step, WAIT_MS, err))
			return false;
	} while (!open_pair(comparison, err));
	return true;
}

bool compare_run(struct comparison *comparison, struct error *err)
{
	bool fine = open_pair(comparison, err) && list_tables(comparison, err);

	while (fine && comparison->at)
		if (!compare_in_pair(comparison, err))
			fine = try_again(comparison, err);
	pair_close(&comparison->pair);
	return fine;
}
