/* SPDX-License-Identifier: MIT */
/* Formation and dynos. */
#include "engine/base/clock.h"
#include "steps/heroku/simulator/world.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { START_MS = 200 };

json_t *dyno_make(struct world *world, const json_t *app, const char *type, int number,
                  const char *command)
{
	json_int_t up_ms = clock_real_ms() + START_MS;
	char name[160];

	snprintf(name, sizeof name, "%s.%d", type, number);
	return world_add(world, "dynos",
	                 json_pack("{s:n, s:s, s:o, s:o, s:s, s:o, s:o, s:s, s:s, s:s, s:o, s:I}",
	                           "attach_url", "command", command, "created_at", new_time(), "id",
	                           new_id(), "name", name, "release",
	                           release_reference(release_current(world, app)), "app",
	                           reference_to(app), "size", "standard-1X", "state", "starting",
	                           "type", type, "updated_at", new_time(), "_up_at", up_ms));
}

const json_t *dyno_of(struct world *world, const json_t *app, const char *type)
{
	json_t *dyno;
	size_t i;

	json_array_foreach(world_list(world, "dynos"), i,
	                   dyno) if (world_is_of(dyno, app) &&
	                             strcmp(text_of(dyno, "type"), type) == 0) return dyno;
	return NULL;
}

static void fit_dynos(struct world *world, const json_t *app, const json_t *formation)
{
	json_t *all = world_list(world, "dynos");
	const char *type = text_of(formation, "type");
	int64_t have = 0, want = json_integer_value(json_object_get(formation, "quantity"));

	for (size_t i = 0; i < json_array_size(all);) {
		json_t *dyno = json_array_get(all, i);
		bool mine = world_is_of(dyno, app) && strcmp(text_of(dyno, "type"), type) == 0;
		if (mine && ++have > want)
			json_array_remove(all, i);
		else
			i++;
	}
	while (have < want)
		dyno_make(world, app, type, (int)++have, text_of(formation, "command"));
}

json_t *formation_set(struct world *world, const json_t *app, const char *type, int64_t quantity)
{
	json_t *formation = world_find_of(world, "formation", app, type);
	char command[160];

	snprintf(command, sizeof command, "bin/%s", type);
	if (!formation)
		formation = world_add(
			world, "formation",
			json_pack("{s:o, s:s, s:o, s:{s:s, s:s}, s:o, s:i, s:s, s:s, s:o}", "app",
		                  reference_to(app), "command", command, "created_at", new_time(),
		                  "dyno_size", "id", "f1c3c2f0-0c5e-4c7c-9a7e-0d8f5d0c0002", "name",
		                  "standard-1X", "id", new_id(), "quantity", 0, "size",
		                  "standard-1X", "type", type, "updated_at", new_time()));
	json_object_set_new(formation, "quantity", json_integer(quantity));
	json_object_set_new(formation, "updated_at", new_time());
	fit_dynos(world, app, formation);
	return formation;
}

static void list_formation(struct call *call)
{
	json_t *app = app_of(call);

	if (app)
		reply_list(call, "formation", app);
}

/* The CLI writes "2" and "+1" where the schema wants an integer. */
static int64_t wanted_quantity(const json_t *update, int64_t now)
{
	const json_t *wanted = json_object_get(update, "quantity");
	const char *text = json_string_value(wanted);

	if (!wanted)
		return now;
	if (!text)
		return json_integer_value(wanted);
	return *text == '+' || *text == '-' ? now + atoll(text) : atoll(text);
}

/* False, with the refusal answered: there is no such size. Capitals are as one likes. */
static bool set_size(struct call *call, json_t *formation, const json_t *update)
{
	static const char *const sizes[] = {"eco",           "basic",         "standard-1X",
	                                    "standard-2X",   "performance-M", "performance-L",
	                                    "performance-XL"};
	const char *wanted = *text_of(update, "size") ? text_of(update, "size")
	                                              : text_of(update, "dyno_size.name");

	if (!*wanted)
		return true;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		if (strcasecmp(sizes[i], wanted) != 0)
			continue;
		json_object_set_new(formation, "size", json_string(sizes[i]));
		json_object_set_new(json_object_get(formation, "dyno_size"), "name",
		                    json_string(sizes[i]));
		return true;
	}
	refuse(call, 422, "invalid_params", "No such size as %s.", wanted);
	return false;
}

static json_t *update_one(struct call *call, json_t *app, const char *type, const json_t *update)
{
	json_t *formation = world_find_of(call->world, "formation", app, type);

	if (!formation) {
		refuse(call, 404, "not_found", "Couldn't find that process type (%s).", type);
		return NULL;
	}
	int64_t now = json_integer_value(json_object_get(formation, "quantity"));
	int64_t wanted = wanted_quantity(update, now);
	if (wanted < 0 || wanted > 100) {
		refuse(call, 422, "invalid_params", "Quantity must be between 0 and 100");
		return NULL;
	}
	if (!set_size(call, formation, update))
		return NULL;
	formation_set(call->world, app, type, wanted);
	effect(call, app, "scale %s from %d to %d", type, (int)now, (int)wanted);
	return formation;
}

static void update_formation(struct call *call)
{
	json_t *app = app_of(call), *update, *all = json_array();
	size_t i;

	json_array_foreach(json_object_get(call->body, "updates"), i, update)
	{
		json_t *formation =
			app ? update_one(call, app, text_of(update, "type"), update) : NULL;
		if (!formation) {
			json_decref(all);
			return;
		}
		json_array_append_new(all, visible(formation));
	}
	if (app)
		reply(call, 200, all);
	else
		json_decref(all);
}

