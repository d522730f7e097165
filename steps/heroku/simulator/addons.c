/* SPDX-License-Identifier: MIT */
/* Add-ons: made at once, provisioned a little later. */
#include "steps/heroku/simulator/world.h"

#include <stdio.h>
#include <string.h>

json_t *addon_find(struct world *world, const char *identity)
{
	json_t *addon = world_find(world, "addons", identity), *attachment;

	if (addon)
		return addon;
	addon = world_find_by(world, "addons", "_url", identity);
	if (addon)
		return addon;
	attachment = world_find_by(world, "attachments", "name", identity);
	return attachment ? world_find(world, "addons", text_of(attachment, "addon.id")) : NULL;
}

static json_t *names_of_vars(struct world *world, const json_t *addon)
{
	json_t *names = json_array(), *attachment, *value;
	const char *key;
	size_t i;

	json_array_foreach(world_list(world, "attachments"), i,
	                   attachment) if (strcmp(text_of(attachment, "addon.id"),
	                                          text_of(addon, "id")) == 0 &&
	                                   world_is_of(attachment, json_object_get(addon, "app")))
	{
		json_t *vars = attachment_vars(world, attachment);
		json_object_foreach(vars, key, value)
			json_array_append_new(names, json_string(key));
		json_decref(vars);
	}
	return names;
}

/* In the place of {id, name}: all that is known, when Accept-Expansion asks for it. */
static void expand(struct call *call, json_t *copy, const char *key, const char *list)
{
	char path[32];

	snprintf(path, sizeof path, "%s.id", key);
	const json_t *whole = world_find(call->world, list, text_of(copy, path));
	if (whole)
		json_object_set_new(copy, key, visible(whole));
}

static json_t *shown(struct call *call, const json_t *addon)
{
	json_t *copy = visible(addon);

	json_object_set_new(copy, "config_vars", names_of_vars(call->world, addon));
	if (call->expand_plan)
		expand(call, copy, "plan", "plans");
	if (call->expand_service)
		expand(call, copy, "addon_service", "services");
	return copy;
}

static bool may_make(struct call *call, const json_t *app, const json_t *plan, const char *wanted)
{
	const char *only = text_of(plan, "_only_region");
	const json_t *config = json_object_get(call->body, "config");

	if (*only && strcmp(only, text_of(app, "region.name")) != 0)
		refuse(call, 422, "invalid_params",
		       "This app is in region %s, %s is only available region %s",
		       text_of(app, "region.name"), text_of(plan, "name"), only);
	else if (*wanted && world_find(call->world, "addons", wanted))
		refuse(call, 422, "invalid_params", "Name %s is already taken", wanted);
	else if (*text_of(config, "follow") && !addon_find(call->world, text_of(config, "follow")))
		refuse(call, 422, "invalid_params", "Couldn't find the database to follow");
	else if (*text_of(config, "follow") && strstr(text_of(plan, "name"), ":essential"))
		refuse(call, 422, "invalid_params", "Followers are not available on this plan");
	else
		return true;
	return false;
}

json_t *addon_make(struct call *call, json_t *app, const json_t *asked)
{
	struct world *world = call->world;
	const json_t *wanted = json_object_get(asked, "plan");
	const char *plan_name =
		json_is_string(wanted) ? json_string_value(wanted) : text_of(wanted, "name");
	json_t *plan = world_find(world, "plans", plan_name);
	const char *name = text_of(asked, "name"), *as = text_of(asked, "attachment.name");
	char made[96], attachment[96];

	if (!plan) {
		refuse(call, 422, "invalid_params",
		       "Couldn't find either the add-on service or the add-on plan of \"%s\".",
		       plan_name);
		return NULL;
	}
	if (!may_make(call, app, plan, name))
		return NULL;
	const char *service = text_of(plan, "addon_service.name");
	bool own = strncmp(service, "heroku-", 7) == 0;
	snprintf(made, sizeof made, "%s-round-%05d", own ? service + 7 : service,
	         (int)(10000 + ++world->count));
	attachment_name(world, app, service, attachment, sizeof attachment);
	if (*as && world_find_of(world, "attachments", app, as)) {
		refuse(call, 422, "invalid_params", "An attachment %s exists already", as);
		return NULL;
	}
	const json_t *follow = addon_find(world, text_of(asked, "config.follow"));
	json_t *addon = json_pack(
		"{s:[], s:O, s:{s:s, s:s, s:s}, s:o, s:O, s:[], s:o, s:o, s:s, s:o, s:s, s:s, s:s, "
		"s:o, "
		"s:n, s:s, s:s}",
		"actions", "addon_service", json_object_get(plan, "addon_service"),
		"billing_entity", "id", text_of(app, "id"), "name", text_of(app, "name"), "type",
		"app", "app", reference_to(app), "billed_price", json_object_get(plan, "price"),
		"config_vars", "created_at", new_time(), "id", new_id(), "name",
		*name ? name : made, "plan", reference_to(plan), "provider_id", "simulator",
		"provision_message", "", "state", "provisioning", "updated_at", new_time(),
		"web_url", "_url", "", "_leader", text_of(follow, "id"));
	world_add(world, "addons", addon);
	attachment_make(world, addon, app, *as ? as : attachment);
	job_add(world, JOB_PROVISION, text_of(addon, "id"), call->provision_fails);
	return addon;
}

