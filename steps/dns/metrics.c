/* SPDX-License-Identifier: MIT */
/* Checks of DNS: whether caches have forgotten the old time to live, and what servers answer. */
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "steps/dns/provider.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* A server that has fallen back to the old time to live gives it to caches again. (What an ALIAS is
 * answered with has a time to live of its own.) */
static bool check_ttl(struct step *step, const struct value *old, int64_t new_s, struct error *err)
{
	struct zone zone;
	struct value *records;

	if (!zone_open(&zone, step, old->key, err))
		return false;
	bool is_alias = zone.provider->alias && strcasecmp(old->key, zone.name) == 0;
	if (is_alias || old->as.number <= new_s)
		return true;
	if (!zone_ask_all(&zone, old->key, &records, err))
		return false;
	for (const struct value *set = records->as.items.first; set; set = set->next)
		if (value_get_number(set, "ttl_s", 0) >= old->as.number)
			return fail(
				err, ERROR_RETRY,
				"the servers of %s give out %s with its old time to live again: %s",
				zone.name, old->key, zone_describe(step->arena, records));
	return true;
}

static bool old_ttl_elapsed(struct step *step, const struct value *of, struct reading *reading,
                            struct error *err)
{
	const char *name = value_reveal(of);
	const struct value *old = step_output_of(step, name, "old_ttl_s");
	const struct value *at = step_output_of(step, name, "answered_at_ms");
	const struct value *ttl = step_output_of(step, name, "ttl_s");
	const struct value *each = step_output_of(step, name, "old_ttls_s");

	if (!old || !at || old->kind != VALUE_INT || at->kind != VALUE_INT)
		return fail(err, ERROR_RETRY, "step %s is not done", name);
	for (const struct value *one = ttl && each ? each->as.items.first : NULL; one;
	     one = one->next)
		if (!check_ttl(step, one, ttl->as.number, err))
			return false;
	int64_t holds_at_ms = at->as.number + old->as.number * 1000;
	int64_t left_ms = holds_at_ms - clock_now_ms();
	reading->value = value_bool(step->arena, left_ms <= 0);
	reading->holds_at_ms = holds_at_ms;
	reading->text = left_ms <= 0 ? "elapsed"
	                             : arena_printf(step->arena, "%s to go of the old %lld s",
	                                            clock_duration_text(step->arena, left_ms),
	                                            (long long)old->as.number);
	return true;
}

static void add_all(struct text *out, const struct value *list)
{
	for (const struct value *one = first_of(list); one; one = one->next)
		text_format(out, "%s%s", out->length ? " " : "", value_reveal(one));
}

/* "192.0.2.1 192.0.2.2" of a LIST, or of all records of a MAP; "nothing". */
static const char *join(struct arena *arena, const struct value *value)
{
	struct text all = {0};

	add_all(&all, value);
	for (const struct value *set = value->kind == VALUE_MAP ? value->as.items.first : NULL; set;
	     set = set->next)
		add_all(&all, value_get(set, "values"));
	const char *copy = arena_text(arena, all.length ? text_string(&all) : "nothing");
	text_free(&all);
	return copy;
}

/* What a name without a CNAME is to lead to: the host that the condition asks for. NULL: it asks
 * for addresses. */
static const char *host_in(const struct value *limit)
{
	const char *text = limit && limit->kind == VALUE_TEXT ? limit->as.text : NULL;
	unsigned char address[16];

	bool named = text && strchr(text, '.') && !strchr(text, ' ');
	return named && inet_pton(AF_INET, text, address) != 1 ? text : NULL;
}

/* An ALIAS: addresses are compared. answered: what all servers say, NULL where they differ, as they
 * may when the target has many. */
static bool compare_addresses(struct zone *zone, const char *name, const struct value *answered,
                              struct reading *reading, struct error *err)
{
	struct arena *arena = zone->step->arena;
	const char *target = value_reveal(reading->limit);
	struct value *wanted;
	struct error problem = {0};

	if (!alias_resolve(zone, zone_records(arena, "ALIAS", 0, target), &wanted, err))
		return false;
	const struct value *addresses = value_find(wanted, "ALIAS.addresses");
	if (!addresses->as.items.count)
		return fail(err, ERROR_RETRY, "%s, whose addresses %s should have, has none",
		            target, name);
	const char *said = answered ? join(arena, answered) : "addresses on each server";
	bool shown = answered ? alias_is_shown(answered, value_get(wanted, "ALIAS"))
	                      : zone_shows(zone, name, wanted, &problem);
	if (!shown && !answered) {
		*err = problem;
		return false;
	}
	reading->value = value_text(arena, shown ? target : said);
	reading->text = arena_printf(arena, "%s, compared with the addresses of %s: %s", said,
	                             target, join(arena, addresses));
	return true;
}

static bool is_led_by_addresses(const struct value *records)
{
	return !value_get(records, "CNAME") &&
	       (value_get(records, "A") || value_get(records, "AAAA"));
}

static bool answers(struct step *step, const struct value *of, struct reading *reading,
                    struct error *err)
{
	const char *name = value_reveal(of);
	struct zone zone;
	struct value *records;

	if (!zone_open(&zone, step, name, err))
		return false;
	bool agree = zone_ask_all(&zone, name, &records, err);
	bool at_top = strcasecmp(name, zone.name) == 0;
	if (host_in(reading->limit) && (agree ? is_led_by_addresses(records) : at_top))
		return compare_addresses(&zone, name, agree ? records : NULL, reading, err);
	if (!agree)
		return false;
	reading->value = value_text(step->arena, join(step->arena, records));
	return true;
}

const struct metric dns_metrics[] = {
	{"dns.old_ttl_elapsed", METRIC_BOOL, "", OF_STEP,
         "Whether caches have forgotten what they learnt with the time to live from before that "
         "dns.ttl step: the old one, counted from when all servers had the new one. It does not "
         "hold while a server "
         "differs, is not authoritative or cannot be reached.",
         old_ttl_elapsed},
	{"dns.answers", METRIC_TEXT, "", OF_TEXT,
         "What all authoritative servers of the plan's zone answer for that name. A name that is "
         "answered with addresses and no CNAME, such as an ALIAS, leads to the host that is asked "
         "for when one of them is an address of that host.",
         answers},
	{0},
};
