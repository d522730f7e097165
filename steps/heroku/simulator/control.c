/* SPDX-License-Identifier: MIT */
/* The control API: ledger, world, seeds, faults, replication. */
#include "steps/heroku/simulator/world.h"

#include <fnmatch.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static void ledger(struct call *call)
{
	reply(call, 200, json_deep_copy(call->world->ledger));
}

static void state(struct call *call)
{
	reply(call, 200, json_deep_copy(call->world->lists));
}

static void faults(struct call *call)
{
	reply(call, 200, json_deep_copy(call->world->faults));
}

static void add_fault(struct call *call)
{
	json_t *fault = json_deep_copy(call->body);

	if (!*text_of(fault, "path") || !*text_of(fault, "action")) {
		json_decref(fault);
		{
			refuse(call, 422, "invalid_params", "path and action are required");
			return;
		}
	}
	json_object_set_new(fault, "id", json_integer(++call->world->count));
	json_object_set_new(fault, "hit", json_integer(0));
	json_object_set_new(fault, "seen", json_integer(0));
	json_array_append_new(call->world->faults, fault);
	reply(call, 201, json_deep_copy(fault));
}

static void clear_faults(struct call *call)
{
	json_array_clear(call->world->faults);
	pthread_cond_broadcast(&call->world->changed);
	reply(call, 200, json_array());
}

static void remove_fault(struct call *call)
{
	char id[24];

	for (size_t i = json_array_size(call->world->faults); i > 0; i--) {
		snprintf(id, sizeof id, "%d",
		         (int)json_integer_value(json_object_get(
				 json_array_get(call->world->faults, i - 1), "id")));
		if (strcmp(id, call->part[0]) == 0)
			json_array_remove(call->world->faults, i - 1);
	}
	pthread_cond_broadcast(&call->world->changed);
	reply(call, 200, json_object());
}

static bool matches(json_t *fault, const struct call *call, const char *when)
{
	const char *method = text_of(fault, "method"), *own = text_of(fault, "when");
	json_int_t nth = json_integer_value(json_object_get(fault, "nth")), seen;

	/* A log session is how the log is read. */
	bool any_write = strcmp(method, "WRITE") == 0 && strcmp(call->method, "GET") != 0 &&
	                 fnmatch("*/log-sessions", call->path, 0) != 0;

	if ((*method && !any_write && strcmp(method, call->method) != 0) ||
	    strcmp(*own ? own : "before", when) != 0 ||
	    fnmatch(text_of(fault, "path"), call->path, 0) != 0)
		return false;
	seen = json_integer_value(json_object_get(fault, "seen")) + 1;
	json_object_set_new(fault, "seen", json_integer(seen));
	if (json_object_get(fault, "nth") && nth != 0 && nth != seen)
		return false;
	json_object_set_new(fault, "hit",
	                    json_integer(json_integer_value(json_object_get(fault, "hit")) + 1));
	return true;
}

/* Until somebody takes the fault away. */
static void hold(struct world *world, json_t *fault)
{
	bool there = true;

	while (there && !world->stopping) {
		json_t *item;
		size_t i;
		pthread_cond_wait(&world->changed, &world->lock);
		there = false;
		json_array_foreach(world->faults, i, item) there = there || item == fault;
	}
}

static bool client_is_gone(const struct call *call)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	char byte;

	return info && recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static enum fault_outcome act(struct call *call, json_t *fault)
{
	const char *action = text_of(fault, "action");

	if (strcmp(action, "drop") == 0)
		return FAULT_DROP;
	if (strcmp(action, "half") == 0)
		return FAULT_HALF;
	if (strcmp(action, "hang") == 0) {
		hold(call->world, fault);
		if (client_is_gone(call))
			return FAULT_DROP;
	} else if (strcmp(action, "slow") == 0) {
		pthread_mutex_unlock(&call->world->lock);
		nanosleep(&(struct timespec){.tv_sec = 2}, NULL);
		pthread_mutex_lock(&call->world->lock);
	} else if (strcmp(action, "fail_provision") == 0) {
		call->provision_fails = true;
	} else if (strcmp(action, "429") == 0) {
		refuse(call, 429, "rate_limit", "Your account reached the API rate limit");
		return FAULT_ANSWERED;
	} else if (strcmp(action, "500") == 0) {
		refuse(call, 500, "internal_server_error", "Internal server error.");
		return FAULT_ANSWERED;
	} else if (strcmp(action, "503") == 0) {
		refuse(call, 503, "service_unavailable", "Service unavailable.");
		return FAULT_ANSWERED;
	}
	return FAULT_NONE;
}

