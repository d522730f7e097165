/* SPDX-License-Identifier: MIT */
/* The report of a rehearsal. */
#include "cmd/rehearsed.h"
#include "cmd/report.h"
#include "cmd/show.h"
#include "engine/base/clock.h"
#include "steps/rehearsal/replication.h"

#include <inttypes.h>
#include <string.h>

/* ---- What the journal tells ---- */

struct lag {
	int64_t run, at_gate, most; /* commits; -1: not measured */
};

static void note_lag(const struct value *conditions, int64_t *lag)
{
	const struct value *one = conditions ? conditions->as.items.first : NULL;

	for (; one; one = one->next)
		if (strcmp(value_get_text(one, "check", ""), "heroku.postgres.lag") == 0) {
			int64_t value = value_get_number(one, "value", -1);
			*lag = value > *lag ? value : *lag;
		}
}

/* The first gate that asks for the lag is the one where users are shut out. */
static bool visit(void *context, const struct record *record)
{
	struct lag *lag = context;
	const struct value *conditions = value_get(record->body, "conditions");

	if (record->run != lag->run)
		return true;
	if (record->kind == RECORD_WAIT)
		note_lag(conditions, &lag->most);
	if (record->kind == RECORD_INTENT && lag->at_gate < 0)
		note_lag(conditions, &lag->at_gate);
	return true;
}

static void set_seconds(struct arena *arena, struct value *report, const char *key,
                        int64_t duration_ms)
{
	value_set(arena, report, key, value_real(arena, (double)duration_ms / 1000));
}

/* In all walks over the plan. */
static int64_t count_done(const struct session *session)
{
	int64_t done = 0;

	for (size_t i = 0; i < session->plan->step_count; i++)
		done += run_any_done(&session->run, session->plan->steps[i].id);
	return done;
}

bool rehearsed_read(struct session *session, const struct walk_result *result, int code,
                    struct value *report, struct error *err)
{
	struct arena *arena = &session->arena;
	struct lag lag = {session->run.number, -1, -1};

	if (!journal_read(session->journal, 1, arena, visit, &lag, err))
		return false;
	value_set_text(arena, report, "plan", session->plan->name);
	value_set_text(arena, report, "outcome", report_outcome(result->outcome));
	value_set_number(arena, report, "exit", code);
	value_set_number(arena, report, "steps", (int64_t)session->plan->step_count);
	value_set_number(arena, report, "steps_done", count_done(session));
	if (session->plan->downtime_budget_ms)
		set_seconds(arena, report, "budget_s", session->plan->downtime_budget_ms);
	if (result->downtime_ms >= 0)
		set_seconds(arena, report, "engine_downtime_s", result->downtime_ms);
	if (lag.at_gate >= 0)
		value_set_number(arena, report, "lag_at_gate", lag.at_gate);
	if (lag.most >= 0)
		value_set_number(arena, report, "lag_most", lag.most);
	value_set_text(arena, report, "journal", journal_path(session->journal));
	return true;
}

bool rehearsed_is_good(const struct value *report)
{
	return value_get_number(report, "rows_lost", 0) == 0 &&
	       value_get_number(report, "duplicate_effects", 0) == 0 &&
	       value_get_number(report, "leftovers", 0) == 0 &&
	       (!value_get(report, "replication") ||
	        replication_is_good(value_get(report, "replication")));
}

/* ---- For people ---- */

static double real_of(const struct value *report, const char *key)
{
	const struct value *value = value_get(report, key);

	return value && value->kind == VALUE_REAL ? value->as.real : 0;
}

static void line(bool color, const char *name, enum tone tone, const char *text)
{
	printf("  %-20s ", name);
	show_line(stdout, color, tone, "%s", text);
}

static enum tone good_if(bool good)
{
	return good ? TONE_GOOD : TONE_BAD;
}

static void print_lag(const struct value *report, bool color, struct arena *arena)
{
	const struct value *lag = value_get(report, "lag_at_gate");

	if (lag)
		line(color, "follower lag", TONE_PLAIN,
		     arena_printf(arena,
		                  "%" PRId64 " commits at the gate, %" PRId64
		                  " at most while it was held back",
		                  lag->as.number, value_get_number(report, "lag_most", 0)));
}

static void print_data(const struct value *report, bool color, struct arena *arena)
{
	int64_t lost = value_get_number(report, "rows_lost", 0);

	if (!value_get(report, "rows_written"))
		return;
	if (value_get(report, "budget_s"))
		line(color, "downtime",
		     good_if(real_of(report, "downtime_s") <= real_of(report, "budget_s")),
		     arena_printf(arena, "%.1f s, as the users saw it, of a budget of %.0f s",
		                  real_of(report, "downtime_s"), real_of(report, "budget_s")));
	line(color, "rows", good_if(lost == 0),
	     arena_printf(arena, "%" PRId64 " written by users during the run, %" PRId64 " lost%s",
	                  value_get_number(report, "rows_written", 0), lost,
	                  value_get_bool(report, "open_at_end", false)
	                          ? "; they write at the end as at the beginning"
	                          : "; at the end they are shut out"));
	if (value_get_number(report, "tables_compared", 0))
		line(color, "compared", TONE_PLAIN,
		     arena_printf(arena,
		                  "%" PRId64 " tables with %" PRId64
		                  " rows, old database against new",
		                  value_get_number(report, "tables_compared", 0),
		                  value_get_number(report, "rows_compared", 0)));
}

