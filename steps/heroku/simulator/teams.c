/* SPDX-License-Identifier: MIT */
/* Apps of a team: the same apps, in another shape. */
#include "steps/heroku/simulator/world.h"

/* What both shapes have. */
static const char *const shared[] = {
	"archived_at",
	"buildpack_provided_description",
	"build_stack",
	"created_at",
	"git_url",
	"id",
	"internal_routing",
	"maintenance",
	"name",
	"owner",
	"region",
	"released_at",
	"repo_size",
	"slug_size",
	"space",
	"stack",
	"updated_at",
	"web_url",
};

static json_t *shown(const json_t *app)
{
	json_t *out = json_pack("{s:b, s:b, s:n}", "joined", 1, "locked", 0, "team");

	if (json_is_object(json_object_get(app, "team")))
		json_object_set_new(out, "team",
		                    json_pack("{s:s}", "name", text_of(app, "team.name")));
	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
		json_object_set(out, shared[i], json_object_get(app, shared[i]));
	return out;
}

static void create(struct call *call)
{
	const char *team = text_of(call->body, "team");
	json_t *app = app_create(call);

	if (!app)
		return;
	json_object_set_new(app, "team",
	                    json_pack("{s:o, s:s}", "id", new_id(), "name", *team ? team : "team"));
	reply(call, 201, shown(app));
}

static void show(struct call *call)
{
	json_t *app = team_app_of(call);

	if (app)
		reply(call, 200, shown(app));
}

/* {in: {id: [ID]}} */
static void filter(struct call *call)
{
	json_t *ids = json_object_get(json_object_get(call->body, "in"), "id"), *id;
	json_t *all = json_array();
	size_t i;

	json_array_foreach(ids, i, id)
	{
		const char *wanted = json_string_value(id);
		json_t *app = world_find_by(call->world, "apps", "id", wanted ? wanted : "");
		if (app)
			json_array_append_new(all, shown(app));
	}
	reply(call, 200, all);
}

const struct route team_routes[] = {
	{"POST", "/filters/apps", filter},
	{"POST", "/teams/apps", create},
	{"GET", "/teams/apps/?", show},
	{0},
};
