/* SPDX-License-Identifier: MIT */
/* Apps that are there before a plan begins. */
#include "steps/heroku/simulator/world.h"

#include <stdio.h>
#include <string.h>

/* A name that is there already stands for the same pipeline. */
static json_t *seed_pipeline(struct world *world, const json_t *app, const json_t *asked)
{
	const char *name = *text_of(asked, "pipeline.name") ? text_of(asked, "pipeline.name")
	                                                    : text_of(app, "name");
	json_t *pipeline = world_find(world, "pipelines", name);

	return pipeline ? pipeline : pipeline_make(world, name);
}

static void seed_coupling(struct world *world, const json_t *app, const json_t *asked)
{
	json_t *coupling = coupling_make(world, app, seed_pipeline(world, app, asked),
	                                 text_of(asked, "pipeline.stage"));
	json_t *branch;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(asked, "pipeline"), "review_apps"), i,
	                   branch) review_app_make(world, coupling, json_string_value(branch));
}

static void seed_settings(struct world *world, json_t *app, const json_t *asked)
{
	json_t *item;
	size_t i;

	buildpacks_set(app, json_object_get(asked, "buildpacks"));
	if (json_object_get(asked, "config"))
		json_object_set_new(app, "_config",
		                    json_deep_copy(json_object_get(asked, "config")));
	json_array_foreach(json_object_get(asked, "collaborators"), i, item)
		collaborator_make(world, app, json_string_value(item));
	json_array_foreach(json_object_get(asked, "features"), i, item)
		feature_set(world, app, json_string_value(item), true);
	json_array_foreach(json_object_get(asked, "drains"), i, item)
		drain_make(world, app, json_string_value(item));
	json_array_foreach(json_object_get(asked, "domains"), i, item)
		domain_make(world, app, json_string_value(item));
	json_array_foreach(json_object_get(asked, "webhooks"), i, item)
		webhook_make(world, app, item);
	if (json_object_get(asked, "pipeline"))
		seed_coupling(world, app, asked);
	json_object_set_new(app, "maintenance",
	                    json_boolean(json_is_true(json_object_get(asked, "maintenance"))));
}

static void seed_processes(struct world *world, json_t *app, const json_t *asked)
{
	const json_t *slug = json_object_get(asked, "slug");
	const char *type;
	json_t *item;
	size_t i;

	if (slug)
		release_make(world, app, "Deploy", slug_make(world, app, slug));
	json_object_foreach(json_object_get(asked, "formation"), type, item)
		formation_set(world, app, type, json_integer_value(item));
	json_array_foreach(json_object_get(asked, "one_off"), i, item)
		dyno_make(world, app, "run", (int)i + 1, json_string_value(item));
}

/* A pool or another credential is the same add-on, attached in a namespace. */
static void attach_as(struct world *world, const json_t *app, const json_t *addon, const char *name,
                      const char *namespace)
{
	json_object_set_new(attachment_make(world, addon, app, name), "namespace",
	                    json_string(namespace));
}

static void seed_addon(struct world *world, const json_t *app, json_t *addon, const json_t *asked)
{
	char name[96], namespace[96];
	json_t *item;
	size_t i;

	json_object_set_new(addon, "_credentials", json_array());
	if (json_object_get(asked, "more_vars"))
		json_object_set(addon, "_more_vars", json_object_get(asked, "more_vars"));
	if (json_is_true(json_object_get(asked, "pool")))
		attach_as(world, app, addon, "DATABASE_CONNECTION_POOL",
		          "connection-pooling:default");
	json_array_foreach(json_object_get(asked, "credentials"), i, item)
	{
		json_array_append(json_object_get(addon, "_credentials"), item);
		snprintf(name, sizeof name, "CREDENTIAL_%d", (int)i + 1);
		snprintf(namespace, sizeof namespace, "credential:%s", json_string_value(item));
		attach_as(world, app, addon, name, namespace);
	}
	json_array_foreach(json_object_get(asked, "schedules"), i, item)
		schedule_make(world, addon, item);
}

bool seed_app(struct call *call, const json_t *asked)
{
	struct world *world = call->world;
	const char *region = text_of(asked, "region"), *stack = text_of(asked, "stack");
	json_t *item;
	size_t i;

	if (!*text_of(asked, "name") || world_find(world, "apps", text_of(asked, "name"))) {
		refuse(call, 422, "invalid_params", "An app needs a name that is not taken");
		return false;
	}
	json_t *in = world_find(world, "regions", *region ? region : "us");
	json_t *on = world_find(world, "stacks", *stack ? stack : "heroku-24");
	if (!in || !on) {
		refuse(call, 422, "invalid_params", "There is no such region or stack");
		return false;
	}
	json_t *app = app_make(world, text_of(asked, "name"), in, on);
	seed_settings(world, app, asked);
	seed_processes(world, app, asked);
	json_array_foreach(json_object_get(asked, "addons"), i, item)
	{
		json_t *wanted = json_deep_copy(item);
		if (*text_of(item, "as"))
			json_object_set_new(wanted, "attachment",
			                    json_pack("{s:s}", "name", text_of(item, "as")));
		json_t *addon = addon_make(call, app, wanted);
		json_decref(wanted);
		if (!addon)
			return false;
		seed_addon(world, app, addon, item);
	}
	return true;
}