static void print_replication(const struct value *report, bool color, struct arena *arena)
{
	const struct value *part = value_get(report, "replication");

	if (!part)
		return;
	line(color, "servers", TONE_PLAIN,
	     arena_printf(arena, "from PostgreSQL %s to %s",
	                  value_get_text(part, "source_version", "?"),
	                  value_get_text(part, "target_version", "?")));
	line(color, "transactions",
	     good_if(value_get_number(part, "transactions_lost", 0) +
	                     value_get_number(part, "rules_broken", 0) ==
	             0),
	     arena_printf(
		     arena,
		     "%" PRId64 " of a busy application, %" PRId64 " lost; of its rules, %" PRId64
		     " do not hold; none ended for %.2f s at most",
		     value_get_number(part, "transactions", 0),
		     value_get_number(part, "transactions_lost", 0),
		     value_get_number(part, "rules_broken", 0), real_of(part, "longest_pause_s")));
	line(color, "both sides",
	     good_if(value_get_number(part, "rows_lost", 0) +
	                     value_get_number(part, "rows_stale", 0) ==
	             0),
	     arena_printf(arena,
	                  "compared %" PRId64 " times, %" PRId64 " tables with %" PRId64
	                  " rows: %" PRId64 " lost, %" PRId64 " stale",
	                  value_get_number(part, "comparisons", 0),
	                  value_get_number(part, "tables", 0), value_get_number(part, "rows", 0),
	                  value_get_number(part, "rows_lost", 0),
	                  value_get_number(part, "rows_stale", 0)));
	line(color, "sequences", good_if(value_get_number(part, "sequences_behind", 0) == 0),
	     arena_printf(arena, "%" PRId64 ", %" PRId64 " behind",
	                  value_get_number(part, "sequences", 0),
	                  value_get_number(part, "sequences_behind", 0)));
	line(color, "foreign keys",
	     good_if(value_get_number(part, "foreign_keys_unproven", 0) == 0),
	     arena_printf(arena, "%" PRId64 ", %" PRId64 " not validated",
	                  value_get_number(part, "foreign_keys", 0),
	                  value_get_number(part, "foreign_keys_unproven", 0)));
	if (value_get_number(part, "written_before_way_back", -1) >= 0)
		line(color, "way back", TONE_GOOD,
		     arena_printf(arena,
		                  "went there, wrote %" PRId64
		                  " transactions, came back with them, and went again",
		                  value_get_number(part, "written_before_way_back", 0)));
	if (value_get_number(part, "leftovers_source", -1) >= 0)
		line(color, "left by replication",
		     good_if(value_get_number(part, "leftovers_source", 0) +
		                     value_get_number(part, "leftovers_target", 0) ==
		             0),
		     arena_printf(arena,
		                  "%" PRId64 " objects on the source, %" PRId64 " on the target",
		                  value_get_number(part, "leftovers_source", 0),
		                  value_get_number(part, "leftovers_target", 0)));
}

static void print_effects(const struct value *report, bool color, struct arena *arena)
{
	const struct value *left = value_get(report, "left_over");
	const struct value *one = left ? left->as.items.first : NULL;
	int64_t twice = value_get_number(report, "duplicate_effects", 0);

	if (!value_get(report, "effects"))
		return;
	line(color, "effects at Heroku", good_if(twice == 0),
	     arena_printf(arena, "%" PRId64 ", %" PRId64 " of them twice",
	                  value_get_number(report, "effects", 0), twice));
	if (!one)
		line(color, "left over", TONE_GOOD, "nothing");
	for (; one; one = one->next)
		line(color, "left over", TONE_BAD, one->as.text);
}

static const char *remotes_text(struct arena *arena, const struct value *remotes)
{
	const char *text = "";
	const struct value *one = remotes ? remotes->as.items.first : NULL;

	for (; one; one = one->next)
		text = arena_printf(arena, "%s%s%s %s", text, *text ? ", " : "", one->key,
		                    one->as.text);
	return *text ? text : "none";
}

static void print_before_after(const struct value *report, bool color, struct arena *arena)
{
	const struct value *dns = value_get(report, "dns"), *remotes = value_get(report, "remotes");

	for (const struct value *one = dns ? dns->as.items.first : NULL; one; one = one->next) {
		line(color, "DNS before", TONE_PLAIN,
		     arena_printf(arena, "%s %s", one->key, value_get_text(one, "before", "?")));
		line(color, "DNS answers now", TONE_PLAIN,
		     arena_printf(arena, "%s %s", one->key, value_get_text(one, "after", "?")));
	}
	for (const struct value *one = remotes ? remotes->as.items.first : NULL; one;
	     one = one->next) {
		line(color, "git remotes before", TONE_PLAIN,
		     remotes_text(arena, value_get(one, "before")));
		line(color, "git remotes now", TONE_PLAIN,
		     remotes_text(arena, value_get(one, "after")));
	}
}

void rehearsed_print(const struct value *report, const struct plan *plan, bool color)
{
	struct arena arena = {0};
	bool done = value_get_number(report, "exit", 1) == 0;

	printf("\n");
	show_line(stdout, color, TONE_STRONG, "Rehearsal of %s", plan->name);
	line(color, "outcome", good_if(done),
	     arena_printf(&arena, "%s, %" PRId64 " of %" PRId64 " steps done",
	                  value_get_text(report, "outcome", "?"),
	                  value_get_number(report, "steps_done", 0),
	                  value_get_number(report, "steps", 0)));
	print_lag(report, color, &arena);
	print_data(report, color, &arena);
	print_replication(report, color, &arena);
	print_effects(report, color, &arena);
	print_before_after(report, color, &arena);
	line(color, "journal", TONE_PLAIN, value_get_text(report, "journal", ""));
	show_line(stdout, false, TONE_PLAIN, "Next: %s%s", value_get_text(report, "next", ""),
	          done ? "   (what it would change in your world)" : "");
	arena_free(&arena);
}
