/* SPDX-License-Identifier: MIT */
/* heroku.postgres.follower: a database on one app that follows the primary of another. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* What is followed. */
struct leader {
	struct value *addon, *database; /* the latter NULL while the Data API has none */
	const char *id, *plan;
};

static bool find_leader(struct heroku *heroku, struct leader *leader, struct error *err)
{
	const char *app = lookup_field(heroku, "leader_app");
	struct value *addon;

	*leader = (struct leader){0};
	if (!lookup_primary(heroku, app, &addon, err))
		return false;
	if (!addon)
		return fail(err, ERROR_FAILED, "%s has no add-on attached as DATABASE to follow",
		            app);
	leader->addon = addon;
	return (leader->plan = heroku_text(addon, "plan.name", err)) &&
	       (leader->id = heroku_text(addon, "id", err)) &&
	       lookup_database(heroku, leader->id, &leader->database, err);
}

/* ---- Whether it can be followed, and by that plan ---- */

static bool has_no_followers(const char *plan)
{
	static const char *const tiers[] = {":essential", ":mini", ":basic", ":hobby", ":dev"};

	for (size_t i = 0; plan && i < sizeof tiers / sizeof *tiers; i++)
		if (strstr(plan, tiers[i]))
			return true;
	return false;
}

/* "heroku-postgresql:premium-l-5" is of class 5: plans of a class have the same size in all tiers.
 * -1: not known. */
static int64_t size_class(const char *plan)
{
	const char *dash = plan ? strrchr(plan, '-') : NULL;

	if (!dash || !dash[1] || dash[1 + strspn(dash + 1, "0123456789")])
		return -1;
	return strtoll(dash + 1, NULL, 10);
}

static bool check_plan(struct heroku *heroku, const struct leader *leader, struct error *err)
{
	const char *plan = lookup_field(heroku, "plan");
	int64_t own = size_class(plan), needed = size_class(leader->plan);

	if (has_no_followers(plan))
		return fail(err, ERROR_REFUSED,
		            "%s cannot be a follower; take a standard plan or a larger one", plan);
	if (own < 0 || needed < 0 || own >= needed)
		return true;
	return fail(err, ERROR_REFUSED,
	            "%s is smaller than %s of %s: a follower must be at least as large as its "
	            "leader, so take a plan of class %lld or above",
	            plan, leader->plan, lookup_field(heroku, "leader_app"), (long long)needed);
}

/* Before anything is made, so that `plan diff` says it. */
static bool check_fit(struct heroku *heroku, const struct leader *leader, struct error *err)
{
	const char *app = lookup_field(heroku, "leader_app");
	const char *offered = lookup_info(heroku, leader->database, "Fork/Follow");

	if (has_no_followers(leader->plan) || (offered && strcasecmp(offered, "Unsupported") == 0))
		return fail(err, ERROR_REFUSED,
		            "%s of %s cannot be followed (Fork/Follow: %s); upgrade it to a "
		            "standard plan first",
		            leader->plan, app, offered ? offered : "not known");
	if (!leader->database && heroku->step->looking)
		return check_plan(heroku, leader, err); /* it is known in a moment */
	if (!leader->database)
		return fail(err, ERROR_RETRY, "the Data API does not know the database of %s yet",
		            app);
	if (lookup_is_following(leader->database))
		return fail(err, ERROR_REFUSED, "the database of %s is a follower itself", app);
	if (offered && strcasecmp(offered, "Available") != 0)
		return fail(err, ERROR_RETRY, "%s of %s cannot be followed yet (Fork/Follow: %s)",
		            leader->plan, app, offered);
	return check_plan(heroku, leader, err);
}

/* "15.4" is 15; 0 when it is not known. */
static int64_t major_version(struct heroku *heroku, const struct value *database)
{
	const char *text = lookup_info(heroku, database, "PG Version");

	if (!text)
		text = heroku_text_or_null(database, "postgres_version");
	return text ? strtoll(text, NULL, 10) : 0;
}

/* It follows: the right one, and in the same version. */
static bool check_pair(struct heroku *heroku, const struct leader *leader, const char *name,
                       const struct value *database, struct error *err)
{
	const char *followed = heroku_text_or_null(database, "leader.addon_id");
	int64_t own = major_version(heroku, database),
		theirs = major_version(heroku, leader->database);

	if (followed && leader->id && strcmp(followed, leader->id) != 0)
		return fail(err, ERROR_REFUSED, "%s follows %s, not the DATABASE of %s", name,
		            value_reveal(value_find(database, "leader.name")),
		            lookup_field(heroku, "leader_app"));
	if (own && theirs && own != theirs)
		return fail(err, ERROR_REFUSED,
		            "%s has PostgreSQL %lld and its leader %lld; both must be of one major "
		            "version",
		            name, (long long)own, (long long)theirs);
	return true;
}

