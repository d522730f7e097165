/* SPDX-License-Identifier: MIT */
/* Small settings of an app: buildpacks, collaborators, features, log drains. */
#include "steps/heroku/simulator/world.h"

#include <stdio.h>
#include <string.h>

static void buildpacks(struct call *call)
{
	json_t *app = app_of(call), *all = json_array(), *url;
	size_t i;

	json_array_foreach(json_object_get(app, "_buildpacks"), i, url)
		json_array_append_new(all, json_pack("{s:i, s:{s:O, s:O}}", "ordinal", (int)i,
	                                             "buildpack", "url", url, "name", url));
	if (app)
		reply(call, 200, all);
	else
		json_decref(all);
}

void buildpacks_set(json_t *app, const json_t *urls)
{
	if (json_is_array(urls))
		json_object_set_new(app, "_buildpacks", json_deep_copy(urls));
}

static void set_buildpacks(struct call *call)
{
	json_t *app = app_of(call), *urls, *update;
	size_t i;

	if (!app)
		return;
	urls = json_array();
	json_array_foreach(json_object_get(call->body, "updates"), i, update)
		json_array_append_new(urls, json_string(text_of(update, "buildpack")));
	buildpacks_set(app, urls);
	json_decref(urls);
	effect(call, app, "set buildpacks");
	buildpacks(call);
}

json_t *collaborator_make(struct world *world, const json_t *app, const char *email)
{
	return world_add(world, "collaborators",
	                 json_pack("{s:o, s:o, s:o, s:[], s:s, s:o, s:{s:s, s:b, s:o}}", "app",
	                           reference_to(app), "created_at", new_time(), "id", new_id(),
	                           "permissions", "role", "collaborator", "updated_at", new_time(),
	                           "user", "email", email, "federated", 0, "id", new_id()));
}

json_t *drain_make(struct world *world, const json_t *app, const char *url)
{
	json_t *id = new_id();
	char token[64];

	snprintf(token, sizeof token, "d.%s", json_string_value(id));
	json_decref(id);
	return world_add(world, "drains",
	                 json_pack("{s:n, s:o, s:o, s:o, s:s, s:o, s:s}", "addon", "app",
	                           reference_to(app), "created_at", new_time(), "id", new_id(),
	                           "token", token, "updated_at", new_time(), "url", url));
}

/* What every app has, on or off. */
static const struct {
	const char *name, *state, *text;
} app_features[] = {
	{"http-session-affinity", "general", "Route a visitor to the same web dyno again"},
	{"preboot", "general", "Start new web dynos before the old ones stop"},
	{"log-runtime-metrics", "beta", "Write memory and load of dynos to the log"},
	{"runtime-new-layer-extract", "beta", "Unpack images faster"},
};

void features_make(struct world *world, const json_t *app)
{
	for (size_t i = 0; i < sizeof app_features / sizeof *app_features; i++)
		world_add(world, "features",
		          json_pack("{s:o, s:s, s:s, s:b, s:o, s:s, s:s, s:o, s:s, s:s, s:o}",
		                    "created_at", new_time(), "description", app_features[i].text,
		                    "doc_url", "https://devcenter.heroku.com/", "enabled", 0, "id",
		                    new_id(), "name", app_features[i].name, "state",
		                    app_features[i].state, "updated_at", new_time(), "display_name",
		                    app_features[i].name, "feedback_email", "feedback@example.com",
		                    "app", reference_to(app)));
}

bool feature_set(struct world *world, const json_t *app, const char *name, bool enabled)
{
	json_t *feature = world_find_of(world, "features", app, name);

	if (feature)
		json_object_set_new(feature, "enabled", json_boolean(enabled));
	return feature != NULL;
}

/* Items of a list of the app; without_app takes out what only the simulator needs. */
static void list_settings(struct call *call, const char *list, bool without_app)
{
	json_t *app = app_of(call), *item;
	size_t i;

	if (!app)
		return;
	reply_list(call, list, app);
	json_array_foreach(call->answer, i, item) if (without_app) json_object_del(item, "app");
}

static void collaborators(struct call *call)
{
	list_settings(call, "collaborators", false);
}

