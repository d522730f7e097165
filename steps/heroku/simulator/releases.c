/* SPDX-License-Identifier: MIT */
/* Releases and slugs. */
#include "steps/heroku/simulator/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PHASE_NS = 200000000 };

static json_t *newest_release(struct world *world, const json_t *app)
{
	json_t *release, *newest = NULL;
	size_t i;

	json_array_foreach(world_list(world, "releases"), i, release) if (world_is_of(release, app))
		newest = release;
	return newest;
}

json_t *release_current(struct world *world, const json_t *app)
{
	json_t *release;
	size_t i;

	json_array_foreach(
		world_list(world, "releases"), i,
		release) if (world_is_of(release, app) &&
	                     json_is_true(json_object_get(release, "current"))) return release;
	return NULL;
}

json_t *release_reference(const json_t *release)
{
	return json_pack("{s:O, s:O}", "id", json_object_get(release, "id"), "version",
	                 json_object_get(release, "version"));
}

const json_t *release_vars(struct world *world, const json_t *dyno)
{
	return json_object_get(world_find(world, "releases", text_of(dyno, "release.id")), "_vars");
}

static void start_types(struct world *world, const json_t *app, const json_t *slug)
{
	const char *type;
	json_t *command;

	json_object_foreach(json_object_get(slug, "process_types"), type,
	                    command) if (strcmp(type, "release") != 0 &&
	                                 !world_find_of(world, "formation", app, type))
		formation_set(world, app, type, strcmp(type, "web") == 0 ? 1 : 0);
}

/* It is what the app runs from now on: its dynos start anew. */
static void make_current(struct world *world, json_t *app, json_t *release)
{
	json_t *last = release_current(world, app);

	if (last)
		json_object_set_new(last, "current", json_false());
	json_object_set_new(release, "status", json_string("succeeded"));
	json_object_set_new(release, "current", json_true());
	json_object_set_new(app, "released_at", new_time());
	dynos_release(world, app);
	start_types(world, app, world_find(world, "slugs", text_of(release, "slug.id")));
}

/* The command of its release phase, "" when it has none. */
static const char *phase_of(struct world *world, const json_t *release)
{
	return text_of(world_find(world, "slugs", text_of(release, "slug.id")),
	               "process_types.release");
}

static void begin_phase(struct world *world, json_t *release)
{
	char url[128];

	snprintf(url, sizeof url, "https://release-output.heroku.com/streams/%s",
	         text_of(release, "id"));
	json_object_set_new(release, "output_stream_url", json_string(url));
	job_add(world, JOB_RELEASE, text_of(release, "id"), false);
}

/* The phase is over: `false` fails, every other command succeeds; none is executed. */
void release_settle(struct world *world, const char *id)
{
	pthread_mutex_unlock(&world->lock);
	nanosleep(&(struct timespec){.tv_nsec = PHASE_NS}, NULL);
	pthread_mutex_lock(&world->lock);
	json_t *release = world_find(world, "releases", id);
	json_t *app = release ? world_find(world, "apps", text_of(release, "app.id")) : NULL;
	if (!app)
		return;
	if (strcmp(phase_of(world, release), "false") == 0)
		json_object_set_new(release, "status", json_string("failed"));
	else
		make_current(world, app, release);
	json_object_set_new(release, "updated_at", new_time());
}

json_t *release_make(struct world *world, json_t *app, const char *description, const json_t *slug)
{
	const json_t *account = json_object_get(world->lists, "account");
	const json_t *newest = newest_release(world, app), *current = release_current(world, app);
	json_t *names = json_array(), *addon, *of;
	size_t i;

	json_array_foreach(world_list(world, "addons"), i, addon) if (world_is_of(addon, app))
		json_array_append(names, json_object_get(json_object_get(addon, "plan"), "name"));
	of = slug      ? json_pack("{s:s}", "id", text_of(slug, "id"))
	     : current ? json_incref(json_object_get(current, "slug"))
	               : json_null();
	json_t *release = json_pack(
		"{s:o, s:[], s:o, s:o, s:s, s:o, s:o, s:o, s:s, s:{s:s, s:s}, s:I, s:b, s:n, "
		"s:b, s:o, s:o}",
		"addon_plan_names", names, "artifacts", "app", reference_to(app), "created_at",
		new_time(), "description", description, "id", new_id(), "updated_at", new_time(),
		"slug", of, "status", "pending", "user", "id", text_of(account, "id"), "email",
		text_of(account, "email"), "version",
		json_integer_value(json_object_get(newest, "version")) + 1, "current", 0,
		"output_stream_url", "eligible_for_rollback", 1, "_config",
		json_deep_copy(json_object_get(app, "_config")), "_vars", config_of(world, app));
	world_add(world, "releases", release);
	if (*phase_of(world, release) && !world->seeding)
		begin_phase(world, release);
	else
		make_current(world, app, release);
	return release;
}

