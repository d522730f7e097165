/* SPDX-License-Identifier: MIT */
/* dns.ttl: the records of some names live for so long in caches; their values stay. */
#include "engine/base/clock.h"
#include "steps/dns/zone.h"

static const struct field fields[] = {
	{"names", FIELD_DOMAIN, FIELD_LIST | FIELD_REQUIRED, NULL, NULL, "The names."},
	{"ttl", FIELD_DURATION, FIELD_REQUIRED, NULL, NULL, "The time to live."},
	{0},
};

static const struct field outputs[] = {
	{"old_ttl_s", FIELD_INT, 0, NULL, NULL, "The longest time to live before, in seconds."},
	{"answered_at_ms", FIELD_INT, 0, NULL, NULL,
         "When all authoritative servers had the new one: milliseconds since 1970."},
	{"ttl_s", FIELD_INT, 0, NULL, NULL, "The new one, in seconds."},
	{"old_ttls_s", FIELD_INT, FIELD_MAP, NULL, NULL, "The old one of each name, in seconds."},
	{0},
};

/* The same records with another time to live. */
static struct value *with_ttl(struct arena *arena, const struct value *records, int64_t ttl_s)
{
	struct value *copy = value_copy(arena, records);

	for (struct value *set = copy->as.items.first; set; set = set->next) {
		value_set_number(arena, set, "ttl_s", ttl_s);
		value_remove(set, "mixed");
	}
	return copy;
}

static int64_t wanted_ttl_s(const struct step *step)
{
	return value_get_number(step->with, "ttl", 0) / 1000;
}

/* What was long before the first try counts; what is seen now may be our own. */
static void output_old(struct step *step, const struct value *seen)
{
	struct value *old = value_map(step->arena);
	int64_t longest = 0;

	for (const struct value *name = seen->as.items.first; name; name = name->next) {
		int64_t ttl_s = 0;
		for (const struct value *set = name->as.items.first; set; set = set->next)
			if (value_get_number(set, "ttl_s", 0) > ttl_s)
				ttl_s = value_get_number(set, "ttl_s", 0);
		value_set_number(step->arena, old, name->key, ttl_s);
		longest = ttl_s > longest ? ttl_s : longest;
	}
	step_output(step, "old_ttl_s", value_number(step->arena, longest));
	step_output(step, "old_ttls_s", old);
}

static bool read_name(struct step *step, const char *name, struct value *seen, struct error *err)
{
	struct zone zone;
	struct value *records;

	if (!zone_open(&zone, step, name, err) ||
	    !zone_type(&zone, name, "", wanted_ttl_s(step), err) ||
	    !zone_read(&zone, name, &records, err))
		return false;
	if (records->as.items.count == 0)
		return fail(err, ERROR_FAILED, "%s has no CNAME, A or AAAA record in zone %s", name,
		            zone.name);
	value_set(step->arena, seen, name, records);
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	const struct value *names = value_get(step->with, "names");

	for (const struct value *name = names->as.items.first; name; name = name->next)
		if (!read_name(step, value_reveal(name), seen, err))
			return false;
	output_old(step, step->before ? step->before : seen);
	step_output(step, "answered_at_ms", value_number(step->arena, clock_now_ms()));
	step_output(step, "ttl_s", value_number(step->arena, wanted_ttl_s(step)));
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	for (const struct value *name = seen->as.items.first; name; name = name->next)
		for (const struct value *set = name->as.items.first; set; set = set->next)
			if (value_get_number(set, "ttl_s", 0) != wanted_ttl_s(step) ||
			    value_get(set, "mixed"))
				changes_add(
					changes,
					arena_printf(step->arena, "%s %s ttl", name->key, set->key),
					value_get(set, "ttl_s"),
					value_number(step->arena, wanted_ttl_s(step)), "seconds");
	return true;
}

/* Only the time to live is ours: values are what they are now. */
static bool bring_about(struct step *step, const char *name, int64_t ttl_s, struct error *err)
{
	struct zone zone;
	struct value *now;

	if (!zone_open(&zone, step, name, err) || !zone_read(&zone, name, &now, err))
		return false;
	const struct value *wanted = with_ttl(step->arena, now, ttl_s);
	return value_equal(now, wanted) || zone_change(&zone, name, now, wanted, err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	const struct value *names = value_get(step->with, "names");

	(void)changes;
	for (const struct value *name = names->as.items.first; name; name = name->next)
		if (!bring_about(step, value_reveal(name), wanted_ttl_s(step), err))
			return fail_while(err, "%s", value_reveal(name));
	return true;
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	for (const struct value *name = before->as.items.first; name; name = name->next)
		if (!bring_about(step, name->key,
		                 value_get_number(name->as.items.first, "ttl_s", 3600), err))
			return fail_while(err, "%s", name->key);
	return true;
}

const struct step_module dns_ttl = {
	.name = "dns.ttl",
	.text = "Sets the time to live of the records of some names, and waits until every server "
		"has it.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"dns/${names}/ttl", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
