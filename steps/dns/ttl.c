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
	{0},
};

/* The same records with another time to live. */
static struct value *with_ttl(struct arena *arena, const struct value *records, int64_t ttl_s)
{
	struct value *copy = value_copy(arena, records);

	for (struct value *set = copy->as.items.first; set; set = set->next)
		value_set_number(arena, set, "ttl_s", ttl_s);
	return copy;
}

static int64_t wanted_ttl_s(const struct step *step)
{
	return value_get_number(step->with, "ttl", 0) / 1000;
}

static int64_t longest_ttl_s(const struct value *seen)
{
	int64_t longest = 0;

	for (const struct value *name = seen->as.items.first; name; name = name->next)
		for (const struct value *set = name->as.items.first; set; set = set->next)
			if (value_get_number(set, "ttl_s", 0) > longest)
				longest = value_get_number(set, "ttl_s", 0);
	return longest;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	const struct value *names = value_get(step->with, "names");

	for (const struct value *name = names->as.items.first; name; name = name->next) {
		struct zone zone;
		struct value *records;
		if (!zone_open(&zone, step, value_reveal(name), err) ||
		    !zone_ask_all(&zone, value_reveal(name), &records, err))
			return false;
		if (records->as.items.count == 0)
			return fail(err, ERROR_FAILED,
			            "%s has no CNAME, A or AAAA record in zone %s",
			            value_reveal(name), zone.name);
		value_set(step->arena, seen, value_reveal(name), records);
	}
	/* What was long before the first try counts; what is seen now may be our own. */
	step_output(step, "old_ttl_s",
	            value_number(step->arena, longest_ttl_s(step->before ? step->before : seen)));
	step_output(step, "answered_at_ms", value_number(step->arena, clock_now_ms()));
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	for (const struct value *name = seen->as.items.first; name; name = name->next)
		for (const struct value *set = name->as.items.first; set; set = set->next)
			if (value_get_number(set, "ttl_s", 0) != wanted_ttl_s(step))
				changes_add(
					changes,
					arena_printf(step->arena, "%s %s ttl", name->key, set->key),
					value_get(set, "ttl_s"),
					value_number(step->arena, wanted_ttl_s(step)), "seconds");
	return true;
}

static bool bring_about(struct step *step, const char *name, const struct value *wanted,
                        struct error *err)
{
	struct zone zone;
	struct value *now;

	if (!zone_open(&zone, step, name, err) || !zone_ask_all(&zone, name, &now, err))
		return false;
	if (value_equal(now, wanted))
		return true;
	if (zone.manual)
		step_progress(step, "set the time to live of %s to %lld s at your DNS provider",
		              name,
		              (long long)value_get_number(wanted->as.items.first, "ttl_s", 0));
	else if (!zone_update(&zone, name, now, wanted, err))
		return false;
	return zone_await(&zone, name, wanted, err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct value *seen = value_map(step->arena);

	(void)changes;
	if (!observe(step, seen, err))
		return false;
	for (const struct value *name = seen->as.items.first; name; name = name->next) {
		const struct value *wanted = with_ttl(step->arena, name, wanted_ttl_s(step));
		if (!bring_about(step, name->key, wanted, err))
			return fail_while(err, "%s", name->key);
	}
	return true;
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	for (const struct value *name = before->as.items.first; name; name = name->next) {
		struct zone zone;
		struct value *now;
		if (!zone_open(&zone, step, name->key, err) ||
		    !zone_ask_all(&zone, name->key, &now, err))
			return false;
		/* Only the time to live was ours: values are what they are now. */
		int64_t ttl_s = value_get_number(name->as.items.first, "ttl_s", 3600);
		if (!bring_about(step, name->key, with_ttl(step->arena, now, ttl_s), err))
			return false;
	}
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
