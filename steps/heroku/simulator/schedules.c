/* SPDX-License-Identifier: MIT */
/* The Data API: backup schedules and credentials of a database. */
#include "steps/heroku/simulator/world.h"

#include <string.h>

static json_t *schedule_of(struct world *world, const json_t *addon, const char *key,
                           const char *value)
{
	json_t *item;
	size_t i;

	json_array_foreach(world_list(world, "schedules"), i,
	                   item) if (strcmp(text_of(item, "_addon"), text_of(addon, "id")) == 0 &&
	                             strcmp(text_of(item, key), value) == 0) return item;
	return NULL;
}

/* One a name and database: the newer takes the place of the older. */
json_t *schedule_make(struct world *world, const json_t *addon, const json_t *asked)
{
	const char *name = text_of(asked, "schedule_name");
	json_int_t hour = json_integer_value(json_object_get(asked, "hour"));

	if (!*name)
		name = "DATABASE_URL";
	world_remove(world, "schedules", schedule_of(world, addon, "name", name));
	return world_add(world, "schedules",
	                 json_pack("{s:o, s:s, s:s+, s:[s,s,s,s,s,s,s], s:I, s:s, s:i, s:i, s:s}",
	                           "uuid", new_id(), "name", name, "callback_url",
	                           "https://callback.example.com/", name, "days", "Monday",
	                           "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
	                           "Sunday", "hour", hour, "timezone", text_of(asked, "timezone"),
	                           "retain_weeks", 1, "retain_months", 0, "_addon",
	                           text_of(addon, "id")));
}

static void list(struct call *call)
{
	json_t *addon = database_of(call), *all, *item;
	size_t i;

	if (!addon)
		return;
	all = json_array();
	json_array_foreach(world_list(call->world, "schedules"), i,
	                   item) if (strcmp(text_of(item, "_addon"), text_of(addon, "id")) == 0)
		json_array_append_new(all, visible(item));
	reply(call, 200, all);
}

static void create(struct call *call)
{
	json_t *addon = database_of(call), *hour = json_object_get(call->body, "hour");

	if (!addon)
		return;
	if (!json_is_integer(hour) || json_integer_value(hour) < 0 ||
	    json_integer_value(hour) > 23 || !*text_of(call->body, "timezone")) {
		refuse(call, 422, "unprocessable_entity",
		       "A schedule needs an hour and a timezone.");
		return;
	}
	effect(call, json_object_get(addon, "app"), "schedule backups of %s",
	       text_of(addon, "name"));
	reply(call, 201, visible(schedule_make(call->world, addon, call->body)));
}

static void destroy(struct call *call)
{
	json_t *addon = database_of(call);
	json_t *item = addon ? schedule_of(call->world, addon, "uuid", call->part[1]) : NULL;

	if (!addon)
		return;
	if (!item) {
		reply(call, 404, json_pack("{s:s}", "error", "not found"));
		return;
	}
	effect(call, json_object_get(addon, "app"), "unschedule backups of %s",
	       text_of(addon, "name"));
	reply(call, 200, visible(item));
	world_remove(call->world, "schedules", item);
}

/* ---- Credentials ---- */

int64_t credentials_count(const json_t *addon)
{
	return 1 + (int64_t)json_array_size(json_object_get(addon, "_credentials"));
}

static json_t *credential(struct world *world, const json_t *addon, const char *name,
                          const char *user)
{
	const struct scratch *scratch = &cluster_of(world, text_of(addon, "id"))->scratch;

	return json_pack("{s:o, s:s, s:s, s:s, s:s, s:i, s:[{s:s, s:s, s:s}]}", "uuid", new_id(),
	                 "name", name, "state", "active", "database", scratch->database, "host",
	                 "localhost", "port", scratch->port, "credentials", "user", user,
	                 "password", scratch->password, "state", "active");
}

static void credentials(struct call *call)
{
	json_t *addon = database_of(call), *all, *name;
	size_t i;

	if (!addon)
		return;
	all = json_pack("[o]",
	                credential(call->world, addon, "default",
	                           cluster_of(call->world, text_of(addon, "id"))->scratch.owner));
	json_array_foreach(json_object_get(addon, "_credentials"), i, name)
		json_array_append_new(all, credential(call->world, addon, json_string_value(name),
	                                              json_string_value(name)));
	reply(call, 200, all);
}

const struct route schedule_routes[] = {
	{"GET", "/client/v11/databases/?/transfer-schedules", list},
	{"POST", "/client/v11/databases/?/transfer-schedules", create},
	{"DELETE", "/client/v11/databases/?/transfer-schedules/?", destroy},
	{"GET", "/postgres/v0/databases/?/credentials", credentials},
	{0},
};
