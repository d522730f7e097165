/* SPDX-License-Identifier: MIT */
/* A table of names with open addressing. */
#include "engine/base/names.h"
#include "engine/base/arena.h"

#include <sodium.h>
#include <string.h>

_Static_assert(crypto_shorthash_KEYBYTES == sizeof((struct names *)0)->key, "size of the key");

void names_begin(struct names *names, struct arena *arena, size_t most)
{
	size_t slots = 8;

	while (slots < most * 2)
		slots *= 2;
	names->slots = arena_array(arena, slots, sizeof *names->slots);
	names->mask = slots - 1;
	randombytes_buf(names->key, sizeof names->key);
}

/* The slot that holds the name, else the free one where it belongs. */
static struct names_slot *slot_of(const struct names *names, const char *name)
{
	size_t hash;

	_Static_assert(sizeof hash == crypto_shorthash_BYTES, "size of the hash");
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)name, strlen(name),
	                 names->key);
	for (size_t i = hash & names->mask;; i = (i + 1) & names->mask) {
		struct names_slot *slot = &names->slots[i];
		if (!slot->name || strcmp(slot->name, name) == 0)
			return slot;
	}
}

bool names_add(struct names *names, const char *name, size_t index, size_t *first)
{
	struct names_slot *slot = slot_of(names, name);

	if (slot->name) {
		if (first)
			*first = slot->index;
		return false;
	}
	*slot = (struct names_slot){name, index};
	return true;
}

bool names_find(const struct names *names, const char *name, size_t *index)
{
	const struct names_slot *slot = names->slots ? slot_of(names, name) : NULL;

	if (!slot || !slot->name)
		return false;
	*index = slot->index;
	return true;
}
