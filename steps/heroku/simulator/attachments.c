/* SPDX-License-Identifier: MIT */
/* Add-on attachments: which add-on an app sees under which name. */
#include "steps/heroku/simulator/world.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *const colors[] = {"BLUE", "RED",  "GREEN", "AMBER",
                                     "PINK", "TEAL", "ROSE",  "GOLD"};

void attachment_name(struct world *world, const json_t *app, const char *service, char *out,
                     size_t size)
{
	static const char *const primary[][2] = {{"heroku-postgresql", "DATABASE"},
	                                         {"heroku-redis", "REDIS"}};
	char base[64];
	size_t k = 0;

	for (; k < sizeof base - 1 && service[k]; k++) {
		int upper = toupper((unsigned char)service[k]);
		base[k] = (char)(upper == '-' ? '_' : upper);
	}
	base[k] = '\0';
	snprintf(out, size, "%s", base);
	for (size_t p = 0; p < sizeof primary / sizeof *primary; p++)
		if (strcmp(service, primary[p][0]) == 0)
			snprintf(out, size, "%s", primary[p][1]);
	for (size_t c = 0; c < 8 && world_find_of(world, "attachments", app, out); c++)
		snprintf(out, size, "%s_%s", base, colors[c]);
}

json_t *attachment_make(struct world *world, const json_t *addon, const json_t *app,
                        const char *name)
{
	return world_add(world, "attachments",
	                 json_pack("{s:{s:s, s:s, s:O}, s:o, s:o, s:o, s:s, s:n, s:o, s:n, s:n}",
	                           "addon", "id", text_of(addon, "id"), "name",
	                           text_of(addon, "name"), "app", json_object_get(addon, "app"),
	                           "app", reference_to(app), "created_at", new_time(), "id",
	                           new_id(), "name", name, "namespace", "updated_at", new_time(),
	                           "web_url", "log_input_url"));
}

static json_t *shown(struct call *call, const json_t *attachment)
{
	json_t *copy = visible(attachment), *value;
	const json_t *addon = world_find(call->world, "addons", text_of(attachment, "addon.id"));
	const char *key;

	if (call->with_plan)
		json_object_set(json_object_get(copy, "addon"), "plan",
		                json_object_get(addon, "plan"));
	if (call->with_vars) {
		json_t *vars = attachment_vars(call->world, attachment), *names = json_array();
		json_object_foreach(vars, key, value)
			json_array_append_new(names, json_string(key));
		json_object_set_new(copy, "config_vars", names);
		json_decref(vars);
	}
	return copy;
}

static void list_where(struct call *call, const json_t *app, const json_t *addon)
{
	json_t *all = json_array(), *attachment;
	size_t i;

	json_array_foreach(world_list(call->world, "attachments"), i,
	                   attachment) if (world_is_of(attachment, app) &&
	                                   (!addon || strcmp(text_of(attachment, "addon.id"),
	                                                     text_of(addon, "id")) == 0))
		json_array_append_new(all, shown(call, attachment));
	reply(call, 200, all);
}

static void list(struct call *call)
{
	list_where(call, NULL, NULL);
}

static void list_of_app(struct call *call)
{
	json_t *app = app_of(call);

	if (app)
		list_where(call, app, NULL);
}

static void list_of_addon(struct call *call)
{
	json_t *addon = world_find(call->world, "addons", call->part[0]);

	if (addon)
		list_where(call, NULL, addon);
	else
		refuse(call, 404, "not_found", "Couldn't find that add-on.");
}

static void answer_one(struct call *call, const json_t *attachment)
{
	if (attachment)
		reply(call, 200, shown(call, attachment));
	else
		reply(call, 404,
		      json_pack("{s:s, s:s, s:s}", "resource", "add_on attachment", "id",
		                "not_found", "message", "Couldn't find that add on attachment."));
}

static void show(struct call *call)
{
	answer_one(call, world_find_by(call->world, "attachments", "id", call->part[0]));
}

static void show_of_app(struct call *call)
{
	json_t *app = app_of(call);

	if (app)
		answer_one(call, world_find_of(call->world, "attachments", app, call->part[1]));
}

/* Names of others on the same app for the add-on. */
static bool is_last_of_billing_app(struct world *world, const json_t *attachment)
{
	const json_t *addon = world_find(world, "addons", text_of(attachment, "addon.id"));
	json_t *other;
	size_t i;

	if (!addon || !world_is_of(attachment, json_object_get(addon, "app")))
		return false;
	json_array_foreach(world_list(world, "attachments"), i,
	                   other) if (other != attachment &&
	                              world_is_of(other, json_object_get(attachment, "app")) &&
	                              strcmp(text_of(other, "addon.id"), text_of(addon, "id")) ==
	                                      0) return false;
	return true;
}

