/* SPDX-License-Identifier: MIT */
/* What all parts of the decoder use: keys, references, fields. */
#include "engine/decode.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"
#include "engine/reference.h"
#include "engine/unit.h"

#include <stdlib.h>
#include <string.h>

static const struct key *find_key(const struct key *keys, const char *name)
{
	for (; keys->name; keys++)
		if (strcmp(keys->name, name) == 0)
			return keys;
	return NULL;
}

static void unknown_key(struct decoder *decoder, const struct value *item, const struct key *keys,
                        const char *of)
{
	struct nearest nearest = nearest_to(item->key);
	struct text all = {.limit = 600};

	for (const struct key *key = keys; key->name; key++) {
		nearest_try(&nearest, key->name);
		text_format(&all, "%s%s", key == keys ? "" : " ", key->name);
	}
	if (nearest.best)
		problems_add(decoder->problems, item->key_at,
		             "%s has no key `%s`; did you mean `%s`?", of, item->key, nearest.best);
	else
		problems_add(decoder->problems, item->key_at, "%s has no key `%s`; it takes: %s",
		             of, item->key, text_string(&all));
	text_free(&all);
}

bool decode_keys(struct decoder *decoder, const struct value *map, const struct key *keys,
                 const char *of)
{
	if (map->kind != VALUE_MAP) {
		problems_add(decoder->problems, map->at, "%s must be a map, this is a %s", of,
		             value_kind_name(map->kind));
		return false;
	}
	for (const struct value *item = map->as.items.first; item; item = item->next) {
		const struct key *key = find_key(keys, item->key);
		if (!key)
			unknown_key(decoder, item, keys, of);
		else if (key->kind != VALUE_NULL && item->kind != key->kind)
			problems_add(decoder->problems, item->at,
			             "%s: `%s` must be a %s, this is a %s", of, item->key,
			             value_kind_name(key->kind), value_kind_name(item->kind));
		else if (key->kind == VALUE_TEXT && !item->as.text[0])
			problems_add(decoder->problems, item->at,
			             "%s: `%s` is empty; write %s, or leave the key out", of,
			             item->key, key->text);
	}
	for (const struct key *key = keys; key->name; key++)
		if (key->required && !value_get(map, key->name))
			problems_add(decoder->problems, map->at, "%s lacks `%s`: %s", of, key->name,
			             key->text);
	return true;
}

/* ---- Fields ---- */

