/* SPDX-License-Identifier: MIT */
/* Config vars that attachments of add-ons set: which attachment owns a key, and what betrays its
 * value. */
#include "steps/heroku/owned.h"
#include "steps/heroku/holder.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/target.h"

#include <string.h>

static const struct value *keys_of(const struct value *attachment)
{
	const struct value *keys = value_get(attachment, "config_vars");

	return keys && keys->kind == VALUE_LIST ? keys->as.items.first : NULL;
}

bool config_read_owned(struct heroku *heroku, const char *app, struct value *owned,
                       struct error *err)
{
	struct value *attachments;

	if (!lookup_attachments(heroku, app, &attachments, err))
		return false;
	for (const struct value *item = attachments ? attachments->as.items.first : NULL; item;
	     item = item->next) {
		const char *name = heroku_text(item, "name", err);
		if (!name)
			return false;
		value_set_text(heroku->arena, owned, arena_printf(heroku->arena, "%s_URL", name),
		               name);
		for (const struct value *key = keys_of(item); key; key = key->next)
			if (value_reveal(key))
				value_set_text(heroku->arena, owned, value_reveal(key), name);
	}
	return true;
}

const char *config_points_at_owned(struct heroku *heroku, const struct value *vars,
                                   const struct value *owned, const char *whose, const char *text)
{
	for (const struct value *var = vars->as.items.first; var; var = var->next) {
		const char *url = value_reveal(var);
		if (!value_get(owned, var->key) || !url)
			continue;
		if (url[0] && (strcmp(url, text) == 0 || target_is_same(text, url)))
			return arena_printf(heroku->arena, "points at the same place as %s of %s",
			                    var->key, whose);
		if (target_holds_password(text, url))
			return arena_printf(heroku->arena, "holds the password in %s of %s",
			                    var->key, whose);
	}
	return NULL;
}

const struct value *owned_attachment(struct heroku *heroku, const struct value *list,
                                     const char *key)
{
	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		const char *name = heroku_text_or_null(one, "name");
		const struct value *own = keys_of(one);
		if (!own && name && strcmp(arena_printf(heroku->arena, "%s_URL", name), key) == 0)
			return one;
		for (; own; own = own->next)
			if (value_reveal(own) && strcmp(value_reveal(own), key) == 0)
				return one;
	}
	return NULL;
}

/* The other keys that go with the attachment. */
static struct value *others_of(struct heroku *heroku, const struct value *attachment,
                               const char *key)
{
	struct value *others = value_list(heroku->arena);

	for (const struct value *own = keys_of(attachment); own; own = own->next)
		if (value_reveal(own) && strcmp(value_reveal(own), key) != 0)
			value_add(others, value_copy(heroku->arena, own));
	return others;
}

/* Keys of a pool or another credential: they go on leading to the add-on. */
static struct value *left_of(struct heroku *heroku, const struct value *list,
                             const struct value *attachment)
{
	struct value *left = value_list(heroku->arena);
	const char *addon = heroku_text_or_null(attachment, "addon.id");

	for (const struct value *one = list->as.items.first; one; one = one->next) {
		const char *other = heroku_text_or_null(one, "addon.id");
		if (one == attachment || !heroku_text_or_null(one, "namespace") || !addon ||
		    !other || strcmp(other, addon) != 0)
			continue;
		for (const struct value *own = keys_of(one); own; own = own->next)
			value_add(left, value_copy(heroku->arena, own));
	}
	return left;
}

bool owned_read_holders(struct heroku *heroku, const struct value *wanted, struct value *holders,
                        struct error *err)
{
	struct value *list;

	if (!lookup_attachments(heroku, lookup_field(heroku, "app"), &list, err))
		return false;
	for (const struct value *one = wanted->as.items.first; one; one = one->next) {
		const struct value *attachment = owned_attachment(heroku, list, one->key);
		if (!attachment)
			continue;
		const char *name = heroku_text(attachment, "name", err);
		if (!name || !heroku_text(attachment, "addon.name", err))
			return false;
		struct value *holder = holder_describe(heroku, attachment);
		value_set_text(heroku->arena, holder, "attachment", name);
		value_set_bool(heroku->arena, holder, "last", !holder_may_lose(list, attachment));
		value_set(heroku->arena, holder, "others", others_of(heroku, attachment, one->key));
		value_set(heroku->arena, holder, "left", left_of(heroku, list, attachment));
		value_set(heroku->arena, holders, one->key, holder);
	}
	return true;
}