static bool detach(struct call *call, json_t *app, json_t *attachment)
{
	char text[260];

	if (is_last_of_billing_app(call->world, attachment)) {
		refuse(call, 422, "invalid_params",
		       "Cannot destroy last attachment to billing app");
		return false;
	}
	snprintf(text, sizeof text, "Detach %s (@ref:%s)", text_of(attachment, "name"),
	         text_of(attachment, "addon.name"));
	effect(call, app, "Detach %s", text_of(attachment, "name"));
	world_remove(call->world, "attachments", attachment);
	release_make(call->world, app, text, NULL);
	return true;
}

/* The CLI sends {name} objects where the schema wants a text. */
static const char *identity(const json_t *asked)
{
	if (json_is_string(asked))
		return json_string_value(asked);
	return *text_of(asked, "name") ? text_of(asked, "name") : text_of(asked, "id");
}

static bool make_room(struct call *call, json_t *app, const json_t *addon, const char *name)
{
	json_t *old = world_find_of(call->world, "attachments", app, name);

	if (!old)
		return true;
	if (strcmp(text_of(old, "addon.id"), text_of(addon, "id")) == 0 &&
	    strcmp(text_of(old, "namespace"), text_of(call->body, "namespace")) == 0) {
		reply(call, 200, shown(call, old));
		return false;
	}
	if (strcmp(text_of(call->body, "confirm"), text_of(app, "name")) != 0) {
		refuse(call, 400, "confirmation_required", "%s is attached to another add-on",
		       name);
		return false;
	}
	return detach(call, app, old);
}

/* Heroku's own words are not known; that a var of the app is never lost by this is our choice. */
static bool is_free(struct call *call, const json_t *app, const char *name)
{
	char var[128];

	snprintf(var, sizeof var, "%s_URL", name);
	if (!json_object_get(json_object_get(app, "_config"), var))
		return true;
	refuse(call, 422, "invalid_params", "Config var %s exists already", var);
	return false;
}

static void create(struct call *call)
{
	json_t *app = world_find(call->world, "apps", identity(json_object_get(call->body, "app")));
	json_t *addon =
		world_find(call->world, "addons", identity(json_object_get(call->body, "addon")));
	const char *name = text_of(call->body, "name");
	char made[96], text[260];

	if (!app || !addon) {
		refuse(call, 404, "not_found", "Couldn't find that %s.", app ? "add-on" : "app");
		return;
	}
	attachment_name(call->world, app, text_of(addon, "addon_service.name"), made, sizeof made);
	if (!*name)
		name = made;
	if (!is_free(call, app, name) || !make_room(call, app, addon, name))
		return;
	json_t *attachment = attachment_make(call->world, addon, app, name);
	if (*text_of(call->body, "namespace"))
		json_object_set(attachment, "namespace", json_object_get(call->body, "namespace"));
	snprintf(text, sizeof text, "Attach %s (@ref:%s)", name, text_of(addon, "name"));
	release_make(call->world, app, text, NULL);
	effect(call, app, "attach %s as %s", text_of(addon, "name"), name);
	reply(call, 201, shown(call, attachment));
}

static void destroy(struct call *call)
{
	json_t *attachment = world_find_by(call->world, "attachments", "id", call->part[0]);

	if (!attachment) {
		answer_one(call, NULL);
		return;
	}
	json_t *app = world_find(call->world, "apps", text_of(attachment, "app.id"));
	json_t *answer = shown(call, attachment);
	if (detach(call, app, attachment))
		reply(call, 200, answer);
	else
		json_decref(answer);
}

static void resolve(struct call *call)
{
	const char *wanted = text_of(call->body, "addon_attachment"),
		   *colons = strstr(wanted, "::");
	char owner[64];
	json_t *app, *found, *item;
	size_t i;

	snprintf(owner, sizeof owner, "%.*s", colons ? (int)(colons - wanted) : 0, wanted);
	app = world_find(call->world, "apps", colons ? owner : text_of(call->body, "app"));
	if (colons)
		wanted = colons + 2;
	found = world_find_of(call->world, "attachments", app, wanted);
	json_array_foreach(world_list(call->world, "attachments"), i, item)
	{
		char var[128];
		snprintf(var, sizeof var, "%s_URL", text_of(item, "name"));
		if (!found && world_is_of(item, app) &&
		    (strcmp(var, wanted) == 0 || strcmp(text_of(item, "addon.name"), wanted) == 0))
			found = item;
	}
	answer_one(call, found);
	if (found)
		reply(call, 200, json_pack("[o]", shown(call, found)));
}

const struct route attachment_routes[] = {
	{"GET", "/addon-attachments", list},
	{"POST", "/addon-attachments", create},
	{"GET", "/addon-attachments/?", show},
	{"DELETE", "/addon-attachments/?", destroy},
	{"GET", "/addons/?/addon-attachments", list_of_addon},
	{"GET", "/apps/?/addon-attachments", list_of_app},
	{"GET", "/apps/?/addon-attachments/?", show_of_app},
	{"POST", "/actions/addon-attachments/resolve", resolve},
	{0},
};
