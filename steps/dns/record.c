/* SPDX-License-Identifier: MIT */
/* dns.record: a name has one record, on all of its servers. */
#include "steps/dns/zone.h"

#include <string.h>
#include <strings.h>

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

static struct value *wanted_records(struct step *step)
{
	return zone_records(step->arena, value_get_text(step->with, "type", ""),
	                    value_get_number(step->with, "ttl", 60000) / 1000,
	                    value_get_text(step->with, "value", ""));
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	const char *name = value_get_text(step->with, "name", "");
	struct zone zone;
	struct value *records;

	if (!zone_open(&zone, step, name, err))
		return false;
	if (strcasecmp(name, zone.name) == 0 &&
	    strcmp(value_get_text(step->with, "type", ""), "CNAME") == 0)
		return fail(
			err, ERROR_PLAN,
			"%s is the top of its zone, where no CNAME may stand; use a provider with "
			"ALIAS records, or a redirect",
			name);
	if (!zone_ask_all(&zone, name, &records, err))
		return false;
	value_set(step->arena, seen, "records", records);
	const struct value *value = value_get(step->with, "value");
	if (value && value->kind == VALUE_TEXT)
		step_output_text(step, "value", value->as.text);
	return true;
}

static bool same_values(const struct value *now, const struct value *wanted)
{
	const struct value *set = wanted->as.items.first;

	return now && now->as.items.count == 1 &&
	       value_equal(value_get(value_get(now, set->key), "values"), value_get(set, "values"));
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *now = value_get(seen, "records"), *wanted = wanted_records(step);

	(void)err;
	/* Once it is made, its time to live is the business of dns.ttl steps. */
	if (value_equal(now, wanted) || (step->was_done && same_values(now, wanted)))
		return true;
	changes_add(changes, value_get_text(step->with, "name", ""),
	            now && now->as.items.count ? now : NULL, wanted, NULL);
	return true;
}

static bool bring_about(struct step *step, const struct value *expected, const struct value *wanted,
                        struct error *err)
{
	const char *name = value_get_text(step->with, "name", "");
	const struct value *first = wanted->as.items.first;
	struct zone zone;

	if (!zone_open(&zone, step, name, err))
		return false;
	if (zone.manual)
		step_progress(step, "at your DNS provider, make: %s %lld IN %s %s", name,
		              (long long)value_get_number(first, "ttl_s", 60),
		              first ? first->key : "?",
		              value_reveal(value_get(first, "values")->as.items.first));
	else if (!zone_update(&zone, name, expected, wanted, err))
		return false;
	return zone_await(&zone, name, wanted, err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	const struct value *expected =
		changes->first->from ? changes->first->from : value_map(step->arena);

	return bring_about(step, expected, changes->first->to, err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	const char *name = value_get_text(step->with, "name", "");
	const struct value *then = value_get(before, "records");
	struct zone zone;
	struct value *now;

	if (!zone_open(&zone, step, name, err) || !zone_ask_all(&zone, name, &now, err))
		return false;
	if (!then || value_equal(now, then))
		return true;
	/* What is there must be ours: a third value is somebody else's. */
	if (!same_values(now, wanted_records(step)))
		return fail(err, ERROR_DRIFT,
		            "%s has neither the record of this step nor the one from before; "
		            "somebody changed it, so it stays",
		            name);
	return bring_about(step, now, then, err);
}

const struct step_module dns_record = {
	.name = "dns.record",
	.text = "Gives a name one record and waits until every authoritative server has it.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"dns/${name}/record", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
