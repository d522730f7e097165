/* SPDX-License-Identifier: MIT */
/* heroku.postgres.schedules: when backups of a database are made, as for another app's. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/heroku/reads.h"

static const struct field fields[] = {
	{"from_app", FIELD_APP, FIELD_REQUIRED | FIELD_EXISTS, NULL, NULL,
         "The app whose DATABASE has the schedules."},
	{"database", FIELD_STRING, FIELD_REQUIRED, NULL, NULL,
         "The add-on name of the database that gets them."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

/* ---- Reading ---- */

static char *path_of(struct heroku *heroku, const char *addon_id)
{
	return heroku_path(heroku, "/client/v11/databases/%s/transfer-schedules", addon_id);
}

bool schedules_read(struct heroku *heroku, const char *addon_id, struct value *out,
                    struct value *ids, struct error *err)
{
	struct value *list;

	if (!heroku_data_get(heroku, path_of(heroku, addon_id), &list, err))
		return false;
	if (list && list->kind != VALUE_LIST)
		return fail(err, ERROR_FAILED, "the list of backup schedules is no list");
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		struct value *schedule = value_map(heroku->arena);
		const char *name = heroku_text(one, "name", err);
		const char *uuid = name ? heroku_text(one, "uuid", err) : NULL;
		const char *zone = uuid ? heroku_text(one, "timezone", err) : NULL;
		int64_t hour;
		if (!zone || !heroku_number(one, "hour", &hour, err))
			return false;
		value_set_number(heroku->arena, schedule, "hour", hour);
		value_set_text(heroku->arena, schedule, "timezone", zone);
		value_set(heroku->arena, out, name, schedule);
		if (ids)
			value_set_text(heroku->arena, ids, name, uuid);
	}
	return true;
}

/* *id NULL: there is no such add-on yet. */
static bool find_database(struct heroku *heroku, const char **id, struct error *err)
{
	const char *name = lookup_field(heroku, "database");
	struct value *addon = NULL;

	*id = NULL;
	if (name && !lookup_addon(heroku, name, &addon, err))
		return false;
	*id = addon ? heroku_text(addon, "id", err) : NULL;
	return *id || !addon;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *source, *now = value_map(step->arena), *wanted = value_map(step->arena);
	const char *id;

	if (!heroku_open(&heroku, step, err) || !find_database(&heroku, &id, err) ||
	    (id && !schedules_read(&heroku, id, now, NULL, err)) ||
	    !lookup_primary(&heroku, lookup_field(&heroku, "from_app"), &source, err))
		return false;
	const char *from = source ? heroku_text(source, "id", err) : NULL;
	if (source && (!from || !schedules_read(&heroku, from, wanted, NULL, err)))
		return false;
	value_set(step->arena, seen, "now", now);
	value_set(step->arena, seen, "wanted", wanted);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *wanted = value_get(seen, "wanted"), *now = value_get(seen, "now");

	(void)step, (void)err;
	for (const struct value *one = wanted->as.items.first; one; one = one->next)
		if (!value_equal(value_get(now, one->key), one))
			changes_add(changes, one->key, value_get(now, one->key), one, NULL);
	return true;
}

/* ---- Acting ---- */

/* wanted NULL: none of that name. */
static bool put(struct heroku *heroku, const char *addon_id, const char *name,
                const struct value *wanted, struct error *err)
{
	struct value *now = value_map(heroku->arena), *ids = value_map(heroku->arena);

	if (!schedules_read(heroku, addon_id, now, ids, err))
		return false;
	const struct value *have = value_get(now, name);
	if (wanted ? value_equal(have, wanted) : !have)
		return true;
	if (have) {
		const char *path =
			heroku_path(heroku, "/client/v11/databases/%s/transfer-schedules/%s",
		                    addon_id, value_get_text(ids, name, ""));
		enum heroku_outcome outcome =
			heroku_data_write(heroku, "DELETE", path, NULL, NULL, err);
		if (outcome != HEROKU_DONE && outcome != HEROKU_ABSENT)
			return false;
	}
	if (!wanted)
		return true;
	struct value *body = value_copy(heroku->arena, wanted);
	value_set_text(heroku->arena, body, "schedule_name", name);
	return heroku_data_write(heroku, "POST", path_of(heroku, addon_id), body, NULL, err) ==
	       HEROKU_DONE;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *database;
	const char *id;

	if (!heroku_open(&heroku, step, err) || !find_database(&heroku, &id, err))
		return false;
	if (!id)
		return fail(err, ERROR_FAILED, "there is no add-on %s",
		            lookup_field(&heroku, "database"));
	if (!lookup_wait_database(&heroku, id, &database, err))
		return false;
	for (const struct change *change = changes->first; change; change = change->next)
		if (!put(&heroku, id, change->path, change->to, err))
			return fail_while(err, "schedule %s", change->path);
	return true;
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	const struct value *wanted = value_get(before, "wanted"), *old = value_get(before, "now");
	const char *id;

	if (!heroku_open(&heroku, step, err) || !find_database(&heroku, &id, err))
		return false;
	for (const struct value *one = id && wanted ? wanted->as.items.first : NULL; one;
	     one = one->next)
		if (!put(&heroku, id, one->key, value_get(old, one->key), err))
			return fail_while(err, "schedule %s", one->key);
	return true;
}

const struct step_module heroku_postgres_schedules = {
	.name = "heroku.postgres.schedules",
	.text = "Has backups of a database made when those of another app's DATABASE are.",
	.fields = fields,
	.subjects = (const char *const[]){"heroku/addon/${database}/schedules", NULL},
	.reads = (const char *const[]){"heroku/app/${from_app}/database", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
