/* SPDX-License-Identifier: MIT */
/* Takes secrets out of what programs write. */
#include "steps/local/redact.h"
#include "engine/base/text.h"

#include <string.h>

enum { SHOWN_MOST = 400, LINE_LEAST = 6 };

static void add(struct value *secrets, const char *text, size_t length, struct arena *arena)
{
	if (length > 0)
		value_add(secrets, value_text(arena, arena_text_n(arena, text, length)));
}

static void add_secret(struct value *secrets, const char *text, struct arena *arena)
{
	add(secrets, text, strlen(text), arena);
	for (const char *line = text; strchr(text, '\n') && *line;) {
		size_t length = strcspn(line, "\r\n");
		if (length >= LINE_LEAST)
			add(secrets, line, length, arena);
		line += length + strspn(line + length, "\r\n");
	}
}

void redact_collect(const struct value *value, struct value *secrets, struct arena *arena)
{
	if (!value)
		return;
	if (value->kind == VALUE_SECRET)
		add_secret(secrets, value_reveal(value), arena);
	if (value->kind == VALUE_LIST || value->kind == VALUE_MAP)
		for (const struct value *one = value->as.items.first; one; one = one->next)
			redact_collect(one, secrets, arena);
}

/* The longest secret that stands here. */
static size_t secret_at(const char *at, const struct value *secrets)
{
	size_t longest = 0;

	for (const struct value *one = secrets->as.items.first; one; one = one->next) {
		size_t length = strlen(one->as.text);
		if (length > longest && strncmp(at, one->as.text, length) == 0)
			longest = length;
	}
	return longest;
}

static size_t longest_of(const struct value *secrets)
{
	size_t longest = 0;

	for (const struct value *one = secrets->as.items.first; one; one = one->next)
		if (strlen(one->as.text) > longest)
			longest = strlen(one->as.text);
	return longest;
}

/* Bytes of the character here; 0 where it is none that can be shown. */
static size_t character_at(const char *at)
{
	unsigned char first = (unsigned char)*at;
	size_t length = first < 0x80                    ? 1
	                : first >= 0xc2 && first < 0xe0 ? 2
	                : first >= 0xe0 && first < 0xf0 ? 3
	                : first >= 0xf0 && first < 0xf5 ? 4
	                                                : 0;

	if (length == 1)
		return first >= 0x20 && first != 0x7f;
	/* Overlong forms, surrogates, and the control characters of C1. */
	unsigned char second = length ? (unsigned char)at[1] : 0;
	if ((first == 0xc2 && second < 0xa0) || (first == 0xe0 && second < 0xa0) ||
	    (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
	    (first == 0xf4 && second > 0x8f))
		return 0;
	for (size_t i = 1; i < length; i++)
		if (((unsigned char)at[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

const char *redact_line(const char *line, bool whole, const struct value *secrets,
                        struct arena *arena)
{
	struct text out = {.limit = SHOWN_MOST};
	size_t length = strlen(line), longest = whole ? 0 : longest_of(secrets);
	const char *end = line + (length > longest ? length - longest : 0);

	for (const char *at = line; at < end && !out.full;) {
		size_t secret = secret_at(at, secrets), character = character_at(at);
		if (secret)
			text_add(&out, "(hidden)");
		else if (character)
			text_put(&out, at, character);
		else
			text_add(&out, *at == '\t' ? " " : "?");
		at += secret ? secret : character ? character : 1;
	}
	const char *shown =
		arena_printf(arena, "%s%s", text_string(&out), out.full || !whole ? "..." : "");
	text_free(&out);
	return shown;
}
