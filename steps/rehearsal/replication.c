/* SPDX-License-Identifier: MIT */
/* Looks at a rehearsed replication from outside. */
#include "steps/rehearsal/replication.h"
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/value.h"
#include "steps/postgres/client.h"
#include "steps/rehearsal/helper.h"

#include <libpq-fe.h>
#include <string.h>
#include <sys/mman.h>

enum { STAY_MS = 4000, BEGIN_WITHIN_MS = 20000, CATCH_UP_MS = 20000 };

static bool uses(const struct plan_step *step, const char *module)
{
	return step && strcmp(step->module->name, module) == 0;
}

/* ---- The application ---- */

static bool where_the_switch_leads(void *context, char *url, size_t size)
{
	const struct replication *replication = context;
	const struct server *server =
		*replication->side ? replication->servers->target : replication->servers->source;

	snprintf(url, size, "%s", server->url);
	return true;
}

static int version_of(const char *url)
{
	struct error ignored = {0};
	PGconn *connection = postgres_connect(url, &ignored);
	int number = connection ? PQserverVersion(connection) : 0;

	PQfinish(connection);
	return number;
}

bool replication_begin(struct replication *replication, const struct servers *servers,
                       application_where *where, void *context, const char *log, struct error *err)
{
	*replication = (struct replication){.leftovers = {-1, -1}, .written_there = -1};
	if (!servers->source || !servers->target)
		return true;
	replication->servers = servers;
	replication->versions[0] = version_of(servers->source->url);
	replication->versions[1] = version_of(servers->target->url);
	replication->gate = servers->switching ? servers->switching->id : NULL;
	if (servers->plan->downtime_begins)
		replication->gate = servers->plan->downtime_begins;
	replication->side = mmap(NULL, sizeof *replication->side, PROT_READ | PROT_WRITE,
	                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (replication->side == MAP_FAILED) {
		replication->side = NULL;
		return fail(err, ERROR_FAILED, "out of memory");
	}
	return application_start(&replication->application, where ? where : where_the_switch_leads,
	                         where ? context : replication, log, err) &&
	       (application_see_success(&replication->application, BEGIN_WITHIN_MS) ||
	        fail(err, ERROR_FAILED,
	             "the application cannot write to its database before the plan begins"));
}

void replication_end(struct replication *replication)
{
	application_stop(&replication->application);
	if (replication->side)
		munmap(replication->side, sizeof *replication->side);
	replication->side = NULL;
}

/* ---- The way back ---- */

bool replication_way_back(const struct replication *replication, const char **through,
                          const char **back_to)
{
	if (!replication->servers || !replication->servers->switching)
		return false;
	const struct servers *servers = replication->servers;

	*through = servers->plan->downtime_ends ? servers->plan->downtime_ends
	                                        : servers->switching->id;
	*back_to = replication->gate;
	return true;
}

bool replication_stay(struct replication *replication, struct error *err)
{
	struct application_story before, after;
	const struct server *target = replication->servers->target;

	if (!application_see_success(&replication->application, BEGIN_WITHIN_MS))
		return fail(err, ERROR_FAILED, "the application cannot write after the switch");
	if (!application_examine(&replication->application, target->url, NULL, 0, &before, err))
		return false;
	helper_nap_ms(STAY_MS);
	if (!application_examine(&replication->application, target->url, NULL, 0, &after, err))
		return false;
	replication->written_there = after.acknowledged - before.acknowledged;
	return true;
}

/* ---- Along the walk ---- */

/* A failure shows in the report. */
static void compare(struct replication *replication, const struct server *written,
                    const struct server *other)
{
	struct quiet now, *sum = &replication->sum;
	struct application_hold hold = {.from_ms = clock_real_ms()};

	if (replication->comparisons == REPLICATION_COMPARISONS ||
	    !quiet_compare(written->url, other->url, CATCH_UP_MS, &now, &replication->error))
		return;
	hold.to_ms = clock_real_ms();
	now.lost += sum->lost;
	now.stale += sum->stale;
	now.behind += sum->behind;
	now.unproven += sum->unproven;
	if (!now.where[0])
		memcpy(now.where, sum->where, sizeof now.where);
	*sum = now;
	replication->holds[replication->comparisons++] = hold;
}

static void look_for_leftovers(struct replication *replication)
{
	const struct server *const sides[] = {replication->servers->source,
	                                      replication->servers->target};

	for (size_t i = 0; i < 2; i++)
		if (!quiet_leftovers(sides[i]->url, &replication->leftovers[i],
		                     &replication->error))
			replication->leftovers[i] = -1;
}

void replication_event(struct replication *replication, const struct walk_event *event)
{
	const struct servers *servers = replication->servers;
	bool switches = uses(event->step, "postgres.switch");

	if (!servers)
		return;
	if (replication->gate && event->news == NEWS_ACTING &&
	    strcmp(event->step->id, replication->gate) == 0)
		compare(replication, servers->source, servers->target);
	if (switches && (event->news == NEWS_DONE || event->news == NEWS_UNDONE))
		*replication->side = event->news == NEWS_DONE;
	if (uses(event->step, "postgres.complete") && event->news == NEWS_ACTING)
		compare(replication, servers->target, servers->source);
	if (uses(event->step, "postgres.complete") && event->news == NEWS_DONE)
		look_for_leftovers(replication);
}

/* ---- The report ---- */

static const char *version_text(int number, struct arena *arena)
{
	return number ? arena_printf(arena, "%d.%d", number / 10000, number % 10000) : "?";
}

static void add_comparison(const struct replication *replication, struct arena *arena,
                           struct value *report)
{
	const struct quiet *sum = &replication->sum;

	value_set_number(arena, report, "comparisons", (int64_t)replication->comparisons);
	value_set_number(arena, report, "tables", sum->tables);
	value_set_number(arena, report, "rows", sum->rows);
	value_set_number(arena, report, "rows_lost", sum->lost);
	value_set_number(arena, report, "rows_stale", sum->stale);
	if (sum->where[0])
		value_set_text(arena, report, "where", sum->where);
	value_set_number(arena, report, "sequences", sum->sequences);
	value_set_number(arena, report, "sequences_behind", sum->behind);
	value_set_number(arena, report, "foreign_keys", sum->foreign_keys);
	value_set_number(arena, report, "foreign_keys_unproven", sum->unproven);
	value_set_number(arena, report, "leftovers_source", replication->leftovers[0]);
	value_set_number(arena, report, "leftovers_target", replication->leftovers[1]);
}

bool replication_examine(struct replication *replication, const char *serving, struct arena *arena,
                         struct value *report, struct error *err)
{
	const struct servers *servers = replication->servers;
	struct value *part = value_map(arena);
	struct application_story story;

	if (!servers)
		return true;
	if (!application_see_success(&replication->application, BEGIN_WITHIN_MS))
		return fail(err, ERROR_FAILED, "the application cannot write at the end");
	application_stop(&replication->application);
	if (!serving)
		serving = (*replication->side ? servers->target : servers->source)->url;
	if (replication->error.kind != ERROR_NONE) {
		*err = replication->error;
		return fail_while(err, "compare the databases");
	}
	if (!application_examine(&replication->application, serving, replication->holds,
	                         replication->comparisons, &story, err))
		return false;
	value_set_text(arena, part, "source_version",
	               version_text(replication->versions[0], arena));
	value_set_text(arena, part, "target_version",
	               version_text(replication->versions[1], arena));
	add_comparison(replication, arena, part);
	value_set_number(arena, part, "transactions", story.acknowledged);
	value_set_number(arena, part, "transactions_lost", story.lost);
	value_set_number(arena, part, "rules_broken", story.contradictory);
	value_set(arena, part, "longest_pause_s", value_real(arena, (double)story.pause_ms / 1000));
	value_set_number(arena, part, "written_before_way_back", replication->written_there);
	value_set(arena, report, "replication", part);
	return true;
}

bool replication_is_good(const struct value *report)
{
	static const char *const none[] = {"rows_lost",         "rows_stale",
	                                   "sequences_behind",  "foreign_keys_unproven",
	                                   "transactions_lost", "rules_broken"};

	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (value_get_number(report, none[i], 0) != 0)
			return false;
	return value_get_number(report, "leftovers_source", 0) <= 0 &&
	       value_get_number(report, "leftovers_target", 0) <= 0;
}
