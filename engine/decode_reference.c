/* SPDX-License-Identifier: MIT */
/* Names, and the references to what they stand for. */
#include "engine/base/nearest.h"
#include "engine/base/text.h"
#include "engine/decode.h"
#include "engine/reference.h"

#include <string.h>

/* ---- Declarations by name ---- */

struct declaration *decode_find(struct decoder *decoder, const char *name)
{
	size_t index;

	return names_find(&decoder->by_name, name, &index) ? &decoder->declarations[index] : NULL;
}

void decode_need(struct decoder *decoder, size_t needed)
{
	struct declaration *at = decoder->at;

	/* Each instance says it again, and a field may name what `needs` names. */
	if (decoder->needed_by[needed] == at->index + 1)
		return;
	decoder->needed_by[needed] = at->index + 1;
	if (at->need_count == at->need_room) {
		size_t room = at->need_room ? at->need_room * 2 : 2;
		size_t *needs = arena_array(&decoder->scratch, room, sizeof *needs);
		if (at->need_count)
			memcpy(needs, at->needs, at->need_count * sizeof *needs);
		at->needs = needs;
		at->need_room = room;
	}
	at->needs[at->need_count++] = needed;
}

bool decode_may_guess(struct decoder *decoder, size_t candidates)
{
	const size_t most = 100000;

	if (decoder->guessed > most)
		return false;
	decoder->guessed += candidates;
	return true;
}

const char *decode_nearest_step(struct decoder *decoder, const char *name)
{
	struct nearest nearest = nearest_to(name);

	if (decode_may_guess(decoder, decoder->declaration_count))
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
	size_t index;

	if (names_find(&decoder->inputs, reference->name, &index)) {
		const struct plan_input *input = &plan->inputs[index];
		if (!input->value && !decode_as_written(decoder))
			problems_add(decoder->problems, at,
			             "input %s has no value; give it a default, or --set %s=VALUE",
			             reference->name, reference->name);
		return input->value;
	}
	if (decode_may_guess(decoder, plan->input_count))
		for (size_t i = 0; i < plan->input_count; i++)
			nearest_try(&nearest, plan->inputs[i].name);
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
	size_t index;

	if (!allowed)
		problems_add(decoder->problems, at,
		             "a secret may not stand here: it would be shown");
	if (names_find(&decoder->secrets, reference->name, &index))
		return;
	if (decode_may_guess(decoder, plan->secret_count))
		for (size_t i = 0; i < plan->secret_count; i++)
			nearest_try(&nearest, plan->secrets[i].name);
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
	decode_need(decoder, of->index);
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

	if (!decode_has_reference(value))
		return value_text_shared(decoder->arena, value->as.text);
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
	size_t more = bytes + (whole ? value_count(whole) : 1) * sizeof *whole;
	if (at != value->as.text && expands_too_far(decoder, value, more))
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
