/* SPDX-License-Identifier: MIT */
/* heroku.restart: the dynos of an app are new ones, and up. A restart leaves no trace but the dynos
 * themselves: which ones there were before stands in the journal with the intent. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>

#define CLOCKS_DIFFER_MS 60000 /* Heroku's and ours, at most */
#define UNSURE_POLLS 5         /* a restart that arrived shows within these */
#define CRASHED_POLLS 8        /* Heroku starts a crashed dyno once more by itself */

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"type", FIELD_STRING, 0, NULL, NULL, "Only the dynos of this process type."},
	{"dyno", FIELD_STRING, 0, NULL, NULL, "Or only this dyno, such as `web.1`."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool check(const struct value *with, struct error *err)
{
	return !value_get(with, "type") || !value_get(with, "dyno") ||
	       fail(err, ERROR_PLAN, "write `type:` or `dyno:`, not both");
}

/* ---- Looking ---- */

/* A one-off dyno does not come back. */
static bool is_meant(const struct heroku *heroku, const struct value *dyno)
{
	const char *type = lookup_field(heroku, "type"), *one = lookup_field(heroku, "dyno");
	const char *its_type = value_get_text(dyno, "type", "");

	if (one)
		return strcmp(value_get_text(dyno, "name", ""), one) == 0;
	if (type)
		return strcmp(its_type, type) == 0;
	return strcmp(its_type, "run") != 0 && strcmp(its_type, "scheduler") != 0;
}

/* MAP id -> {name, created_at, state}. */
static bool read_dynos(struct heroku *heroku, struct value *dynos, struct error *err)
{
	struct value *list;
	const char *path = heroku_path(heroku, "/apps/%s/dynos", lookup_field(heroku, "app"));

	if (!heroku_list(heroku, path, &list, err))
		return false;
	for (const struct value *dyno = list ? list->as.items.first : NULL; dyno;
	     dyno = dyno->next) {
		struct value *one = value_map(heroku->arena);
		const char *id = heroku_text(dyno, "id", err);
		const char *created = id ? heroku_text(dyno, "created_at", err) : NULL;
		if (!created)
			return false;
		if (!is_meant(heroku, dyno))
			continue;
		value_set_text(heroku->arena, one, "name", value_get_text(dyno, "name", ""));
		value_set_text(heroku->arena, one, "created_at", created);
		value_set_text(heroku->arena, one, "state", value_get_text(dyno, "state", ""));
		value_set(heroku->arena, dynos, id, one);
	}
	return true;
}

/* Not there before our intent, and younger than it: Heroku cycles dynos by itself while a step
 * waits for its go-ahead. */
static bool is_new(const struct step *step, const struct value *dyno)
{
	const struct value *then = value_get(value_get(step->before, "dynos"), dyno->key);
	const char *created = value_get_text(dyno, "created_at", "");

	if (!step->attempted || heroku_time_ms(created) + CLOCKS_DIFFER_MS < step->attempted_at_ms)
		return false;
	return !then || strcmp(value_get_text(then, "created_at", ""), created) != 0;
}

struct tally {
	size_t old, waiting, crashed, all;
};

static struct tally count(const struct step *step, const struct value *dynos)
{
	struct tally tally = {0};

	for (const struct value *dyno = dynos->as.items.first; dyno; dyno = dyno->next) {
		const char *state = value_get_text(dyno, "state", "");
		tally.all++;
		if (!is_new(step, dyno))
			tally.old++;
		else if (strcmp(state, "crashed") == 0)
			tally.crashed++;
		else if (strcmp(state, "up") != 0 && strcmp(state, "idle") != 0)
			tally.waiting++;
	}
	return tally;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *dynos = value_map(step->arena);

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    (app && !read_dynos(&heroku, dynos, err)))
		return false;
	value_set(step->arena, seen, "dynos", dynos);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	struct tally tally = count(step, value_get(seen, "dynos"));

	(void)err;
	if (step->was_done || tally.all == 0)
		return true;
	if (tally.old > 0)
		changes_add(changes, "restart", NULL, value_number(step->arena, (int64_t)tally.old),
		            "dynos stop and start again");
	else if (tally.waiting + tally.crashed > 0)
		changes_add(changes, "up", NULL, value_number(step->arena, (int64_t)tally.all),
		            "the restarted dynos are waited for");
	return true;
}

/* ---- Acting ---- */

static enum heroku_outcome restart(struct heroku *heroku, struct error *err)
{
	const char *app = lookup_field(heroku, "app"), *type = lookup_field(heroku, "type");
	const char *one = lookup_field(heroku, "dyno");
	const char *path = one    ? heroku_path(heroku, "/apps/%s/dynos/%s", app, one)
	                   : type ? heroku_path(heroku, "/apps/%s/formations/%s", app, type)
	                          : heroku_path(heroku, "/apps/%s/dynos", app);

	return heroku_write(heroku, "DELETE", path, NULL, NULL, err);
}

/* Until all of them are new and up. What is lost on the way shows by the dynos. */
static bool await(struct heroku *heroku, bool unsure, struct error *err)
{
	struct step *step = heroku->step;
	struct error lost = *err;
	int crashed = 0;

	for (int poll = 0;; poll++) {
		struct value *dynos = value_map(step->arena);
		if (!read_dynos(heroku, dynos, err))
			return false;
		struct tally tally = count(step, dynos);
		if (tally.old + tally.waiting + tally.crashed == 0)
			return true;
		if (unsure && tally.old == tally.all && poll >= UNSURE_POLLS) {
			*err = lost;
			return false;
		}
		crashed = tally.crashed > 0 && tally.old + tally.waiting == 0 ? crashed + 1 : 0;
		if (crashed > CRASHED_POLLS)
			return fail(err, ERROR_FAILED,
			            "%zu dynos of %s crashed after the restart; `heroku logs -a "
			            "%s` shows why",
			            tally.crashed, lookup_field(heroku, "app"),
			            lookup_field(heroku, "app"));
		step_progress(step, "%zu of %zu dynos are new and up",
		              tally.all - tally.old - tally.waiting - tally.crashed, tally.all);
		if (!lookup_pause(heroku, poll, err))
			return false;
	}
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	bool unsure = false;

	if (!heroku_open(&heroku, step, err))
		return false;
	if (strcmp(changes->first->path, "restart") == 0) {
		enum heroku_outcome outcome = restart(&heroku, err);
		if (outcome == HEROKU_ABSENT || outcome == HEROKU_REFUSED)
			return false;
		unsure = outcome == HEROKU_UNSURE;
	}
	return await(&heroku, unsure, err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	(void)before, (void)err;
	step_note(step, "a restart leaves nothing that could be undone");
	return true;
}

const struct step_module heroku_restart = {
	.name = "heroku.restart",
	.text = "Restarts the dynos of an app, once in a run, and waits until they are up; one-off "
		"dynos are not waited for.",
	.fields = fields,
	.touches = (const char *const[]){"heroku/app/${app}/dynos", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
