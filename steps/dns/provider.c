/* SPDX-License-Identifier: MIT */
/* The table of DNS providers, and what they share. */
#include "steps/dns/provider.h"
#include "steps/http/api.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#define TTL_MOST_S INT64_C(0xffffffff) /* DNS has 32 bits for it, an API may say anything */

static const struct field manual_fields[] = {
	{"zone", FIELD_DOMAIN, FIELD_REQUIRED, NULL, NULL, "The zone."},
	{"servers", FIELD_STRING, FIELD_LIST | FIELD_REQUIRED, NULL, NULL,
         "The authoritative servers: HOST or HOST:PORT."},
	DNS_RESOLVER_FIELD,
	{0},
};

const struct connection_kind dns_manual = {
	.name = "dns.manual",
	.text = "A zone that a person edits: the record is shown, and waited for.",
	.fields = manual_fields,
};

const struct dns_provider manual_provider = {
	.kind = &dns_manual,
	.apex = "make it by hand as the provider's ALIAS record, with a `manual` step",
};

const struct dns_provider *const dns_providers[] = {
	&rfc2136_provider, &powerdns_provider, &cloudflare_provider,
	&route53_provider, &manual_provider,   NULL,
};

const char *const dns_types[] = {"CNAME", "ALIAS", "A", "AAAA", NULL};

/* ---- Record sets ---- */

/* "Target.Example.NET." is "target.example.net", "2001:DB8:0::1" is "2001:db8::1". */
static const char *canonical(struct arena *arena, const char *type, const char *value)
{
	unsigned char address[16];
	char text[INET6_ADDRSTRLEN];

	if (strcmp(type, "AAAA") == 0 && inet_pton(AF_INET6, value, address) == 1 &&
	    inet_ntop(AF_INET6, address, text, sizeof text))
		return arena_text(arena, text);
	size_t length = strlen(value);
	char *copy = arena_text(arena, value);
	if (length > 1 && copy[length - 1] == '.')
		copy[length - 1] = '\0';
	for (char *c = copy; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return copy;
}

static void insert_sorted(struct value *list, struct value *item)
{
	struct value **at = &list->as.items.first;

	while (*at && strcmp((*at)->as.text, item->as.text) < 0)
		at = &(*at)->next;
	if (!*at) {
		value_add(list, item);
		return;
	}
	item->next = *at;
	*at = item;
	list->as.items.count++;
}

void records_add(struct arena *arena, struct value *records, const char *type, int64_t ttl_s,
                 const char *value)
{
	struct value *set = value_get(records, type);

	ttl_s = ttl_s < 0 ? 0 : ttl_s > TTL_MOST_S ? TTL_MOST_S : ttl_s;
	if (!set) {
		set = value_map(arena);
		value_set_number(arena, set, "ttl_s", ttl_s);
		value_set(arena, set, "values", value_list(arena));
		value_set(arena, records, type, set);
	}
	int64_t known_s = value_get_number(set, "ttl_s", ttl_s);
	if (known_s != ttl_s) {
		value_set_bool(arena, set, "mixed", true);
		value_set_number(arena, set, "ttl_s", known_s > ttl_s ? known_s : ttl_s);
	}
	insert_sorted(value_get(set, "values"), value_text(arena, canonical(arena, type, value)));
}

struct value *zone_records(struct arena *arena, const char *type, int64_t ttl_s, const char *value)
{
	struct value *records = value_map(arena);

	records_add(arena, records, type, ttl_s, value);
	return records;
}

const char *dotted(struct arena *arena, const char *name)
{
	return arena_printf(arena, "%s.", name);
}

/* ---- APIs ---- */

struct value *first_of(const struct value *list)
{
	return list && list->kind == VALUE_LIST ? list->as.items.first : NULL;
}

void dns_api(struct api *api, struct zone *zone, const char *name)
{
	api->step = zone->step;
	api->arena = zone->step->arena;
	api->name = name;
	api->connection = value_get_text(zone->with, "name", zone->name);
	api->ca_file = value_get_text(zone->with, "ca_file", NULL);
}
