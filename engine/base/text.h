/* SPDX-License-Identifier: MIT */
/* A growing buffer of text that declares its maximum. */
#ifndef PLAN_TEXT_H
#define PLAN_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *data;      /* always ends in NUL once something was added; NULL before */
	size_t length;   /* bytes, without the NUL */
	size_t capacity; /* bytes allocated */
	size_t limit;    /* bytes it may hold; 0 means TEXT_LIMIT */
	bool full;       /* something did not fit and was left out */
};

#define TEXT_LIMIT ((size_t)64 * 1024 * 1024)

/* Each returns false when the limit is reached; then `full` is set and nothing was added. */
bool text_put(struct text *text, const char *data, size_t length);
bool text_add(struct text *text, const char *string);
bool text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The text so far, "" when nothing was added. Valid until the next call. */
const char *text_string(const struct text *text);

/* Empties it and keeps the memory. */
void text_clear(struct text *text);

void text_free(struct text *text);

struct arena;

/* The text with each `what` (not empty) replaced; the same text when it has none. */
const char *text_replace(struct arena *arena, const char *text, const char *what, const char *by);

#endif
