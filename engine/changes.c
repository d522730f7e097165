/* SPDX-License-Identifier: MIT */
/* Differences between the world and the plan. */
#include "engine/step.h"

#include <string.h>

void changes_add(struct changes *changes, const char *path, const struct value *from,
                 const struct value *to, const char *note)
{
	struct change *change = arena_alloc(changes->arena, sizeof *change);

	change->path = arena_text(changes->arena, path);
	change->from = from;
	change->to = to;
	change->note = arena_text(changes->arena, note);
	if (changes->last)
		changes->last->next = change;
	else
		changes->first = change;
	changes->last = change;
	changes->count++;
}

void changes_compare(struct changes *changes, const char *prefix, const struct value *seen,
                     const struct value *wanted)
{
	if (!wanted || wanted->kind != VALUE_MAP)
		return;
	for (const struct value *item = wanted->as.items.first; item; item = item->next) {
		const struct value *now = value_get(seen, item->key);
		if (value_equal(now, item))
			continue;
		const char *path =
			prefix[0] ? arena_printf(changes->arena, "%s.%s", prefix, item->key)
				  : item->key;
		changes_add(changes, path, now, item, NULL);
	}
}
