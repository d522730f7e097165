/* SPDX-License-Identifier: MIT */
/* Pipelines, and which app stands at which stage of one. */
#include "steps/heroku/simulator/world.h"

#include <microhttpd.h>
#include <string.h>

json_t *pipeline_make(struct world *world, const char *name)
{
	const json_t *account = json_object_get(world->lists, "account");

	return world_add(world, "pipelines",
	                 json_pack("{s:o, s:o, s:s, s:{s:s, s:s}, s:o, s:{s:s, s:s}}", "created_at",
	                           new_time(), "id", new_id(), "name", name, "owner", "id",
	                           text_of(account, "id"), "type", "user", "updated_at", new_time(),
	                           "generation", "id", CEDAR_ID, "name", "cedar"));
}

json_t *coupling_make(struct world *world, const json_t *app, const json_t *pipeline,
                      const char *stage)
{
	return world_add(world, "couplings",
	                 json_pack("{s:{s:s}, s:o, s:o, s:{s:s}, s:s, s:o}", "app", "id",
	                           text_of(app, "id"), "created_at", new_time(), "id", new_id(),
	                           "pipeline", "id", text_of(pipeline, "id"), "stage", stage,
	                           "updated_at", new_time()));
}

static json_t *coupling_of(struct world *world, const json_t *app)
{
	return world_find_by(world, "couplings", "app.id", text_of(app, "id"));
}

static json_t *pipeline_of(struct call *call, const char *identity)
{
	json_t *pipeline = world_find(call->world, "pipelines", identity);

	if (!pipeline)
		refuse(call, 404, "not_found", "Couldn't find that pipeline.");
	return pipeline;
}

/* `?eq[name]=N` is in no schema: so the official CLI looks for a name. */
static void list(struct call *call)
{
	const char *name =
		MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, "eq[name]");

	reply_list(call, "pipelines", NULL);
	for (size_t i = json_array_size(call->answer); name && i > 0; i--)
		if (strcmp(text_of(json_array_get(call->answer, i - 1), "name"), name) != 0)
			json_array_remove(call->answer, i - 1);
}

static void create(struct call *call)
{
	const char *name = text_of(call->body, "name");

	if (!*name || world_find(call->world, "pipelines", name)) {
		refuse(call, 422, "invalid_params", "Name %s", *name ? "is taken" : "is missing");
		return;
	}
	effect(call, NULL, "create pipeline %s", name);
	reply(call, 201, visible(pipeline_make(call->world, name)));
}

static void show(struct call *call)
{
	json_t *pipeline = pipeline_of(call, call->part[0]);

	if (pipeline)
		reply(call, 200, visible(pipeline));
}

static void destroy(struct call *call)
{
	json_t *pipeline = pipeline_of(call, call->part[0]), *coupling;

	if (!pipeline)
		return;
	effect(call, NULL, "destroy pipeline %s", text_of(pipeline, "name"));
	while ((coupling = world_find_by(call->world, "couplings", "pipeline.id",
	                                 text_of(pipeline, "id"))))
		world_remove(call->world, "couplings", coupling);
	reply(call, 200, visible(pipeline));
	world_remove(call->world, "pipelines", pipeline);
}

static void couplings_of_pipeline(struct call *call)
{
	json_t *pipeline = pipeline_of(call, call->part[0]), *all, *coupling;
	size_t i;

	if (!pipeline)
		return;
	all = json_array();
	json_array_foreach(world_list(call->world, "couplings"), i,
	                   coupling) if (strcmp(text_of(coupling, "pipeline.id"),
	                                        text_of(pipeline, "id")) == 0)
		json_array_append_new(all, visible(coupling));
	reply(call, 200, all);
}

/* An app is in one pipeline at most: the answer is that coupling, no list. */
static void coupling_of_app(struct call *call)
{
	json_t *app = app_of(call), *coupling = app ? coupling_of(call->world, app) : NULL;

	if (coupling)
		reply(call, 200, visible(coupling));
	else if (app)
		refuse(call, 404, "not_found", "Couldn't find that pipeline coupling.");
}

static void couple(struct call *call)
{
	const json_t *wanted = json_object_get(call->body, "app");
	json_t *app = world_find(call->world, "apps",
	                         json_is_string(wanted) ? json_string_value(wanted)
	                                                : text_of(wanted, "id"));
	json_t *pipeline = pipeline_of(call, text_of(call->body, "pipeline"));

	if (!pipeline)
		return;
	if (!app) {
		refuse(call, 404, "not_found", "Couldn't find that app.");
		return;
	}
	if (coupling_of(call->world, app)) {
		refuse(call, 422, "invalid_params", "App %s is in a pipeline already",
		       text_of(app, "name"));
		return;
	}
	effect(call, app, "couple to a pipeline");
	reply(call, 201,
	      visible(coupling_make(call->world, app, pipeline, text_of(call->body, "stage"))));
}

static void uncouple(struct call *call)
{
	json_t *coupling = world_find(call->world, "couplings", call->part[0]);

	if (!coupling) {
		refuse(call, 404, "not_found", "Couldn't find that pipeline coupling.");
		return;
	}
	effect(call, json_object_get(coupling, "app"), "remove from the pipeline");
	reply(call, 200, visible(coupling));
	world_remove(call->world, "couplings", coupling);
}

const struct route pipeline_routes[] = {
	{"GET", "/pipelines", list},
	{"POST", "/pipelines", create},
	{"GET", "/pipelines/?", show},
	{"DELETE", "/pipelines/?", destroy},
	{"GET", "/pipelines/?/pipeline-couplings", couplings_of_pipeline},
	{"GET", "/apps/?/pipeline-couplings", coupling_of_app},
	{"POST", "/pipeline-couplings", couple},
	{"DELETE", "/pipeline-couplings/?", uncouple},
	{0},
};
