/* SPDX-License-Identifier: MIT */
/* Why a replication does not get on. */
#include "steps/postgres/stall.h"
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "steps/postgres/blocker.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"

#include <libpq-fe.h>
#include <stdio.h>

enum { AFTER_MS = 10000, AGAIN_MS = 5000 };

/* What the oldest of our statements there waits for, unless it waits for us: then the other side is
 * the slow one. */
static const char busy_sql[] =
	"SELECT coalesce('builds ' || i.index_relid::pg_catalog.regclass || ' (' || i.phase ||"
	"   coalesce(pg_catalog.format(', %s %%', 100 * i.blocks_done / nullif(i.blocks_total, 0)),"
	"   '') || ')', 'is at it (' || coalesce(a.wait_event_type || ' ' || a.wait_event, 'busy')"
	"   || ')'),"
	" (extract(epoch FROM pg_catalog.clock_timestamp() - a.query_start) * 1000)::int8,"
	" pg_catalog.left(pg_catalog.regexp_replace(a.query, '\\s+', ' ', 'g'), 80) "
	"FROM pg_catalog.pg_stat_activity a"
	" LEFT JOIN pg_catalog.pg_stat_progress_create_index i ON i.pid = a.pid "
	"WHERE a.datname = pg_catalog.current_database() AND a.state = 'active'"
	" AND a.application_name IN ('plan copy', 'plan follow', 'plan flush')"
	" AND a.wait_event_type IS DISTINCT FROM 'Client' "
	"ORDER BY a.query_start LIMIT 1";

static const char logs_sql[] =
	"SELECT coalesce(sum(n_tup_ins), 0)::int8, coalesce(sum(n_tup_del), 0)::int8"
	" FROM pg_catalog.pg_stat_all_tables"
	" WHERE schemaname = '" OUR_SCHEMA "' AND relname ~ '^log_[0-9]+$'";

static const char *separator(const struct text *out)
{
	return out->length ? "; " : "";
}

static bool put_holders(PGconn *connection, const char *side, struct arena *arena, struct text *out,
                        struct error *err)
{
	struct blockers blockers = {.arena = arena};

	if (!blocker_look_at_sessions(connection, "plan %", &blockers, err))
		return false;
	if (blockers.count) {
		text_format(out, "%son the %s we wait for ", separator(out), side);
		blocker_print(&blockers, false, out);
	}
	return true;
}

static bool put_busy(PGconn *connection, const char *side, struct arena *arena, struct text *out,
                     struct error *err)
{
	PGresult *row = query(connection, busy_sql, err);

	if (!row)
		return fail_while(err, "look what the %s does", side);
	if (PQntuples(row) == 1)
		text_format(out, "%sthe %s %s for %s: %s", separator(out), side,
		            query_field(row, 0, 0),
		            clock_duration_text(arena, query_field_number(row, 0, 1)),
		            query_field(row, 0, 2));
	PQclear(row);
	return true;
}

/* Of both sides; locks first, because a session that waits for one is no slow side. */
static bool put_reasons(const struct stall_sides *sides, struct arena *arena, struct text *out,
                        struct error *err)
{
	if (!put_holders(sides->source, "source", arena, out, err) ||
	    !put_holders(sides->target, "target", arena, out, err))
		return false;
	if (!out->length && (!put_busy(sides->source, "source", arena, out, err) ||
	                     !put_busy(sides->target, "target", arena, out, err)))
		return false;
	if (!out->length)
		text_add(out, "neither server is at anything of ours: the network between them, or "
		              "this machine, is slow");
	return true;
}

/* Only where the target is behind: a log that grows while it catches up is no news. */
static bool put_growth(struct stall *stall, const struct stall_sides *sides, int64_t passed_ms,
                       struct text *out, struct error *err)
{
	PGresult *row = query(sides->source, logs_sql, err);

	if (!row)
		return fail_while(err, "look how the log grows");
	int64_t logged = query_field_number(row, 0, 0), deleted = query_field_number(row, 0, 1);
	int64_t in = logged - stall->logged, gone = deleted - stall->deleted;
	PQclear(row);
	if (sides->follows && sides->behind_ms > AFTER_MS && stall->looked_ms && passed_ms > 0 &&
	    in > gone)
		text_format(out,
		            "%sthe log grows faster than it is applied: %lld rows a second are "
		            "logged, %lld applied",
		            separator(out), (long long)(in * 1000 / passed_ms),
		            (long long)(gone * 1000 / passed_ms));
	stall->logged = logged;
	stall->deleted = deleted;
	return true;
}

static bool look(struct stall *stall, const struct stall_sides *sides, int64_t now_ms,
                 struct arena *arena, struct error *err)
{
	struct text out = {.limit = sizeof stall->why - 1};
	bool fine = put_growth(stall, sides, now_ms - stall->looked_ms, &out, err) &&
	            put_reasons(sides, arena, &out, err);

	stall->looked_ms = now_ms;
	snprintf(stall->why, sizeof stall->why, "%s", text_string(&out));
	text_free(&out);
	return fine;
}

bool stall_watch(struct stall *stall, const struct stall_sides *sides, int64_t done,
                 struct arena *arena, struct error *err)
{
	int64_t now_ms = clock_real_ms();
	bool behind = sides->follows && sides->behind_ms > AFTER_MS;

	if (done != stall->done || !stall->changed_ms) {
		stall->done = done;
		stall->changed_ms = now_ms;
		if (!behind)
			stall->why[0] = '\0';
	}
	if ((now_ms - stall->changed_ms <= AFTER_MS && !behind) ||
	    now_ms - stall->looked_ms < AGAIN_MS)
		return true;
	return look(stall, sides, now_ms, arena, err);
}
