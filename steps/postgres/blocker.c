/* SPDX-License-Identifier: MIT */
/* Transactions of others that keep us from a lock. */
#include "steps/postgres/blocker.h"
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "steps/postgres/lock.h"
#include "steps/postgres/query.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

/* What each mode conflicts with, as pg_locks calls it: section 13.3 of PostgreSQL's manual. */
static const struct {
	const char *mode, *conflicts;
} modes[] = {
	{LOCK_VACUUM, "{ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,ExclusiveLock,"
                      "AccessExclusiveLock}"},
	{LOCK_WRITES, "{RowExclusiveLock,ShareUpdateExclusiveLock,ShareLock,ShareRowExclusiveLock,"
                      "ExclusiveLock,AccessExclusiveLock}"},
	{LOCK_ALL, "{AccessShareLock,RowShareLock,RowExclusiveLock,ShareUpdateExclusiveLock,"
                   "ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}"},
};

/* On one line, shortened. */
#define QUERY_OF(session)                                                                       \
	" CASE " session ".query WHEN '<insufficient privilege>' THEN '' ELSE pg_catalog.left(" \
	"   pg_catalog.regexp_replace(coalesce(" session                                        \
	".query, ''), '\\s+', ' ', 'g'), 160) END"

/* Who is there only for a moment is left out by the age of the transaction, where it is shown.
 * Only autovacuum has a process and no user. A prepared transaction is found by its xid. */
static const char look_sql[] =
	"SELECT DISTINCT ON (l.virtualtransaction) l.virtualtransaction, p.gid,"
	" coalesce(l.pid, 0), coalesce(a.usename, p.owner, ''), coalesce(a.application_name, ''),"
	" coalesce(a.state, ''), l.relation::pg_catalog.regclass," QUERY_OF(
		"a") ","
		     " coalesce(a.query_start::text, ''), NOT l.granted,"
		     " l.pid IS NOT NULL AND a.usesysid IS NULL "
		     "FROM pg_catalog.pg_locks l"
		     " LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
		     " LEFT JOIN pg_catalog.pg_locks x ON l.pid IS NULL AND x.pid IS NULL"
		     "   AND x.locktype = 'transactionid' AND x.virtualtransaction = "
		     "l.virtualtransaction"
		     " LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid "
		     "WHERE l.locktype = 'relation' AND l.database = (SELECT d.oid FROM "
		     "pg_catalog.pg_database d"
		     "   WHERE d.datname = pg_catalog.current_database())"
		     " AND l.relation IN (SELECT pg_catalog.to_regclass(t)"
		     "   FROM pg_catalog.unnest($1::text[]) t)"
		     " AND l.mode = ANY ($2::text[]) AND l.pid IS DISTINCT FROM "
		     "pg_catalog.pg_backend_pid()"
		     " AND a.leader_pid IS NULL AND coalesce(a.xact_start <"
		     "   pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $3::float "
		     "/ 1000), "
		     "true) "
		     "ORDER BY l.virtualtransaction, l.granted DESC";

/* Whatever they wait for: a table, a row, a transaction. A prepared transaction has the number 0,
 * and which of several it is cannot be told. */
static const char sessions_sql[] =
	"SELECT DISTINCT ON (h.pid) 'pid ' || h.pid, CASE h.pid WHEN 0 THEN (SELECT"
	"   pg_catalog.string_agg(p.gid, $$' or '$$) FROM pg_catalog.pg_prepared_xacts p"
	"   WHERE p.database = pg_catalog.current_database()) END,"
	" h.pid, coalesce(b.usename, ''), coalesce(b.application_name, ''), coalesce(b.state, ''),"
	" coalesce(l.relation::pg_catalog.regclass::text, 'a ' || l.locktype)," QUERY_OF(
		"b") ","
		     " coalesce(b.query_start::text, ''), false, b.pid IS NOT NULL AND b.usesysid "
		     "IS NULL "
		     "FROM pg_catalog.pg_stat_activity a"
		     " JOIN pg_catalog.pg_locks l ON l.pid = a.pid AND NOT l.granted"
		     " CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(a.pid)) "
		     "h(pid)"
		     " LEFT JOIN pg_catalog.pg_stat_activity b ON b.pid = h.pid "
		     "WHERE a.datname = pg_catalog.current_database() AND a.application_name LIKE "
		     "$1 "
		     "ORDER BY h.pid";

/* The process may have gone on to another transaction, or be another one with the same number. */
static const char end_sql[] =
	"SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_locks "
	"WHERE locktype = 'virtualxid' AND virtualxid = $1 AND pid = $2::int AND granted";

void blocker_array(struct text *out, const char *const *items, size_t count)
{
	text_add(out, "{");
	for (size_t i = 0; i < count; i++) {
		text_add(out, i ? ",\"" : "\"");
		for (const char *at = items[i]; *at; at++) {
			if (*at == '"' || *at == '\\')
				text_add(out, "\\");
			text_put(out, at, 1);
		}
		text_add(out, "\"");
	}
	text_add(out, "}");
}

static struct blocker *find(const struct blockers *blockers, const char *transaction)
{
	for (struct blocker *one = blockers->first; one; one = one->next)
		if (strcmp(one->transaction, transaction) == 0)
			return one;
	return NULL;
}

static struct blocker *find_or_add(struct blockers *blockers, const char *transaction,
                                   int64_t seen_ms)
{
	struct blocker *one = find(blockers, transaction);

	if (one)
		return one;
	one = arena_alloc(blockers->arena, sizeof *one);
	one->transaction = arena_text(blockers->arena, transaction);
	one->seen_ms = seen_ms;
	one->next = blockers->first;
	blockers->first = one;
	blockers->count++;
	return one;
}

