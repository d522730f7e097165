/* SPDX-License-Identifier: MIT */
/* An ALIAS: what servers answer is compared with the addresses of its target. A resolver may give
 * some of many, and others to the servers, so one in common is enough. */
#include "steps/dns/provider.h"

static const char *const address_types[] = {"A", "AAAA", NULL};

bool alias_resolve(struct zone *zone, const struct value *records, struct value **resolved,
                   struct error *err)
{
	struct arena *arena = zone->step->arena;
	const char *resolver = value_get_text(zone->with, "resolver", NULL);
	struct value *found, *list = value_list(arena);

	*resolved = value_copy(arena, records);
	struct value *alias = value_get(*resolved, "ALIAS");
	const struct value *target = alias ? value_get(alias, "values")->as.items.first : NULL;
	if (!target)
		return true;
	if (!server_resolve(arena, resolver, value_reveal(target), &found, err))
		return fail_while(err, "find the addresses of %s", value_reveal(target));
	for (size_t i = 0; address_types[i]; i++) {
		const struct value *values =
			value_get(value_get(found, address_types[i]), "values");
		for (const struct value *one = first_of(values); one; one = one->next)
			value_add(list, value_copy(arena, one));
	}
	value_set(arena, alias, "addresses", list);
	return true;
}

static bool has(const struct value *list, const struct value *item)
{
	for (const struct value *one = first_of(list); one; one = one->next)
		if (value_equal(one, item))
			return true;
	return false;
}

bool alias_is_shown(const struct value *answer, const struct value *alias)
{
	const struct value *addresses = value_get(alias, "addresses");

	if (value_get(answer, "CNAME"))
		return false;
	for (size_t i = 0; address_types[i]; i++) {
		const struct value *values =
			value_get(value_get(answer, address_types[i]), "values");
		for (const struct value *one = first_of(values); one; one = one->next)
			if (!addresses || has(addresses, one))
				return true;
	}
	return false;
}
