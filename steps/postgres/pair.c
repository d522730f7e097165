/* SPDX-License-Identifier: MIT */
/* Two sessions that see one state of both databases, while both go on changing. */
#include "steps/postgres/pair.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "engine/step.h"
#include "steps/postgres/batch.h"
#include "steps/postgres/database.h"
#include "steps/postgres/query.h"
#include "steps/postgres/state.h"
#include "steps/postgres/twin.h"

#include <libpq-fe.h>
#include <poll.h>
#include <string.h>

#define POLL_MS 100

/* Nobody shall queue for long behind a lock that we wait for. */
#define BEGIN_SQL "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
#define LOCK_SQL "SET LOCAL lock_timeout = '500ms'; LOCK TABLE %s IN ACCESS SHARE MODE"

/* ---- Sessions ---- */

static bool open_link(struct pair *pair, struct error *err)
{
	if (!pair->mode)
		return true;
	pair->link.arena = pair->arena;
	pair->link.from = pair->databases[HERE];
	pair->link.to = pair->databases[THERE];
	return link_open(&pair->link, "compare", err) && link_read_tables(&pair->link, err);
}

bool pair_open(struct pair *pair, struct error *err)
{
	for (int side = HERE; side <= THERE; side++) {
		pair->sides[side] = database_open(pair->databases[side], "compare", err);
		if (!pair->sides[side] ||
		    !query_run(pair->sides[side], "SET jit = off; SET work_mem = '32MB'", err))
			return false;
	}
	return open_link(pair, err);
}

void pair_close(struct pair *pair)
{
	link_close(&pair->link);
	for (int side = HERE; side <= THERE; side++) {
		PQfinish(pair->sides[side]);
		pair->sides[side] = NULL;
	}
}

/* ---- Snapshots ---- */

static const char *lock_list(const struct pair *pair, const struct twin *first,
                             const struct twin *last)
{
	struct text out = {0};

	for (const struct twin *one = first; one; one = one == last ? NULL : one->next)
		text_format(&out, "%sONLY %s", out.length ? ", " : "", one->sides[HERE]->quoted);
	const char *list = arena_text(pair->arena, text_string(&out));
	text_free(&out);
	return list;
}

static const struct followed *first_that_lags(const struct link *link)
{
	for (size_t i = 0; i < link->table_count; i++)
		if (!link->tables[i].following)
			return &link->tables[i];
	return NULL;
}

/* Within the batch, whose own locks on the source see to it that no table was rewritten since its
 * snapshot. */
static bool take_over(struct link *link, void *context, struct error *err)
{
	struct pair *pair = context;
	const struct followed *lagging = first_that_lags(link);
	const char *snapshot = NULL;

	if (lagging) {
		pair->waits = arena_printf(pair->arena, "%s does not follow yet",
		                           lagging->relation->quoted);
		return true;
	}
	if (!query_text(link->source, "SELECT pg_catalog.pg_export_snapshot()", link->arena,
	                &snapshot, err) ||
	    !query_number(link->target, "SELECT mark + 1 FROM " OUR_SCHEMA ".stream", &pair->mark,
	                  err))
		return false;
	return query_run(pair->sides[HERE],
	                 arena_printf(link->arena,
	                              BEGIN_SQL "SET TRANSACTION SNAPSHOT '%s';" LOCK_SQL, snapshot,
	                              pair->lock),
	                 err) &&
	       query_run(pair->sides[THERE],
	                 arena_printf(link->arena, BEGIN_SQL LOCK_SQL, pair->lock), err);
}

static const char *why_not(struct pair *pair, const struct batch_report *report)
{
	if (pair->waits)
		return pair->waits;
	if (report->refused)
		return "the replication is paused, or about to be switched";
	if (report->changed)
		return arena_printf(pair->arena, "%s was altered and is copied anew",
		                    report->changed->relation->quoted);
	return NULL;
}

/* A table whose copy began anew is no longer what the batch made it, and no batch did that. */
static bool is_that_state(struct pair *pair, bool *same, struct error *err)
{
	int64_t mark;

	if (!query_number(pair->sides[THERE],
	                  "SELECT mark FROM " OUR_SCHEMA
	                  ".stream WHERE NOT EXISTS (SELECT FROM " OUR_SCHEMA
	                  ".relation WHERE phase <> 'following')",
	                  &mark, err))
		return false;
	*same = mark == pair->mark;
	return *same || pair_end(pair, err);
}

