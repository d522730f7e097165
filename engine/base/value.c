/* SPDX-License-Identifier: MIT */
/* A tree of values. */
#include "engine/base/value.h"
#include "engine/base/arena.h"
#include "engine/base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {
	[VALUE_NULL] = "null",   [VALUE_BOOL] = "boolean",  [VALUE_INT] = "number",
	[VALUE_REAL] = "number", [VALUE_TEXT] = "text",     [VALUE_LIST] = "list",
	[VALUE_MAP] = "map",     [VALUE_SECRET] = "secret", [VALUE_UNKNOWN] = "value not known yet",
};

const char *value_kind_name(enum value_kind kind)
{
	return kind_names[kind];
}

static struct value *new_value(struct arena *arena, enum value_kind kind)
{
	struct value *value = arena_alloc(arena, sizeof *value);

	value->kind = kind;
	return value;
}

struct value *value_null(struct arena *arena)
{
	return new_value(arena, VALUE_NULL);
}

struct value *value_bool(struct arena *arena, bool truth)
{
	struct value *value = new_value(arena, VALUE_BOOL);

	value->as.truth = truth;
	return value;
}

struct value *value_number(struct arena *arena, int64_t number)
{
	struct value *value = new_value(arena, VALUE_INT);

	value->as.number = number;
	return value;
}

struct value *value_real(struct arena *arena, double real)
{
	struct value *value = new_value(arena, VALUE_REAL);

	value->as.real = real;
	return value;
}

struct value *value_text(struct arena *arena, const char *text)
{
	struct value *value = new_value(arena, VALUE_TEXT);

	value->as.text = arena_text(arena, text);
	return value;
}

struct value *value_text_shared(struct arena *arena, const char *text)
{
	struct value *value = new_value(arena, VALUE_TEXT);

	value->as.text = text;
	return value;
}

struct value *value_secret(struct arena *arena, const char *text, const char *shown)
{
	struct value *value = new_value(arena, VALUE_SECRET);

	value->as.text = arena_text(arena, text);
	value->as.hidden.shown = arena_text(arena, shown);
	return value;
}

struct value *value_unknown(struct arena *arena, const char *shown)
{
	struct value *value = new_value(arena, VALUE_UNKNOWN);

	value->as.hidden.shown = arena_text(arena, shown);
	return value;
}

struct value *value_list(struct arena *arena)
{
	return new_value(arena, VALUE_LIST);
}

struct value *value_map(struct arena *arena)
{
	return new_value(arena, VALUE_MAP);
}

static bool holds_items(const struct value *value)
{
	return value && (value->kind == VALUE_LIST || value->kind == VALUE_MAP);
}

struct value *value_copy(struct arena *arena, const struct value *value)
{
	struct value *copy = new_value(arena, value->kind);

	*copy = *value;
	copy->key = NULL;
	copy->next = NULL;
	if (value->kind == VALUE_SECRET || value->kind == VALUE_UNKNOWN)
		copy->as.hidden.shown = arena_text(arena, value->as.hidden.shown);
	if (value->kind == VALUE_TEXT || value->kind == VALUE_SECRET)
		copy->as.text = arena_text(arena, value->as.text);
	if (!holds_items(value))
		return copy;
	memset(&copy->as, 0, sizeof copy->as);
	for (const struct value *item = value->as.items.first; item; item = item->next) {
		struct value *one = value_copy(arena, item);
		one->key = arena_text(arena, item->key);
		value_add(copy, one);
	}
	return copy;
}

void value_add(struct value *list, struct value *item)
{
	item->next = NULL;
	if (list->as.items.last)
		list->as.items.last->next = item;
	else
		list->as.items.first = item;
	list->as.items.last = item;
	list->as.items.count++;
}

static void replace_item(struct value *map, struct value *old, struct value *item)
{
	struct value **link = &map->as.items.first;

	while (*link != old)
		link = &(*link)->next;
	item->next = old->next;
	*link = item;
	if (map->as.items.last == old)
		map->as.items.last = item;
}