/* ---- What was made before ---- */

/* Where an add-on of our name stands: "following", "making", or "free" when it no longer follows
 * and the next name is to be tried. */
static bool judge(struct heroku *heroku, const struct value *addon, const char **state,
                  struct value **database, struct error *err)
{
	const char *id = heroku_text(addon, "id", err),
		   *made = id ? heroku_text(addon, "state", err) : NULL;
	const char *app = made ? heroku_text(addon, "app.name", err) : NULL;

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
	if (!lookup_database(heroku, id, database, err))
		return false;
	if (!*database || value_get_bool(*database, "waiting?", false))
		*state = "making";
	else if (lookup_is_following(*database))
		*state = "following";
	return true;
}

/* database may be NULL; *database is NULL unless the Data API knows it. */
static bool find_ours(struct heroku *heroku, const char **name, const char **state,
                      struct value **database, struct error *err)
{
	struct value *addon, *unused;

	if (!database)
		database = &unused;

	for (int number = 1; number <= NAMES_MAX; number++) {
		const char *suffix = number == 1 ? "" : arena_printf(heroku->arena, "%d", number);
		*name = lookup_addon_name(heroku, lookup_field(heroku, "app"), suffix);
		*state = "absent";
		*database = NULL;
		if (!lookup_addon(heroku, *name, &addon, err))
			return false;
		if (!addon)
			return true;
		if (!judge(heroku, addon, state, database, err))
			return false;
		if (strcmp(*state, "free") != 0)
			return true;
	}
	return fail(err, ERROR_FAILED, "%d databases of earlier tries are there; remove some",
	            NAMES_MAX);
}

/* Why it cannot be, for plan() to say: the way back must be able to look as well. */
static void note_misfit(struct heroku *heroku, const struct leader *leader, const char *name,
                        const char *state, const struct value *database, struct value *seen)
{
	struct error why = {0};
	bool fits = true;

	if (strcmp(state, "absent") == 0)
		fits = check_fit(heroku, leader, &why);
	else if (strcmp(state, "following") == 0)
		fits = check_pair(heroku, leader, name, database, &why);
	if (fits)
		return;
	value_set_text(heroku->arena, seen, "misfit", why.text);
	value_set_bool(heroku->arena, seen, "misfit_passes", why.kind == ERROR_RETRY);
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *database;
	struct leader leader;
	const char *name, *state;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    !find_leader(&heroku, &leader, err) ||
	    !find_ours(&heroku, &name, &state, &database, err))
		return false;
	note_misfit(&heroku, &leader, name, state, database, seen);
	value_set_text(step->arena, seen, "database", name);
	value_set_text(step->arena, seen, "state", state);
	value_set_text(step->arena, seen, "leader", heroku_text_or_null(leader.addon, "name"));
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
	const char *misfit = value_get_text(seen, "misfit", NULL);
	bool passes = value_get_bool(seen, "misfit_passes", false);

	if (misfit)
		return fail(err, passes ? ERROR_RETRY : ERROR_REFUSED, "%s", misfit);
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
	struct value *config = value_map(heroku->arena);
	struct leader leader;

	if (!find_leader(heroku, &leader, err) || !check_fit(heroku, &leader, err))
		return false;
	struct value *url = lookup_database_url(heroku, leader.addon, err);
	if (!url)
		return false;
	value_set(heroku->arena, config, "follow", url);
	return lookup_create_addon(heroku, name, config, err);
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
	if (!heroku_open(&heroku, step, err) || !find_ours(&heroku, &name, &state, NULL, err))
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
	if (!find_ours(&heroku, &name, &state, NULL, err))
		return false;
	if (strcmp(state, "absent") == 0)
		return true;
	const char *path =
		heroku_path(&heroku, "/apps/%s/addons/%s", lookup_field(&heroku, "app"), name);
	return heroku_delete(&heroku, path, err);
}

const struct step_module heroku_postgres_follower = {
	.name = "heroku.postgres.follower",
	.text = "Makes a database that follows the primary database of another app.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"heroku/addon/${database}/following", NULL},
	.reads = (const char *const[]){"heroku/app/${leader_app}/database", NULL},
	.touches = (const char *const[]){"heroku/app/${app}/addons", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
