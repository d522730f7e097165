/* SPDX-License-Identifier: MIT */
/* heroku.postgres.promote: a database becomes the DATABASE of an app. One compound step: the add-on
 * that holds the name gets a spare attachment first, so that nothing is ever without a name. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <ctype.h>
#include <string.h>

#define PRIMARY "DATABASE"
#define POOL "DATABASE_CONNECTION_POOL"
#define POOL_NAMESPACE "connection-pooling:default" /* as `heroku pg:promote` attaches it */

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"database", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "The add-on name of the database."},
	{"like", FIELD_APP, FIELD_EXISTS, NULL, NULL,
         "Have a connection pool where this app has one; else one is only moved along."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

/* ---- The release that a change of DATABASE makes ---- */

static bool is_attach(const struct value *release, const void *context)
{
	static const char wanted[] = "Attach " PRIMARY;
	const char *text = value_get_text(release, "description", "");

	(void)context;
	/* Not "Attach DATABASE_CONNECTION_POOL". */
	return strncmp(text, wanted, sizeof wanted - 1) == 0 &&
	       (text[sizeof wanted - 1] == '\0' || text[sizeof wanted - 1] == ' ');
}

static bool find_open_release(struct heroku *heroku, const struct value **open, struct error *err)
{
	return lookup_open_release(heroku, lookup_field(heroku, "app"), is_attach, NULL, open, err);
}

/* Its release phase may refuse it; what belongs together is attached before that is asked. */
static bool wait_release(struct heroku *heroku, struct error *err)
{
	const struct value *release;
	const char *app = lookup_field(heroku, "app");

	for (int poll = 0;; poll++) {
		if (!find_open_release(heroku, &release, err))
			return false;
		if (!release)
			return true;
		long long version = value_get_number(release, "version", 0);
		const char *status = value_get_text(release, "status", "");
		if (strcmp(status, "pending") != 0)
			return fail(
				err, ERROR_FAILED,
				"the release phase of v%lld of %s (%s) %s: " PRIMARY
				" is attached, but the dynos were not restarted and go on with "
				"what they had; `heroku releases:output v%lld -a %s` shows why; "
				"any later release that succeeds settles it",
				version, app, value_get_text(release, "description", ""), status,
				version, app);
		step_progress(heroku->step, "waiting for the release phase of v%lld of %s", version,
		              app);
		if (!lookup_pause(heroku, poll, err))
			return false;
	}
}

/* ---- Looking ---- */

static const char *holder_of(const struct value *list, const char *name)
{
	return heroku_text_or_null(lookup_item(list, "name", name), "addon.name");
}

/* Whether the app in `like` has a pool before its DATABASE. */
static bool wants_pool(struct heroku *heroku, bool *wanted, struct error *err)
{
	const char *like = lookup_field(heroku, "like");
	struct value *list;

	*wanted = false;
	if (!like)
		return true;
	if (!lookup_attachments(heroku, like, &list, err))
		return false;
	*wanted = holder_of(list, POOL) != NULL;
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *list = NULL;
	const struct value *open = NULL;
	bool pooled;

	if (!heroku_open(&heroku, step, err) || !wants_pool(&heroku, &pooled, err))
		return false;
	const char *name = lookup_field(&heroku, "app"),
		   *wanted = lookup_field(&heroku, "database");
	if (!lookup_app_needed(&heroku, name, &app, err) ||
	    (app && !lookup_attachments(&heroku, name, &list, err)))
		return false;
	const char *addon = holder_of(list, PRIMARY), *pool = holder_of(list, POOL);
	bool ours = addon && wanted && strcmp(addon, wanted) == 0;
	if (ours && !find_open_release(&heroku, &open, err))
		return false;
	value_set(step->arena, seen, "database",
	          addon ? value_text(step->arena, addon) : value_null(step->arena));
	if (pool)
		value_set_text(step->arena, seen, "pool", pool);
	value_set_bool(step->arena, seen, "pool_wanted", pooled);
	value_set_text(step->arena, seen, "release",
	               open ? value_get_text(open, "status", "") : "succeeded");
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *wanted = value_get(step->with, "database");
	const struct value *now = value_get(seen, "database"), *pool = value_get(seen, "pool");
	const struct value *release = value_get(seen, "release");

	(void)err;
	if (!value_equal(now, wanted))
		changes_add(changes, "database", now, wanted, NULL);
	else if (strcmp(value_reveal(release), "succeeded") != 0)
		changes_add(changes, "release", release, value_text(step->arena, "succeeded"),
		            "the release that attached " PRIMARY " is not in force");
	if (pool && !value_equal(pool, wanted))
		changes_add(changes, "pool", pool, wanted, "its connection pool moves along");
	else if (!pool && value_get_bool(seen, "pool_wanted", false))
		changes_add(changes, "pool", NULL, wanted, "a connection pool, as there is one");
	return true;
}

/* ---- Acting ---- */

static bool attach(struct heroku *heroku, const char *addon, const char *name, struct error *err)
{
	struct value *body = value_map(heroku->arena), *list;
	const char *app = lookup_field(heroku, "app");

	value_set_text(heroku->arena, body, "addon", addon);
	value_set_text(heroku->arena, body, "app", app);
	value_set_text(heroku->arena, body, "confirm", app);
	value_set_text(heroku->arena, body, "name", name);
	if (strcmp(name, POOL) == 0)
		value_set_text(heroku->arena, body, "namespace", POOL_NAMESPACE);
	enum heroku_outcome outcome =
		heroku_write(heroku, "POST", "/addon-attachments", body, NULL, err);
	if (outcome == HEROKU_DONE)
		return true;
	struct error unsure = *err;
	if (outcome != HEROKU_UNSURE || !lookup_attachments(heroku, app, &list, err))
		return false;
	const char *holder = holder_of(list, name);
	*err = unsure;
	return holder && strcmp(holder, addon) == 0;
}

static char *spare_name(struct heroku *heroku)
{
	char *name =
		arena_printf(heroku->arena, "HEROKU_POSTGRESQL_SPARE_%s", step_token(heroku->step));

	for (char *c = name; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return name;
}

/* The add-on that holds DATABASE must not lose its last name on the app. The pool's is none: it
 * moves along. */
static bool keep_name(struct heroku *heroku, const struct value *list, const char *holder,
                      struct error *err)
{
	for (const struct value *one = list->as.items.first; one; one = one->next) {
		const char *addon = heroku_text_or_null(one, "addon.name");
		const char *name = value_get_text(one, "name", "");
		if (addon && strcmp(addon, holder) == 0 && strcmp(name, PRIMARY) != 0 &&
		    strcmp(name, POOL) != 0)
			return true;
	}
	return attach(heroku, holder, spare_name(heroku), err);
}

static bool check_ready(struct heroku *heroku, const char *name, struct error *err)
{
	struct value *addon, *database;

	if (!lookup_addon(heroku, name, &addon, err))
		return false;
	const char *id = addon ? heroku_text(addon, "id", err) : NULL;
	if (!id)
		return addon ? false : fail(err, ERROR_FAILED, "there is no add-on %s", name);
	if (!lookup_wait_database(heroku, id, &database, err))
		return false;
	if (!lookup_is_following(database))
		return true;
	return fail(
		err, ERROR_REFUSED,
		"%s still follows another database: promoted, the app could only read; unfollow "
		"it first",
		name);
}

/* pool NULL: the pool stays as it is; an app without one gets one only when `pooled`. */
static bool make_primary(struct heroku *heroku, const char *name, const char *pool, bool pooled,
                         struct error *err)
{
	struct value *list;

	if (!lookup_attachments(heroku, lookup_field(heroku, "app"), &list, err))
		return false;
	const char *holder = holder_of(list, PRIMARY), *pool_holder = holder_of(list, POOL);
	bool holds = holder && strcmp(holder, name) == 0;
	if (holder && !holds && !keep_name(heroku, list, holder, err))
		return false;
	if (!holds && !attach(heroku, name, PRIMARY, err))
		return false;
	if (!pool_holder && !pooled)
		return true;
	return !pool || (pool_holder && strcmp(pool_holder, pool) == 0) ||
	       attach(heroku, pool, POOL, err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	bool pooled;

	(void)changes;
	if (!heroku_open(&heroku, step, err) || !wants_pool(&heroku, &pooled, err))
		return false;
	const char *name = lookup_field(&heroku, "database");
	return check_ready(&heroku, name, err) && make_primary(&heroku, name, name, pooled, err) &&
	       wait_release(&heroku, err);
}

static bool drop_attachment(struct heroku *heroku, const char *name, struct error *err)
{
	struct value *list;

	if (!lookup_attachments(heroku, lookup_field(heroku, "app"), &list, err))
		return false;
	const struct value *found = lookup_item(list, "name", name);
	const char *id = found ? heroku_text(found, "id", err) : NULL;
	if (!id)
		return !found;
	return heroku_delete(heroku, heroku_path(heroku, "/addon-attachments/%s", id), err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *app;
	const char *old = value_get_text(before, "database", NULL);
	struct error phase;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app(&heroku, lookup_field(&heroku, "app"), &app, err))
		return false;
	if (!app)
		return true;
	if (!value_get(before, "pool") && value_get_bool(before, "pool_wanted", false) &&
	    !drop_attachment(&heroku, POOL, err))
		return false;
	if (!old)
		return drop_attachment(&heroku, PRIMARY, err);
	if (!make_primary(&heroku, old, value_get_text(before, "pool", NULL), false, err) ||
	    !drop_attachment(&heroku, spare_name(&heroku), err))
		return false;
	/* The attachments are back. Others wait for the rest of the way back: it is told, no more.
	 */
	if (!wait_release(&heroku, &phase)) {
		if (phase.kind == ERROR_CANCELLED)
			return fail(err, phase.kind, "%s", phase.text);
		step_note(step, "%s", phase.text);
	}
	return true;
}

const struct step_module heroku_postgres_promote = {
	.name = "heroku.postgres.promote",
	.text = "Makes a database the DATABASE of an app; refused while it still follows another "
		"one.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/database", NULL},
	/* Not the app in `like`: when it is gone, what was promoted is still to be compared. */
	.reads = (const char *const[]){"heroku/addon/${database}/following", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