static void create(struct call *call)
{
	json_t *app = app_of(call);
	json_t *addon = app ? addon_make(call, app, call->body) : NULL;

	if (!addon)
		return;
	effect(call, app, "create add-on %s of %s", text_of(addon, "name"),
	       text_of(addon, "plan.name"));
	reply(call, 201, shown(call, addon));
}

static void list_of(struct call *call, const json_t *app)
{
	json_t *all = json_array(), *addon;
	size_t i;

	json_array_foreach(world_list(call->world, "addons"), i, addon) if (world_is_of(addon, app))
		json_array_append_new(all, shown(call, addon));
	reply(call, 200, all);
}

static void list(struct call *call)
{
	json_t *app = app_of(call);

	if (app)
		list_of(call, app);
}

static void list_all(struct call *call)
{
	list_of(call, NULL);
}

static json_t *wanted_addon(struct call *call, const json_t *app, const char *identity)
{
	json_t *addon = app ? world_find_of(call->world, "addons", app, identity)
	                    : world_find(call->world, "addons", identity);

	if (!addon && app) {
		json_t *attachment = world_find_of(call->world, "attachments", app, identity);
		addon = attachment
		                ? world_find(call->world, "addons", text_of(attachment, "addon.id"))
		                : NULL;
	}
	if (!addon)
		reply(call, 404,
		      json_pack("{s:s, s:s, s:s}", "resource", "add_on", "id", "not_found",
		                "message", "Couldn't find that add-on."));
	return addon;
}

static void show(struct call *call)
{
	json_t *addon = wanted_addon(call, NULL, call->part[0]);

	if (addon)
		reply(call, 200, shown(call, addon));
}

static void show_of_app(struct call *call)
{
	json_t *app = app_of(call);
	json_t *addon = app ? wanted_addon(call, app, call->part[1]) : NULL;

	if (addon)
		reply(call, 200, shown(call, addon));
}

static void change(struct call *call)
{
	json_t *app = app_of(call);
	json_t *addon = app ? wanted_addon(call, app, call->part[1]) : NULL;
	json_t *plan = world_find(call->world, "plans", text_of(call->body, "plan"));

	if (!addon)
		return;
	if (!plan) {
		refuse(call, 422, "invalid_params", "Couldn't find that plan.");
		return;
	}
	json_object_set_new(addon, "plan", reference_to(plan));
	if (*text_of(call->body, "name"))
		json_object_set(addon, "name", json_object_get(call->body, "name"));
	effect(call, app, "change add-on %s to %s", text_of(addon, "name"), text_of(plan, "name"));
	reply(call, 200, shown(call, addon));
}

void addon_destroy(struct world *world, json_t *addon)
{
	json_t *all = world_list(world, "attachments");

	for (size_t i = json_array_size(all); i > 0; i--)
		if (strcmp(text_of(json_array_get(all, i - 1), "addon.id"), text_of(addon, "id")) ==
		    0)
			json_array_remove(all, i - 1);
	job_add(world, JOB_DESTROY, text_of(addon, "id"), false);
	world_remove(world, "addons", addon);
}

static void destroy(struct call *call)
{
	json_t *app = app_of(call);
	json_t *addon = app ? wanted_addon(call, app, call->part[1]) : NULL;

	if (!addon)
		return;
	char text[160];
	effect(call, app, "destroy add-on %s", text_of(addon, "name"));
	const json_t *attachment =
		world_find_by(call->world, "attachments", "addon.id", text_of(addon, "id"));
	snprintf(text, sizeof text, "Detach %s (@ref:%s)", text_of(attachment, "name"),
	         text_of(addon, "name"));
	json_object_set_new(addon, "state", json_string("deprovisioned"));
	reply(call, 200, shown(call, addon));
	addon_destroy(call->world, addon);
	release_make(call->world, app, text, NULL);
}

static void config(struct call *call)
{
	json_t *addon = wanted_addon(call, NULL, call->part[0]);

	if (addon)
		reply(call, 200,
		      *text_of(addon, "_url") ? json_pack("[{s:s, s:s}]", "name", "URL", "value",
		                                          text_of(addon, "_url"))
		                              : json_array());
}

static void resolve(struct call *call)
{
	json_t *app = world_find(call->world, "apps", text_of(call->body, "app"));
	json_t *addon = wanted_addon(call, app, text_of(call->body, "addon"));

	if (addon)
		reply(call, 200, json_pack("[o]", shown(call, addon)));
}

const struct route addon_routes[] = {
	{"GET", "/addons", list_all},
	{"GET", "/addons/?", show},
	{"GET", "/addons/?/config", config},
	{"GET", "/apps/?/addons", list},
	{"POST", "/apps/?/addons", create},
	{"GET", "/apps/?/addons/?", show_of_app},
	{"PATCH", "/apps/?/addons/?", change},
	{"DELETE", "/apps/?/addons/?", destroy},
	{"POST", "/actions/addons/resolve", resolve},
	{0},
};