static void check_name(struct decoder *decoder, const struct field *field,
                       const struct value *value)
{
	const char *name = value_reveal(value);
	const struct plan *plan = decoder->plan;

	if (!name || decode_has_reference(value))
		return;
	if (field->type == FIELD_STEP && !decode_find(decoder, name)) {
		const char *near = decode_nearest_step(decoder, name);
		problems_add(decoder->problems, value->at, "there is no step %s%s%s%s", name,
		             near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	}
	if (field->type != FIELD_CONNECTION)
		return;
	struct nearest nearest = nearest_to(name);
	size_t index;
	if (names_find(&decoder->connections, name, &index))
		return;
	if (decode_may_guess(decoder, plan->connection_count))
		for (size_t i = 0; i < plan->connection_count; i++)
			nearest_try(&nearest, plan->connections[i].name);
	problems_add(decoder->problems, value->at, "there is no connection %s%s%s%s", name,
	             nearest.best ? "; did you mean " : "; name it under `connections:`",
	             nearest.best ? nearest.best : "", nearest.best ? "?" : "");
}

static void check_content_file(struct decoder *decoder, const struct field *field,
                               const struct value *map)
{
	static const struct field path = {.name = "file", .type = FIELD_PATH};
	const struct value *file = value_get(map, "file");
	struct error err = {0};

	if (map->as.items.count != 1 || !value_get_text(map, "file", NULL))
		problems_add(decoder->problems, map->at, "%s: write a text, or {file: PATH}",
		             field->name);
	else if (!field_accept(&path, file, decoder->arena, &err))
		problems_add(decoder->problems, file->at, "file: %s", err.text);
}

/* What was set on the command line stands nowhere. */
static struct place place_of_refused(struct decoder *decoder, const struct field *field,
                                     const struct value *value, const struct value *given)
{
	const struct value *refused = field_refused(field, value, decoder->arena);

	return refused->at.line ? refused->at : given->at;
}

static struct value *decode_field(struct decoder *decoder, const struct field *field,
                                  const struct value *given)
{
	bool secret = field->type == FIELD_SECRET || field->flags & FIELD_MAY_SECRET;
	struct value *value = decode_value(decoder, given, secret);
	struct error err = {0};
	bool file = field->type == FIELD_CONTENT && value->kind == VALUE_MAP;

	check_name(decoder, field, value);
	if (decode_has_reference(value))
		return value;
	if (field->flags & FIELD_REQUIRED && value->kind == VALUE_TEXT && !value->as.text[0])
		problems_add(decoder->problems, given->at, "`%s` is empty: %s", field->name,
		             field->text);
	if (file)
		check_content_file(decoder, field, value);
	else if (!field_accept(field, value, decoder->arena, &err))
		problems_add(decoder->problems, place_of_refused(decoder, field, value, given),
		             "%s: %s", field->name, err.text);
	return value;
}

static void unknown_field(struct decoder *decoder, const struct value *item,
                          const struct field *fields, const char *of)
{
	const struct field *near = field_nearest(fields, item->key);
	struct text all = {.limit = 600};

	for (const struct field *field = fields; field && field->name; field++)
		text_format(&all, " %s", field->name);
	if (near)
		problems_add(decoder->problems, item->key_at,
		             "%s has no field `%s`; did you mean `%s`?", of, item->key, near->name);
	else
		problems_add(decoder->problems, item->key_at, "%s has no field `%s`; it takes:%s",
		             of, item->key, all.length ? text_string(&all) : " nothing");
	text_free(&all);
}

struct value *decode_fields(struct decoder *decoder, const struct value *map,
                            const struct field *fields, const char *skip, const char *of,
                            struct place at)
{
	struct value *with = value_map(decoder->arena);

	if (map && map->kind != VALUE_MAP) {
		problems_add(decoder->problems, map->at, "%s: its fields must be a map", of);
		return with;
	}
	for (const struct value *item = map ? map->as.items.first : NULL; item; item = item->next) {
		const struct field *field = field_find(fields, item->key);
		if (skip && strcmp(item->key, skip) == 0)
			continue;
		if (!field) {
			unknown_field(decoder, item, fields, of);
			continue;
		}
		struct value *value = decode_field(decoder, field, item);
		if (value_get(with, item->key))
			continue; /* written twice, which is reported */
		value->key = item->key;
		value_add(with, value);
	}
	for (const struct field *field = fields; field && field->name; field++)
		if (field->flags & FIELD_REQUIRED && !value_get(with, field->name))
			problems_add(decoder->problems, at, "%s needs `%s`: %s", of, field->name,
			             field->text);
	return with;
}

bool decode_duration(struct decoder *decoder, const struct value *map, const char *key,
                     int64_t *duration_ms)
{
	static const struct field field = {.name = "duration", .type = FIELD_DURATION};
	const struct value *given = value_get(map, key);
	struct error err = {0};

	if (!given)
		return false;
	struct value *value = decode_value(decoder, given, false);
	if (decode_as_written(decoder) && decode_has_reference(value))
		return false;
	struct value *accepted = field_accept(&field, value, decoder->arena, &err);
	if (accepted)
		*duration_ms = accepted->as.number;
	else
		problems_add(decoder->problems, given->at, "%s: %s", key, err.text);
	return accepted != NULL;
}

void decode_limit(struct decoder *decoder, const struct value *map, const char *key,
                  int64_t *duration_ms)
{
	if (decode_duration(decoder, map, key, duration_ms) && *duration_ms == 0)
		problems_add(decoder->problems, value_get(map, key)->at,
		             "%s: 0 would be no limit at all; write how long, or leave the key out",
		             key);
}
