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

/* The only value of the CNAME there, or NULL. */
static const char *cname_of(const struct value *records)
{
	const struct value *values = value_get(value_get(records, "CNAME"), "values");

	return values && values->as.items.count == 1 ? value_reveal(values->as.items.first) : NULL;
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
	if (!zone_ask_all(&zone, name, &now, err))
		return false;
	int64_t ttl_s = value_get_number(value_get(now, "CNAME"), "ttl_s", 60);
	struct value *wanted = zone_records(step->arena, "CNAME", ttl_s, to);
	*points = value_equal(now, wanted);
	if (*points || !same_domain(cname_of(now), to))
		return true;
	if (zone.manual)
		step_progress(step, "at your DNS provider, make: %s %lld IN CNAME %s", name,
		              (long long)ttl_s, to);
	else if (!zone_update(&zone, name, now, wanted, err))
		return false;
	*points = zone_await(&zone, name, wanted, err);
	return *points;
}