static void drains(struct call *call)
{
	list_settings(call, "drains", false);
}

static void features(struct call *call)
{
	list_settings(call, "features", true);
}

static json_t *setting_of(struct call *call, const char *list, const char *noun)
{
	json_t *app = app_of(call);
	json_t *item = app ? world_find_of(call->world, list, app, call->part[1]) : NULL;

	if (app && !item)
		refuse(call, 404, "not_found", "Couldn't find that %s.", noun);
	return item;
}

static void destroy_setting(struct call *call, const char *list, const char *noun)
{
	json_t *item = setting_of(call, list, noun);

	if (!item)
		return;
	effect(call, world_find(call->world, "apps", call->part[0]), "remove %s %s", noun,
	       call->part[1]);
	reply(call, 200, visible(item));
	world_remove(call->world, list, item);
}

static void add_collaborator(struct call *call)
{
	json_t *app = app_of(call), *user = json_object_get(call->body, "user");
	const char *email = json_is_string(user) ? json_string_value(user) : text_of(user, "email");

	if (!app)
		return;
	if (!*email || world_find_of(call->world, "collaborators", app, email)) {
		refuse(call, 422, "invalid_params", "User is already a collaborator on app.");
		return;
	}
	effect(call, app, "add collaborator %s", email);
	reply(call, 201, visible(collaborator_make(call->world, app, email)));
}

static void remove_collaborator(struct call *call)
{
	destroy_setting(call, "collaborators", "collaborator");
}

static void team_collaborators(struct call *call)
{
	if (team_app_of(call))
		collaborators(call);
}

static void add_team_collaborator(struct call *call)
{
	if (team_app_of(call))
		add_collaborator(call);
}

static void remove_team_collaborator(struct call *call)
{
	if (team_app_of(call))
		remove_collaborator(call);
}

static void add_drain(struct call *call)
{
	json_t *app = app_of(call);
	const char *url = text_of(call->body, "url");

	if (!app)
		return;
	if (!*url || world_find_of(call->world, "drains", app, url)) {
		refuse(call, 422, "invalid_params", "Url has already been taken");
		return;
	}
	effect(call, app, "add log drain");
	reply(call, 201, visible(drain_make(call->world, app, url)));
}

static void show_drain(struct call *call)
{
	json_t *drain = setting_of(call, "drains", "log drain");

	if (drain)
		reply(call, 200, visible(drain));
}

static void remove_drain(struct call *call)
{
	destroy_setting(call, "drains", "log drain");
}

static void show_feature(struct call *call)
{
	json_t *feature = setting_of(call, "features", "feature");

	if (!feature)
		return;
	reply(call, 200, visible(feature));
	json_object_del(call->answer, "app");
}

static void set_feature(struct call *call)
{
	json_t *app = app_of(call);
	bool enabled = json_is_true(json_object_get(call->body, "enabled"));

	if (!app)
		return;
	if (feature_set(call->world, app, call->part[1], enabled))
		effect(call, app, "%s feature %s", enabled ? "enable" : "disable", call->part[1]);
	show_feature(call);
}

const struct route setting_routes[] = {
	{"GET", "/apps/?/buildpack-installations", buildpacks},
	{"PUT", "/apps/?/buildpack-installations", set_buildpacks},
	{"GET", "/apps/?/collaborators", collaborators},
	{"POST", "/apps/?/collaborators", add_collaborator},
	{"DELETE", "/apps/?/collaborators/?", remove_collaborator},
	{"GET", "/teams/apps/?/collaborators", team_collaborators},
	{"POST", "/teams/apps/?/collaborators", add_team_collaborator},
	{"DELETE", "/teams/apps/?/collaborators/?", remove_team_collaborator},
	{"GET", "/apps/?/features", features},
	{"GET", "/apps/?/features/?", show_feature},
	{"PATCH", "/apps/?/features/?", set_feature},
	{"GET", "/apps/?/log-drains", drains},
	{"POST", "/apps/?/log-drains", add_drain},
	{"GET", "/apps/?/log-drains/?", show_drain},
	{"DELETE", "/apps/?/log-drains/?", remove_drain},
	{0},
};
