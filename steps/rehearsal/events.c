/* SPDX-License-Identifier: MIT */
/* What the world does while the plan runs: a burst of writes behind which a follower falls back,
 * and a comparison before anything is destroyed. */
#include "engine/base/clock.h"
#include "steps/postgres/client.h"
#include "steps/rehearsal/control.h"
#include "steps/rehearsal/helper.h"
#include "steps/rehearsal/rehearsal.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	BURST_COMMITS = 1500,
	BURST_HOLD_MS = 2500, /* how long it stays behind, for the gate to be seen shut */
};

static bool pause_replay(const struct simulator *heroku, const char *addon, bool paused,
                         struct error *err)
{
	struct arena arena = {0};
	struct value *answer, *body = value_map(&arena);

	value_set_text(&arena, body, "addon", addon);
	value_set_bool(&arena, body, "paused", paused);
	bool fine = control_post(heroku, "/_sim/replication", body, &arena, &answer, err);
	arena_free(&arena);
	return fine;
}

static void commit_rows(const char *database)
{
	struct error err = {0};
	PGconn *connection = postgres_connect(database, &err);
	char sql[128];

	for (int i = 0; connection && i < BURST_COMMITS; i++) {
		snprintf(sql, sizeof sql,
		         "INSERT INTO public.visits (key, source) VALUES ('batch-%d', 'batch')", i);
		PQclear(PQexec(connection, sql));
	}
	PQfinish(connection);
}

static _Noreturn void hold_back(const struct rehearsal *rehearsal, const char *addon)
{
	struct error err = {0};

	helper_nap_ms(BURST_HOLD_MS);
	_exit(pause_replay(&rehearsal->heroku, addon, false, &err) ? 0 : 1);
}

/* The replay is held and the writes are made before this returns, so that the next measurement of a
 * gate finds it far behind. */
static void fall_behind(struct rehearsal *rehearsal, const struct walk_event *event)
{
	const char *addon = value_get_text(value_get(event->body, "outputs"), "database", NULL);
	struct error err = {0};

	if (!addon || rehearsal->burst || !rehearsal->first_database[0] ||
	    !pause_replay(&rehearsal->heroku, addon, true, &err))
		return;
	commit_rows(rehearsal->first_database);
	rehearsal->burst = helper_fork();
	if (rehearsal->burst == 0)
		hold_back(rehearsal, addon);
	if (rehearsal->burst < 0) {
		rehearsal->burst = 0;
		pause_replay(&rehearsal->heroku, addon, false, &err);
	}
}

/* A failure shows in the report: then nothing was compared. */
static void compare_before(struct rehearsal *rehearsal)
{
	struct error err = {0};

	rehearsal_compare(rehearsal, &err);
}

void rehearsal_event(struct rehearsal *rehearsal, const struct walk_event *event)
{
	if (event->step)
		replication_event(&rehearsal->replication, event);
	if (!event->step || !rehearsal->heroku.pid)
		return;
	if (event->news == NEWS_DONE &&
	    strcmp(event->step->module->name, "heroku.postgres.follower") == 0)
		fall_behind(rehearsal, event);
	if (event->news == NEWS_ACTING && (event->step->module->traits & STEP_DESTROYS))
		compare_before(rehearsal);
}