static void show_formation(struct call *call)
{
	json_t *app = app_of(call);
	json_t *formation =
		app ? world_find_of(call->world, "formation", app, call->part[1]) : NULL;

	if (formation)
		reply(call, 200, visible(formation));
	else if (app)
		refuse(call, 404, "not_found", "Couldn't find that process type.");
}

static void update_type(struct call *call)
{
	json_t *app = app_of(call);
	json_t *formation = app ? update_one(call, app, call->part[1], call->body) : NULL;

	if (formation)
		reply(call, 200, visible(formation));
}

static json_t *shown(json_t *dyno)
{
	if (clock_real_ms() >= json_integer_value(json_object_get(dyno, "_up_at")))
		json_object_set_new(dyno, "state", json_string("up"));
	return visible(dyno);
}

static void list_dynos(struct call *call)
{
	json_t *app = app_of(call), *all = json_array(), *dyno;
	size_t i;

	one_off_settle(call->world);
	json_array_foreach(world_list(call->world, "dynos"), i,
	                   dyno) if (app && world_is_of(dyno, app))
		json_array_append_new(all, shown(dyno));
	if (app)
		reply(call, 200, all);
	else
		json_decref(all);
}

static void show_dyno(struct call *call)
{
	json_t *app = app_of(call), *dyno;

	one_off_settle(call->world);
	dyno = app ? world_find_of(call->world, "dynos", app, call->part[1]) : NULL;
	if (dyno)
		reply(call, 200, shown(dyno));
	else if (app)
		refuse(call, 404, "not_found", "Couldn't find that dyno.");
}

/* As a new dyno under the old name, with what is released now. */
static void restart(struct world *world, const json_t *app, json_t *dyno)
{
	json_object_set_new(dyno, "id", new_id());
	json_object_set_new(dyno, "release", release_reference(release_current(world, app)));
	json_object_set_new(dyno, "created_at", new_time());
	json_object_set_new(dyno, "state", json_string("starting"));
	json_object_set_new(dyno, "_up_at", json_integer(clock_real_ms() + START_MS));
}

/* type NULL: all of them. */
static void restart_each(struct world *world, const json_t *app, const char *type)
{
	json_t *dyno;
	size_t i;

	json_array_foreach(world_list(world, "dynos"), i,
	                   dyno) if (world_is_of(dyno, app) &&
	                             (!type || strcmp(text_of(dyno, "type"), type) == 0))
		restart(world, app, dyno);
}

/* One-off dynos go on with what they began with, but for those that were there before all began. */
void dynos_release(struct world *world, const json_t *app)
{
	json_t *dyno;
	size_t i;

	json_array_foreach(world_list(world, "dynos"), i,
	                   dyno) if (world_is_of(dyno, app) &&
	                             (world->seeding || world_find_of(world, "formation", app,
	                                                              text_of(dyno, "type"))))
		restart(world, app, dyno);
}

static void restart_all(struct call *call)
{
	json_t *app = app_of(call);

	if (!app)
		return;
	restart_each(call->world, app, NULL);
	effect(call, app, "restart all dynos");
	reply(call, 202, json_object());
}

static void restart_type(struct call *call)
{
	json_t *app = app_of(call);

	if (!app)
		return;
	restart_each(call->world, app, call->part[1]);
	effect(call, app, "restart all dynos of %s", call->part[1]);
	reply(call, 202, json_object());
}

/* A one-off dyno goes for good; one of the formation comes back. */
static void stop_dyno(struct call *call)
{
	json_t *app = app_of(call);
	json_t *dyno = app ? world_find_of(call->world, "dynos", app, call->part[1]) : NULL;

	if (!app)
		return;
	if (!dyno) {
		refuse(call, 404, "not_found", "Couldn't find that dyno.");
		return;
	}
	effect(call, app, "stop dyno %s", text_of(dyno, "name"));
	if (strcmp(text_of(dyno, "type"), "run") == 0 ||
	    strcmp(text_of(dyno, "type"), "scheduler") == 0)
		one_off_end(call->world, dyno, 143);
	else
		restart(call->world, app, dyno);
	reply(call, 202, json_object());
}

static void run(struct call *call)
{
	json_t *app = app_of(call);

	if (!app)
		return;
	json_t *dyno = dyno_make(call->world, app, "run", (int)++call->world->count,
	                         text_of(call->body, "command"));
	one_off_begin(call->world, dyno,
	              json_integer_value(json_object_get(call->body, "time_to_live")));
	if (*text_of(call->body, "size"))
		json_object_set(dyno, "size", json_object_get(call->body, "size"));
	effect(call, app, "run %s", text_of(dyno, "command"));
	reply(call, 201, shown(dyno));
}

const struct route dyno_routes[] = {
	{"GET", "/apps/?/formation", list_formation},
	{"PATCH", "/apps/?/formation", update_formation},
	{"GET", "/apps/?/formation/?", show_formation},
	{"PATCH", "/apps/?/formation/?", update_type},
	{"GET", "/apps/?/dynos", list_dynos},
	{"POST", "/apps/?/dynos", run},
	{"DELETE", "/apps/?/dynos", restart_all},
	{"GET", "/apps/?/dynos/?", show_dyno},
	{"DELETE", "/apps/?/dynos/?", stop_dyno},
	{"POST", "/apps/?/dynos/?/actions/stop", stop_dyno},
	{"DELETE", "/apps/?/formations/?", restart_type},
	{0},
};
