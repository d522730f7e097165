/* SPDX-License-Identifier: MIT */
/* The Data API, v11: databases. */
#include "engine/base/clock.h"
#include "steps/heroku/simulator/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Known a little later than the Platform API knows the add-on. */
json_t *database_of(struct call *call)
{
	json_t *addon = world_find(call->world, "addons", call->part[0]);

	if (addon && cluster_of(call->world, text_of(addon, "id")) && *text_of(addon, "_url") &&
	    clock_real_ms() >= json_integer_value(json_object_get(addon, "_known_at")))
		return addon;
	reply(call, 404, json_pack("{s:s}", "error", "not found"));
	return NULL;
}

#define SIZE_SQL "SELECT pg_size_pretty(pg_database_size(current_database()))"
/* Without the name of whoever packed it. */
#define VERSION_SQL "SELECT split_part(current_setting('server_version'), ' ', 1)"
#define TABLES_SQL                                                                     \
	"SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace " \
	"WHERE relkind IN ('r', 'p') AND nspname !~ '^(pg_|information_schema$)'"

/* "" when the database does not say. */
static const char *measure(struct world *world, const json_t *addon, const char *sql, char *out,
                           size_t size)
{
	struct error ignored = {0};

	out[0] = '\0';
	scratch_query(&cluster_of(world, text_of(addon, "id"))->scratch, sql, out, size, &ignored);
	return out;
}

/* What a test told us to say instead wins. */
static void add_info(const json_t *addon, json_t *info, const char *name, const char *value)
{
	const char *told =
		json_string_value(json_object_get(json_object_get(addon, "_info"), name));

	if (told)
		value = told;
	json_array_append_new(info, json_pack("{s:s, s:[s]}", "name", name, "values", value));
}

/* The connection URLs of those that follow it; a client shows the names of their config vars. */
static void add_followers(struct world *world, const json_t *addon, json_t *info)
{
	json_t *urls = json_array(), *follower;
	size_t i;

	json_array_foreach(
		world_list(world, "addons"), i,
		follower) if (strcmp(text_of(follower, "_leader"), text_of(addon, "id")) == 0 &&
	                      *text_of(follower, "_url"))
		json_array_append(urls, json_object_get(follower, "_url"));
	if (json_array_size(urls))
		json_array_append_new(info, json_pack("{s:s, s:b, s:O}", "name", "Followers",
		                                      "resolve_db_name", 1, "values", urls));
	json_decref(urls);
}

static json_t *info_of(struct world *world, const json_t *addon, const json_t *leader)
{
	json_t *info = json_array();
	char text[40];
	const json_t *plan = world_find(world, "plans", text_of(addon, "plan.name"));
	const json_t *app = world_find(world, "apps", text_of(addon, "app.id"));
	bool essential = strstr(text_of(addon, "plan.name"), "essential") != NULL;
	int64_t behind = leader ? cluster_behind(world, addon) : -1;

	add_info(addon, info, "Plan", text_of(plan, "human_name"));
	add_info(addon, info, "Status", "Available");
	add_info(addon, info, "Data Size", measure(world, addon, SIZE_SQL, text, sizeof text));
	json_array_append_new(info, json_pack("{s:s, s:[I]}", "name", "Tables", "values",
	                                      (json_int_t)atoll(measure(world, addon, TABLES_SQL,
	                                                                text, sizeof text))));
	add_info(addon, info, "PG Version", measure(world, addon, VERSION_SQL, text, sizeof text));
	add_info(addon, info, "Fork/Follow", essential ? "Unsupported" : "Available");
	add_info(addon, info, "Created", text_of(addon, "created_at"));
	add_info(addon, info, "Region", text_of(app, "region.name"));
	add_followers(world, addon, info);
	if (!leader)
		return info;
	json_array_append_new(info,
	                      json_pack("{s:s, s:b, s:[s]}", "name", "Following", "resolve_db_name",
	                                1, "values", text_of(leader, "_url")));
	snprintf(text, sizeof text, "%lld commits", (long long)behind);
	if (behind >= 0)
		add_info(addon, info, "Behind By", text);
	return info;
}

static json_t *shown(struct world *world, const json_t *addon)
{
	const json_t *leader = world_find(world, "addons", text_of(addon, "_leader"));
	const struct cluster *cluster = cluster_of(world, text_of(addon, "id"));
	char bytes[32], version[32];

	measure(world, addon, "SELECT pg_database_size(current_database())", bytes, sizeof bytes);
	measure(world, addon, VERSION_SQL, version, sizeof version);
	json_t *database = json_pack(
		"{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:I, s:s, s:b, s:b, s:I, s:b, "
		"s:b, s:b, s:o}",
		"addon_id", text_of(addon, "id"), "name", text_of(addon, "name"),
		"heroku_resource_id", text_of(addon, "name"), "created_at",
		text_of(addon, "created_at"), "plan", text_of(addon, "plan.name"), "port",
		cluster->scratch.port, "database_name", cluster->scratch.database, "database_user",
		cluster->scratch.owner, "database_password", cluster->scratch.password,
		"resource_url", text_of(addon, "_url"), "num_bytes", (json_int_t)atoll(bytes),
		"postgres_version", version, "available_for_ingress", 1, "waiting?",
		json_is_true(json_object_get(addon, "_unfollowing")), "credentials",
		(json_int_t)credentials_count(addon), "hot_standby?", 0, "standalone?",
		leader == NULL, "is_in_recovery", leader != NULL, "info",
		info_of(world, addon, leader));
	json_object_set_new(database, "leader",
	                    leader ? json_pack("{s:s, s:s}", "addon_id", text_of(leader, "id"),
	                                       "name", text_of(leader, "name"))
	                           : json_null());
	if (leader)
		json_object_set(database, "following", json_object_get(leader, "_url"));
	json_t *told = json_object_get(json_object_get(addon, "_info"), "PG Version");
	if (json_is_string(told))
		json_object_set(database, "postgres_version", told);
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

const struct route data_routes[] = {
	{"GET", "/client/v11/databases/?", show},
	{"GET", "/client/v11/databases/?/wait_status", wait_status},
	{"PUT", "/client/v11/databases/?/unfollow", unfollow},
	{0},
};