enum fault_outcome fault_strike(struct call *call, const char *when)
{
	json_t *all = call->world->faults;

	if (strncmp(call->path, "/_sim/", 6) == 0)
		return FAULT_NONE;
	for (size_t i = 0; i < json_array_size(all); i++) {
		json_t *fault = json_array_get(all, i);
		if (!matches(fault, call, when))
			continue;
		json_incref(fault);
		enum fault_outcome outcome = act(call, fault);
		json_decref(fault);
		return outcome;
	}
	return FAULT_NONE;
}

static void replication(struct call *call)
{
	json_t *addon = world_find(call->world, "addons", text_of(call->body, "addon"));
	struct cluster *cluster = addon ? cluster_of(call->world, text_of(addon, "id")) : NULL;
	bool paused = json_is_true(json_object_get(call->body, "paused"));
	struct error err = {0};

	if (!cluster) {
		refuse(call, 404, "not_found", "There is no such database.");
		return;
	}
	if (scratch_query(&cluster->scratch,
	                  paused ? "SELECT pg_wal_replay_pause()" : "SELECT pg_wal_replay_resume()",
	                  NULL, 0, &err))
		reply(call, 200, json_pack("{s:b}", "paused", paused));
	else
		refuse(call, 422, "unprocessable_entity", "%s", err.text);
}

static void pretend(struct call *call)
{
	json_t *addon = world_find(call->world, "addons", text_of(call->body, "addon"));
	json_t *info = json_object_get(call->body, "info");

	if (!addon || !json_is_object(info)) {
		refuse(call, 422, "invalid_params", "addon and info are required");
		return;
	}
	json_object_set(addon, "_info", info);
	reply(call, 200, json_deep_copy(info));
}

static bool all_settled(struct world *world)
{
	json_t *addon;
	size_t i;

	json_array_foreach(world_list(world, "addons"), i,
	                   addon) if (strcmp(text_of(addon, "state"), "provisioning") ==
	                              0) return false;
	return true;
}

static bool seed_apps(struct call *call)
{
	json_t *asked;
	size_t i;

	json_array_foreach(json_object_get(call->body, "apps"), i,
	                   asked) if (!seed_app(call, asked)) return false;
	while (!all_settled(call->world) && !call->world->stopping)
		pthread_cond_wait(&call->world->changed, &call->world->lock);
	return true;
}

static void seed(struct call *call)
{
	json_t *item, *answers;
	size_t i;

	call->world->seeding = true;
	bool seeded = seed_apps(call);
	call->world->seeding = false;
	if (!seeded)
		return;
	answers = json_array();
	json_array_foreach(json_object_get(call->body, "apps"), i, item)
	{
		json_t *app = world_find(call->world, "apps", text_of(item, "name"));
		json_t *config = config_of(call->world, app);
		json_array_append_new(answers,
		                      json_pack("{s:s, s:s, s:s, s:s}", "name",
		                                text_of(app, "name"), "id", text_of(app, "id"),
		                                "database_url", text_of(config, "DATABASE_URL"),
		                                "web_url", text_of(app, "web_url")));
		json_decref(config);
	}
	reply(call, 201, json_pack("{s:o}", "apps", answers));
}

const struct route control_routes[] = {
	{"GET", "/_sim/ledger", ledger},
	{"GET", "/_sim/world", state},
	{"POST", "/_sim/seed", seed},
	{"GET", "/_sim/faults", faults},
	{"POST", "/_sim/faults", add_fault},
	{"DELETE", "/_sim/faults", clear_faults},
	{"DELETE", "/_sim/faults/?", remove_fault},
	{"POST", "/_sim/replication", replication},
	{"POST", "/_sim/info", pretend},
	{0},
};
