/* SPDX-License-Identifier: MIT */
/* Memory that is given back all at once: one arena per lifetime (plan, step, request). */
#ifndef PLAN_ARENA_H
#define PLAN_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first; {0} is an empty arena */
};

/* Zeroed and aligned for any type. Never NULL: when memory is out the program says so and exits 1.
 */
void *arena_alloc(struct arena *arena, size_t size);

/* Zeroed room for count things of size bytes; overflow of the product counts as out of memory. */
void *arena_array(struct arena *arena, size_t count, size_t size);

/* Copies. NULL stays NULL. */
char *arena_text(struct arena *arena, const char *text);
char *arena_text_n(struct arena *arena, const char *text, size_t length);

char *arena_printf(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

/* Gives everything back; the arena is empty and usable again. */
void arena_free(struct arena *arena);

#endif
