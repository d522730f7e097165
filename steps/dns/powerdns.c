/* SPDX-License-Identifier: MIT */
/* PowerDNS Authoritative Server through its HTTP API. It has no compare-and-set; the changes of one
 * PATCH are one transaction. */
#include "engine/base/text.h"
#include "steps/dns/provider.h"
#include "steps/http/api.h"

#include <string.h>

static const struct field fields[] = {
	{"zone", FIELD_DOMAIN, FIELD_REQUIRED, NULL, NULL, "The zone."},
	{"key", FIELD_SECRET, FIELD_REQUIRED, NULL, NULL, "The API key (`api-key` of the server)."},
	{"url", FIELD_URL, 0, "http://127.0.0.1:8081", NULL, "Where the API is."},
	{"server_id", FIELD_STRING, 0, "localhost", NULL, "The server's name in the API."},
	{"servers", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "The authoritative servers: HOST or HOST:PORT; those of the zone's NS records when not "
         "given."},
	{"ca_file", FIELD_STRING, 0, NULL, NULL,
         "Certificates to trust instead of those of the system."},
	DNS_RESOLVER_FIELD,
	{0},
};

const struct connection_kind dns_powerdns = {
	.name = "dns.powerdns",
	.text = "A zone of a PowerDNS Authoritative Server, through its HTTP API. The API has no "
		"compare-and-set: the records are read again just before and right after a change, "
		"and what somebody else changes in the blink between is overwritten.",
	.fields = fields,
};

/* It says {"error", "errors"}, or plain text when the key is wrong. */
static void explain(const struct api *api, const struct http_response *response,
                    struct api_refusal *refusal)
{
	const struct value *body = api_json_or_null(api, response);

	refusal->message = value_get_text(body, "error", "");
	if (response->status == 401)
		refusal->message = "the API key is wrong";
}

struct door {
	struct api api;
	const char *headers[3];
	struct api_call call;
};

static void open_door(struct door *door, struct zone *zone, const char *method, const char *query)
{
	struct arena *arena = zone->step->arena;
	const char *key = value_reveal(value_get(zone->with, "key"));
	const char *id = value_get_text(zone->with, "server_id", "localhost");

	*door = (struct door){
		.api = {.explain = explain},
		.headers = {arena_printf(arena, "X-API-Key: %s", key ? key : ""),
	                    "Accept: application/json", NULL},
		.call = {.method = method,
	                 .base = value_get_text(zone->with, "url", "http://127.0.0.1:8081"),
	                 .path = arena_printf(arena, "%s%s",
	                                      api_path(arena, "/api/v1/servers/%s/zones/%s", id,
	                                               dotted(arena, zone->name)),
	                                      query)},
	};
	dns_api(&door->api, zone, "PowerDNS");
	door->api.headers = door->headers;
}

/* The record sets of a name; other names are left out by the server if it is new enough, and by the
 * caller. */
static bool read_sets(struct zone *zone, const char *name, const struct value **sets,
                      struct error *err)
{
	struct arena *arena = zone->step->arena;
	struct http_response response;
	struct value *answer;
	struct door door;

	*sets = NULL;
	open_door(&door, zone, "GET", api_path(arena, "?rrset_name=%s", dotted(arena, name)));
	if (!api_read(&door.api, &door.call, &response, err))
		return false;
	if (response.status == 404)
		return fail(err, ERROR_FAILED, "the server has no zone %s", zone->name);
	if (!api_json(&door.api, &door.call, &response, &answer, err))
		return false;
	*sets = value_get(answer, "rrsets");
	return (*sets && (*sets)->kind == VALUE_LIST) ||
	       fail(err, ERROR_FAILED, "the answer about zone %s has no rrsets", zone->name);
}

static bool is_about(const struct value *set, const char *name, const char *type)
{
	const char *owner = value_get_text(set, "name", "");
	size_t length = strlen(name);

	return strncasecmp(owner, name, length) == 0 && strcmp(owner + length, ".") == 0 &&
	       (!type || strcmp(value_get_text(set, "type", ""), type) == 0);
}

static bool add_set(struct zone *zone, const char *type, const struct value *set,
                    struct value *records, struct error *err)
{
	const struct value *list = value_get(set, "records");

