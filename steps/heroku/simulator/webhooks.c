/* SPDX-License-Identifier: MIT */
/* Webhooks of an app, and the review apps of a pipeline. The secret of a webhook is never shown. */
#include "steps/heroku/simulator/world.h"

#include <string.h>

json_t *webhook_make(struct world *world, const json_t *app, const json_t *asked)
{
	json_t *include = json_deep_copy(json_object_get(asked, "include"));
	const char *level = text_of(asked, "level");

	return world_add(world, "webhooks",
	                 json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:s}", "app", reference_to(app),
	                           "created_at", new_time(), "id", new_id(), "include",
	                           include ? include : json_pack("[s]", "api:release"), "level",
	                           *level ? level : "notify", "updated_at", new_time(), "url",
	                           text_of(asked, "url")));
}

json_t *review_app_make(struct world *world, const json_t *coupling, const char *branch)
{
	return world_add(
		world, "review_apps",
		json_pack("{s:n, s:n, s:s, s:o, s:o, s:{s:O}, s:s, s:o, s:{s:o}, s:b, s:n, "
	                  "s:n, s:n, s:n}",
	                  "app", "app_setup", "branch", branch, "created_at", new_time(), "id",
	                  new_id(), "pipeline", "id",
	                  json_object_get(json_object_get(coupling, "pipeline"), "id"), "status",
	                  "created", "updated_at", new_time(), "creator", "id", new_id(),
	                  "wait_for_ci", 0, "error_status", "message", "fork_repo", "pr_number"));
}

static void list(struct call *call)
{
	json_t *app = app_of(call);

	if (app)
		reply_list(call, "webhooks", app);
}

static void create(struct call *call)
{
	json_t *app = app_of(call);
	const char *level = text_of(call->body, "level");

	if (!app)
		return;
	if (strncmp(text_of(call->body, "url"), "https://", 8) != 0 ||
	    json_array_size(json_object_get(call->body, "include")) == 0 ||
	    (strcmp(level, "notify") != 0 && strcmp(level, "sync") != 0)) {
		refuse(call, 422, "invalid_params",
		       "A webhook needs an https URL, entities, and a level.");
		return;
	}
	effect(call, app, "add webhook");
	reply(call, 201, visible(webhook_make(call->world, app, call->body)));
}

static json_t *webhook_of(struct call *call)
{
	json_t *app = app_of(call);
	json_t *webhook = app ? world_find_of(call->world, "webhooks", app, call->part[1]) : NULL;

	if (app && !webhook)
		refuse(call, 404, "not_found", "Couldn't find that app webhook.");
	return webhook;
}

static void show(struct call *call)
{
	json_t *webhook = webhook_of(call);

	if (webhook)
		reply(call, 200, visible(webhook));
}

static void destroy(struct call *call)
{
	json_t *webhook = webhook_of(call);

	if (!webhook)
		return;
	effect(call, json_object_get(webhook, "app"), "remove webhook");
	reply(call, 200, visible(webhook));
	world_remove(call->world, "webhooks", webhook);
}

static void review_apps(struct call *call)
{
	json_t *all = json_array(), *item;
	size_t i;

	json_array_foreach(world_list(call->world, "review_apps"), i,
	                   item) if (strcmp(text_of(item, "pipeline.id"), call->part[0]) == 0)
		json_array_append_new(all, visible(item));
	reply(call, 200, all);
}

const struct route webhook_routes[] = {
	{"GET", "/apps/?/webhooks", list},
	{"POST", "/apps/?/webhooks", create},
	{"GET", "/apps/?/webhooks/?", show},
	{"DELETE", "/apps/?/webhooks/?", destroy},
	{"GET", "/pipelines/?/review-apps", review_apps},
	{0},
};
