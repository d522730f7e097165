/* SPDX-License-Identifier: MIT */
/* heroku.postgres.copy: a copy of the data of another app's database, in a new one or in one that
 * is emptied for it. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/heroku/transfer.h"

#include <string.h>

static const struct field fields[] = {
	{"from_app", FIELD_APP, FIELD_REQUIRED | FIELD_EXISTS, NULL, NULL,
         "The app whose DATABASE is copied."},
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app that gets the copy."},
	{"plan", FIELD_STRING, 0, NULL, NULL,
         "Make a database of this plan for it: heroku-postgresql:standard-0."},
	{"into", FIELD_STRING, 0, NULL, NULL,
         "Or the add-on name of a database of the app; what it holds is lost."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static const struct field outputs[] = {
	{"addon", FIELD_STRING, 0, NULL, NULL, "The name of its add-on."},
	{"database", FIELD_STRING, 0, NULL, NULL, "The same."},
	{"source", FIELD_STRING, 0, NULL, NULL, "The add-on that was copied."},
	{0},
};

static bool check(const struct value *with, struct error *err)
{
	if (!value_get(with, "plan") == !value_get(with, "into"))
		return fail(err, ERROR_PLAN, "write either `plan:` or `into:`");
	return true;
}

/* The add-on that gets the data; NULL when it is not known yet. */
static const char *target_name(struct heroku *heroku)
{
	if (value_get(heroku->step->with, "into"))
		return lookup_field(heroku, "into");
	return lookup_addon_name(heroku, lookup_field(heroku, "app"), "");
}

static bool is_into(const struct value *transfer, const void *name)
{
	const char *to = heroku_text_or_null(transfer, "to_name");

	return to && strcmp(to, name) == 0;
}

/* The newest transfer into our add-on; NULL. Its name is ours alone. */
static bool find_transfer(struct heroku *heroku, const char *name, const struct value **transfer,
                          struct error *err)
{
	return transfer_find(heroku, is_into, name, transfer, err);
}

/* The newest transfer that was there before this run of the step; those after it are ours. Of a
 * database that we made they all are. */
static int64_t last_foreign(const struct step *step)
{
	return value_get_number(step->before, "last", -1);
}

static bool find_ours(struct heroku *heroku, const char *name, const struct value **transfer,
                      struct error *err)
{
	if (!find_transfer(heroku, name, transfer, err))
		return false;
	if (*transfer && transfer_number(*transfer) <= last_foreign(heroku->step))
		*transfer = NULL;
	return true;
}

/* How old its data is nobody knows: taken for a fresh copy, it could lose what was written since.
 */
static bool refuse_foreign(const char *name, const struct value *transfer, struct error *err)
{
	const char *copied_at = heroku_text_or_null(transfer, "finished_at");

	return fail(err, ERROR_REFUSED,
	            "there is an add-on %s already%s%s, and this run did not make it or has passed "
	            "over it on the way back; remove it to have a new copy made",
	            name, copied_at ? ", with a copy from " : "", copied_at ? copied_at : "");
}

/* It may lose what it holds only where it belongs to the app. */
static bool check_owner(struct heroku *heroku, const char *name, const struct value *addon,
                        struct error *err)
{
	const char *app = lookup_field(heroku, "app");
	const char *owner = addon ? heroku_text(addon, "app.name", err) : NULL;

	if (!addon)
		return heroku->step->looking ||
		       fail(err, ERROR_FAILED, "there is no add-on %s", name);
	if (!owner)
		return false;
	return strcmp(owner, app) == 0 ||
	       fail(err, ERROR_REFUSED, "the add-on %s belongs to %s, not to %s", name, owner, app);
}

static bool set_outputs(struct heroku *heroku, const char *name, struct error *err)
{
	struct value *source;

	step_output_text(heroku->step, "addon", name);
	step_output_text(heroku->step, "database", name);
	if (!lookup_primary(heroku, lookup_field(heroku, "from_app"), &source, err))
		return false;
	if (heroku_text_or_null(source, "name"))
		step_output_text(heroku->step, "source", heroku_text_or_null(source, "name"));
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *addon = NULL;
	const struct value *transfer = NULL;
	bool into = value_get(step->with, "into") != NULL;

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *name = target_name(&heroku);
	if (!lookup_app_needed(&heroku, lookup_field(&heroku, "app"), &app, err) ||
	    (app && name && !lookup_addon(&heroku, name, &addon, err)) ||
	    (addon && !find_transfer(&heroku, name, &transfer, err)))
		return false;
	if (into && name && !check_owner(&heroku, name, addon, err))
		return false;
	if (addon && !into && !step->attempted && !step->was_done)
		return refuse_foreign(name, transfer, err);
	/* How old the data of an earlier copy is nobody knows: before this run they do not count.
	 */
	int64_t newest = transfer ? transfer_number(transfer) : -1;
	bool ours = !into || (step->before && newest > last_foreign(step));
	value_set_bool(step->arena, seen, "exists", addon != NULL);
	value_set_bool(step->arena, seen, "copied", ours && transfer && transfer_is_good(transfer));
	if (into)
		value_set_number(step->arena, seen, "last", newest);
	return !name || set_outputs(&heroku, name, err);
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	bool into = value_get(step->with, "into") != NULL;

	if (!into && !value_get_bool(seen, "exists", false))
		changes_add(changes, "addon", NULL, value_get(step->with, "plan"), NULL);
	if (!value_get_bool(seen, "copied", false))
		changes_add(changes, "data", NULL, value_get(step->with, "from_app"),
		            into ? "copied from there; what it holds is lost"
		                 : "copied from there");
	return true;
}

