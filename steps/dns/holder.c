/* SPDX-License-Identifier: MIT */
/* Which connection holds a name, and under which type its provider has a record there. */
#include "steps/dns/provider.h"

#include <string.h>
#include <strings.h>

static bool is_beneath(const char *name, const char *zone)
{
	size_t length = strlen(name), suffix = strlen(zone);

	if (length < suffix || strcasecmp(name + length - suffix, zone) != 0)
		return false;
	return length == suffix || name[length - suffix - 1] == '.';
}

static const struct dns_provider *find_provider(const char *uses)
{
	for (size_t i = 0; dns_providers[i]; i++)
		if (strcmp(dns_providers[i]->kind->name, uses) == 0)
			return dns_providers[i];
	return NULL;
}

/* Of all connections of a plan the one whose zone holds the name; the longest zone wins. NULL. */
static const struct value *find_connection(const struct value *all, const char *name)
{
	const struct value *best = NULL;
	size_t longest = 0;

	for (const struct value *one = all->as.items.first; one; one = one->next) {
		const char *held = value_get_text(one, "zone", "");
		if (!find_provider(value_get_text(one, "uses", "")) || !held[0] ||
		    !is_beneath(name, held) || strlen(held) < longest)
			continue;
		longest = strlen(held);
		best = one;
	}
	return best;
}

bool zone_open(struct zone *zone, struct step *step, const char *name, struct error *err)
{
	const struct value *found = find_connection(step_connections(step, "dns."), name);

	if (!found)
		return fail(err, ERROR_PLAN,
		            "no dns connection of the plan has a zone that holds %s", name);
	*zone = (struct zone){
		.step = step,
		.name = value_get_text(found, "zone", ""),
		.with = found,
		.provider = find_provider(value_get_text(found, "uses", "")),
		.servers = value_get(found, "servers"),
	};
	return true;
}

/* NULL: it has no such type there. */
static const char *type_at(const struct dns_provider *provider, const char *zone, const char *name,
                           const char *type, struct error *err)
{
	if (strcasecmp(name, zone) != 0 || strcmp(type, "CNAME") != 0)
		return type;
	if (provider->alias)
		return "ALIAS";
	fail(err, ERROR_PLAN,
	     "%s is the top of its zone, where no CNAME may stand, and %s has no "
	     "ALIAS for it: %s",
	     name, provider->kind->name, provider->apex);
	return NULL;
}

const char *zone_type(const struct zone *zone, const char *name, const char *type, int64_t ttl_s,
                      struct error *err)
{
	if (ttl_s >= zone->provider->ttl_least_s)
		return type_at(zone->provider, zone->name, name, type, err);
	fail(err, ERROR_PLAN, "%s takes no time to live below %lld s; %s has %lld s",
	     zone->provider->kind->name, (long long)zone->provider->ttl_least_s, name,
	     (long long)ttl_s);
	return NULL;
}

bool zone_may_hold(const struct value *connections, const char *name, const char *type,
                   struct error *err)
{
	const struct value *found = find_connection(connections, name);

	return !found || type_at(find_provider(value_get_text(found, "uses", "")),
	                         value_get_text(found, "zone", ""), name, type, err);
}
