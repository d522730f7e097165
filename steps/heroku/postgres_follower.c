/* SPDX-License-Identifier: MIT */
/* heroku.postgres.follower: a database on one app that follows the primary of another. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <string.h>

#define NAMES_MAX 9

static const struct field fields[] = {
	{"leader_app", FIELD_APP, FIELD_REQUIRED | FIELD_EXISTS, NULL, NULL,
         "The app whose DATABASE is followed."},
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app that gets the follower."},
	{"plan", FIELD_STRING, FIELD_REQUIRED, NULL, NULL,
         "Its plan: heroku-postgresql:standard-0."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static const struct field outputs[] = {
	{"database", FIELD_STRING, 0, NULL, NULL, "The name of its add-on."},
	{"addon", FIELD_STRING, 0, NULL, NULL, "The same."},
	{0},
};

static bool find_leader(struct heroku *heroku, struct value **leader, struct error *err)
{
	const char *app = lookup_field(heroku, "leader_app");
	struct value *database = NULL;

	if (!lookup_primary(heroku, app, leader, err))
		return false;
	if (!*leader)
		return fail(err, ERROR_FAILED, "%s has no add-on attached as DATABASE to follow",
		            app);
	const char *plan = heroku_text(*leader, "plan.name", err);
	const char *id = plan ? heroku_text(*leader, "id", err) : NULL;
	if (!id)
		return false;
	if (strstr(plan, ":essential") || strstr(plan, ":mini") || strstr(plan, ":basic") ||
	    strstr(plan, ":hobby"))
		return fail(err, ERROR_REFUSED,
		            "%s of %s cannot be followed; upgrade it to a standard plan first",
		            plan, app);
	if (!lookup_database(heroku, id, &database, err))
		return false;
	if (lookup_is_following(database))
		return fail(err, ERROR_REFUSED, "the database of %s is a follower itself", app);
	return true;
}

/* Where an add-on of our name stands: "following", "making", or "free" when it no longer follows
 * and the next name is to be tried. */
static bool judge(struct heroku *heroku, const struct value *addon, const char **state,
                  struct error *err)
{
	const char *id = heroku_text(addon, "id", err),
		   *made = id ? heroku_text(addon, "state", err) : NULL;
	const char *app = made ? heroku_text(addon, "app.name", err) : NULL;
	struct value *database;

	if (!app)
		return false;
	if (strcmp(app, lookup_field(heroku, "app")) != 0)
		return fail(err, ERROR_REFUSED, "the add-on name %s is taken on the app %s",
		            heroku_text_or_null(addon, "name"), app);
	*state = "making";
	if (strcmp(made, "provisioning") == 0)
		return true;
	*state = "free";
	if (strcmp(made, "provisioned") != 0)
		return true;
	if (!lookup_database(heroku, id, &database, err))
		return false;
	if (!database || value_get_bool(database, "waiting?", false))
		*state = "making";
	else if (lookup_is_following(database))
		*state = "following";
	return true;
}

static bool find_ours(struct heroku *heroku, const char **name, const char **state,
                      struct error *err)
{
	struct value *addon;

	for (int number = 1; number <= NAMES_MAX; number++) {
		const char *suffix = number == 1 ? "" : arena_printf(heroku->arena, "%d", number);
		*name = lookup_addon_name(heroku, lookup_field(heroku, "app"), suffix);
		*state = "absent";
		if (!lookup_addon(heroku, *name, &addon, err))
			return false;
		if (!addon)
			return true;
		if (!judge(heroku, addon, state, err))
			return false;
		if (strcmp(*state, "free") != 0)
			return true;
	}
	return fail(err, ERROR_FAILED, "%d databases of earlier tries are there; remove some",
	            NAMES_MAX);
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *leader;
	const char *name, *state;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    !find_leader(&heroku, &leader, err) || !find_ours(&heroku, &name, &state, err))
		return false;
	value_set_text(step->arena, seen, "database", name);
	value_set_text(step->arena, seen, "state", state);
	value_set_text(step->arena, seen, "leader", heroku_text_or_null(leader, "name"));
	if (strcmp(state, "absent") != 0 || !step->looking) {
		step_output_text(step, "database", name);
		step_output_text(step, "addon", name);
	}
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const char *state = value_get_text(seen, "state", "absent");

	(void)err;
	if (strcmp(state, "following") == 0)
		return true;
	changes_add(changes, "follower",
	            strcmp(state, "absent") == 0 ? NULL : value_get(seen, "state"),
	            value_get(step->with, "plan"),
	            arena_printf(step->arena, "follows %s", value_get_text(seen, "leader", "")));
	return true;
}