static bool create(struct heroku *heroku, const char *name, struct error *err)
{
	struct value *addon;

	if (!lookup_addon(heroku, name, &addon, err))
		return false;
	return addon || lookup_create_addon(heroku, name, NULL, err);
}

/* Only the default credential's view is copied: with others there, something would be missing. */
static bool refuse_credentials(struct heroku *heroku, const struct value *source, struct error *err)
{
	struct value *database;
	const char *id = heroku_text(source, "id", err);

	if (!id || !lookup_database(heroku, id, &database, err))
		return false;
	int64_t count = value_get_number(database, "credentials", 1);
	return count <= 1 ||
	       fail(err, ERROR_REFUSED,
	            "the source database has %lld credentials; a copy would carry over "
	            "only what the default one sees",
	            (long long)count);
}

/* A lost reply is looked up: *transfer is the newest one afterwards. */
static bool start(struct heroku *heroku, const struct value *addon, const struct value **transfer,
                  struct error *err)
{
	struct value *source, *body = value_map(heroku->arena);
	const char *from = lookup_field(heroku, "from_app"), *id = heroku_text(addon, "id", err);
	const char *name = heroku_text_or_null(addon, "name");
	int64_t last = *transfer ? transfer_number(*transfer) : last_foreign(heroku->step);

	if (!id || !lookup_primary(heroku, from, &source, err))
		return false;
	if (!source)
		return fail(err, ERROR_FAILED, "%s has no add-on attached as DATABASE to copy",
		            from);
	if (!refuse_credentials(heroku, source, err))
		return false;
	struct value *from_url = lookup_database_url(heroku, source, err);
	struct value *to_url = from_url ? lookup_database_url(heroku, addon, err) : NULL;
	if (!to_url)
		return false;
	if (value_equal(from_url, to_url))
		return fail(err, ERROR_REFUSED, "source and target are the same database");
	value_set_text(heroku->arena, body, "from_name", heroku_text_or_null(source, "name"));
	value_set(heroku->arena, body, "from_url", from_url);
	value_set_text(heroku->arena, body, "to_name", name);
	value_set(heroku->arena, body, "to_url", to_url);
	const char *path = heroku_path(heroku, "/client/v11/databases/%s/transfers", id);
	enum heroku_outcome outcome = heroku_data_write(heroku, "POST", path, body, NULL, err);
	if (outcome != HEROKU_DONE && outcome != HEROKU_UNSURE)
		return false;
	struct error unsure = *err;
	if (!find_transfer(heroku, name, transfer, err))
		return false;
	if (*transfer && transfer_number(*transfer) > last)
		return true;
	return outcome == HEROKU_DONE ? fail(err, ERROR_RETRY, "the transfer is not listed yet")
	                              : fail(err, unsure.kind, "%s", unsure.text);
}

/* The one that is to be waited for: one that runs, or a new one. */
static bool find_or_start(struct heroku *heroku, const struct value *addon,
                          const struct value **transfer, struct error *err)
{
	const char *name = heroku_text(addon, "name", err);

	if (!name || !find_ours(heroku, name, transfer, err))
		return false;
	if (*transfer && !transfer_is_finished(*transfer))
		return true;
	if (*transfer &&
	    (transfer_is_good(*transfer) || !transfer_was_told(heroku->step, *transfer)))
		return transfer_judge(heroku, *transfer, err);
	return start(heroku, addon, transfer, err) || fail_while(err, "start the copy");
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *addon, *database;
	const struct value *transfer;

	(void)changes;
	if (!heroku_open(&heroku, step, err))
		return false;
	const char *name = target_name(&heroku);
	if (!value_get(step->with, "into") && !create(&heroku, name, err))
		return false;
	if (!lookup_wait_addon(&heroku, name, &addon, err))
		return false;
	const char *id = heroku_text(addon, "id", err);
	if (!id || !lookup_wait_database(&heroku, id, &database, err) ||
	    !find_or_start(&heroku, addon, &transfer, err))
		return false;
	for (int poll = 0;; poll++) {
		if (transfer && transfer_is_finished(transfer))
			return transfer_judge(&heroku, transfer, err);
		step_progress(step, "copied %lld bytes",
		              (long long)value_get_number(transfer, "processed_bytes", 0));
		if (!lookup_pause(&heroku, poll, err) ||
		    !find_transfer(&heroku, name, &transfer, err))
			return false;
	}
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *addon;

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *app = lookup_field(&heroku, "app"), *name = target_name(&heroku);
	if (value_get(step->with, "into"))
		step_note(step, "what %s held before the copy is lost", name);
	if (value_get_bool(before, "exists", true))
		return true;
	if (!lookup_addon(&heroku, name, &addon, err))
		return false;
	return !addon ||
	       heroku_delete(&heroku, heroku_path(&heroku, "/apps/%s/addons/%s", app, name), err);
}

const struct step_module heroku_postgres_copy = {
	.name = "heroku.postgres.copy",
	.text = "Copies the data of another app's database into a new one, or into one that is "
		"emptied.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"heroku/addon/${addon}", NULL},
	.reads = (const char *const[]){"heroku/app/${from_app}/database", NULL},
	.touches = (const char *const[]){"heroku/app/${app}/addons", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
