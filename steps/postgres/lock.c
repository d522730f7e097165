/* SPDX-License-Identifier: MIT */
/* The one way in which tables that an application uses are locked. */
#include "steps/postgres/lock.h"
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/step.h"
#include "steps/postgres/query.h"

#include <libpq-fe.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

enum {
	LOCK_TIMEOUT_MS = 200,
	GIVE_UP_AFTER_MS = 60000,
	PAUSE_MOST_MS = 2000,
	/* Autovacuum yields to whoever waits for as long as deadlock_timeout, 1 s by default. */
	YIELD_WITHIN_MS = 3000,
	/* Should this host vanish, the server lets go of the tables after that. */
	HELD_MOST_MS = 10000,
};

static struct lock with_defaults(const struct lock *given)
{
	struct lock lock = *given;

	if (lock.limits.lock_timeout_ms <= 0)
		lock.limits.lock_timeout_ms = LOCK_TIMEOUT_MS;
	if (lock.limits.give_up_after_ms <= 0)
		lock.limits.give_up_after_ms = GIVE_UP_AFTER_MS;
	return lock;
}

/* ---- One attempt ---- */

/* lock_timeout holds for each table, statement_timeout for all of them together. */
static bool begin(PGconn *connection, int64_t timeout_ms, struct error *err)
{
	struct text sql = {0};

	text_format(&sql,
	            "BEGIN; SET LOCAL lock_timeout = %lld; SET LOCAL statement_timeout = %lld; "
	            "SET LOCAL idle_in_transaction_session_timeout = %d",
	            (long long)timeout_ms, (long long)timeout_ms, HELD_MOST_MS);
	bool fine = query_run(connection, text_string(&sql), err);
	text_free(&sql);
	return fine;
}

/* One statement for all tables, as statement_timeout is for each; it says where it got stuck. An
 * owner who took his own rights to write may not LOCK: what the work does takes the same lock. */
static const char take_body[] =
	"DECLARE t text; "
	"BEGIN FOREACH t IN ARRAY %s::text[] LOOP"
	" BEGIN EXECUTE 'LOCK TABLE ONLY ' || t || ' IN %s MODE';"
	" EXCEPTION WHEN insufficient_privilege THEN NULL; END; END LOOP; "
	"EXCEPTION WHEN lock_not_available OR query_canceled OR deadlock_detected THEN"
	" RAISE EXCEPTION USING ERRCODE = '55P03', TABLE = t,"
	" MESSAGE = pg_catalog.format('no lock on %%s to be had: %%s', t, SQLERRM); END";

/* The text as a literal: in quotes. */
static void put_literal(PGconn *connection, struct text *out, const struct text *text)
{
	char *literal = PQescapeLiteral(connection, text_string(text), text->length);

	text_add(out, literal ? literal : "NULL");
	PQfreemem(literal);
}

static bool put_take(PGconn *connection, const struct lock *lock, const char *const *order,
                     struct text *sql)
{
	struct text array = {0}, literal = {0}, body = {0};

	blocker_array(&array, order, lock->count);
	put_literal(connection, &literal, &array);
	text_format(&body, take_body, text_string(&literal), lock->mode);
	text_add(sql, "DO ");
	put_literal(connection, sql, &body);
	text_add(sql, "; ");
	bool fine = !array.full && !literal.full && !body.full && !sql->full;
	text_free(&array);
	text_free(&literal);
	text_free(&body);
	return fine;
}

/* What we wait for goes first the next time, when we hold nothing yet: so we come to lock the
 * tables in the order in which the application does. */
static void put_first(const char **order, size_t count, const char *stuck)
{
	for (size_t i = 1; stuck && i < count; i++) {
		if (strcmp(order[i], stuck) != 0)
			continue;
		const char *name = order[i];
		memmove(order + 1, order, i * sizeof *order);
		order[0] = name;
		return;
	}
}

static bool take(PGconn *connection, const struct lock *lock, const char **order, struct error *err)
{
	struct text sql = {0};
	bool fine = !lock->count || put_take(connection, lock, order, &sql);

	if (!fine) {
		text_free(&sql);
		return fail(err, ERROR_FAILED, "too many tables to lock them together");
	}
	text_add(&sql, "SET LOCAL statement_timeout = 0");
	PGresult *result = PQexec(connection, text_string(&sql));
	text_free(&sql);
	fine = PQresultStatus(result) == PGRES_COMMAND_OK || query_failed(connection, result, err);
	if (!fine)
		put_first(order, lock->count, PQresultErrorField(result, PG_DIAG_TABLE_NAME));
	PQclear(result);
	return fine;
}

static void roll_back(PGconn *connection)
{
	struct error ignored = {0};

	if (PQstatus(connection) == CONNECTION_OK &&
	    PQtransactionStatus(connection) != PQTRANS_IDLE)
		query_run(connection, "ROLLBACK", &ignored);
}

