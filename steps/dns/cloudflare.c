/* SPDX-License-Identifier: MIT */
/* Cloudflare's API v4. It has no compare-and-set; the changes of one batch are one transaction
 * there. Batches, because Cloudflare does not let a record change its type. */
#include "steps/dns/provider.h"
#include "steps/http/api.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_URL "https://api.cloudflare.com/client/v4"
#define PAGE_SIZE "100"
#define PAGES_MAX 100
#define TTL_AUTOMATIC_S 300 /* what servers answer when the record says 1, "automatic" */

static const struct field fields[] = {
	{"zone", FIELD_DOMAIN, FIELD_REQUIRED, NULL, NULL, "The zone."},
	{"token", FIELD_SECRET, FIELD_REQUIRED, NULL, NULL,
         "An API token that may read the zone and edit its DNS."},
	{"zone_id", FIELD_STRING, 0, NULL, NULL,
         "The zone's identifier; found by its name when not given."},
	{"url", FIELD_URL, 0, DEFAULT_URL, NULL, "Where the API is."},
	{"servers", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "The authoritative servers: HOST or HOST:PORT; those that Cloudflare gave the zone when "
         "not given."},
	{"ca_file", FIELD_STRING, 0, NULL, NULL,
         "Certificates to trust instead of those of the system."},
	DNS_RESOLVER_FIELD,
	{0},
};

const struct connection_kind dns_cloudflare = {
	.name = "dns.cloudflare",
	.text = "A zone at Cloudflare. The API has no compare-and-set: the records are read again "
		"just before and right after a change, and what somebody else changes in the blink "
		"between is overwritten. Proxied records are refused.",
	.fields = fields,
};

/* It says {"success": false, "errors": [{"code", "message"}]}. */
static void explain(const struct api *api, const struct http_response *response,
                    struct api_refusal *refusal)
{
	const struct value *errors = value_get(api_json_or_null(api, response), "errors");
	const struct value *first = first_of(errors);

	if (!first)
		return;
	refusal->id =
		arena_printf(api->arena, "%lld", (long long)value_get_number(first, "code", 0));
	refusal->message = value_get_text(first, "message", "");
}

struct door {
	struct api api;
	const char *headers[3];
	struct api_call call;
};

static void open_door(struct door *door, struct zone *zone, const char *method, const char *path)
{
	struct arena *arena = zone->step->arena;
	const char *token = value_reveal(value_get(zone->with, "token"));

	*door = (struct door){
		.api = {.explain = explain},
		.headers = {arena_printf(arena, "Authorization: Bearer %s", token ? token : ""),
	                    "Accept: application/json", NULL},
		.call = {.method = method,
	                 .base = value_get_text(zone->with, "url", DEFAULT_URL),
	                 .path = path},
	};
	dns_api(&door->api, zone, "Cloudflare");
	door->api.headers = door->headers;
}

/* *answer is the whole envelope; NULL where there is nothing (404). */
static bool get(struct zone *zone, const char *path, struct value **answer, struct error *err)
{
	struct http_response response;
	struct door door;

	*answer = NULL;
	open_door(&door, zone, "GET", path);
	if (!api_read(&door.api, &door.call, &response, err))
		return false;
	if (response.status == 404)
		return true;
	if (!api_json(&door.api, &door.call, &response, answer, err))
		return false;
	return value_get(*answer, "result") ||
	       fail(err, ERROR_FAILED, "GET %s: the answer has no result", path);
}

/* ---- The zone ---- */

static bool take_zone(struct zone *zone, const struct value *found, struct error *err)
{
	const struct value *servers = value_get(found, "name_servers");

	zone->id = value_get_text(found, "id", NULL);
	if (!zone->id)
		return fail(err, ERROR_FAILED, "the answer about zone %s has no id", zone->name);
	if (zone->servers || !first_of(servers))
		return true;
	for (const struct value *one = first_of(servers); one; one = one->next)
		if (one->kind != VALUE_TEXT)
			return fail(err, ERROR_FAILED, "the name servers of zone %s are no names",
			            zone->name);
	zone->servers = servers;
	return true;
}

static bool find_by_id(struct zone *zone, const char *id, struct error *err)
{
	struct value *answer;

	if (!get(zone, api_path(zone->step->arena, "/zones/%s", id), &answer, err))
		return false;
	const struct value *found = value_get(answer, "result");
	if (!found)
		return fail(err, ERROR_FAILED, "Cloudflare has no zone with the id %s", id);
	if (strcasecmp(value_get_text(found, "name", ""), zone->name) != 0)
		return fail(err, ERROR_PLAN, "zone_id %s is zone %s, not %s", id,
		            value_get_text(found, "name", "?"), zone->name);
	return take_zone(zone, found, err);
}