void value_set(struct arena *arena, struct value *map, const char *key, struct value *item)
{
	struct value *old = value_get(map, key);

	if (old == item)
		return;
	item->key = arena_text(arena, key);
	if (old)
		replace_item(map, old, item);
	else
		value_add(map, item);
}

void value_set_text(struct arena *arena, struct value *map, const char *key, const char *text)
{
	value_set(arena, map, key, text ? value_text(arena, text) : value_null(arena));
}

void value_set_number(struct arena *arena, struct value *map, const char *key, int64_t number)
{
	value_set(arena, map, key, value_number(arena, number));
}

void value_set_bool(struct arena *arena, struct value *map, const char *key, bool truth)
{
	value_set(arena, map, key, value_bool(arena, truth));
}

bool value_remove(struct value *map, const char *key)
{
	struct value *before = NULL;

	for (struct value *item = map->as.items.first; item; before = item, item = item->next) {
		if (strcmp(item->key, key) != 0)
			continue;
		if (before)
			before->next = item->next;
		else
			map->as.items.first = item->next;
		if (map->as.items.last == item)
			map->as.items.last = before;
		map->as.items.count--;
		return true;
	}
	return false;
}

struct value *value_get(const struct value *map, const char *key)
{
	if (!map || map->kind != VALUE_MAP)
		return NULL;
	for (struct value *item = map->as.items.first; item; item = item->next)
		if (strcmp(item->key, key) == 0)
			return item;
	return NULL;
}

const char *value_get_text(const struct value *map, const char *key, const char *fallback)
{
	const struct value *item = value_get(map, key);

	return item && item->kind == VALUE_TEXT ? item->as.text : fallback;
}

int64_t value_get_number(const struct value *map, const char *key, int64_t fallback)
{
	const struct value *item = value_get(map, key);

	return item && item->kind == VALUE_INT ? item->as.number : fallback;
}

bool value_get_bool(const struct value *map, const char *key, bool fallback)
{
	const struct value *item = value_get(map, key);

	return item && item->kind == VALUE_BOOL ? item->as.truth : fallback;
}

struct value *value_find(const struct value *map, const char *path)
{
	char key[256];
	const struct value *at = map;

	while (at) {
		size_t length = strcspn(path, ".");
		if (length >= sizeof key)
			return NULL;
		memcpy(key, path, length);
		key[length] = '\0';
		struct value *item = value_get(at, key);
		if (!path[length])
			return item;
		path += length + 1;
		at = item;
	}
	return NULL;
}

const char *value_reveal(const struct value *value)
{
	bool has_text = value && (value->kind == VALUE_TEXT || value->kind == VALUE_SECRET);

	return has_text ? value->as.text : NULL;
}

size_t value_count(const struct value *value)
{
	size_t count = 1;

	if (holds_items(value))
		for (const struct value *item = value->as.items.first; item; item = item->next)
			count += value_count(item);
	return count;
}

static bool holds_kind(const struct value *value, enum value_kind kind)
{
	if (!value)
		return false;
	if (value->kind == kind)
		return true;
	if (holds_items(value))
		for (const struct value *item = value->as.items.first; item; item = item->next)
			if (holds_kind(item, kind))
				return true;
	return false;
}

bool value_has_unknown(const struct value *value)
{
	return holds_kind(value, VALUE_UNKNOWN);
}

bool value_has_secret(const struct value *value)
{
	return holds_kind(value, VALUE_SECRET);
}

static double as_real(const struct value *value)
{
	return value->kind == VALUE_INT ? (double)value->as.number : value->as.real;
}

static bool equal_bytes(const char *a, const char *b)
{
	size_t length = strlen(a);

	return length == strlen(b) && (length == 0 || sodium_memcmp(a, b, length) == 0);
}

static bool equal_lists(const struct value *a, const struct value *b)
{
	const struct value *left = a->as.items.first, *right = b->as.items.first;

	for (; left && right; left = left->next, right = right->next)
		if (!value_equal(left, right))
			return false;
	return !left && !right;
}

