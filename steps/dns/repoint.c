/* SPDX-License-Identifier: MIT */
/* Follows a host whose name has changed: for modules of other providers. */
#include "steps/dns/zone.h"

#include <string.h>

/* "b.herokudns.com" and "a.herokudns.com". */
static bool same_domain(const char *one, const char *other)
{
	const char *dot = one ? strchr(one, '.') : NULL, *other_dot = strchr(other, '.');

	return dot && other_dot && strcmp(dot, other_dot) == 0;
}

/* The only value of the CNAME or ALIAS there, or NULL. */
static const char *target_of(const struct value *records)
{
	const struct value *values = value_get(records->as.items.first, "values");
	bool leads = value_get(records, "CNAME") || value_get(records, "ALIAS");

	return leads && values->as.items.count == 1 ? value_reveal(values->as.items.first) : NULL;
}

bool zone_repoint(struct step *step, const char *name, const char *to, bool *points,
                  struct error *err)
{
	struct zone zone;
	struct value *now;

	*points = false;
	if (!step_connections(step, "dns.")->as.items.first)
		return true;
	if (!zone_open(&zone, step, name, err))
		return err->kind == ERROR_PLAN; /* the zones of the plan are others */
	if (!zone_read(&zone, name, &now, err)) {
		if (err->kind != ERROR_REFUSED)
			return false;
		step_note(step, "%s", err->text); /* such as a proxied record: left to people */
		return true;
	}
	const char *target = target_of(now);
	if (!target)
		return true;
	const struct value *set = now->as.items.first;
	struct value *wanted =
		zone_records(step->arena, set->key, value_get_number(set, "ttl_s", 60), to);
	*points = value_equal(now, wanted);
	if (*points || !same_domain(target, to))
		return true;
	*points = zone_change(&zone, name, now, wanted, err);
	return *points;
}