static bool find_by_name(struct zone *zone, struct error *err)
{
	const struct value *found = NULL;
	struct value *answer;
	size_t count = 0;

	if (!get(zone, api_path(zone->step->arena, "/zones?name=%s&per_page=50", zone->name),
	         &answer, err))
		return false;
	const struct value *list = value_get(answer, "result");
	for (const struct value *one = first_of(list); one; one = one->next) {
		if (strcasecmp(value_get_text(one, "name", ""), zone->name) != 0)
			continue;
		found = one;
		count++;
	}
	if (count == 1)
		return take_zone(zone, found, err);
	if (count > 1)
		return fail(err, ERROR_PLAN,
		            "the token sees %zu zones called %s; write the `zone_id` of the right "
		            "one",
		            count, zone->name);
	return fail(err, ERROR_FAILED,
	            "there is no zone %s that the token may see; see to the name and to the "
	            "token's permissions",
	            zone->name);
}

static bool find_zone(struct zone *zone, struct error *err)
{
	const char *id = value_get_text(zone->with, "zone_id", NULL);

	if (zone->id)
		return true;
	return id ? find_by_id(zone, id, err) : find_by_name(zone, err);
}

static bool find_servers(struct zone *zone, struct error *err)
{
	if (!find_zone(zone, err))
		return false;
	return zone->servers ||
	       fail(err, ERROR_FAILED, "Cloudflare names no servers of zone %s; name its `servers`",
	            zone->name);
}

/* ---- Reading ---- */

/* The type as we know it, or NULL for one that is not ours. */
static const char *known_type(const struct zone *zone, const struct value *record)
{
	const char *type = value_get_text(record, "type", "");
	bool at_top = strcasecmp(value_get_text(record, "name", ""), zone->name) == 0;

	if (at_top && strcmp(type, "CNAME") == 0)
		return "ALIAS"; /* flattened: servers answer with addresses */
	for (size_t i = 0; dns_types[i]; i++)
		if (strcmp(dns_types[i], type) == 0)
			return dns_types[i];
	return NULL;
}

/* All records of the name, as the API has them. */
static bool list_records(struct zone *zone, const char *name, struct value **list,
                         struct error *err)
{
	struct arena *arena = zone->step->arena;

	*list = value_list(arena);
	for (int page = 1; page <= PAGES_MAX; page++) {
		struct value *answer;
		const char *path = arena_printf(
			arena, "%s&page=%d&per_page=" PAGE_SIZE,
			api_path(arena, "/zones/%s/dns_records?name=%s", zone->id, name), page);
		if (!get(zone, path, &answer, err))
			return false;
		const struct value *found = value_get(answer, "result");
		if (!found || found->kind != VALUE_LIST)
			return fail(err, ERROR_FAILED, "GET %s: expected a list", path);
		for (const struct value *one = found->as.items.first; one; one = one->next)
			if (strcasecmp(value_get_text(one, "name", ""), name) == 0)
				value_add(*list, value_copy(arena, one));
		const struct value *more = value_find(answer, "result_info.total_pages");
		if (!more || more->kind != VALUE_INT || page >= more->as.number)
			return true;
	}
	return fail(err, ERROR_FAILED, "the list of the records of %s has no end", name);
}

static bool describe(struct zone *zone, const struct value *list, struct value *records,
                     struct error *err)
{
	for (const struct value *one = list->as.items.first; one; one = one->next) {
		const char *type = known_type(zone, one);
		int64_t ttl_s = value_get_number(one, "ttl", 0);
		if (!type)
			continue;
		if (value_get_bool(one, "proxied", false))
			return fail(
				err, ERROR_REFUSED,
				"%s is proxied by Cloudflare: servers answer with Cloudflare's "
				"addresses, and neither its target nor its time to live shows; set "
				"it to \"DNS only\" first, or change it by hand",
				value_get_text(one, "name", ""));
		records_add(zone->step->arena, records, type, ttl_s == 1 ? TTL_AUTOMATIC_S : ttl_s,
		            value_get_text(one, "content", ""));
	}
	return true;
}

static bool read(struct zone *zone, const char *name, struct value **records, struct error *err)
{
	struct value *list;

	*records = value_map(zone->step->arena);
	return find_zone(zone, err) && list_records(zone, name, &list, err) &&
	       describe(zone, list, *records, err);
}

/* ---- Changing ---- */

static bool holds(const struct value *set, const char *text)
{
	const struct value *values = value_get(set, "values");

	for (const struct value *one = values ? values->as.items.first : NULL; one; one = one->next)
		if (strcmp(one->as.text, text) == 0)
			return true;
	return false;
}

/* The first record of that type that no wanted value has claimed yet. */
static struct value *claim(struct value *list, const struct zone *zone, const char *type)
{
	for (struct value *one = list->as.items.first; one; one = one->next) {
		const char *its = known_type(zone, one);
		if (its && strcmp(its, type) == 0 && !value_get_bool(one, "claimed", false))
			return one;
	}
	return NULL;
}

