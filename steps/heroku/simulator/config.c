/* SPDX-License-Identifier: MIT */
/* Config vars: an app's own, and those its attachments set and nobody may overwrite. */
#include "steps/heroku/simulator/world.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

json_t *attachment_vars(struct world *world, const json_t *attachment)
{
	json_t *vars = json_object(), *more,
	       *addon = world_find(world, "addons", text_of(attachment, "addon.id"));
	char name[160];
	size_t i;

	if (!*text_of(addon, "_url"))
		return vars;
	snprintf(name, sizeof name, "%s_URL", text_of(attachment, "name"));
	json_object_set(vars, name, json_object_get(addon, "_url"));
	json_array_foreach(json_object_get(addon, "_more_vars"), i, more)
	{
		snprintf(name, sizeof name, "%s_%s", text_of(attachment, "name"),
		         json_string_value(more));
		json_object_set(vars, name, json_object_get(addon, "_url"));
	}
	return vars;
}

static json_t *vars_of_attachments(struct world *world, const json_t *app)
{
	json_t *all = json_object(), *attachment;
	size_t i;

	json_array_foreach(world_list(world, "attachments"), i,
	                   attachment) if (world_is_of(attachment, app))
	{
		json_t *vars = attachment_vars(world, attachment);
		json_object_update(all, vars);
		json_decref(vars);
	}
	return all;
}

json_t *config_of(struct world *world, const json_t *app)
{
	json_t *all = json_copy(json_object_get(app, "_config")),
	       *vars = vars_of_attachments(world, app);

	json_object_update(all, vars);
	json_decref(vars);
	return all;
}

static void show(struct call *call)
{
	json_t *app = app_of(call);

	if (app)
		reply(call, 200, config_of(call->world, app));
}

static bool key_is_good(const char *key)
{
	for (const char *at = key; *at; at++)
		if (!isalnum((unsigned char)*at) && *at != '_')
			return false;
	return *key != '\0';
}

static bool changes_are_good(struct call *call, const json_t *app)
{
	json_t *owned = vars_of_attachments(call->world, app), *value;
	const char *key;
	bool good = true;

	json_object_foreach(call->body, key, value)
	{
		if (!key_is_good(key) || (!json_is_string(value) && !json_is_null(value))) {
			refuse(call, 422, "invalid_params", "Config var %s is not valid", key);
			good = false;
		} else if (json_object_get(owned, key)) {
			refuse(call, 422, "invalid_params",
			       "Cannot overwrite attachment values %s.", key);
			good = false;
		}
		if (!good)
			break;
	}
	json_decref(owned);
	return good;
}

static void change(struct call *call)
{
	json_t *app = app_of(call), *value;
	json_t *own = json_object_get(app, "_config");
	const char *key;
	char text[256] = "";

	if (!app)
		return;
	if (!json_is_object(call->body)) {
		refuse(call, 400, "bad_request", "The body must be an object.");
		return;
	}
	if (!changes_are_good(call, app))
		return;
	const char *verb = "Remove";
	json_object_foreach(call->body, key, value)
	{
		if (!json_is_null(value))
			verb = "Set";
		if (json_is_null(value))
			json_object_del(own, key);
		else
			json_object_set(own, key, value);
		size_t length = strlen(text);
		if (length + strlen(key) + 4 < sizeof text)
			snprintf(text + length, sizeof text - length, "%s%s", length ? ", " : "",
			         key);
	}
	if (json_object_size(call->body)) {
		char about[300];
		snprintf(about, sizeof about, "%s %s config vars", verb, text);
		release_make(call->world, app, about, NULL);
		effect(call, app, "config %s", text);
	}
	reply(call, 200, config_of(call->world, app));
}

const struct route config_routes[] = {
	{"GET", "/apps/?/config-vars", show},
	{"PATCH", "/apps/?/config-vars", change},
	{0},
};
