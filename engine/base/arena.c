/* SPDX-License-Identifier: MIT */
/* Memory that is given back all at once. */
#include "engine/base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	max_align_t data[];
};

#define BLOCK_BYTES ((size_t)16 * 1024)

static void out_of_memory(size_t size)
{
	fprintf(stderr, "plan: out of memory (%zu bytes more were needed)\n", size);
	_Exit(1);
}

static struct arena_block *add_block(struct arena *arena, size_t size)
{
	size_t room = size > BLOCK_BYTES / 4 ? size : BLOCK_BYTES;
	struct arena_block *block = calloc(1, sizeof *block + room);

	if (!block)
		out_of_memory(room);
	block->size = room;
	if (room != BLOCK_BYTES && arena->blocks) {
		/* A block of its own goes behind the current one, which still has room. */
		block->next = arena->blocks->next;
		arena->blocks->next = block;
	} else {
		block->next = arena->blocks;
		arena->blocks = block;
	}
	return block;
}

static void *take(struct arena *arena, size_t size, size_t align)
{
	struct arena_block *block = arena->blocks;

	if (size > SIZE_MAX / 2)
		out_of_memory(size);
	if (size == 0)
		size = 1;
	size_t begin = block ? (block->used + align - 1) / align * align : 0;
	if (!block || begin > block->size || block->size - begin < size) {
		block = add_block(arena, size);
		begin = 0;
	}
	block->used = begin + size;
	return (char *)block->data + begin;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	return take(arena, size, _Alignof(max_align_t));
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		out_of_memory(SIZE_MAX);
	return arena_alloc(arena, bytes);
}

char *arena_text_n(struct arena *arena, const char *text, size_t length)
{
	if (!text)
		return NULL;
	char *copy = take(arena, length + 1, 1); /* texts lie close together */
	memcpy(copy, text, length);
	return copy;
}

char *arena_text(struct arena *arena, const char *text)
{
	return text ? arena_text_n(arena, text, strlen(text)) : NULL;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list arguments)
{
	va_list again;

	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);
	if (length < 0)
		length = 0;
	char *text = arena_alloc(arena, (size_t)length + 1);
	vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	char *text = arena_vprintf(arena, format, arguments);
	va_end(arguments);
	return text;
}

void arena_free(struct arena *arena)
{
	struct arena_block *next;

	for (struct arena_block *block = arena->blocks; block; block = next) {
		next = block->next;
		free(block);
	}
	arena->blocks = NULL;
}
