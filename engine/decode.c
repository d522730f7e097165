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
	}
	for (const struct key *key = keys; key->name; key++)
		if (key->required && !value_get(map, key->name))
			problems_add(decoder->problems, map->at, "%s lacks `%s`: %s", of, key->name,
			             key->text);
	return true;
}

/* ---- Declarations by name ---- */

static int compare_name(const void *name, const void *declaration)
{
	return strcmp(name, (*(struct declaration *const *)declaration)->name);
}

struct declaration *decode_find(struct decoder *decoder, const char *name)
{
	struct declaration **found =
		decoder->declaration_count
			? bsearch(name, decoder->by_name, decoder->declaration_count,
	                          sizeof(struct declaration *), compare_name)
			: NULL;

	return found ? *found : NULL;
}

void decode_need(struct declaration *declaration, size_t needed, struct arena *arena)
{
	if (declaration->need_count == declaration->need_room) {
		size_t room = declaration->need_room ? declaration->need_room * 2 : 4;
		size_t *needs = arena_array(arena, room, sizeof *needs);
		if (declaration->need_count)
			memcpy(needs, declaration->needs, declaration->need_count * sizeof *needs);
		declaration->needs = needs;
		declaration->need_room = room;
	}
	declaration->needs[declaration->need_count++] = needed;
}

const char *decode_nearest_step(struct decoder *decoder, const char *name)
{
	struct nearest nearest = nearest_to(name);

	for (size_t i = 0; i < decoder->declaration_count; i++)
		nearest_try(&nearest, decoder->declarations[i].name);
	return nearest.best;
}

bool decode_as_written(const struct decoder *decoder)
{
	return decoder->options && decoder->options->as_written;
}

/* ---- References ---- */

static const struct value *use_input(struct decoder *decoder, const struct reference *reference,
                                     struct place at)
{
	const struct plan *plan = decoder->plan;
	struct nearest nearest = nearest_to(reference->name);

	for (size_t i = 0; i < plan->input_count; i++) {
		nearest_try(&nearest, plan->inputs[i].name);
		if (strcmp(plan->inputs[i].name, reference->name) != 0)
			continue;
		if (!plan->inputs[i].value && !decode_as_written(decoder))
			problems_add(decoder->problems, at,
			             "input %s has no value; give it a default, or --set %s=VALUE",
			             reference->name, reference->name);
		return plan->inputs[i].value;
	}
	problems_add(decoder->problems, at, "there is no input %s%s%s%s", reference->name,
	             nearest.best ? "; did you mean " : "; name it under `inputs:`",
	             nearest.best ? nearest.best : "", nearest.best ? "?" : "");
	return NULL;
}

static void use_secret(struct decoder *decoder, const struct reference *reference, struct place at,
                       bool allowed)
{
	const struct plan *plan = decoder->plan;
	struct nearest nearest = nearest_to(reference->name);

	if (!allowed)
		problems_add(decoder->problems, at,
		             "a secret may not stand here: it would be shown");
	for (size_t i = 0; i < plan->secret_count; i++) {
		nearest_try(&nearest, plan->secrets[i].name);
		if (strcmp(plan->secrets[i].name, reference->name) == 0)
			return;
	}
	problems_add(decoder->problems, at, "there is no secret %s%s%s%s", reference->name,
	             nearest.best ? "; did you mean " : "; name it under `secrets:`",
	             nearest.best ? nearest.best : "", nearest.best ? "?" : "");
}

static const struct step_module *module_of(struct decoder *decoder, const struct declaration *of)
{
	const char *uses = value_get_text(of->map, "uses", NULL);

	return uses ? registry_module(decoder->plan->registry, uses) : NULL;
}

static void use_output(struct decoder *decoder, const struct declaration *of,
                       const struct reference *reference, struct place at)
{
	const struct step_module *module = module_of(decoder, of);

	if (!module || field_find(module->outputs, reference->member))
		return;
	const struct field *near = field_nearest(module->outputs, reference->member);
	struct text all = {.limit = 400};
	for (const struct field *field = module->outputs; field && field->name; field++)
		text_format(&all, " %s", field->name);
	if (near)
		problems_add(decoder->problems, at, "%s has no output %s; did you mean %s?",
		             module->name, reference->member, near->name);
	else
		problems_add(decoder->problems, at, "%s has no output %s; it gives:%s",
		             module->name, reference->member,
		             all.length ? text_string(&all) : " nothing");
	text_free(&all);
}

