/* SPDX-License-Identifier: MIT */
/* The Data API, v11: databases, backups, restores, transfers. */
#include "engine/base/clock.h"
#include "steps/heroku/simulator/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Known a little later than the Platform API knows the add-on. */
static json_t *database_of(struct call *call)
{
	json_t *addon = world_find(call->world, "addons", call->part[0]);

	if (addon && cluster_of(call->world, text_of(addon, "id")) && *text_of(addon, "_url") &&
	    clock_real_ms() >= json_integer_value(json_object_get(addon, "_known_at")))
		return addon;
	reply(call, 404, json_pack("{s:s}", "error", "not found"));
	return NULL;
}

static json_t *info_of(struct world *world, const json_t *addon, const json_t *leader)
{
	json_t *info = json_array();
	char behind[40];
	const json_t *plan = world_find(world, "plans", text_of(addon, "plan.name"));
	const json_t *app = world_find(world, "apps", text_of(addon, "app.id"));

	json_array_append_new(info, json_pack("{s:s, s:[s]}", "name", "Plan", "values",
	                                      text_of(plan, "human_name")));
	json_array_append_new(info,
	                      json_pack("{s:s, s:[s]}", "name", "Status", "values", "Available"));
	json_array_append_new(info, json_pack("{s:s, s:[s]}", "name", "Fork/Follow", "values",
	                                      strstr(text_of(addon, "plan.name"), "essential")
	                                              ? "Unsupported"
	                                              : "Available"));
	json_array_append_new(info, json_pack("{s:s, s:[s]}", "name", "Region", "values",
	                                      text_of(app, "region.name")));
	if (!leader)
		return info;
	snprintf(behind, sizeof behind, "%lld commits", (long long)cluster_behind(world, addon));
	json_array_append_new(info,
	                      json_pack("{s:s, s:b, s:[s]}", "name", "Following", "resolve_db_name",
	                                1, "values", text_of(leader, "_url")));
	if (strncmp(behind, "-1", 2) != 0)
		json_array_append_new(
			info, json_pack("{s:s, s:[s]}", "name", "Behind By", "values", behind));
	return info;
}

static json_t *shown(struct world *world, const json_t *addon)
{
	const json_t *leader = world_find(world, "addons", text_of(addon, "_leader"));
	const struct cluster *cluster = cluster_of(world, text_of(addon, "id"));
	char bytes[32] = "0", version[32] = "";
	struct error err = {0};

	scratch_query(&cluster->scratch, "SELECT pg_database_size(current_database())", bytes,
	              sizeof bytes, &err);
	scratch_query(&cluster->scratch, "SHOW server_version", version, sizeof version, &err);
	json_t *database = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:I, s:s, s:b, s:b, s:i, s:b, "
		"s:b, s:b, s:o}",
		"addon_id", text_of(addon, "id"), "name", text_of(addon, "name"),
		"heroku_resource_id", text_of(addon, "name"), "created_at",
		text_of(addon, "created_at"), "plan", text_of(addon, "plan.name"), "port",
		cluster->scratch.port, "database_name", cluster->scratch.database, "database_user",
		cluster->scratch.user, "database_password", cluster->scratch.password,
		"resource_url", text_of(addon, "_url"), "num_bytes", (json_int_t)atoll(bytes),
		"postgres_version", version, "available_for_ingress", 1, "waiting?",
		json_is_true(json_object_get(addon, "_unfollowing")), "credentials", 1,
		"hot_standby?", 0, "standalone?", leader == NULL, "is_in_recovery", leader != NULL,
		"info", info_of(world, addon, leader));
	json_object_set_new(database, "leader",
	                    leader ? json_pack("{s:s, s:s}", "addon_id", text_of(leader, "id"),
	                                       "name", text_of(leader, "name"))
	                           : json_null());
	json_object_set_new(database, "following",
	                    leader ? json_string(text_of(leader, "_url")) : json_null());
	return database;
}

static void show(struct call *call)
{
	json_t *addon = database_of(call);

	if (addon)
		reply(call, 200, shown(call->world, addon));
}

static void wait_status(struct call *call)
{
	json_t *addon = database_of(call);
	bool waiting = json_is_true(json_object_get(addon, "_unfollowing"));

	if (addon)
		reply(call, 200,
		      json_pack("{s:s, s:b}", "message", waiting ? "unfollowing" : "available",
		                "waiting?", waiting));
}

static void unfollow(struct call *call)
{
	json_t *addon = database_of(call);

	if (!addon)
		return;
	if (!*text_of(addon, "_leader")) {
		refuse(call, 422, "unprocessable_entity", "The database is not a follower.");
		return;
	}
	json_object_set_new(addon, "_unfollowing", json_true());
	effect(call, json_object_get(addon, "app"), "unfollow %s", text_of(addon, "name"));
	job_add(call->world, JOB_UNFOLLOW, text_of(addon, "id"), false);
	reply(call, 200, json_pack("{s:s}", "message", "Unfollow started"));
}

