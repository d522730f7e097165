/* SPDX-License-Identifier: MIT */
/* heroku.formation: how many dynos of which size, and no one-off dynos where the plan says so. */
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/heroku/reads.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"scale", FIELD_INT, FIELD_MAP, NULL, NULL,
         "How many dynos of each type; `all` stands for every other one."},
	{"like", FIELD_ANY, 0, NULL, NULL, "An app, or what another step gave as `before`."},
	{"stop_one_off", FIELD_BOOL, 0, "false", NULL, "Stop dynos of `run` and of the scheduler."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static const struct field outputs[] = {
	{"before", FIELD_ANY, 0, NULL, NULL,
         "The formation as it was: {web: {quantity: 1, size: standard-1x}}."},
	{0},
};

static bool check(const struct value *with, struct error *err)
{
	if (value_get(with, "scale") || value_get(with, "like") || value_get(with, "stop_one_off"))
		return true;
	return fail(err, ERROR_PLAN, "write `scale:`, `like:` or `stop_one_off: true`");
}

bool formation_read(struct heroku *heroku, const char *app, struct value *out, struct error *err)
{
	struct value *list;

	if (!heroku_list(heroku, heroku_path(heroku, "/apps/%s/formation", app), &list, err))
		return false;
	for (const struct value *item = list ? list->as.items.first : NULL; item;
	     item = item->next) {
		const char *type = heroku_text(item, "type", err);
		const char *size = heroku_text_or_null(item, "dyno_size.name");
		struct value *one = value_map(heroku->arena);
		int64_t quantity;
		if (!type || !heroku_number(item, "quantity", &quantity, err))
			return false;
		if (!size && !(size = heroku_text(item, "size", err)))
			return false;
		value_set_number(heroku->arena, one, "quantity", quantity);
		value_set_text(heroku->arena, one, "size", size);
		value_set(heroku->arena, out, type, one);
	}
	return true;
}

/* Dynos that belong to no process type: `heroku run`, the scheduler. */
static bool is_one_off(const struct value *dyno, const struct value *formation)
{
	const char *type = heroku_text_or_null(dyno, "type");

	return type && (strcmp(type, "run") == 0 || strcmp(type, "scheduler") == 0 ||
	                !value_get(formation, type));
}

static bool read_dynos(struct heroku *heroku, struct value **list, struct error *err)
{
	const char *path = heroku_path(heroku, "/apps/%s/dynos", lookup_field(heroku, "app"));

	if (!heroku_list(heroku, path, list, err))
		return false;
	if (!*list)
		*list = value_list(heroku->arena);
	return true;
}

static void want_scale(struct heroku *heroku, const struct value *now, struct value *wanted)
{
	const struct value *scale = value_get(heroku->step->with, "scale");
	const struct value *all = value_get(scale, "all");

	for (const struct value *type = now->as.items.first; type; type = type->next) {
		const struct value *given = value_get(scale, type->key);
		struct value *one = value_map(heroku->arena);
		if (!given)
			given = all;
		if (!given || given->kind != VALUE_INT)
			continue;
		value_set_number(heroku->arena, one, "quantity", given->as.number);
		value_set(heroku->arena, wanted, type->key, one);
	}
	for (const struct value *given = scale ? scale->as.items.first : NULL; given;
	     given = given->next) {
		struct value *one = value_map(heroku->arena);
		if (strcmp(given->key, "all") == 0 || value_get(wanted, given->key))
			continue;
		value_set_number(heroku->arena, one, "quantity", given->as.number);
		value_set(heroku->arena, wanted, given->key, one);
	}
}

static bool want_like(struct heroku *heroku, struct value *wanted, struct error *err)
{
	const struct value *like = value_get(heroku->step->with, "like");

	if (!like || like->kind == VALUE_UNKNOWN || like->kind == VALUE_NULL)
		return true;
	if (like->kind == VALUE_TEXT)
		return formation_read(heroku, like->as.text, wanted, err);
	if (like->kind != VALUE_MAP)
		return fail(err, ERROR_PLAN, "`like` must be an app or a formation, not a %s",
		            value_kind_name(like->kind));
	for (const struct value *one = like->as.items.first; one; one = one->next)
		value_set(heroku->arena, wanted, one->key, value_copy(heroku->arena, one));
	return true;
}

static int64_t count_one_off(const struct value *dynos, const struct value *formation)
{
	int64_t count = 0;

	for (const struct value *dyno = dynos->as.items.first; dyno; dyno = dyno->next)
		count += is_one_off(dyno, formation);
	return count;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app, *now = value_map(step->arena), *wanted = value_map(step->arena);
	struct value *dynos = value_list(step->arena);

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *name = lookup_field(&heroku, "app");
	if (!lookup_app_needed(&heroku, name, &app, err) ||
	    (app && !formation_read(&heroku, name, now, err)) ||
	    (app && !read_dynos(&heroku, &dynos, err)) || !want_like(&heroku, wanted, err))
		return false;
	want_scale(&heroku, now, wanted);
	value_set(step->arena, seen, "now", now);
	value_set(step->arena, seen, "wanted", wanted);
	value_set_number(step->arena, seen, "one_off", count_one_off(dynos, now));
	/* The original, also when an earlier try has already changed it. */
	const struct value *original = value_get(step->before, "now");
	if (original || app)
		step_output(step, "before", value_copy(step->arena, original ? original : now));
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *like = value_get(step->with, "like"), *now = value_get(seen, "now");
	const struct value *one_off = value_get(seen, "one_off");

	(void)err;
	if (like && like->kind == VALUE_UNKNOWN)
		changes_add(changes, "formation", now, like, NULL);
	for (const struct value *type = value_get(seen, "wanted")->as.items.first; type;
	     type = type->next)
		changes_compare(changes, type->key, value_get(now, type->key), type);
	if (value_get_bool(step->with, "stop_one_off", false) && one_off->as.number > 0)
		changes_add(changes, "one_off", one_off, value_number(step->arena, 0),
		            "one-off dynos are stopped");
	return true;
}

/* wanted: MAP type -> {quantity, size}. */
static bool patch(struct heroku *heroku, const struct value *wanted, struct error *err)
{
	struct value *body = value_map(heroku->arena), *updates = value_list(heroku->arena);
	const char *path = heroku_path(heroku, "/apps/%s/formation", lookup_field(heroku, "app"));

	for (const struct value *type = wanted->as.items.first; type; type = type->next) {
		struct value *one = value_map(heroku->arena), *size = value_map(heroku->arena);
		const char *size_name = value_get_text(type, "size", NULL);
		value_set_text(heroku->arena, one, "type", type->key);
		value_set_number(heroku->arena, one, "quantity",
		                 value_get_number(type, "quantity", 0));
		value_set_text(heroku->arena, size, "name", size_name ? size_name : "");
		if (size_name)
			value_set(heroku->arena, one, "dyno_size", size);
		value_add(updates, one);
	}
	value_set(heroku->arena, body, "updates", updates);
	return updates->as.items.count == 0 || heroku_must(heroku, "PATCH", path, body, NULL, err);
}

static bool stop_dynos(struct heroku *heroku, const struct value *dynos,
                       const struct value *formation, struct error *err)
{
	for (const struct value *dyno = dynos->as.items.first; dyno; dyno = dyno->next) {
		const char *id = is_one_off(dyno, formation) ? heroku_text(dyno, "id", err) : NULL;
		if (!id)
			continue;
		const char *path = heroku_path(heroku, "/apps/%s/dynos/%s/actions/stop",
		                               lookup_field(heroku, "app"), id);
		enum heroku_outcome outcome = heroku_write(heroku, "POST", path, NULL, NULL, err);
		if (outcome == HEROKU_REFUSED)
			return false;
	}
	return true;
}

/* A dyno of a type that shall have none, or a one-off that shall be stopped, is still there. */
static bool anyone_left(const struct heroku *heroku, const struct value *dynos,
                        const struct value *now, const struct value *wanted)
{
	bool stop = value_get_bool(heroku->step->with, "stop_one_off", false);

	for (const struct value *dyno = dynos->as.items.first; dyno; dyno = dyno->next) {
		const struct value *type = value_get(wanted, value_get_text(dyno, "type", ""));
		if (type && value_get_number(type, "quantity", 1) == 0)
			return true;
		if (stop && is_one_off(dyno, now))
			return true;
	}
	return false;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct value *seen = value_map(step->arena), *dynos;

	(void)changes;
	if (!heroku_open(&heroku, step, err) || !observe(step, seen, err))
		return false;
	const struct value *now = value_get(seen, "now"), *wanted = value_get(seen, "wanted");
	if (!patch(&heroku, wanted, err))
		return false;
	for (int poll = 0;; poll++) {
		if (!read_dynos(&heroku, &dynos, err))
			return false;
		if (!anyone_left(&heroku, dynos, now, wanted))
			return true;
		if (value_get_bool(step->with, "stop_one_off", false) &&
		    !stop_dynos(&heroku, dynos, now, err))
			return false;
		step_progress(step, "waiting until the dynos have stopped");
		if (!lookup_pause(&heroku, poll, err))
			return false;
	}
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *app, *now = value_map(step->arena), *left = value_map(step->arena);
	const struct value *then = value_get(before, "now");

	if (!heroku_open(&heroku, step, err))
		return false;
	const char *name = lookup_field(&heroku, "app");
	if (!lookup_app(&heroku, name, &app, err) ||
	    (app && !formation_read(&heroku, name, now, err)))
		return false;
	/* What is as it was is not asked for again: a step that changed nothing because Heroku
	 * failed must not fail on the way back too. */
	for (const struct value *one = app && then ? then->as.items.first : NULL; one;
	     one = one->next)
		if (!value_equal(value_get(now, one->key), one))
			value_set(step->arena, left, one->key, value_copy(step->arena, one));
	return patch(&heroku, left, err);
}

const struct step_module heroku_formation = {
	.name = "heroku.formation",
	.text = "Scales the dynos of an app, and stops one-off dynos.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"heroku/app/${app}/formation", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
