/* SPDX-License-Identifier: MIT */
/* Who holds the name of an attachment, and how a name is given and taken. */
#include "steps/heroku/holder.h"
#include "steps/heroku/lookup.h"

#include <string.h>

struct value *holder_describe(struct heroku *heroku, const struct value *attachment)
{
	const char *addon = heroku_text_or_null(attachment, "addon.name");
	const char *namespace = heroku_text_or_null(attachment, "namespace");
	struct value *holder = value_map(heroku->arena);

	if (!addon)
		return value_null(heroku->arena);
	value_set_text(heroku->arena, holder, "addon", addon);
	if (namespace)
		value_set_text(heroku->arena, holder, "namespace", namespace);
	return holder;
}

static bool holds(struct heroku *heroku, const char *name, const struct value *holder, bool *so,
                  struct error *err)
{
	struct value *list;

	if (!lookup_attachments(heroku, lookup_field(heroku, "app"), &list, err))
		return false;
	*so = value_equal(holder_describe(heroku, lookup_item(list, "name", name)), holder);
	return true;
}

bool holder_attach(struct heroku *heroku, const char *name, const struct value *holder,
                   bool replaces, struct error *err)
{
	struct value *body = value_map(heroku->arena);
	const char *app = lookup_field(heroku, "app");
	const char *namespace = value_get_text(holder, "namespace", NULL);
	bool there = false;

	value_set_text(heroku->arena, body, "addon", value_get_text(holder, "addon", ""));
	value_set_text(heroku->arena, body, "app", app);
	value_set_text(heroku->arena, body, "name", name);
	if (namespace)
		value_set_text(heroku->arena, body, "namespace", namespace);
	if (replaces)
		value_set_text(heroku->arena, body, "confirm", app);
	enum heroku_outcome outcome =
		heroku_write(heroku, "POST", "/addon-attachments", body, NULL, err);
	struct error unsure = *err;
	if (outcome == HEROKU_UNSURE && !holds(heroku, name, holder, &there, err))
		return false;
	*err = unsure;
	return outcome == HEROKU_DONE || there;
}

bool holder_detach(struct heroku *heroku, const struct value *attachment, struct error *err)
{
	const char *id = heroku_text(attachment, "id", err);

	if (!id)
		return false;
	return heroku_delete(heroku, heroku_path(heroku, "/addon-attachments/%s", id), err);
}

bool holder_may_lose(const struct value *list, const struct value *attachment)
{
	const char *addon = heroku_text_or_null(attachment, "addon.id");
	const char *owner = heroku_text_or_null(attachment, "addon.app.id");
	const char *here = heroku_text_or_null(attachment, "app.id");

	if (owner && here && strcmp(owner, here) != 0)
		return true;
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *other = heroku_text_or_null(one, "addon.id");
		if (one != attachment && addon && other && strcmp(other, addon) == 0 &&
		    !heroku_text_or_null(one, "namespace"))
			return true;
	}
	return false;
}