json_t *slug_make(struct world *world, const json_t *app, const json_t *asked)
{
	const char *commit = *text_of(asked, "commit") ? text_of(asked, "commit") : NULL;
	json_t *types = json_object_get(asked, "process_types");

	return world_add(world, "slugs",
	                 json_pack("{s:{s:s, s:s}, s:n, s:n, s:s?, s:n, s:o, s:o, s:o, s:i, s:O, "
	                           "s:o, s:n, s:o}",
	                           "blob", "method", "get", "url", "https://slugs.example.com/slug",
	                           "buildpack_provided_description", "checksum", "commit", commit,
	                           "commit_description", "created_at", new_time(), "id", new_id(),
	                           "process_types", types ? json_deep_copy(types) : json_object(),
	                           "size", 1024, "stack", json_object_get(app, "stack"),
	                           "updated_at", new_time(), "deleted_at", "app",
	                           reference_to(app)));
}

/* A slug belongs to an app here, but an answer does not say so. */
static json_t *slug_visible(const json_t *slug)
{
	json_t *copy = visible(slug);

	json_object_del(copy, "app");
	return copy;
}

static void list(struct call *call)
{
	json_t *app = app_of(call);

	if (app)
		reply_list(call, "releases", app);
}

static json_t *release_of(struct call *call, const json_t *app, const char *identity)
{
	json_t *release = world_find_of(call->world, "releases", app, identity), *item;
	const char *number = identity[0] == 'v' ? identity + 1 : identity;
	size_t i;

	if (release)
		return release;
	json_array_foreach(world_list(call->world, "releases"), i,
	                   item) if (world_is_of(item, app) &&
	                             strspn(number, "0123456789") == strlen(number) &&
	                             json_integer_value(json_object_get(item, "version")) ==
	                                     atoll(number)) return item;
	refuse(call, 404, "not_found", "Couldn't find that release.");
	return NULL;
}

static void show(struct call *call)
{
	json_t *app = app_of(call);
	json_t *release = app ? release_of(call, app, call->part[1]) : NULL;

	if (release)
		reply(call, 200, visible(release));
}

/* All that the app saw from then on. */
static void show_config(struct call *call)
{
	json_t *app = app_of(call);
	json_t *release = app ? release_of(call, app, call->part[1]) : NULL;

	if (release)
		reply(call, 200, json_deep_copy(json_object_get(release, "_vars")));
}

static void roll_back(struct call *call, json_t *app, const char *identity)
{
	json_t *old = release_of(call, app, identity);
	char text[64];

	if (!old)
		return;
	snprintf(text, sizeof text, "Rollback to v%d",
	         (int)json_integer_value(json_object_get(old, "version")));
	json_object_set_new(app, "_config", json_deep_copy(json_object_get(old, "_config")));
	json_t *made = release_make(call->world, app, text,
	                            world_find(call->world, "slugs", text_of(old, "slug.id")));
	effect(call, app, "%s", text);
	reply(call, 201, visible(made));
}

static void create(struct call *call)
{
	json_t *app = app_of(call), *slug;
	const char *text = text_of(call->body, "description");

	if (!app)
		return;
	if (*text_of(call->body, "release")) {
		roll_back(call, app, text_of(call->body, "release"));
		return;
	}
	slug = world_find(call->world, "slugs", text_of(call->body, "slug"));
	if (!slug) {
		refuse(call, 422, "invalid_params", "Couldn't find that slug.");
		return;
	}
	json_t *made = release_make(call->world, app, *text ? text : "Deploy", slug);
	effect(call, app, "release slug %s", text_of(slug, "id"));
	reply(call, 201, visible(made));
}

static void show_slug(struct call *call)
{
	json_t *app = app_of(call);
	json_t *slug = app ? world_find(call->world, "slugs", call->part[1]) : NULL;

	if (slug)
		reply(call, 200, slug_visible(slug));
	else if (app)
		refuse(call, 404, "not_found", "Couldn't find that slug.");
}

static void create_slug(struct call *call)
{
	json_t *app = app_of(call);

	if (!app)
		return;
	if (!json_is_object(json_object_get(call->body, "process_types"))) {
		refuse(call, 422, "invalid_params", "process_types is required");
		return;
	}
	json_t *slug = slug_make(call->world, app, call->body);
	effect(call, app, "create slug");
	reply(call, 201, slug_visible(slug));
}

const struct route release_routes[] = {
	{"GET", "/apps/?/releases/?/config-vars", show_config},
	{"GET", "/apps/?/releases", list},
	{"POST", "/apps/?/releases", create},
	{"GET", "/apps/?/releases/?", show},
	{"GET", "/apps/?/slugs/?", show_slug},
	{"POST", "/apps/?/slugs", create_slug},
	{0},
};
