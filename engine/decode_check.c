/* SPDX-License-Identifier: MIT */
/* The rules of a module across its fields, and which of them an error is about. */
#include "engine/decode.h"

#include <string.h>

/* The fields without one, or without one item of one. */
static struct value *without(struct decoder *decoder, const struct value *with,
                             const struct value *left_out)
{
	bool map = with->kind == VALUE_MAP;
	struct value *copy = map ? value_map(decoder->arena) : value_list(decoder->arena);

	for (const struct value *item = with->as.items.first; item; item = item->next) {
		if (item == left_out)
			continue;
		bool deeper = item->kind == VALUE_MAP || item->kind == VALUE_LIST;
		struct value *one =
			deeper ? without(decoder, item, left_out) : decode_masked(decoder, item);
		one->key = item->key;
		value_add(copy, one);
	}
	return copy;
}

/* The connections as written, secrets left unknown. */
static struct value *list_connections(struct decoder *decoder)
{
	struct value *list = value_list(decoder->arena);

	for (size_t i = 0; i < decoder->plan->connection_count; i++) {
		const struct plan_connection *connection = &decoder->plan->connections[i];
		struct value *one = decode_masked(decoder, connection->with);
		value_set_text(decoder->arena, one, "name", connection->name);
		value_set_text(decoder->arena, one, "uses", connection->kind->name);
		value_add(list, one);
	}
	return list;
}

static bool is_content(struct decoder *decoder, const struct step_module *module,
                       const struct value *with, struct error *err)
{
	if (module->check && !module->check(with, err))
		return false;
	return !module->check_connections ||
	       module->check_connections(with, list_connections(decoder), err);
}

static bool is_content_without(struct decoder *decoder, const struct plan_step *step,
                               const struct value *left_out)
{
	struct error ignored = {0};

	return is_content(decoder, step->module, without(decoder, step->with, left_out), &ignored);
}

/* What the rules are content without: that is what an error is about. NULL: no single thing. A
 * required field is there whenever a module is asked. */
static const struct value *find_culprit(struct decoder *decoder, const struct plan_step *step)
{
	const struct value *found = NULL;

	for (const struct value *field = step->with->as.items.first; field; field = field->next) {
		bool deeper = field->kind == VALUE_MAP || field->kind == VALUE_LIST;
		const struct field *known = field_find(step->module->fields, field->key);
		for (const struct value *item = deeper ? field->as.items.first : NULL; item;
		     item = item->next)
			if (is_content_without(decoder, step, item))
				return item;
		if (known && !(known->flags & FIELD_REQUIRED) &&
		    is_content_without(decoder, step, field))
			found = field;
	}
	return found;
}

/* An error that begins with "`field:`" is about that one. */
static const struct value *find_named(const struct plan_step *step, const char *text)
{
	for (const struct value *field = step->with->as.items.first; field; field = field->next) {
		size_t length = strlen(field->key);
		if (text[0] == '`' && strncmp(text + 1, field->key, length) == 0 &&
		    strncmp(text + 1 + length, ":`", 2) == 0)
			return field;
	}
	return NULL;
}

void decode_check_module(struct decoder *decoder, const struct plan_step *step, struct place at)
{
	struct error err = {0};

	if (decoder->problems->count > 0 ||
	    is_content(decoder, step->module, decode_masked(decoder, step->with), &err))
		return;
	const struct value *culprit = find_culprit(decoder, step);
	if (!culprit)
		culprit = find_named(step, err.text);
	problems_add(decoder->problems, !culprit || !culprit->at.line ? at : culprit->at, "%s",
	             err.text);
}
