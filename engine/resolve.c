/* SPDX-License-Identifier: MIT */
/* Puts values in the place of references. */
#include "engine/resolve.h"
#include "engine/base/file.h"
#include "engine/base/text.h"
#include "engine/reference.h"

#include <stdlib.h>
#include <string.h>

#define FILE_BYTES ((size_t)1024 * 1024)

static struct value *find_input(const struct scope *scope, const char *name)
{
	for (size_t i = 0; i < scope->plan->input_count; i++)
		if (strcmp(scope->plan->inputs[i].name, name) == 0)
			return (struct value *)(uintptr_t)scope->plan->inputs[i].value;
	return NULL;
}

static struct value *one_output(const struct scope *scope, const struct plan_step *step,
                                const struct reference *reference, struct arena *arena)
{
	const struct value *outputs = scope->outputs ? scope->outputs(scope, step) : NULL;
	const struct value *found = value_get(outputs, reference->member);

	if (found)
		return value_copy(arena, found);
	return value_unknown(arena, arena_text_n(arena, reference->begin,
	                                         (size_t)(reference->end - reference->begin)));
}

/* From outside a for_each, its name means the list of all; from inside one with the same item, that
 * item's instance. */
static struct value *find_output(const struct scope *scope, const struct reference *reference,
                                 struct arena *arena)
{
	const struct plan_step *first = plan_find(scope->plan, reference->name);
	const struct value *each = scope->step ? scope->step->each : NULL;
	struct value *list = value_list(arena);

	if (!first)
		return NULL;
	if (!first->each || strcmp(first->id, reference->name) == 0)
		return one_output(scope, first, reference, arena);
	for (size_t i = 0; i < scope->plan->step_count; i++) {
		const struct plan_step *step = &scope->plan->steps[i];
		if (strcmp(step->name, first->name) != 0)
			continue;
		if (each && value_equal(step->each, each))
			return one_output(scope, step, reference, arena);
		value_add(list, one_output(scope, step, reference, arena));
	}
	return list;
}

static struct value *look_up(const struct scope *scope, const struct reference *reference,
                             struct arena *arena, struct error *err)
{
	const struct value *found = NULL;

	switch (reference->kind) {
	case REFERENCE_INPUT:
		found = find_input(scope, reference->name);
		break;
	case REFERENCE_SECRET:
		if (!scope->secrets)
			return value_unknown(arena,
			                     arena_printf(arena, "${secrets.%s}", reference->name));
		found = value_get(scope->secrets, reference->name);
		break;
	case REFERENCE_STEP:
		found = find_output(scope, reference, arena);
		break;
	case REFERENCE_EACH:
		found = scope->step ? scope->step->each : NULL;
		break;
	}
	if (found)
		return value_copy(arena, found);
	fail(err, ERROR_PLAN, "%.*s has no value", (int)(reference->end - reference->begin),
	     reference->begin);
	return NULL;
}

struct mixture {
	struct text text, shown;
	bool secret, unknown;
};

static bool mix_in(struct mixture *mixture, const struct value *value, struct error *err)
{
	const char *revealed = value_reveal(value);

	mixture->secret |= value->kind == VALUE_SECRET;
	mixture->unknown |= value_has_unknown(value);
	if (value->kind == VALUE_LIST || value->kind == VALUE_MAP)
		return fail(err, ERROR_PLAN, "a %s cannot stand inside a text",
		            value_kind_name(value->kind));
	if (revealed)
		text_add(&mixture->text, revealed);
	else
		value_print(value, &mixture->text);
	value_print(value, &mixture->shown);
	return true;
}

static struct value *mixture_value(const struct mixture *mixture, struct arena *arena)
{
	if (mixture->unknown)
		return value_unknown(arena, text_string(&mixture->shown));
	if (mixture->secret)
		return value_secret(arena, text_string(&mixture->text),
		                    text_string(&mixture->shown));
	return value_text(arena, text_string(&mixture->text));
}

static struct value *resolve_mixed(const struct scope *scope, const char *text, struct arena *arena,
                                   struct error *err)
{
	struct mixture mixture = {0};
	struct reference reference;
	struct value *result = NULL;
	const char *at = text;
	bool fine = true;

	while (fine && reference_next(at, &reference, err)) {
		text_put(&mixture.text, at, (size_t)(reference.begin - at));
		text_put(&mixture.shown, at, (size_t)(reference.begin - at));
		struct value *value = look_up(scope, &reference, arena, err);
		fine = value && mix_in(&mixture, value, err);
		at = reference.end;
	}
	if (fine && err->kind == ERROR_NONE) {
		text_add(&mixture.text, at);
		text_add(&mixture.shown, at);
		result = mixture_value(&mixture, arena);
	}
	text_free(&mixture.text);
	text_free(&mixture.shown);
	return result;
}

static struct value *resolve_text(const struct scope *scope, const struct value *value,
                                  struct arena *arena, struct error *err)
{
	struct reference reference;

	if (!reference_next(value->as.text, &reference, err))
		return err->kind == ERROR_NONE ? value_copy(arena, value) : NULL;
	if (reference_is_whole(value->as.text, &reference))
		return look_up(scope, &reference, arena, err);
	return resolve_mixed(scope, value->as.text, arena, err);
}

struct value *resolve(const struct scope *scope, const struct value *value, struct arena *arena,
                      struct error *err)
{
	if (value->kind == VALUE_TEXT) {
		struct value *one = resolve_text(scope, value, arena, err);
		if (one)
			one->at = value->at;
		return one;
	}
	if (value->kind != VALUE_LIST && value->kind != VALUE_MAP)
		return value_copy(arena, value);
	struct value *copy = value->kind == VALUE_MAP ? value_map(arena) : value_list(arena);
	copy->at = value->at;
	for (const struct value *item = value->as.items.first; item; item = item->next) {
		struct value *one = resolve(scope, item, arena, err);
		if (!one)
			return NULL;
		one->key = item->key;
		one->key_at = item->key_at;
		value_add(copy, one);
	}
	return copy;
}

