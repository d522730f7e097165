/* SPDX-License-Identifier: MIT */
/* Value trees to JSON and back. */
#include "engine/base/json.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/text.h"

#include <jansson.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_LIMIT 64
#define DIGEST_BYTES ((size_t)64 * 1024)
#define VALUES_LIMIT ((size_t)200000)
#define DEFAULT_LIMIT ((size_t)16 * 1024 * 1024)

static json_t *to_json(const struct value *value, const struct sealer *sealer, struct arena *arena);

static json_t *hidden_to_json(const struct value *value, const struct sealer *sealer,
                              struct arena *arena)
{
	const char *shown = value->as.hidden.shown ? value->as.hidden.shown : "(hidden)";

	if (value->kind == VALUE_UNKNOWN)
		return json_pack("{s:s}", "$unknown", shown);
	if (!sealer)
		return json_pack("{s:s}", "$secret", shown);
	const char *sealed = sealer->seal(sealer->context, arena, value->as.text);
	return json_pack("{s:s, s:s}", "$secret", shown, "$sealed", sealed);
}

static json_t *items_to_json(const struct value *value, const struct sealer *sealer,
                             struct arena *arena)
{
	json_t *json = value->kind == VALUE_MAP ? json_object() : json_array();

	for (const struct value *item = value->as.items.first; item; item = item->next) {
		json_t *one = to_json(item, sealer, arena);
		if (value->kind == VALUE_MAP)
			json_object_set_new_nocheck(json, item->key, one);
		else
			json_array_append_new(json, one);
	}
	return json;
}

static json_t *to_json(const struct value *value, const struct sealer *sealer, struct arena *arena)
{
	if (!value)
		return json_null();
	switch (value->kind) {
	case VALUE_NULL:
		return json_null();
	case VALUE_BOOL:
		return json_boolean(value->as.truth);
	case VALUE_INT:
		return json_integer(value->as.number);
	case VALUE_REAL:
		return isfinite(value->as.real) ? json_real(value->as.real) : json_null();
	case VALUE_TEXT: {
		json_t *text = json_string(value->as.text);
		return text ? text : json_string("(not UTF-8)");
	}
	case VALUE_LIST:
	case VALUE_MAP:
		return items_to_json(value, sealer, arena);
	case VALUE_SECRET:
	case VALUE_UNKNOWN:
		return hidden_to_json(value, sealer, arena);
	}
	return json_null();
}

static int put_piece(const char *data, size_t length, void *context)
{
	return text_put(context, data, length) ? 0 : -1;
}

static void write_with(const struct value *value, const struct sealer *sealer, size_t flags,
                       struct text *out)
{
	struct arena arena = {0};
	json_t *json = to_json(value, sealer, &arena);

	json_dump_callback(json, put_piece, out, JSON_ENCODE_ANY | flags);
	json_decref(json);
	arena_free(&arena);
}

void json_write(const struct value *value, const struct sealer *sealer, struct text *out)
{
	write_with(value, sealer, JSON_COMPACT, out);
}

/* ---- The digest ---- */

static int by_key(const void *left, const void *right)
{
	return strcmp((*(const struct value *const *)left)->key,
	              (*(const struct value *const *)right)->key);
}

static bool is_sorted(const struct value *const *items, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (strcmp(items[i - 1]->key, items[i]->key) > 0)
			return false;
	return true;
}

/* Text on its way into the hash. */
struct digester {
	struct text text;
	crypto_generichash_state state;
};

static void digest_text(struct digester *digester)
{
	crypto_generichash_update(&digester->state,
	                          (const unsigned char *)text_string(&digester->text),
	                          digester->text.length);
	text_clear(&digester->text);
}

static void digest_whole(struct digester *digester, const struct value *value)
{
	write_with(value, NULL, JSON_COMPACT | JSON_SORT_KEYS, &digester->text);
	if (digester->text.length > DIGEST_BYTES)
		digest_text(digester);
}

/* The outer maps entry by entry: the tree of jansson, several times as large as ours, is then never
 * more than that of one step. */
static void digest_map(struct digester *digester, const struct value *map, int levels)
{
	struct arena arena = {0};
	size_t count = map->as.items.count, i = 0;
	const struct value **items = arena_array(&arena, count + 1, sizeof *items);

	for (const struct value *item = map->as.items.first; item; item = item->next)
		items[i++] = item;
	if (!is_sorted(items, count))
		qsort(items, count, sizeof *items, by_key);
	text_add(&digester->text, "{");
	for (i = 0; i < count; i++) {
		const struct value key = {.kind = VALUE_TEXT, .as.text = items[i]->key};
		text_add(&digester->text, i ? "," : "");
		write_with(&key, NULL, JSON_COMPACT, &digester->text);
		text_add(&digester->text, ":");
		if (levels > 1 && items[i]->kind == VALUE_MAP)
			digest_map(digester, items[i], levels - 1);
		else
			digest_whole(digester, items[i]);
	}
	text_add(&digester->text, "}");
	arena_free(&arena);
}

