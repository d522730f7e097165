/* SPDX-License-Identifier: MIT */
/* A growing buffer of text. */
#include "engine/base/text.h"
#include "engine/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct text *text, size_t more)
{
	size_t limit = text->limit ? text->limit : TEXT_LIMIT;

	if (more > limit || text->length > limit - more) {
		text->full = true;
		return false;
	}
	size_t needed = text->length + more + 1;
	if (needed <= text->capacity)
		return true;
	size_t capacity = text->capacity ? text->capacity : 256;
	while (capacity < needed)
		capacity *= 2;
	char *data = realloc(text->data, capacity);
	if (!data) {
		text->full = true;
		return false;
	}
	text->data = data;
	text->capacity = capacity;
	return true;
}

bool text_put(struct text *text, const char *data, size_t length)
{
	if (!make_room(text, length))
		return false;
	if (length)
		memcpy(text->data + text->length, data, length);
	text->length += length;
	text->data[text->length] = '\0';
	return true;
}

bool text_add(struct text *text, const char *string)
{
	return text_put(text, string, strlen(string));
}

bool text_format(struct text *text, const char *format, ...)
{
	va_list arguments, again;

	va_start(arguments, format);
	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);
	bool fits = length >= 0 && make_room(text, (size_t)length);
	if (fits) {
		vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
		text->length += (size_t)length;
	}
	va_end(again);
	va_end(arguments);
	return fits;
}

const char *text_string(const struct text *text)
{
	return text->data ? text->data : "";
}

void text_clear(struct text *text)
{
	text->length = 0;
	text->full = false;
	if (text->data)
		text->data[0] = '\0';
}

void text_free(struct text *text)
{
	free(text->data);
	*text = (struct text){.limit = text->limit};
}

const char *text_replace(struct arena *arena, const char *text, const char *what, const char *by)
{
	const char *found = strstr(text, what), *from = text;
	struct text out = {0};

	if (!found)
		return text;
	for (; found; found = strstr(from, what)) {
		text_put(&out, from, (size_t)(found - from));
		text_add(&out, by);
		from = found + strlen(what);
	}
	text_add(&out, from);
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}
