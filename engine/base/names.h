/* SPDX-License-Identifier: MIT */
/* Names to indexes: found in constant time, also when somebody has chosen the names to collide. */
#ifndef PLAN_NAMES_H
#define PLAN_NAMES_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

struct names {
	struct names_slot {
		const char *name; /* NULL: free */
		size_t index;
	} * slots;
	size_t mask;           /* slots - 1 */
	unsigned char key[16]; /* of the hash, another one each time */
};

/* Room for that many names; nothing can be added to or found in {0}. */
void names_begin(struct names *names, struct arena *arena, size_t most);

/* The name is not copied. False when it is there already, with the index it has then in *first,
 * which may be NULL. */
bool names_add(struct names *names, const char *name, size_t index, size_t *first);

bool names_find(const struct names *names, const char *name, size_t *index);

#endif
