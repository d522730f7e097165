/* SPDX-License-Identifier: MIT */
/* Domains and automatic certificate management. */
#include "steps/heroku/simulator/world.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

json_t *domain_make(struct world *world, const json_t *app, const char *hostname)
{
	unsigned char noise[8];
	char hex[17], cname[64];

	randombytes_buf(noise, sizeof noise);
	sodium_bin2hex(hex, sizeof hex, noise, sizeof noise);
	snprintf(cname, sizeof cname, "%s.herokudns.com", hex);
	return world_add(world, "domains",
	                 json_pack("{s:n, s:n, s:o, s:s, s:o, s:s, s:o, s:s, s:o, s:s, s:n}",
	                           "acm_status", "acm_status_reason", "app", reference_to(app),
	                           "cname", cname, "created_at", new_time(), "hostname", hostname,
	                           "id", new_id(), "kind", "custom", "updated_at", new_time(),
	                           "status", "succeeded", "sni_endpoint"));
}

static void list(struct call *call)
{
	json_t *app = app_of(call);

	if (app)
		reply_list(call, "domains", app);
}

static bool bind_certificate(struct call *call, const json_t *app, json_t *domain)
{
	const json_t *wanted = json_object_get(call->body, "sni_endpoint");
	json_t *sni = world_find_of(call->world, "snis", app, text_of(call->body, "sni_endpoint"));

	if (json_is_string(wanted) && !sni) {
		refuse(call, 422, "invalid_params", "Couldn't find that SNI endpoint.");
		return false;
	}
	if (domain)
		json_object_set_new(domain, "sni_endpoint", sni ? reference_to(sni) : json_null());
	return true;
}

static void add(struct call *call)
{
	json_t *app = app_of(call);
	const char *hostname = text_of(call->body, "hostname");

	if (!app || !bind_certificate(call, app, NULL))
		return;
	if (!*hostname || !json_object_get(call->body, "sni_endpoint")) {
		refuse(call, 422, "invalid_params", "hostname and sni_endpoint are required");
		return;
	}
	if (world_find_by(call->world, "domains", "hostname", hostname)) {
		refuse(call, 422, "invalid_params", "%s is currently in use by another app.",
		       hostname);
		return;
	}
	json_t *domain = domain_make(call->world, app, hostname);
	bind_certificate(call, app, domain);
	effect(call, app, "add domain %s", hostname);
	reply(call, 201, visible(domain));
}

static void one(struct call *call)
{
	json_t *app = app_of(call);
	json_t *domain = app ? world_find_of(call->world, "domains", app, call->part[1]) : NULL;

	if (!app)
		return;
	if (!domain) {
		refuse(call, 404, "not_found", "Couldn't find that domain name.");
		return;
	}
	if (strcmp(call->method, "PATCH") == 0) {
		if (!bind_certificate(call, app, domain))
			return;
		effect(call, app, "bind certificate to %s", call->part[1]);
	}
	reply(call, 200, visible(domain));
	if (strcmp(call->method, "DELETE") == 0) {
		effect(call, app, "remove domain %s", text_of(domain, "hostname"));
		world_remove(call->world, "domains", domain);
	}
}

static void acm(struct call *call)
{
	json_t *app = app_of(call);

	if (!app)
		return;
	json_object_set_new(app, "acm", json_boolean(strcmp(call->method, "DELETE") != 0));
	effect(call, app, "acm %s", call->method);
	reply(call, 200, visible(app));
}

const struct route domain_routes[] = {
	{"GET", "/apps/?/domains", list},
	{"POST", "/apps/?/domains", add},
	{"GET", "/apps/?/domains/?", one},
	{"PATCH", "/apps/?/domains/?", one},
	{"DELETE", "/apps/?/domains/?", one},
	{"POST", "/apps/?/acm", acm},
	{"PATCH", "/apps/?/acm", acm},
	{"DELETE", "/apps/?/acm", acm},
	{0},
};