static void use_step(struct decoder *decoder, const struct reference *reference, struct place at)
{
	struct declaration *of = decode_find(decoder, reference->name);

	if (!decoder->at) {
		problems_add(decoder->problems, at,
		             "outputs of steps are known only inside steps, not here");
		return;
	}
	if (!of) {
		const char *near = decode_nearest_step(decoder, reference->name);
		problems_add(decoder->problems, at, "there is no step %s%s%s%s", reference->name,
		             near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
		return;
	}
	use_output(decoder, of, reference, at);
	decode_need(decoder->at, of->index, decoder->arena);
}

/* What is put in the place of a reference now; NULL: it stays (or was reported). */
static const struct value *use_reference(struct decoder *decoder, const struct reference *reference,
                                         struct place at, bool secrets_allowed)
{
	switch (reference->kind) {
	case REFERENCE_INPUT:
		return use_input(decoder, reference, at);
	case REFERENCE_SECRET:
		use_secret(decoder, reference, at, secrets_allowed);
		return NULL;
	case REFERENCE_STEP:
		use_step(decoder, reference, at);
		return NULL;
	case REFERENCE_EACH:
		if (!decoder->each)
			problems_add(decoder->problems, at,
			             "${each} stands only in a step that has `for_each`");
		return decoder->each;
	}
	return NULL;
}

/* A small file must not become a large plan: inputs times for_each times references. */
static bool expands_too_far(struct decoder *decoder, const struct value *value, size_t more)
{
	const size_t limit = (size_t)16 * 1024 * 1024;
	bool was_over = decoder->expanded > limit;

	decoder->expanded += more;
	if (!was_over && decoder->expanded > limit)
		problems_add(decoder->problems, value->at,
		             "with its references replaced the plan is larger than 16 MiB");
	return decoder->expanded > limit;
}

static struct value *decode_text(struct decoder *decoder, const struct value *value,
                                 bool secrets_allowed)
{
	struct text out = {.limit = (size_t)1024 * 1024};
	struct reference reference;
	struct error err = {0};
	const char *at = value->as.text;
	const struct value *whole = NULL;

	while (reference_next(at, &reference, &err)) {
		const struct value *put =
			use_reference(decoder, &reference, value->at, secrets_allowed);
		text_put(&out, at, (size_t)(reference.begin - at));
		if (put && reference_is_whole(value->as.text, &reference))
			whole = put;
		else if (put && (put->kind == VALUE_LIST || put->kind == VALUE_MAP))
			problems_add(decoder->problems, value->at,
			             "a %s cannot stand inside a text", value_kind_name(put->kind));
		else if (put)
			value_print(put, &out);
		else
			text_put(&out, reference.begin, (size_t)(reference.end - reference.begin));
		at = reference.end;
	}
	if (err.kind != ERROR_NONE)
		problems_add(decoder->problems, value->at, "%s", err.text);
	text_add(&out, at);
	if (out.full)
		problems_add(decoder->problems, value->at,
		             "with its references replaced this text is longer than 1 MiB");
	size_t bytes = whole && value_reveal(whole) ? strlen(value_reveal(whole)) : out.length;
	if (at != value->as.text && expands_too_far(decoder, value, bytes + sizeof *whole))
		whole = value;
	struct value *result = whole ? value_copy(decoder->arena, whole)
	                             : value_text(decoder->arena, text_string(&out));
	text_free(&out);
	return result;
}

struct value *decode_value(struct decoder *decoder, const struct value *value, bool secrets_allowed)
{
	struct value *copy;

	if (value->kind == VALUE_TEXT) {
		copy = decode_text(decoder, value, secrets_allowed);
	} else if (value->kind == VALUE_LIST || value->kind == VALUE_MAP) {
		copy = value->kind == VALUE_MAP ? value_map(decoder->arena)
		                                : value_list(decoder->arena);
		for (const struct value *item = value->as.items.first; item; item = item->next) {
			struct value *one = decode_value(decoder, item, secrets_allowed);
			one->key = item->key;
			value_add(copy, one);
		}
	} else {
		copy = value_copy(decoder->arena, value);
	}
	copy->at = value->at;
	copy->key_at = value->key_at;
	return copy;
}

bool decode_has_reference(const struct value *value)
{
	if (value->kind == VALUE_TEXT)
		return strstr(value->as.text, "${") != NULL;
	if (value->kind == VALUE_LIST || value->kind == VALUE_MAP)
		for (const struct value *item = value->as.items.first; item; item = item->next)
			if (decode_has_reference(item))
				return true;
	return false;
}

struct value *decode_masked(struct decoder *decoder, const struct value *value)
{
	if (value->kind == VALUE_TEXT && decode_has_reference(value))
		return value_unknown(decoder->arena, value->as.text);
	if (value->kind != VALUE_LIST && value->kind != VALUE_MAP)
		return value_copy(decoder->arena, value);
	struct value *copy =
		value->kind == VALUE_MAP ? value_map(decoder->arena) : value_list(decoder->arena);
	for (const struct value *item = value->as.items.first; item; item = item->next) {
		struct value *one = decode_masked(decoder, item);
		one->key = item->key;
		value_add(copy, one);
	}
	return copy;
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
	for (size_t i = 0; i < plan->connection_count; i++) {
		if (strcmp(plan->connections[i].name, name) == 0)
			return;
		nearest_try(&nearest, plan->connections[i].name);
	}
	problems_add(decoder->problems, value->at, "there is no connection %s%s%s%s", name,
	             nearest.best ? "; did you mean " : "; name it under `connections:`",
	             nearest.best ? nearest.best : "", nearest.best ? "?" : "");
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
	if (file && (value->as.items.count != 1 || !value_get_text(value, "file", NULL)))
		problems_add(decoder->problems, given->at, "%s: write a text, or {file: PATH}",
		             field->name);
	else if (!file && !field_accept(field, value, decoder->arena, &err))
		problems_add(decoder->problems, given->at, "%s: %s", field->name, err.text);
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
		value_set(decoder->arena, with, item->key, value);
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
