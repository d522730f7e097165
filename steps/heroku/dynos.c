/* SPDX-License-Identifier: MIT */
/* Which dynos run the newest release of an app, and which still one before it. */
#include "steps/heroku/dynos.h"
#include "steps/heroku/lookup.h"

#include <string.h>

#define RELEASES_READ 20
#define DYNOS_MOST 1000000000

/* The version that the dynos have or will have; 0 when none of the newest releases is good. */
static bool read_version(struct heroku *heroku, const char *app, int64_t *version, bool *pending,
                         struct error *err)
{
	struct value *list;

	*version = 0;
	*pending = false;
	if (!heroku_newest(heroku, heroku_path(heroku, "/apps/%s/releases", app), RELEASES_READ,
	                   &list, err))
		return false;
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *status = heroku_text(one, "status", err);
		if (!status)
			return false;
		if (strcmp(status, "succeeded") == 0)
			return heroku_number(one, "version", version, err);
		*pending = *pending || strcmp(status, "pending") == 0;
	}
	return true;
}

static bool count_one(const struct value *dyno, const struct value *formation, int64_t version,
                      struct dynos *dynos, struct error *err)
{
	const char *type = heroku_text(dyno, "type", err);
	const char *state = type ? heroku_text(dyno, "state", err) : NULL;
	int64_t has;

	if (!state || !heroku_number(dyno, "release.version", &has, err))
		return false;
	if (!lookup_item(formation, "type", type))
		dynos->one_off += has < version;
	else if (has < version)
		dynos->older++;
	else
		dynos->up += strcmp(state, "up") == 0;
	return true;
}

/* What a server says may be more than can be added up. */
static int64_t quantity_of(const struct value *process)
{
	int64_t quantity = value_get_number(process, "quantity", 0);

	return quantity < 0 ? 0 : quantity > DYNOS_MOST ? DYNOS_MOST : quantity;
}

bool dynos_count(struct heroku *heroku, const char *app, struct dynos *dynos, struct error *err)
{
	struct value *formation, *list;
	int64_t version;

	*dynos = (struct dynos){0};
	if (!read_version(heroku, app, &version, &dynos->pending, err) ||
	    !heroku_list(heroku, heroku_path(heroku, "/apps/%s/formation", app), &formation, err) ||
	    !heroku_list(heroku, heroku_path(heroku, "/apps/%s/dynos", app), &list, err))
		return false;
	dynos->any = formation && formation->as.items.count > 0;
	for (const struct value *one = formation ? formation->as.items.first : NULL; one;
	     one = one->next)
		dynos->wanted += quantity_of(one);
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next)
		if (!count_one(one, formation, version, dynos, err))
			return false;
	return true;
}
