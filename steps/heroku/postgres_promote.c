/* SPDX-License-Identifier: MIT */
/* heroku.postgres.promote: a database becomes the DATABASE of an app. One compound step: the add-on
 * that holds the name gets a spare attachment first, so that nothing is ever without a name. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"

#include <ctype.h>
#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"database", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "The add-on name of the database."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *list = NULL;

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    (app && !lookup_attachments(&heroku, lookup_field(&heroku, "app"), &list, err)))
		return false;
	const struct value *held = lookup_item(list, "name", "DATABASE");
	const char *addon = held ? heroku_text(held, "addon.name", err) : NULL;
	if (held && !addon)
		return false;
	if (addon)
		value_set_text(step->arena, seen, "database", addon);
	else
		value_set(step->arena, seen, "database", value_null(step->arena));
	return true;
}

static bool attach(struct heroku *heroku, const char *addon, const char *name, struct error *err)
{
	struct value *body = value_map(heroku->arena), *list;
	const char *app = lookup_field(heroku, "app");

	value_set_text(heroku->arena, body, "addon", addon);
	value_set_text(heroku->arena, body, "app", app);
	value_set_text(heroku->arena, body, "confirm", app);
	value_set_text(heroku->arena, body, "name", name);
	enum heroku_outcome outcome =
		heroku_write(heroku, "POST", "/addon-attachments", body, NULL, err);
	if (outcome == HEROKU_DONE)
		return true;
	struct error unsure = *err;
	if (outcome != HEROKU_UNSURE || !lookup_attachments(heroku, app, &list, err))
		return false;
	const char *holder = heroku_text_or_null(lookup_item(list, "name", name), "addon.name");
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

/* The add-on that holds DATABASE must not lose its last name on the app. */
static bool keep_name(struct heroku *heroku, const struct value *list, const char *holder,
                      struct error *err)
{
	size_t names = 0;

	for (const struct value *one = list->as.items.first; one; one = one->next) {
		const char *addon = heroku_text_or_null(one, "addon.name");
		names += addon && strcmp(addon, holder) == 0;
	}
	return names > 1 || attach(heroku, holder, spare_name(heroku), err);
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

static bool make_primary(struct heroku *heroku, const char *name, struct error *err)
{
	struct value *list;

	if (!lookup_attachments(heroku, lookup_field(heroku, "app"), &list, err))
		return false;
	const char *holder =
		heroku_text_or_null(lookup_item(list, "name", "DATABASE"), "addon.name");
	bool holds = holder && strcmp(holder, name) == 0;
	if (holder && !holds && !keep_name(heroku, list, holder, err))
		return false;
	return (holds || attach(heroku, name, "DATABASE", err)) &&
	       lookup_wait_release(heroku, lookup_field(heroku, "app"), NULL, err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;

	(void)changes;
	if (!heroku_open(&heroku, step, err))
		return false;
	const char *name = lookup_field(&heroku, "database");
	return check_ready(&heroku, name, err) && make_primary(&heroku, name, err);
}

static bool drop_attachment(struct heroku *heroku, const char *name, struct error *err)
{
	struct value *list;

	if (!lookup_attachments(heroku, lookup_field(heroku, "app"), &list, err))
		return false;
	const char *id = heroku_text_or_null(lookup_item(list, "name", name), "id");
	if (!id)
		return true;
	enum heroku_outcome outcome =
		heroku_write(heroku, "DELETE", heroku_path(heroku, "/addon-attachments/%s", id),
	                     NULL, NULL, err);
	return outcome == HEROKU_DONE || outcome == HEROKU_ABSENT;
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *app;
	const char *old = value_get_text(before, "database", NULL);

	if (!heroku_open(&heroku, step, err) ||
	    !lookup_app(&heroku, lookup_field(&heroku, "app"), &app, err))
		return false;
	if (!app)
		return true;
	if (!old)
		return drop_attachment(&heroku, "DATABASE", err);
	return make_primary(&heroku, old, err) &&
	       drop_attachment(&heroku, spare_name(&heroku), err);
}

const struct step_module heroku_postgres_promote = {
	.name = "heroku.postgres.promote",
	.text = "Makes a database the DATABASE of an app; refused while it still follows another "
		"one.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/app/${app}/database", NULL},
	.reads = (const char *const[]){"heroku/addon/${database}/following", NULL},
	.observe = observe,
	.apply = apply,
	.revert = revert,
};