static struct value *named_record(struct arena *arena, const char *key, const char *value)
{
	struct value *map = value_map(arena);

	value_set_text(arena, map, key, value);
	return map;
}

/* An old record takes a new value, and keeps what else is written on it (comment, tags). Where none
 * is left, a record is made. */
static void put_value(struct zone *zone, struct value *list, const char *name,
                      const struct value *set, const char *content, struct value *batch)
{
	struct arena *arena = zone->step->arena;
	struct value *old = claim(list, zone, set->key), *record;
	const char *type = strcmp(set->key, "ALIAS") == 0 ? "CNAME" : set->key;

	if (old) {
		value_set_bool(arena, old, "claimed", true);
		record = named_record(arena, "id", value_get_text(old, "id", ""));
	} else {
		record = named_record(arena, "type", type);
		value_set_text(arena, record, "name", name);
		value_set_bool(arena, record, "proxied", false);
	}
	value_set_text(arena, record, "content", content);
	value_set_number(arena, record, "ttl", value_get_number(set, "ttl_s", TTL_AUTOMATIC_S));
	value_add(value_get(batch, old ? "patches" : "posts"), record);
}

/* Records whose value stays change only in their time to live. */
static void keep_values(struct zone *zone, struct value *list, const struct value *wanted,
                        struct value *batch)
{
	struct arena *arena = zone->step->arena;

	for (struct value *one = list->as.items.first; one; one = one->next) {
		const char *type = known_type(zone, one);
		const struct value *set = type ? value_get(wanted, type) : NULL;
		struct value *now = value_map(arena);
		if (!set)
			continue;
		records_add(arena, now, type, 0, value_get_text(one, "content", ""));
		const char *content =
			value_get(value_get(now, type), "values")->as.items.first->as.text;
		if (!holds(set, content))
			continue;
		value_set_bool(arena, one, "claimed", true);
		value_set_text(arena, one, "kept", content);
		int64_t ttl_s = value_get_number(set, "ttl_s", TTL_AUTOMATIC_S);
		if (value_get_number(one, "ttl", 0) == ttl_s)
			continue;
		struct value *patch = named_record(arena, "id", value_get_text(one, "id", ""));
		value_set_number(arena, patch, "ttl", ttl_s);
		value_add(value_get(batch, "patches"), patch);
	}
}

static bool is_kept(const struct zone *zone, const struct value *list, const char *type,
                    const char *content)
{
	for (const struct value *one = list->as.items.first; one; one = one->next)
		if (strcmp(value_get_text(one, "kept", ""), content) == 0 &&
		    strcmp(known_type(zone, one), type) == 0)
			return true;
	return false;
}

static struct value *make_batch(struct zone *zone, struct value *list, const char *name,
                                const struct value *wanted)
{
	struct arena *arena = zone->step->arena;
	struct value *batch = value_map(arena);

	value_set(arena, batch, "deletes", value_list(arena));
	value_set(arena, batch, "patches", value_list(arena));
	value_set(arena, batch, "posts", value_list(arena));
	keep_values(zone, list, wanted, batch);
	for (const struct value *set = wanted->as.items.first; set; set = set->next) {
		const struct value *values = value_get(set, "values");
		for (const struct value *one = values->as.items.first; one; one = one->next)
			if (!is_kept(zone, list, set->key, one->as.text))
				put_value(zone, list, name, set, one->as.text, batch);
	}
	for (const struct value *one = list->as.items.first; one; one = one->next)
		if (known_type(zone, one) && !value_get_bool(one, "claimed", false))
			value_add(value_get(batch, "deletes"),
			          named_record(arena, "id", value_get_text(one, "id", "")));
	return batch;
}

static bool replace(struct zone *zone, const char *name, const struct value *expected,
                    const struct value *wanted, struct error *err)
{
	struct arena *arena = zone->step->arena;
	struct value *list, *now = value_map(arena);
	struct http_response response;
	struct door door;

	/* The identifiers belong to the values that are expected. */
	if (!find_zone(zone, err) || !list_records(zone, name, &list, err) ||
	    !describe(zone, list, now, err))
		return false;
	if (!value_equal(now, expected))
		return fail(err, ERROR_DRIFT, "the records of %s have just changed", name);
	open_door(&door, zone, "POST", api_path(arena, "/zones/%s/dns_records/batch", zone->id));
	door.call.body = api_body(arena, make_batch(zone, list, name, wanted));
	door.call.content_type = "application/json";
	return api_write(&door.api, &door.call, &response, err) == API_DONE;
}

const struct dns_provider cloudflare_provider = {
	.kind = &dns_cloudflare,
	.alias = "as a CNAME that Cloudflare flattens, since it is the top of the zone",
	.ttl_least_s = 30,
	.find_servers = find_servers,
	.read = read,
	.replace = replace,
};