static bool is_true(const PGresult *result, int row, int column)
{
	return strcmp(PQgetvalue(result, row, column), "t") == 0;
}

static void take_row(struct blockers *blockers, const PGresult *result, int row, int64_t seen_ms)
{
	struct arena *arena = blockers->arena;
	struct blocker *one = find_or_add(blockers, PQgetvalue(result, row, 0), seen_ms);

	one->prepared = arena_text(arena, query_field(result, row, 1));
	one->pid = (int)query_field_number(result, row, 2);
	one->user = arena_text(arena, PQgetvalue(result, row, 3));
	one->application = arena_text(arena, PQgetvalue(result, row, 4));
	one->state = arena_text(arena, PQgetvalue(result, row, 5));
	one->table = arena_text(arena, PQgetvalue(result, row, 6));
	one->query = arena_text(arena, PQgetvalue(result, row, 7));
	one->query_started = arena_text(arena, PQgetvalue(result, row, 8));
	one->waiting = is_true(result, row, 9);
	one->vacuum = is_true(result, row, 10);
	one->now = true;
}

static const char *conflicts_of(const char *mode)
{
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		if (strcmp(modes[i].mode, mode) == 0)
			return modes[i].conflicts;
	return "{}";
}

static void take_all(struct blockers *blockers, const PGresult *result, int64_t seen_ms)
{
	for (struct blocker *one = blockers->first; one; one = one->next)
		one->now = false;
	for (int row = 0; row < PQntuples(result); row++)
		take_row(blockers, result, row, seen_ms);
}

bool blocker_look(PGconn *connection, const struct lock *lock, int64_t for_ms,
                  struct blockers *blockers, struct error *err)
{
	struct text names = {0};
	char milliseconds[24];
	const char *values[] = {NULL, conflicts_of(lock->mode), milliseconds};

	blocker_array(&names, lock->tables, lock->count);
	values[0] = text_string(&names);
	snprintf(milliseconds, sizeof milliseconds, "%lld", (long long)for_ms);
	PGresult *result = query_with(connection, look_sql, 3, values, err);
	text_free(&names);
	if (!result)
		return fail_while(err, "look who holds the tables");
	take_all(blockers, result, clock_real_ms() - for_ms);
	PQclear(result);
	return true;
}

bool blocker_look_at_sessions(PGconn *connection, const char *application,
                              struct blockers *blockers, struct error *err)
{
	PGresult *result = query_with(connection, sessions_sql, 1, &application, err);

	if (!result)
		return fail_while(err, "look who keeps %s waiting", application);
	take_all(blockers, result, clock_real_ms());
	PQclear(result);
	return true;
}

static bool end_one(PGconn *connection, struct blockers *blockers, struct blocker *one,
                    struct error *err)
{
	char pid[16];
	const char *const values[] = {one->transaction, pid};

	snprintf(pid, sizeof pid, "%d", one->pid);
	PGresult *result = query_with(connection, end_sql, 2, values, err);
	if (!result && err->kind == ERROR_REFUSED) {
		one->not_ended = arena_text(blockers->arena, err->text);
		return true;
	}
	if (result && PQntuples(result) > 0)
		one->ended = is_true(result, 0, 0);
	PQclear(result);
	return result || fail_while(err, "end the transaction of process %d", one->pid);
}

bool blocker_end(PGconn *connection, int64_t after_ms, struct blockers *blockers, struct error *err)
{
	int64_t before_ms = clock_real_ms() - after_ms;

	for (struct blocker *one = blockers->first; one; one = one->next) {
		if (!one->now || one->waiting || one->ended || one->not_ended ||
		    one->seen_ms > before_ms)
			continue;
		if (one->pid == 0)
			one->not_ended = "a prepared transaction ends only by COMMIT PREPARED or "
					 "ROLLBACK PREPARED";
		else if (!end_one(connection, blockers, one, err))
			return false;
	}
	return true;
}

bool blocker_stays(const struct blockers *blockers, int64_t for_ms)
{
	int64_t before_ms = clock_real_ms() - for_ms;

	for (const struct blocker *one = blockers->first; one; one = one->next)
		if (one->now && !one->waiting && one->seen_ms <= before_ms)
			return true;
	return false;
}

static void print_one(const struct blocker *one, struct text *out)
{
	if (one->prepared)
		text_format(out, "prepared transaction '%s'", one->prepared);
	else
		text_format(out, "pid %d", one->pid);
	text_format(out, " (%s%s", one->vacuum ? "autovacuum" : "user ",
	            one->vacuum ? "" : one->user);
	if (one->application[0])
		text_format(out, ", %s", one->application);
	if (one->state[0])
		text_format(out, ", %s", one->state);
	text_format(out, ") on %s%s", one->table, one->waiting ? ", waiting itself" : "");
	if (one->query_started[0])
		text_format(out, ", since %s", one->query_started);
	if (one->query[0])
		text_format(out, ": %s", one->query);
	if (one->not_ended)
		text_format(out, " (not ended: %s)", one->not_ended);
}

void blocker_print(const struct blockers *blockers, bool ended, struct text *out)
{
	const char *between = "";

	for (const struct blocker *one = blockers->first; one; one = one->next) {
		if (ended ? !one->ended : !one->now)
			continue;
		text_add(out, between);
		print_one(one, out);
		between = "; ";
	}
}