static bool begin_at_rest(struct pair *pair, struct error *err)
{
	for (int side = HERE; side <= THERE; side++)
		if (!query_run(pair->sides[side],
		               arena_printf(pair->arena, BEGIN_SQL LOCK_SQL, pair->lock), err))
			return fail_while(err, "lock in %s", pair->databases[side]->name);
	return true;
}

bool pair_begin(struct pair *pair, const struct twin *first, const struct twin *last, bool *begun,
                struct error *err)
{
	struct batch_inspector inspector = {.inspect = take_over, .context = pair};
	struct batch_report report = {0};

	pair->waits = NULL;
	pair->lock = lock_list(pair, first, last);
	*begun = !pair->mode;
	if (!pair->mode)
		return begin_at_rest(pair, err);
	if (!batch_run_inspected(&pair->link, pair->mode, &inspector, &report, err))
		return fail_while(err, "bring both sides to one state");
	pair->waits = why_not(pair, &report);
	return pair->waits || is_that_state(pair, begun, err);
}

bool pair_end(struct pair *pair, struct error *err)
{
	return query_run(pair->sides[HERE], "ROLLBACK", err) &&
	       query_run(pair->sides[THERE], "ROLLBACK", err);
}

/* ---- Questions ---- */

static void cancel(struct pair *pair)
{
	char ignored[256];

	for (int side = HERE; side <= THERE; side++) {
		PGcancel *handle = PQgetCancel(pair->sides[side]);
		if (handle)
			PQcancel(handle, ignored, sizeof ignored);
		PQfreeCancel(handle);
	}
}

/* A scan of a large table takes minutes, and a person need not wait for its end. */
static bool wait_for(struct pair *pair, int side, struct error *err)
{
	PGconn *connection = pair->sides[side];

	while (PQisBusy(connection)) {
		struct pollfd wait = {PQsocket(connection), POLLIN, 0};
		if (poll(&wait, 1, POLL_MS) > 0 && !PQconsumeInput(connection))
			return query_failed(connection, NULL, err);
		if (step_stopping(pair->step)) {
			cancel(pair);
			return fail(err, ERROR_CANCELLED, "asked to stop");
		}
	}
	return true;
}

/* What comes behind the answer to one statement is its end. */
static void drain(PGconn *connection)
{
	for (PGresult *rest; (rest = PQgetResult(connection)); PQclear(rest))
		;
}

static bool send(struct pair *pair, const char *const sql[2], size_t count,
                 const char *const *values, struct error *err)
{
	for (int side = HERE; side <= THERE; side++)
		if (!PQsendQueryParams(pair->sides[side], sql[side], (int)count, NULL, values, NULL,
		                       NULL, 0))
			return query_failed(pair->sides[side], NULL, err);
	return true;
}

static bool take_answer(struct pair *pair, int side, PGresult **answer, struct error *err)
{
	if (!wait_for(pair, side, err))
		return false;
	*answer = PQgetResult(pair->sides[side]);
	return PQresultStatus(*answer) == PGRES_TUPLES_OK ||
	       PQresultStatus(*answer) == PGRES_SINGLE_TUPLE ||
	       query_failed(pair->sides[side], *answer, err) ||
	       fail_while(err, "%s", pair->databases[side]->name);
}

bool pair_ask(struct pair *pair, const char *const sql[2], size_t count, const char *const *values,
              PGresult *answers[2], struct error *err)
{
	answers[HERE] = answers[THERE] = NULL;
	bool fine = send(pair, sql, count, values, err);
	for (int side = HERE; fine && side <= THERE; side++) {
		fine = take_answer(pair, side, &answers[side], err);
		if (fine)
			drain(pair->sides[side]);
	}
	if (fine)
		return true;
	PQclear(answers[HERE]);
	PQclear(answers[THERE]);
	answers[HERE] = answers[THERE] = NULL;
	return false;
}

bool pair_begin_rows(struct pair *pair, const char *const sql[2], size_t count,
                     const char *const *values, struct error *err)
{
	if (!send(pair, sql, count, values, err))
		return false;
	PQsetSingleRowMode(pair->sides[HERE]);
	PQsetSingleRowMode(pair->sides[THERE]);
	return true;
}

bool pair_next_row(struct pair *pair, int side, PGresult **row, struct error *err)
{
	PQclear(*row);
	*row = NULL;
	if (!take_answer(pair, side, row, err))
		return false;
	if (PQresultStatus(*row) == PGRES_SINGLE_TUPLE)
		return true;
	PQclear(*row);
	*row = NULL;
	drain(pair->sides[side]);
	return true;
}
