/* SPDX-License-Identifier: MIT */
/* dns.record: a name has one record, on all of its servers. */
#include "steps/dns/provider.h"

#include <arpa/inet.h>
#include <string.h>

static const char *const record_types[] = {"CNAME", "A", "AAAA", NULL};

static const struct field fields[] = {
	{"name", FIELD_DOMAIN, FIELD_REQUIRED, NULL, NULL, "The name."},
	{"type", FIELD_CHOICE, FIELD_REQUIRED, NULL, record_types, "The type of the record."},
	{"value", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "A host name or an address."},
	{"ttl", FIELD_DURATION, 0, "60s", NULL, "The time to live."},
	{0},
};

static const struct field outputs[] = {
	{"value", FIELD_STRING, 0, NULL, NULL, "What the name has."},
	{0},
};

/* What a plan cannot mean: an address that is none, a CNAME to an address. */
static bool check(const struct value *with, struct error *err)
{
	const char *type = value_get_text(with, "type", "");
	const struct value *value = value_get(with, "value");
	unsigned char address[16];

	if (!value || value->kind != VALUE_TEXT)
		return true;
	bool four = inet_pton(AF_INET, value->as.text, address) == 1;
	bool six = inet_pton(AF_INET6, value->as.text, address) == 1;
	if (strcmp(type, "A") == 0)
		return four || fail(err, ERROR_PLAN, "%s is no IPv4 address", value->as.text);
	if (strcmp(type, "AAAA") == 0)
		return six || fail(err, ERROR_PLAN, "%s is no IPv6 address", value->as.text);
	if (four || six || strpbrk(value->as.text, " \t\r\n\"\\;()"))
		return fail(err, ERROR_PLAN, "%s is no host name, as a CNAME must have",
		            value->as.text);
	return true;
}

/* Whatever the value will be, which other steps may find out only when users are shut out. */
static bool check_zone(const struct value *with, const struct value *connections, struct error *err)
{
	return zone_may_hold(connections, value_get_text(with, "name", ""),
	                     value_get_text(with, "type", ""), err);
}

/* Opens the zone, and gives the records as its provider has them: NULL on failure. */
static struct value *wanted_records(struct step *step, struct zone *zone, struct error *err)
{
	const char *name = value_get_text(step->with, "name", "");
	int64_t ttl_s = value_get_number(step->with, "ttl", 60000) / 1000;

	if (!zone_open(zone, step, name, err))
		return NULL;
	const char *type =
		zone_type(zone, name, value_get_text(step->with, "type", ""), ttl_s, err);
	return type ? zone_records(step->arena, type, ttl_s,
	                           value_get_text(step->with, "value", ""))
	            : NULL;
}

static bool same_values(const struct value *now, const struct value *wanted)
{
	const struct value *set = wanted->as.items.first;

	return now && now->as.items.count == 1 &&
	       value_equal(value_get(value_get(now, set->key), "values"), value_get(set, "values"));
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct zone zone;
	const char *name = value_get_text(step->with, "name", "");
	struct value *records, *wanted = wanted_records(step, &zone, err);

	if (!wanted || !zone_read(&zone, name, &records, err))
		return false;
	if (value_get(wanted, "ALIAS") && same_values(records, wanted) &&
	    !zone_await(&zone, name, records, err))
		return false;
	value_set(step->arena, seen, "records", records);
	const struct value *value = value_get(step->with, "value");
	if (value && value->kind == VALUE_TEXT)
		step_output_text(step, "value", value->as.text);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	struct zone zone;
	const struct value *now = value_get(seen, "records");
	const struct value *wanted = wanted_records(step, &zone, err);

	if (!wanted)
		return false;
	/* Once it is made, its time to live is the business of dns.ttl steps. */
	if (value_equal(now, wanted) || (step->was_done && same_values(now, wanted)))
		return true;
	changes_add(changes, value_get_text(step->with, "name", ""),
	            now && now->as.items.count ? now : NULL, wanted,
	            value_get(wanted, "ALIAS") ? zone.provider->alias : NULL);
	return true;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	const char *name = value_get_text(step->with, "name", "");
	const struct value *expected =
		changes->first->from ? changes->first->from : value_map(step->arena);
	struct zone zone;

	return zone_open(&zone, step, name, err) &&
	       zone_change(&zone, name, expected, changes->first->to, err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	const char *name = value_get_text(step->with, "name", "");
	const struct value *then = value_get(before, "records");
	struct zone zone;
	struct value *now, *wanted = wanted_records(step, &zone, err);

	if (!wanted || !zone_read(&zone, name, &now, err))
		return false;
	if (!then || value_equal(now, then))
		return true;
	/* What is there must be ours: a third value is somebody else's. */
	if (!same_values(now, wanted))
		return fail(err, ERROR_DRIFT,
		            "%s has %s: neither the record of this step (%s) nor the one from "
		            "before (%s); somebody changed it, so it stays",
		            name, zone_describe(step->arena, now),
		            zone_describe(step->arena, wanted), zone_describe(step->arena, then));
	return zone_change(&zone, name, now, then, err);
}

const struct step_module dns_record = {
	.name = "dns.record",
	.text = "Gives a name one record and waits until every authoritative server has it. At the "
		"top of "
		"a zone a CNAME is made as the provider's ALIAS.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"dns/${name}/record", NULL},
	.check = check,
	.check_connections = check_zone,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
