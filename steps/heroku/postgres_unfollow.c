/* SPDX-License-Identifier: MIT */
/* heroku.postgres.unfollow: a follower becomes a database of its own. It cannot follow again. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

static const struct field fields[] = {
	{"database", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "The add-on name of the follower."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool find(struct heroku *heroku, const char **id, struct value **database, struct error *err)
{
	const char *name = lookup_field(heroku, "database");
	struct value *addon;

	*id = NULL;
	*database = NULL;
	if (!lookup_addon(heroku, name, &addon, err))
		return false;
	if (addon)
		return (*id = heroku_text(addon, "id", err)) &&
		       lookup_database(heroku, *id, database, err);
	return heroku->step->looking || fail(err, ERROR_FAILED, "there is no add-on %s", name);
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *database;
	const char *id;

	if (!heroku_open(&heroku, step, err) || !find(&heroku, &id, &database, err))
		return false;
	if (id && !database && !step->looking)
		return fail(err, ERROR_RETRY, "the Data API does not know the database yet");
	bool waiting = value_get_bool(database, "waiting?", false);
	value_set_bool(step->arena, seen, "following",
	               !database || lookup_is_following(database) || waiting);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	if (value_get_bool(seen, "following", true))
		changes_add(changes, "following", value_get(seen, "following"),
		            value_bool(step->arena, false), "cannot follow again");
	return true;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *database;
	const char *id;

	(void)changes;
	if (!heroku_open(&heroku, step, err) || !find(&heroku, &id, &database, err))
		return false;
	if (!id)
		return fail(err, ERROR_FAILED, "the add-on is gone");
	const char *path = heroku_path(&heroku, "/client/v11/databases/%s/unfollow", id);
	if (lookup_is_following(database)) {
		enum heroku_outcome outcome =
			heroku_data_write(&heroku, "PUT", path, NULL, NULL, err);
		if (outcome == HEROKU_UNSURE)
			return fail_while(err, "unfollow (the next try looks first)");
		if (outcome != HEROKU_DONE)
			return false;
	}
	for (int poll = 0;; poll++) {
		if (!lookup_wait_database(&heroku, id, &database, err))
			return false;
		if (!lookup_is_following(database))
			return true;
		step_progress(step, "waiting until it no longer follows");
		if (!lookup_pause(&heroku, poll, err))
			return false;
	}
}

const struct step_module heroku_postgres_unfollow = {
	.name = "heroku.postgres.unfollow",
	.text = "Makes a follower a database of its own; it cannot follow again.",
	.traits = STEP_IRREVERSIBLE,
	.fields = fields,
	.subjects = (const char *const[]){"heroku/addon/${database}/following", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
};