static json_t *transfer_make(struct call *call, const json_t *addon, const char *from_type,
                             const char *to_type)
{
	json_t *transfer = world_add(
		call->world, "transfers",
		json_pack("{s:o, s:i, s:s, s:s, s:n, s:s, s:s, s:n, s:{}, s:i, s:i, s:n, s:i, s:o, "
	                  "s:n, s:n, "
	                  "s:o, s:n, s:n, s:n, s:[], s:O}",
	                  "uuid", new_id(), "num",
	                  (int)json_array_size(world_list(call->world, "transfers")) + 1,
	                  "from_name", text_of(addon, "name"), "from_type", from_type, "from_url",
	                  "to_name", text_of(addon, "name"), "to_type", to_type, "to_url",
	                  "options", "source_bytes", 0, "processed_bytes", 0, "succeeded",
	                  "warnings", 0, "created_at", new_time(), "started_at", "canceled_at",
	                  "updated_at", new_time(), "finished_at", "deleted_at", "purged_at",
	                  "logs", "_app", json_object_get(addon, "app")));

	effect(call, json_object_get(addon, "app"), "%s to %s", from_type, to_type);
	return transfer;
}

static void begin(struct call *call, json_t *transfer, const char *from, const char *to)
{
	json_object_set_new(transfer, "_from", json_string(from));
	json_object_set_new(transfer, "_to", json_string(to));
	job_add(call->world, JOB_TRANSFER, text_of(transfer, "uuid"), false);
	reply(call, 201, visible(transfer));
}

static void backup(struct call *call)
{
	json_t *addon = database_of(call);

	if (addon)
		begin(call, transfer_make(call, addon, "pg_dump", "gof3r"), text_of(addon, "_url"),
		      "");
}

static void restore(struct call *call)
{
	json_t *addon = database_of(call);
	const char *file = strrchr(text_of(call->body, "backup_url"), '/');

	if (!addon)
		return;
	if (!file || !world_find_by(call->world, "transfers", "uuid", file + 1)) {
		refuse(call, 422, "unprocessable_entity", "The backup cannot be fetched.");
		return;
	}
	json_t *transfer = transfer_make(call, addon, "gof3r", "pg_restore");
	json_object_set_new(transfer, "_file", json_string(file + 1));
	begin(call, transfer, "", text_of(addon, "_url"));
}

static void copy(struct call *call)
{
	json_t *addon = database_of(call);
	const char *from = text_of(call->body, "from_url"), *to = text_of(call->body, "to_url");

	if (!addon)
		return;
	if (!*from || !*to || strcmp(from, to) == 0) {
		refuse(call, 422, "unprocessable_entity", "from_url and to_url must differ.");
		return;
	}
	begin(call, transfer_make(call, addon, "pg_dump", "pg_restore"), from, to);
}

static void transfers(struct call *call)
{
	json_t *app = app_of(call), *all = json_array(), *item;
	size_t i;

	json_array_foreach(world_list(call->world, "transfers"), i,
	                   item) if (app && strcmp(text_of(item, "_app.id"), text_of(app, "id")) ==
	                                            0) json_array_append_new(all, visible(item));
	if (app)
		reply(call, 200, all);
	else
		json_decref(all);
}

static json_t *transfer_of(struct call *call)
{
	json_t *item;
	size_t i;

	json_array_foreach(world_list(call->world, "transfers"), i,
	                   item) if (strcmp(text_of(item, "uuid"), call->part[1]) == 0 ||
	                             json_integer_value(json_object_get(item, "num")) ==
	                                     atoll(call->part[1])) return item;
	reply(call, 404, json_pack("{s:s}", "error", "not found"));
	return NULL;
}

static void transfer(struct call *call)
{
	json_t *item = transfer_of(call);

	if (item)
		reply(call, 200, visible(item));
}

static void public_url(struct call *call)
{
	json_t *item = transfer_of(call);

	if (item)
		reply(call, 200,
		      json_pack("{s:s+++, s:o}", "url", call->world->base_url, "/_sim/backups", "/",
		                text_of(item, "uuid"), "expires_at", new_time()));
}

const struct route data_routes[] = {
	{"GET", "/client/v11/databases/?", show},
	{"GET", "/client/v11/databases/?/wait_status", wait_status},
	{"PUT", "/client/v11/databases/?/unfollow", unfollow},
	{"POST", "/client/v11/databases/?/backups", backup},
	{"POST", "/client/v11/databases/?/restores", restore},
	{"POST", "/client/v11/databases/?/transfers", copy},
	{"GET", "/client/v11/apps/?/transfers", transfers},
	{"GET", "/client/v11/apps/?/transfers/?", transfer},
	{"POST", "/client/v11/apps/?/transfers/?/actions/public-url", public_url},
	{0},
};
