/* SPDX-License-Identifier: MIT */
/* The account, its rate limit, and the catalogue as requests see it. */
#include "steps/heroku/simulator/world.h"

#include <stdio.h>
#include <string.h>

static void account(struct call *call)
{
	const json_t *own = json_object_get(call->world->lists, "account");

	reply(call, 200,
	      json_pack(
		      "{s:b, s:b, s:s, s:s, s:b, s:s, s:n, s:n, s:n, s:n, s:n, s:n, s:b, s:s, s:b, "
		      "s:n, s:n, s:n}",
		      "allow_tracking", 0, "beta", 0, "created_at", text_of(own, "created_at"),
		      "email", text_of(own, "email"), "federated", 0, "id", text_of(own, "id"),
		      "identity_provider", "last_login", "name", "sms_number", "suspended_at",
		      "delinquent_at", "two_factor_authentication", 0, "updated_at",
		      text_of(own, "created_at"), "verified", 1, "country_of_residence",
		      "default_organization", "default_team"));
}

/* "~" is whoever asks. */
const json_t *account_of(struct call *call)
{
	const json_t *own = json_object_get(call->world->lists, "account");
	const char *wanted = call->part[0];

	if (strcmp(wanted, "~") == 0 || strcmp(wanted, text_of(own, "id")) == 0 ||
	    strcmp(wanted, text_of(own, "email")) == 0)
		return own;
	refuse(call, 404, "not_found", "Couldn't find that user.");
	return NULL;
}

static void account_of_user(struct call *call)
{
	if (account_of(call))
		account(call);
}

/* The account has none of its own; those of apps are in settings.c. */
static void account_features(struct call *call)
{
	reply_list(call, "account features", NULL);
}

static void rate_limits(struct call *call)
{
	reply(call, 200, json_pack("{s:I}", "remaining", (json_int_t)call->world->remaining));
}

static void one(struct call *call, const char *list, const char *identity, const char *noun)
{
	json_t *item = world_find(call->world, list, identity);

	if (item)
		reply(call, 200, visible(item));
	else
		refuse(call, 404, "not_found", "Couldn't find that %s.", noun);
}

static void regions(struct call *call)
{
	reply_list(call, "regions", NULL);
}

static void region(struct call *call)
{
	one(call, "regions", call->part[0], "region");
}

static void stacks(struct call *call)
{
	reply_list(call, "stacks", NULL);
}

static void stack(struct call *call)
{
	one(call, "stacks", call->part[0], "stack");
}

static void plan(struct call *call)
{
	one(call, "plans", call->part[0], "plan");
}

static void services(struct call *call)
{
	reply_list(call, "services", NULL);
}

static void service(struct call *call)
{
	one(call, "services", call->part[0], "add-on service");
}

static void service_plan(struct call *call)
{
	one(call, "plans", call->part[1], "plan");
}

static void reply_where(struct call *call, const char *list, const char *of)
{
	json_t *all = json_array(), *item;
	char id[64], name[64];
	size_t i;

	snprintf(id, sizeof id, "%s.id", of);
	snprintf(name, sizeof name, "%s.name", of);
	json_array_foreach(world_list(call->world, list), i,
	                   item) if (strcmp(text_of(item, id), call->part[0]) == 0 ||
	                             strcmp(text_of(item, name), call->part[0]) == 0)
		json_array_append_new(all, visible(item));
	reply(call, 200, all);
}

static void plans_of_service(struct call *call)
{
	reply_where(call, "plans", "addon_service");
}

static void capabilities(struct call *call)
{
	reply_list(call, "capabilities", NULL);
}

static void capabilities_of_region(struct call *call)
{
	reply_where(call, "capabilities", "region");
}

static void capabilities_of_service(struct call *call)
{
	reply_where(call, "capabilities", "addon_service");
}

const struct route account_routes[] = {
	{"GET", "/account", account},
	{"GET", "/users/?", account_of_user},
	{"GET", "/account/features", account_features},
	{"GET", "/account/rate-limits", rate_limits},
	{"GET", "/regions", regions},
	{"GET", "/regions/?", region},
	{"GET", "/stacks", stacks},
	{"GET", "/stacks/?", stack},
	{"GET", "/plans/?", plan},
	{"GET", "/addon-services", services},
	{"GET", "/addon-services/?", service},
	{"GET", "/addon-services/?/plans", plans_of_service},
	{"GET", "/addon-services/?/plans/?", service_plan},
	{"GET", "/addon-services/?/region-capabilities", capabilities_of_service},
	{"GET", "/addon-region-capabilities", capabilities},
	{"GET", "/regions/?/addon-region-capabilities", capabilities_of_region},
	{0},
};
