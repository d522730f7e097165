/* SPDX-License-Identifier: MIT */
/* What Heroku has to offer: regions, stacks, add-on services and their plans. */
#include "steps/heroku/simulator/world.h"

#include <string.h>

static const struct {
	const char *name, *country, *locale, *text, *provider;
} regions[] = {
	{"us", "United States", "Virginia", "United States", "us-east-1"},
	{"eu", "Ireland", "Dublin", "Europe", "eu-west-1"},
};

static const char *const stacks[] = {"heroku-24", "heroku-22", "container"};

static const struct {
	const char *service, *plan, *title;
	int cents;
	const char *only_region;
} plans[] = {
	{"heroku-postgresql", "essential-0", "Essential 0", 500, NULL},
	{"heroku-postgresql", "standard-0", "Standard 0", 5000, NULL},
	{"heroku-postgresql", "standard-2", "Standard 2", 20000, NULL},
	{"heroku-postgresql", "premium-0", "Premium 0", 20000, NULL},
	{"heroku-redis", "mini", "Mini", 300, NULL},
	{"heroku-redis", "premium-0", "Premium 0", 1500, NULL},
	{"scheduler", "standard", "Standard", 0, NULL},
	{"papertrail", "choklad", "Choklad", 0, NULL},
	{"memcachier", "dev", "Developer", 0, NULL},
	{"komrade", "test", "Test", 0, "us"},
};

static json_t *add_service(struct world *world, const char *name)
{
	json_t *service = world_find(world, "services", name);

	if (service)
		return service;
	return world_add(world, "services",
	                 json_pack("{s:n, s:o, s:s, s:o, s:s, s:s, s:b, s:b, s:o, s:o}",
	                           "cli_plugin_name", "created_at", new_time(), "human_name", name,
	                           "id", new_id(), "name", name, "state", "ga",
	                           "supports_multiple_installations", 1, "supports_sharing", 1,
	                           "updated_at", new_time(), "supported_generations",
	                           json_array()));
}

static void add_plan(struct world *world, size_t i)
{
	json_t *service = add_service(world, plans[i].service);
	json_t *plan = json_pack(
		"{s:o, s:o, s:[], s:b, s:s, s:s, s:o, s:b, s:b, s:s++, s:{s:i, s:b, s:s}, s:b, "
		"s:s, s:o, s:b}",
		"addon_service", reference_to(service), "created_at", new_time(), "compliance",
		"default", 0, "description", plans[i].title, "human_name", plans[i].title, "id",
		new_id(), "installable_inside_private_network", 1,
		"installable_outside_private_network", 1, "name", plans[i].service, ":",
		plans[i].plan, "price", "cents", plans[i].cents, "contract", 0, "unit", "month",
		"space_default", 0, "state", "ga", "updated_at", new_time(), "visible", 1);

	if (plans[i].only_region)
		json_object_set_new(plan, "_only_region", json_string(plans[i].only_region));
	world_add(world, "plans", plan);
}

static void add_capabilities(struct world *world, size_t p)
{
	json_t *service = world_find(world, "services", plans[p].service), *region;
	size_t i;

	if (world_find_by(world, "capabilities", "addon_service.name", plans[p].service))
		return;
	json_array_foreach(world_list(world, "regions"), i, region)
	{
		if (plans[p].only_region &&
		    strcmp(plans[p].only_region, text_of(region, "name")) != 0)
			continue;
		world_add(world, "capabilities",
		          json_pack("{s:o, s:b, s:O, s:O}", "id", new_id(),
		                    "supports_private_networking", 1, "addon_service", service,
		                    "region", region));
	}
}

void world_fill_catalogue(struct world *world)
{
	for (size_t i = 0; i < sizeof regions / sizeof *regions; i++)
		world_add(world, "regions",
		          json_pack("{s:s, s:o, s:s, s:o, s:s, s:s, s:b, s:{s:s, s:s}, s:o}",
		                    "country", regions[i].country, "created_at", new_time(),
		                    "description", regions[i].text, "id", new_id(), "locale",
		                    regions[i].locale, "name", regions[i].name, "private_capable",
		                    0, "provider", "name", "amazon-web-services", "region",
		                    regions[i].provider, "updated_at", new_time()));
	for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++)
		world_add(world, "stacks",
		          json_pack("{s:b, s:o, s:o, s:s, s:s, s:o}", "default", i == 0,
		                    "created_at", new_time(), "id", new_id(), "name", stacks[i],
		                    "state", "public", "updated_at", new_time()));
	for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
		add_plan(world, i);
		add_capabilities(world, i);
	}
	json_object_set_new(world->lists, "account",
	                    json_pack("{s:o, s:s, s:o}", "id", new_id(), "email",
	                              "owner@example.com", "created_at", new_time()));
}