static bool equal_maps(const struct value *a, const struct value *b)
{
	if (a->as.items.count != b->as.items.count)
		return false;
	for (const struct value *item = a->as.items.first; item; item = item->next) {
		const struct value *other = value_get(b, item->key);
		if (!other || !value_equal(item, other))
			return false;
	}
	return true;
}

bool value_equal(const struct value *a, const struct value *b)
{
	if (!a || !b)
		return a == b;
	if (value_reveal(a) && value_reveal(b))
		return equal_bytes(a->as.text, b->as.text);
	bool numbers = (a->kind == VALUE_INT || a->kind == VALUE_REAL) &&
	               (b->kind == VALUE_INT || b->kind == VALUE_REAL);
	if (numbers && a->kind != b->kind)
		return !(as_real(a) < as_real(b)) && !(as_real(a) > as_real(b));
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case VALUE_NULL:
		return true;
	case VALUE_BOOL:
		return a->as.truth == b->as.truth;
	case VALUE_INT:
		return a->as.number == b->as.number;
	case VALUE_REAL:
		return !(a->as.real < b->as.real) && !(a->as.real > b->as.real);
	case VALUE_LIST:
		return equal_lists(a, b);
	case VALUE_MAP:
		return equal_maps(a, b);
	case VALUE_TEXT:
	case VALUE_SECRET:
	case VALUE_UNKNOWN:
		return false;
	}
	return false;
}

/* Characters that are not seen, or that turn the direction of those around them: with them a text
 * looks like another one. U+200B-200F, 2028-202E, 2060-2069, FEFF. */
static bool is_unseen(const unsigned char *c)
{
	if (c[0] == 0xe2 && c[1] == 0x80)
		return (c[2] >= 0x8b && c[2] <= 0x8f) || (c[2] >= 0xa8 && c[2] <= 0xae);
	if (c[0] == 0xe2 && c[1] == 0x81)
		return c[2] >= 0xa0 && c[2] <= 0xa9;
	return c[0] == 0xef && c[1] == 0xbb && c[2] == 0xbf;
}

static void print_unseen(const unsigned char *c, struct text *out)
{
	text_format(out, "\\u%04x", (c[0] & 0xfu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu));
}

static void print_text(const char *string, struct text *out)
{
	for (const unsigned char *c = (const unsigned char *)string; *c; c++) {
		if (*c == '\n') {
			text_add(out, "\\n");
		} else if (*c < 0x20 || *c == 0x7f) {
			text_format(out, "\\x%02x", *c);
		} else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) {
			text_format(out, "\\x%02x", *++c); /* C1 controls also steer terminals */
		} else if (is_unseen(c)) {
			print_unseen(c, out);
			c += 2;
		} else {
			text_put(out, (const char *)c, 1);
		}
	}
}

static void print_items(const struct value *value, struct text *out)
{
	bool map = value->kind == VALUE_MAP;

	text_add(out, map ? "{" : "[");
	for (const struct value *item = value->as.items.first; item; item = item->next) {
		if (item != value->as.items.first)
			text_add(out, ", ");
		if (map) {
			print_text(item->key, out);
			text_add(out, ": ");
		}
		value_print(item, out);
	}
	text_add(out, map ? "}" : "]");
}

void value_print(const struct value *value, struct text *out)
{
	if (!value) {
		text_add(out, "nothing");
		return;
	}
	switch (value->kind) {
	case VALUE_NULL:
		text_add(out, "null");
		break;
	case VALUE_BOOL:
		text_add(out, value->as.truth ? "true" : "false");
		break;
	case VALUE_INT:
		text_format(out, "%lld", (long long)value->as.number);
		break;
	case VALUE_REAL:
		text_format(out, "%g", value->as.real);
		break;
	case VALUE_TEXT:
		print_text(value->as.text, out);
		break;
	case VALUE_LIST:
	case VALUE_MAP:
		print_items(value, out);
		break;
	case VALUE_SECRET:
	case VALUE_UNKNOWN:
		print_text(value->as.hidden.shown ? value->as.hidden.shown : "(hidden)", out);
		break;
	}
}