	for (const struct value *one = first_of(list); one; one = one->next) {
		if (value_get_bool(one, "disabled", false))
			return fail(err, ERROR_REFUSED,
			            "%s has a disabled %s record, which a change would destroy; "
			            "remove or enable it first",
			            value_get_text(set, "name", ""), type);
		records_add(zone->step->arena, records, type, value_get_number(set, "ttl", 0),
		            value_get_text(one, "content", ""));
	}
	return true;
}

static bool read(struct zone *zone, const char *name, struct value **records, struct error *err)
{
	const struct value *sets = NULL;

	*records = value_map(zone->step->arena);
	if (!read_sets(zone, name, &sets, err))
		return false;
	for (size_t i = 0; dns_types[i]; i++)
		for (const struct value *set = first_of(sets); set; set = set->next)
			if (is_about(set, name, dns_types[i]) &&
			    !add_set(zone, dns_types[i], set, *records, err))
				return false;
	return true;
}

static bool find_servers(struct zone *zone, struct error *err)
{
	struct arena *arena = zone->step->arena;
	struct value *servers = value_list(arena), *found = value_map(arena);
	const struct value *sets = NULL;

	if (!read_sets(zone, zone->name, &sets, err))
		return false;
	for (const struct value *set = first_of(sets); set; set = set->next)
		if (is_about(set, zone->name, "NS") && !add_set(zone, "NS", set, found, err))
			return false;
	const struct value *names = value_get(value_get(found, "NS"), "values");
	for (const struct value *one = names ? names->as.items.first : NULL; one; one = one->next)
		value_add(servers, value_copy(arena, one));
	zone->servers = servers;
	return servers->as.items.count > 0 ||
	       fail(err, ERROR_FAILED, "zone %s has no NS records; name its `servers`", zone->name);
}

/* ---- Changing ---- */

/* A host name is written with its last dot. */
static const char *content(struct arena *arena, const char *type, const char *value)
{
	bool is_address = strcmp(type, "A") == 0 || strcmp(type, "AAAA") == 0;

	return is_address ? value : dotted(arena, value);
}

static struct value *describe_change(struct arena *arena, const char *name, const char *type,
                                     const struct value *set)
{
	struct value *change = value_map(arena), *records = value_list(arena);
	const struct value *values = value_get(set, "values");

	value_set_text(arena, change, "name", dotted(arena, name));
	value_set_text(arena, change, "type", type);
	value_set_text(arena, change, "changetype", set ? "REPLACE" : "DELETE");
	if (!set)
		return change;
	value_set_number(arena, change, "ttl", value_get_number(set, "ttl_s", 60));
	for (const struct value *one = values->as.items.first; one; one = one->next) {
		struct value *record = value_map(arena);
		value_set_text(arena, record, "content", content(arena, type, one->as.text));
		value_set_bool(arena, record, "disabled", false);
		value_add(records, record);
	}
	value_set(arena, change, "records", records);
	return change;
}

/* What goes is named before what comes: a CNAME and an A never stand together. */
static const char *make_body(struct arena *arena, const char *name, const struct value *expected,
                             const struct value *wanted)
{
	struct value *body = value_map(arena), *sets = value_list(arena);

	for (const struct value *set = expected->as.items.first; set; set = set->next)
		if (!value_get(wanted, set->key))
			value_add(sets, describe_change(arena, name, set->key, NULL));
	for (const struct value *set = wanted->as.items.first; set; set = set->next)
		if (!value_equal(set, value_get(expected, set->key)))
			value_add(sets, describe_change(arena, name, set->key, set));
	value_set(arena, body, "rrsets", sets);
	return api_body(arena, body);
}

static bool replace(struct zone *zone, const char *name, const struct value *expected,
                    const struct value *wanted, struct error *err)
{
	struct http_response response;
	struct door door;

	open_door(&door, zone, "PATCH", "");
	door.call.body = make_body(zone->step->arena, name, expected, wanted);
	door.call.content_type = "application/json";
	return api_write(&door.api, &door.call, &response, err) == API_DONE;
}

const struct dns_provider powerdns_provider = {
	.kind = &dns_powerdns,
	.alias = "as ALIAS, since it is the top of the zone; the server needs `expand-alias=yes` "
		 "and "
		 "`resolver=`",
	.find_servers = find_servers,
	.read = read,
	.replace = replace,
};