void json_digest(const struct value *const *values, size_t count, char *hexadecimal, size_t size)
{
	struct digester digester = {0};
	unsigned char hash[crypto_generichash_BYTES_MAX];

	crypto_generichash_init(&digester.state, NULL, 0, size / 2);
	for (size_t i = 0; i < count; i++) {
		text_add(&digester.text, i ? "\n" : "");
		if (values[i]->kind == VALUE_MAP)
			digest_map(&digester, values[i], 2);
		else
			digest_whole(&digester, values[i]);
	}
	digest_text(&digester);
	crypto_generichash_final(&digester.state, hash, size / 2);
	sodium_bin2hex(hexadecimal, size, hash, size / 2);
	text_free(&digester.text);
}

void json_write_pretty(const struct value *value, struct text *out)
{
	write_with(value, NULL, JSON_INDENT(2), out);
	text_add(out, "\n");
}

static struct value *from_json(struct arena *arena, const json_t *json,
                               const struct sealer *sealer);

static struct value *hidden_from_json(struct arena *arena, const json_t *json,
                                      const struct sealer *sealer)
{
	const char *unknown = json_string_value(json_object_get(json, "$unknown"));
	const char *shown = json_string_value(json_object_get(json, "$secret"));
	const char *sealed = json_string_value(json_object_get(json, "$sealed"));

	if (unknown && json_object_size(json) == 1)
		return value_unknown(arena, unknown);
	if (!shown)
		return NULL;
	const char *opened = sealed && sealer ? sealer->open(sealer->context, arena, sealed) : NULL;
	return opened ? value_secret(arena, opened, shown) : value_unknown(arena, shown);
}

static struct value *map_from_json(struct arena *arena, const json_t *json,
                                   const struct sealer *sealer)
{
	struct value *map = hidden_from_json(arena, json, sealer);
	const char *key;
	json_t *item;

	if (map)
		return map;
	map = value_map(arena);
	/* value_add, not value_set: the reader has refused duplicate keys already. */
	void *at = json_object_iter((json_t *)(uintptr_t)json);
	for (; at; at = json_object_iter_next((json_t *)(uintptr_t)json, at)) {
		key = json_object_iter_key(at);
		item = json_object_iter_value(at);
		struct value *one = from_json(arena, item, sealer);
		one->key = arena_text(arena, key);
		value_add(map, one);
	}
	return map;
}

static struct value *from_json(struct arena *arena, const json_t *json, const struct sealer *sealer)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return map_from_json(arena, json, sealer);
	case JSON_ARRAY: {
		struct value *list = value_list(arena);
		for (size_t i = 0; i < json_array_size(json); i++)
			value_add(list, from_json(arena, json_array_get(json, i), sealer));
		return list;
	}
	case JSON_STRING:
		return value_text(arena, json_string_value(json));
	case JSON_INTEGER:
		return value_number(arena, json_integer_value(json));
	case JSON_REAL:
		return value_real(arena, json_real_value(json));
	case JSON_TRUE:
	case JSON_FALSE:
		return value_bool(arena, json_is_true(json));
	case JSON_NULL:
		return value_null(arena);
	}
	return value_null(arena);
}

/* jansson allows 2,048 levels; the recursion here should not depend on that. And a value takes a
 * hundred bytes of memory where the text may need two. */
static bool is_too_large(const char *data, size_t length, struct error *err)
{
	size_t depth = 0, values = 0;
	bool quoted = false;

	for (size_t i = 0; i < length; i++) {
		if (quoted && data[i] == '\\')
			i++;
		else if (data[i] == '"')
			quoted = !quoted;
		else if (!quoted && (data[i] == '[' || data[i] == '{') && ++values &&
		         ++depth > DEPTH_LIMIT)
			return !fail(err, ERROR_FAILED, "JSON is nested deeper than %d levels",
			             DEPTH_LIMIT);
		else if (!quoted && (data[i] == ']' || data[i] == '}') && depth > 0)
			depth--;
		else if (!quoted && data[i] == ',')
			values++;
	}
	return values > VALUES_LIMIT &&
	       !fail(err, ERROR_FAILED, "JSON has more than %zu values", VALUES_LIMIT);
}

struct value *json_read(struct arena *arena, const char *data, size_t length, size_t limit,
                        const struct sealer *sealer, struct error *err)
{
	json_error_t problem;

	if (limit == 0)
		limit = DEFAULT_LIMIT;
	if (length > limit) {
		fail(err, ERROR_FAILED,
		     "JSON of %zu bytes is larger than the %zu bytes allowed here", length, limit);
		return NULL;
	}
	if (is_too_large(data, length, err))
		return NULL;
	json_t *json = json_loadb(data, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
	if (!json) {
		fail(err, ERROR_FAILED, "not valid JSON at line %d, column %d: %s", problem.line,
		     problem.column, problem.text);
		return NULL;
	}
	struct value *value = from_json(arena, json, sealer);
	json_decref(json);
	return value;
}