static bool create(struct heroku *heroku, const char *name, struct error *err)
{
	struct value *leader, *addon = NULL, *body = value_map(heroku->arena);
	struct value *config = value_map(heroku->arena);

	if (!find_leader(heroku, &leader, err))
		return false;
	struct value *url = lookup_database_url(heroku, leader, err);
	if (!url)
		return false;
	value_set(heroku->arena, config, "follow", url);
	value_set_text(heroku->arena, body, "plan", lookup_field(heroku, "plan"));
	value_set_text(heroku->arena, body, "name", name);
	value_set(heroku->arena, body, "config", config);
	const char *path = heroku_path(heroku, "/apps/%s/addons", lookup_field(heroku, "app"));
	enum heroku_outcome outcome = heroku_write(heroku, "POST", path, body, NULL, err);
	if (outcome != HEROKU_UNSURE)
		return outcome == HEROKU_DONE;
	struct error unsure = *err;
	if (!lookup_addon(heroku, name, &addon, err))
		return false;
	*err = unsure;
	return addon != NULL;
}

/* Every name before the one that is taken now. */
static void name_leftovers(struct heroku *heroku, const char *taken)
{
	const char *first = lookup_addon_name(heroku, lookup_field(heroku, "app"), "");

	if (strcmp(first, taken) != 0)
		step_note(heroku->step,
		          "%s is made because what was made under the names from %s on follows no "
		          "longer; those stay, and cost, until somebody removes them",
		          taken, first);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *addon, *database;
	const char *name, *state;

	(void)changes;
	if (!heroku_open(&heroku, step, err) || !find_ours(&heroku, &name, &state, err))
		return false;
	if (strcmp(state, "absent") == 0) {
		name_leftovers(&heroku, name);
		if (!create(&heroku, name, err))
			return fail_while(err, "make the follower %s", name);
	}
	if (!lookup_wait_addon(&heroku, name, &addon, err))
		return false;
	const char *id = heroku_text(addon, "id", err);
	if (!id || !lookup_wait_database(&heroku, id, &database, err))
		return false;
	if (lookup_is_following(database))
		return true;
	return fail(err, ERROR_FAILED, "%s was made but follows nothing", name);
}

/* Only while it follows: afterwards it may hold data of its own. */
static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *app;
	const char *name, *state;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app(&heroku, lookup_field(&heroku, "app"), &app, err))
		return false;
	if (!app || strcmp(value_get_text(before, "state", "absent"), "absent") != 0)
		return true;
	if (!find_ours(&heroku, &name, &state, err))
		return false;
	if (strcmp(state, "absent") == 0)
		return true;
	const char *path =
		heroku_path(&heroku, "/apps/%s/addons/%s", lookup_field(&heroku, "app"), name);
	enum heroku_outcome outcome = heroku_write(&heroku, "DELETE", path, NULL, NULL, err);
	return outcome == HEROKU_DONE || outcome == HEROKU_ABSENT;
}

const struct step_module heroku_postgres_follower = {
	.name = "heroku.postgres.follower",
	.text = "Makes a database that follows the primary database of another app.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"heroku/addon/${database}/following", NULL},
	.reads = (const char *const[]){"heroku/app/${leader_app}/database", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