/* ---- Fields ---- */

static struct value *read_content(const struct scope *scope, const struct value *value,
                                  struct arena *arena, struct error *err)
{
	const char *path = value_get_text(value, "file", NULL);

	if (!path) {
		fail(err, ERROR_PLAN, "write a text, or {file: PATH}");
		return NULL;
	}
	char *data = file_read_beneath(arena, scope->plan->directory, path, FILE_BYTES, NULL, err);
	return data ? value_text(arena, data) : NULL;
}

static struct value *resolve_field(const struct scope *scope, const struct field *field,
                                   const struct value *given, struct arena *arena,
                                   struct error *err)
{
	struct value *value =
		given ? resolve(scope, given, arena, err) : value_text(arena, field->fallback);

	if (!given && (field->type == FIELD_BOOL))
		value = value_bool(arena, strcmp(field->fallback, "true") == 0);
	if (!given && field->type == FIELD_INT)
		value = value_number(arena, strtoll(field->fallback, NULL, 10));
	if (value && field->type == FIELD_CONTENT && value->kind == VALUE_MAP)
		value = read_content(scope, value, arena, err);
	if (value)
		value = field_accept(field, value, arena, err);
	if (!value)
		fail_while(err, "%s", field->name);
	return value;
}

static struct value *resolve_fields(const struct scope *scope, const struct field *fields,
                                    const struct value *given, struct arena *arena,
                                    struct error *err)
{
	struct value *with = value_map(arena);

	for (const struct field *field = fields; field && field->name; field++) {
		const struct value *one = value_get(given, field->name);
		if (!one && !field->fallback)
			continue;
		struct value *value = resolve_field(scope, field, one, arena, err);
		if (!value)
			return NULL;
		value_set(arena, with, field->name, value);
	}
	return with;
}

struct value *resolve_with(const struct scope *scope, const struct plan_step *step,
                           struct arena *arena, struct error *err)
{
	struct scope of_step = *scope;

	of_step.step = step;
	return resolve_fields(&of_step, step->module->fields, step->with, arena, err);
}

struct value *resolve_connections(const struct scope *scope, struct arena *arena, struct error *err)
{
	struct value *list = value_list(arena);

	for (size_t i = 0; i < scope->plan->connection_count; i++) {
		const struct plan_connection *connection = &scope->plan->connections[i];
		struct value *with = resolve_fields(scope, connection->kind->fields,
		                                    connection->with, arena, err);
		if (!with) {
			fail_while(err, "connection %s", connection->name);
			return NULL;
		}
		value_set_text(arena, with, "name", connection->name);
		value_set_text(arena, with, "uses", connection->kind->name);
		value_add(list, with);
	}
	return list;
}

/* ---- Secrets ---- */

static const char *read_secret(const struct plan *plan, const struct plan_secret *secret,
                               struct arena *arena, struct error *err)
{
	size_t length = 0;

	if (secret->env) {
		const char *content = getenv(secret->env);
		if (!content || !content[0])
			fail(err, ERROR_PLAN, "the environment variable %s is not set",
			     secret->env);
		return content && content[0] ? content : NULL;
	}
	char *data =
		file_read_beneath(arena, plan->directory, secret->file, FILE_BYTES, &length, err);
	if (data && length > 0 && data[length - 1] == '\n' && !memchr(data, '\n', length - 1))
		data[length - 1] = '\0'; /* a one-line file ends with a newline that is not meant */
	return data;
}

struct value *resolve_secrets(const struct plan *plan, struct arena *arena, struct error *err)
{
	struct value *secrets = value_map(arena);
	struct text missing = {.limit = 3000};
	struct error one;

	for (size_t i = 0; i < plan->secret_count; i++) {
		const struct plan_secret *secret = &plan->secrets[i];
		const char *content = read_secret(plan, secret, arena, &one);
		if (!content) {
			text_format(&missing, "%s%s: %s", missing.length ? "; " : "", secret->name,
			            one.text);
			continue;
		}
		const char *shown = arena_printf(arena, "${secrets.%s}", secret->name);
		value_set(arena, secrets, secret->name, value_secret(arena, content, shown));
	}
	if (missing.length) {
		fail(err, ERROR_PLAN, "secrets are missing: %s", text_string(&missing));
		secrets = NULL;
	}
	text_free(&missing);
	return secrets;
}

/* ---- Templates of subjects ---- */

char *resolve_template(const char *template, const struct value *with, const struct value *outputs,
                       struct arena *arena)
{
	struct text out = {0};
	char name[64], *result = NULL;
	const char *at = template, *begin;
	bool known = true;

	for (; known && (begin = strstr(at, "${")); at = strchr(begin, '}') + 1) {
		size_t length = strcspn(begin + 2, "}");
		if (length >= sizeof name)
			break;
		memcpy(name, begin + 2, length);
		name[length] = '\0';
		const struct value *value = value_get(outputs, name);
		if (!value)
			value = value_get(with, name);
		text_put(&out, at, (size_t)(begin - at));
		known = value && !value_has_unknown(value) && value->kind != VALUE_SECRET;
		if (known)
			value_print(value, &out);
	}
	if (known) {
		text_add(&out, at);
		result = arena_text(arena, text_string(&out));
	}
	text_free(&out);
	return result;
}
