/* SPDX-License-Identifier: MIT */
/* Apps. */
#include "steps/heroku/simulator/world.h"

#include <stdio.h>
#include <string.h>

json_t *app_make(struct world *world, const char *name, const json_t *region, const json_t *stack)
{
	const json_t *account = json_object_get(world->lists, "account");
	char git[128], web[160], made[32];

	if (!name || !*name) {
		snprintf(made, sizeof made, "quiet-harbour-%05d", (int)(10000 + ++world->count));
		name = made;
	}
	snprintf(git, sizeof git, "https://git.heroku.com/%s.git", name);
	snprintf(web, sizeof web, "http://127.0.0.1:%d/%s/", world->router_port, name);
	json_t *app = json_pack(
		"{s:b, s:n, s:n, s:o, s:o, s:{s:s, s:s}, s:s, s:o, s:n, s:b, s:s, "
		"s:{s:s, s:s}, s:n, s:n, "
		"s:o, s:n, s:n, s:n, s:n, s:o, s:o, s:s, s:{}, s:[]}",
		"acm", 0, "archived_at", "buildpack_provided_description", "build_stack",
		reference_to(stack), "created_at", new_time(), "generation", "id", CEDAR_ID, "name",
		"cedar", "git_url", git, "id", new_id(), "internal_routing", "maintenance", 0,
		"name", name, "owner", "email", text_of(account, "email"), "id",
		text_of(account, "id"), "organization", "team", "region", reference_to(region),
		"released_at", "repo_size", "slug_size", "space", "stack", reference_to(stack),
		"updated_at", new_time(), "web_url", web, "_config", "_buildpacks");
	world_add(world, "apps", app);
	features_make(world, app);
	release_make(world, app, "Initial release", NULL);
	char host[128];
	snprintf(host, sizeof host, "%s-%.12s.herokuapp.com", name, text_of(app, "id") + 24);
	json_t *domain = domain_make(world, app, host);
	json_object_set_new(domain, "kind", json_string("heroku"));
	json_object_set_new(domain, "cname", json_null());
	json_object_set_new(domain, "acm_status", json_null());
	return app;
}

static bool name_is_good(const char *name)
{
	size_t length = strlen(name);

	return length >= 3 && length <= 30 && name[0] >= 'a' && name[0] <= 'z' &&
	       name[length - 1] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* A region or stack may be written as name, id, or {name}/{id}. */
static const char *identity(const json_t *asked, const char *fallback)
{
	if (json_is_string(asked))
		return json_string_value(asked);
	if (*text_of(asked, "name"))
		return text_of(asked, "name");
	return *text_of(asked, "id") ? text_of(asked, "id") : fallback;
}

json_t *app_create(struct call *call)
{
	const char *name = text_of(call->body, "name");
	json_t *region = world_find(call->world, "regions",
	                            identity(json_object_get(call->body, "region"), "us"));
	json_t *stack = world_find(call->world, "stacks",
	                           identity(json_object_get(call->body, "stack"), "heroku-24"));

	if (*name && !name_is_good(name))
		refuse(call, 422, "invalid_params",
		       "Name must start with a letter, end with a letter or digit and can only "
		       "contain lowercase letters, digits, and dashes.");
	else if (*name && world_find(call->world, "apps", name))
		refuse(call, 422, "invalid_params", "Name %s is already taken", name);
	else if (!region)
		refuse(call, 422, "invalid_params", "Region is not available");
	else if (!stack)
		refuse(call, 422, "invalid_params", "Stack is not available");
	else {
		json_t *app = app_make(call->world, name, region, stack);
		effect(call, app, "create app %s", text_of(app, "name"));
		return app;
	}
	return NULL;
}

static void create(struct call *call)
{
	json_t *app = app_create(call);

	if (app)
		reply(call, 201, visible(app));
}

static void list(struct call *call)
{
	reply_list(call, "apps", NULL);
}

/* There is one account, and it owns all of them. */
static void list_of_user(struct call *call)
{
	if (account_of(call))
		list(call);
}

static void show(struct call *call)
{
	json_t *app = app_of(call);

	if (app)
		reply(call, 200, visible(app));
}

static void change(struct call *call)
{
	json_t *app = app_of(call);
	const json_t *maintenance = json_object_get(call->body, "maintenance");
	json_t *stack = world_find(call->world, "stacks",
	                           identity(json_object_get(call->body, "build_stack"), ""));

	if (!app)
		return;
	if (json_object_get(call->body, "name")) {
		refuse(call, 422, "invalid_params", "Apps are not renamed here");
		return;
	}
	if (json_object_get(call->body, "build_stack") && !stack) {
		refuse(call, 422, "invalid_params", "Stack is not available");
		return;
	}
	if (maintenance && !json_is_boolean(maintenance)) {
		refuse(call, 422, "invalid_params", "maintenance must be true or false");
		return;
	}
	if (stack) {
		json_object_set_new(app, "build_stack", reference_to(stack));
		effect(call, app, "build stack %s", text_of(stack, "name"));
	}
	if (maintenance &&
	    json_is_true(maintenance) != json_is_true(json_object_get(app, "maintenance"))) {
		json_object_set_new(app, "maintenance", json_boolean(json_is_true(maintenance)));
		effect(call, app, "maintenance %s", json_is_true(maintenance) ? "on" : "off");
	}
	json_object_set_new(app, "updated_at", new_time());
	reply(call, 200, visible(app));
}

static void forget_all_of(struct world *world, const json_t *app)
{
	static const char *const owned[] = {"attachments", "formation",     "dynos",    "releases",
	                                    "slugs",       "collaborators", "features", "drains",
	                                    "webhooks",    "couplings",     "snis",     "domains"};

	for (size_t k = 0; k < sizeof owned / sizeof *owned; k++) {
		json_t *all = world_list(world, owned[k]);
		for (size_t i = json_array_size(all); i > 0; i--)
			if (world_is_of(json_array_get(all, i - 1), app))
				json_array_remove(all, i - 1);
	}
}

static void destroy(struct call *call)
{
	json_t *app = app_of(call);

	if (!app)
		return;
	json_t *addons = world_list(call->world, "addons");
	for (size_t i = json_array_size(addons); i > 0; i--)
		if (world_is_of(json_array_get(addons, i - 1), app))
			addon_destroy(call->world, json_array_get(addons, i - 1));
	forget_all_of(call->world, app);
	effect(call, app, "destroy app %s", text_of(app, "name"));
	reply(call, 200, visible(app));
	world_remove(call->world, "apps", app);
}

const struct route app_routes[] = {
	{"GET", "/users/?/apps", list_of_user},
	{"GET", "/apps", list},
	{"POST", "/apps", create},
	{"GET", "/apps/?", show},
	{"PATCH", "/apps/?", change},
	{"DELETE", "/apps/?", destroy},
	{0},
};
