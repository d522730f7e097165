/* SPDX-License-Identifier: MIT */
/* Which connection holds a name, and which servers are authoritative for it. */
#include "engine/base/text.h"
#include "steps/dns/zone.h"

#include <string.h>
#include <strings.h>

static const struct field rfc2136_fields[] = {
	{"zone", FIELD_DOMAIN, FIELD_REQUIRED, NULL, NULL, "The zone."},
	{"server", FIELD_STRING, FIELD_REQUIRED, NULL, NULL,
         "Where updates go: HOST or HOST:PORT."},
	{"key", FIELD_SECRET, FIELD_REQUIRED, NULL, NULL,
         "The TSIG key as [ALGORITHM:]NAME:BASE64; the algorithm is hmac-sha256 when not given."},
	{"servers", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "The authoritative servers; `server` alone when not given."},
	{0},
};

static const struct field manual_fields[] = {
	{"zone", FIELD_DOMAIN, FIELD_REQUIRED, NULL, NULL, "The zone."},
	{"servers", FIELD_STRING, FIELD_LIST | FIELD_REQUIRED, NULL, NULL,
         "The authoritative servers: HOST or HOST:PORT."},
	{0},
};

const struct connection_kind dns_rfc2136 = {
	.name = "dns.rfc2136",
	.text = "A zone on a server that takes dynamic updates (RFC 2136) signed with TSIG.",
	.fields = rfc2136_fields,
};

const struct connection_kind dns_manual = {
	.name = "dns.manual",
	.text = "A zone that a person edits: the record is shown, and waited for.",
	.fields = manual_fields,
};

static bool is_beneath(const char *name, const char *zone)
{
	size_t length = strlen(name), suffix = strlen(zone);

	if (length < suffix || strcasecmp(name + length - suffix, zone) != 0)
		return false;
	return length == suffix || name[length - suffix - 1] == '.';
}

bool zone_open(struct zone *zone, struct step *step, const char *name, struct error *err)
{
	const struct value *all = step_connections(step, "dns."), *best = NULL;
	size_t longest = 0;

	for (const struct value *one = all->as.items.first; one; one = one->next) {
		const char *held = value_get_text(one, "zone", "");
		if (!is_beneath(name, held) || strlen(held) < longest)
			continue;
		longest = strlen(held);
		best = one;
	}
	if (!best)
		return fail(err, ERROR_PLAN,
		            "no dns connection of the plan has a zone that holds %s", name);
	*zone = (struct zone){
		.step = step,
		.name = value_get_text(best, "zone", ""),
		.with = best,
		.servers = value_get(best, "servers"),
		.manual = strcmp(value_get_text(best, "uses", ""), "dns.manual") == 0,
	};
	if (!zone->servers) {
		struct value *only = value_list(step->arena);
		value_add(only, value_text(step->arena, value_get_text(best, "server", "")));
		zone->servers = only;
	}
	return true;
}

struct value *zone_records(struct arena *arena, const char *type, int64_t ttl_s, const char *value)
{
	struct value *records = value_map(arena), *set = value_map(arena),
		     *values = value_list(arena);

	value_add(values, value_text(arena, value));
	value_set_number(arena, set, "ttl_s", ttl_s);
	value_set(arena, set, "values", values);
	value_set(arena, records, type, set);
	return records;
}

bool zone_ask_all(struct zone *zone, const char *name, struct value **records, struct error *err)
{
	*records = NULL;
	for (const struct value *one = zone->servers->as.items.first; one; one = one->next) {
		struct value *here;
		if (!zone_ask(zone, value_reveal(one), name, &here, err))
			return false;
		if (!*records)
			*records = here;
		if (value_equal(*records, here))
			continue;
		struct text first = {0}, other = {0};
		value_print(*records, &first);
		value_print(here, &other);
		fail(err, ERROR_RETRY, "the servers of %s disagree about %s: %s has %s, %s has %s",
		     zone->name, name, value_reveal(zone->servers->as.items.first),
		     text_string(&first), value_reveal(one), text_string(&other));
		text_free(&first);
		text_free(&other);
		return false;
	}
	return true;
}

bool zone_await(struct zone *zone, const char *name, const struct value *wanted, struct error *err)
{
	for (int64_t pause_ms = 100;; pause_ms = pause_ms < 5000 ? pause_ms * 3 / 2 : 5000) {
		struct value *now;
		bool asked = zone_ask_all(zone, name, &now, err);
		if (asked && value_equal(now, wanted))
			return true;
		if (!asked && err->kind != ERROR_RETRY)
			return false;
		step_progress(zone->step, "%s",
		              asked ? arena_printf(zone->step->arena,
		                                   "waiting until every server of %s has "
		                                   "the new records of %s",
		                                   zone->name, name)
		                    : err->text);
		if (!step_sleep(zone->step, pause_ms, err))
			return false;
	}
}