static bool attempt(PGconn *connection, const struct lock *lock, const char **order,
                    struct lock_report *report, struct error *err)
{
	report->attempts++;
	bool fine = begin(connection, lock->limits.lock_timeout_ms, err);
	int64_t from_ms = clock_real_ms();
	fine = fine && take(connection, lock, order, err);
	int64_t locked_ms = clock_real_ms();
	fine = fine && (!lock->work || lock->work(connection, lock->context, err)) &&
	       query_run(connection, "COMMIT", err);
	if (!fine)
		roll_back(connection);
	report->held_ms = clock_real_ms() - from_ms;
	if (report->held_ms > report->longest_ms)
		report->longest_ms = report->held_ms;
	if (fine)
		report->waited_ms += locked_ms - from_ms;
	return fine;
}

/* ---- Between attempts ---- */

/* A short wait for a lock never makes autovacuum yield, a long one would hold the application up:
 * unless it is for a lock that conflicts with vacuum, but not with readers and writers. */
static void ask_vacuum_to_yield(PGconn *connection, const struct blockers *blockers)
{
	struct error ignored = {0};
	struct text sql = {0};

	for (const struct blocker *one = blockers->first; one; one = one->next) {
		if (!one->now || !one->vacuum || one->waiting)
			continue;
		text_clear(&sql);
		text_format(&sql, "LOCK TABLE ONLY %s IN " LOCK_VACUUM " MODE", one->table);
		if (begin(connection, YIELD_WITHIN_MS, &ignored))
			query_run(connection, text_string(&sql), &ignored);
		roll_back(connection);
	}
	text_free(&sql);
}

static bool look_and_end(PGconn *connection, const struct lock *lock, struct lock_report *report,
                         struct error *err)
{
	if (!blocker_look(connection, lock, report->held_ms, &report->blockers, err))
		return false;
	ask_vacuum_to_yield(connection, &report->blockers);
	return lock->limits.end_after_ms <= 0 ||
	       blocker_end(connection, lock->limits.end_after_ms, &report->blockers, err);
}

static void show_progress(const struct lock *lock, const struct lock_report *report)
{
	struct text who = {.limit = 600};

	blocker_print(&report->blockers, false, &who);
	step_progress(lock->step, "%s: attempt %d; in the way: %s", lock->doing,
	              report->attempts + 1, who.length ? text_string(&who) : "busy writers");
	text_free(&who);
}

/* Longer after each attempt, and never in step with whatever else comes regularly. */
static bool rest(const struct lock *lock, int tries, struct error *err)
{
	int64_t base_ms = lock->limits.lock_timeout_ms << (tries < 5 ? tries - 1 : 4);

	if (base_ms > PAUSE_MOST_MS)
		base_ms = PAUSE_MOST_MS;
	int64_t pause_ms = base_ms / 2 + randombytes_uniform((uint32_t)base_ms + 1);
	if (lock->step)
		return step_sleep(lock->step, pause_ms, err);
	nanosleep(&(struct timespec){.tv_sec = pause_ms / 1000,
	                             .tv_nsec = pause_ms % 1000 * 1000000L},
	          NULL);
	return true;
}

static bool give_up(const struct lock_report *report, int tries, int64_t after_ms,
                    const struct error *why, struct error *err)
{
	struct text who = {.limit = 1500};

	blocker_print(&report->blockers, false, &who);
	fail(err, ERROR_RETRY, "nothing was changed, as no attempt of %d in %lld s succeeded. %s%s",
	     tries, (long long)after_ms / 1000,
	     who.length ? "Let these transactions end, or let the plan end them: "
	                : "The last one, with ever other transactions in the way: ",
	     who.length ? text_string(&who) : why->text);
	text_free(&who);
	return false;
}

static bool try_until_had(PGconn *connection, const struct lock *lock, const char **order,
                          struct lock_report *report, struct error *err)
{
	int64_t began_ms = clock_real_ms(), before_ms = report->waited_ms;

	for (int tries = 1;; tries++) {
		if (lock->step && step_stopping(lock->step))
			return fail(err, ERROR_CANCELLED, "asked to stop");
		report->waited_ms = before_ms + clock_real_ms() - began_ms;
		if (attempt(connection, lock, order, report, err))
			return true;
		struct error why = *err;
		if (why.kind != ERROR_RETRY || PQstatus(connection) != CONNECTION_OK ||
		    !look_and_end(connection, lock, report, err))
			return false;
		int64_t spent_ms = clock_real_ms() - began_ms;
		if (spent_ms >= lock->limits.give_up_after_ms)
			return give_up(report, tries, spent_ms, &why, err);
		if (lock->step)
			show_progress(lock, report);
		if (!rest(lock, tries, err))
			return false;
	}
}

bool lock_tables(PGconn *connection, const struct lock *lock, struct lock_report *report,
                 struct error *err)
{
	struct lock complete = with_defaults(lock);
	struct arena arena = {0};
	const char **order = arena_array(&arena, lock->count + 1, sizeof *order);

	for (size_t i = 0; i < lock->count; i++)
		order[i] = lock->tables[i];
	bool fine = try_until_had(connection, &complete, order, report, err) ||
	            fail_while(err, "%s", lock->doing);
	arena_free(&arena);
	return fine;
}
