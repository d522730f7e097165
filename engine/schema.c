/* SPDX-License-Identifier: MIT */
/* Generates the JSON schema of plans and the reference of modules. */
#include "engine/schema.h"
#include "engine/base/text.h"
#include "engine/decode.h"

#include <string.h>

/* ---- JSON schema ---- */

static struct value *typed(struct arena *arena, const char *type)
{
	struct value *map = value_map(arena);

	value_set_text(arena, map, "type", type);
	return map;
}

static struct value *reference(struct arena *arena)
{
	struct value *map = typed(arena, "string");

	value_set_text(arena, map, "pattern", "\\$\\{");
	return map;
}

static struct value *either(struct arena *arena, struct value *one, struct value *other)
{
	struct value *map = value_map(arena), *list = value_list(arena);

	value_add(list, one);
	value_add(list, other);
	value_set(arena, map, "anyOf", list);
	return map;
}

static struct value *choices(struct arena *arena, const char *const *words)
{
	struct value *map = value_map(arena), *list = value_list(arena);

	for (; words && *words; words++)
		value_add(list, value_text(arena, *words));
	value_set(arena, map, "enum", list);
	return map;
}

static struct value *content(struct arena *arena)
{
	struct value *map = typed(arena, "object"), *properties = value_map(arena);
	struct value *required = value_list(arena);

	value_set(arena, properties, "file", typed(arena, "string"));
	value_set(arena, map, "properties", properties);
	value_add(required, value_text(arena, "file"));
	value_set(arena, map, "required", required);
	value_set_bool(arena, map, "additionalProperties", false);
	return either(arena, typed(arena, "string"), map);
}

static struct value *scalar(struct arena *arena)
{
	struct value *map = value_map(arena), *list = value_list(arena);
	static const char *const types[] = {"string", "number", "boolean"};

	for (size_t i = 0; i < 3; i++)
		value_add(list, value_text(arena, types[i]));
	value_set(arena, map, "type", list);
	return map;
}

static struct value *schema_of_type(struct arena *arena, const struct field *field)
{
	switch (field->type) {
	case FIELD_ANY:
		return value_map(arena);
	case FIELD_BOOL:
		return either(arena, typed(arena, "boolean"), reference(arena));
	case FIELD_INT:
		return either(arena, typed(arena, "integer"), reference(arena));
	case FIELD_CHOICE:
		return either(arena, choices(arena, field->choices), reference(arena));
	case FIELD_SECRET:
		return reference(arena);
	case FIELD_CONTENT:
		return content(arena);
	case FIELD_STRING:
		return scalar(arena);
	case FIELD_DURATION:
	case FIELD_RATE:
	case FIELD_APP:
	case FIELD_DOMAIN:
	case FIELD_URL:
	case FIELD_PATH:
	case FIELD_STEP:
	case FIELD_CONNECTION:
	case FIELD_TYPES:
		return typed(arena, "string");
	}
	return value_map(arena);
}

static struct value *schema_of_field(struct arena *arena, const struct field *field)
{
	struct value *one = schema_of_type(arena, field), *whole;

	if (field->flags & FIELD_LIST) {
		whole = typed(arena, "array");
		value_set(arena, whole, "items", one);
		whole = either(arena, whole, reference(arena));
	} else if (field->flags & FIELD_MAP) {
		whole = typed(arena, "object");
		value_set(arena, whole, "additionalProperties",
		          either(arena, one, typed(arena, "null")));
		whole = either(arena, whole, reference(arena));
	} else if (field->flags & FIELD_OR_MAP) {
		whole = either(arena, one, typed(arena, "object"));
	} else {
		whole = one;
	}
	value_set_text(arena, whole, "description", field->text);
	return whole;
}

static struct value *schema_of_fields(struct arena *arena, const struct field *fields)
{
	struct value *map = typed(arena, "object"), *properties = value_map(arena);
	struct value *required = value_list(arena);

	for (const struct field *field = fields; field && field->name; field++) {
		value_set(arena, properties, field->name, schema_of_field(arena, field));
		if (field->flags & FIELD_REQUIRED)
			value_add(required, value_text(arena, field->name));
	}
	value_set(arena, map, "properties", properties);
	if (required->as.items.count)
		value_set(arena, map, "required", required);
	value_set_bool(arena, map, "additionalProperties", false);
	return map;
}

static const char *const json_types[] = {
	[VALUE_NULL] = NULL,     [VALUE_BOOL] = "boolean",  [VALUE_INT] = "integer",
	[VALUE_REAL] = "number", [VALUE_TEXT] = "string",   [VALUE_LIST] = "array",
	[VALUE_MAP] = "object",  [VALUE_SECRET] = "string", [VALUE_UNKNOWN] = NULL,
};

struct value *schema_of_keys(struct arena *arena, const struct key *keys)
{
	struct value *map = typed(arena, "object"), *properties = value_map(arena);
	struct value *required = value_list(arena);

	for (; keys->name; keys++) {
		struct value *one = value_map(arena);
		if (json_types[keys->kind])
			value_set_text(arena, one, "type", json_types[keys->kind]);
		value_set_text(arena, one, "description", keys->text);
		value_set(arena, properties, keys->name, one);
		if (keys->required)
			value_add(required, value_text(arena, keys->name));
	}
	value_set(arena, map, "properties", properties);
	if (required->as.items.count)
		value_set(arena, map, "required", required);
	value_set_bool(arena, map, "additionalProperties", false);
	return map;
}

/* What is written in a plan is left out rather than empty. */
static struct value *schema_of_written(struct arena *arena, const struct key *keys)
{
	struct value *map = schema_of_keys(arena, keys);

	for (; keys->name; keys++)
		if (keys->kind == VALUE_TEXT)
			value_set_number(arena, value_get(value_get(map, "properties"), keys->name),
			                 "minLength", 1);
	return map;
}

/* {"if": {properties: {uses: {const: NAME}}}, "then": {properties: {with: FIELDS}}} */
static struct value *when_uses(struct arena *arena, const struct step_module *module)
{
	struct value *rule = value_map(arena), *condition = value_map(arena);
	struct value *then = value_map(arena), *uses = value_map(arena), *name = value_map(arena);
	struct value *with = value_map(arena), *required = value_list(arena);

	value_set_text(arena, name, "const", module->name);
	value_set(arena, uses, "uses", name);
	value_set(arena, condition, "properties", uses);
	value_set(arena, with, "with", schema_of_fields(arena, module->fields));
	value_set(arena, then, "properties", with);
	for (const struct field *field = module->fields; field && field->name; field++)
		if (field->flags & FIELD_REQUIRED && required->as.items.count == 0)
			value_add(required, value_text(arena, "with"));
	if (required->as.items.count)
		value_set(arena, then, "required", required);
	value_set(arena, rule, "if", condition);
	value_set(arena, rule, "then", then);
	return rule;
}

static struct value *schema_of_steps(struct arena *arena, const struct registry *registry)
{
	struct value *step = schema_of_written(arena, step_keys), *rules = value_list(arena);
	struct value *properties = value_get(step, "properties"),
		     *uses = value_get(properties, "uses");
	struct value *names = value_list(arena), *steps = typed(arena, "object");
	static const char *const conditions[] = {"preconditions", "postconditions", "invariants"};

	for (size_t i = 0; registry->modules[i]; i++) {
		value_add(names, value_text(arena, registry->modules[i]->name));
		value_add(rules, when_uses(arena, registry->modules[i]));
	}
	value_set(arena, uses, "enum", names);
	for (size_t i = 0; i < 3; i++)
		value_set(arena, value_get(properties, conditions[i]), "items",
		          schema_of_written(arena, condition_keys));
	value_set(arena, properties, "approval", schema_of_written(arena, approval_keys));
	value_set(arena, properties, "retry", schema_of_written(arena, retry_keys));
	value_set(arena, step, "allOf", rules);
	value_set(arena, steps, "additionalProperties", step);
	return steps;
}

static struct value *map_of(struct arena *arena, const struct key *keys)
{
	struct value *map = typed(arena, "object");

	value_set(arena, map, "additionalProperties", schema_of_written(arena, keys));
	return map;
}

struct value *schema_plan(struct arena *arena, const struct registry *registry)
{
	struct value *schema = schema_of_written(arena, plan_keys);
	struct value *properties = value_get(schema, "properties"), *version = value_map(arena);

	value_set_number(arena, version, "const", 1);
	value_set_text(arena, schema, "$schema", "http://json-schema.org/draft-07/schema#");
	value_set_text(arena, schema, "title", "plan, version 1 of the language");
	value_set(arena, properties, "plan", version);
	value_set(arena, properties, "inputs", map_of(arena, input_keys));
	value_set(arena, properties, "secrets", map_of(arena, secret_keys));
	value_set(arena, properties, "windows", map_of(arena, window_keys));
	value_set(arena, properties, "downtime", schema_of_written(arena, downtime_keys));
	value_set(arena, properties, "defaults", schema_of_written(arena, defaults_keys));
	value_set(arena, properties, "steps", schema_of_steps(arena, registry));
	return schema;
}

/* ---- The reference ---- */

static void describe_fields(const struct field *fields, const char *heading, struct text *out)
{
	if (!fields || !fields->name)
		return;
	text_format(out, "\n| %s | type | default | meaning |\n| --- | --- | --- | --- |\n",
	            heading);
	for (; fields->name; fields++) {
		text_format(out, "| `%s` | ", fields->name);
		field_type_name(fields, out);
		for (size_t i = 0; fields->choices && fields->choices[i]; i++)
			text_format(out, "%s %s", i ? "," : ":", fields->choices[i]);
		text_format(out, " | %s | %s |\n",
		            fields->fallback                 ? fields->fallback
		            : fields->flags & FIELD_REQUIRED ? "required"
		                                             : "",
		            fields->text);
	}
}

static void describe_metrics(const struct metric *metrics, struct text *out)
{
	for (; metrics && metrics->name; metrics++)
		text_format(out, "- `%s`%s%s%s: %s\n", metrics->name, metrics->unit[0] ? " (" : "",
		            metrics->unit, metrics->unit[0] ? ")" : "", metrics->text);
}

void schema_module(const struct step_module *module, struct text *out)
{
	static const struct {
		unsigned trait;
		const char *text;
	} traits[] = {
		{STEP_READ_ONLY, "It changes nothing."},
		{STEP_IRREVERSIBLE, "It has no inverse."},
		{STEP_SERVICE, "It runs on until the steps that need it are done."},
		{STEP_DESTROYS, "Its subject is gone afterwards."},
		{STEP_PERSON, "A person does it and says so with `plan approve`."},
		{STEP_COMMANDS, "It needs `--allow-commands`."},
	};

	text_format(out, "### %s\n\n%s", module->name, module->text);
	for (size_t i = 0; i < sizeof traits / sizeof *traits; i++)
		if (module->traits & traits[i].trait)
			text_format(out, " %s", traits[i].text);
	text_add(out, "\n");
	describe_fields(module->fields, "field", out);
	describe_fields(module->outputs, "output", out);
	if (module->metrics && module->metrics->name) {
		text_add(out, "\nChecks:\n\n");
		describe_metrics(module->metrics, out);
	}
	text_add(out, "\n");
}

void schema_reference(const struct registry *registry, struct text *out)
{
	text_add(out, "# Modules, connections and checks\n\nMade by `plan schema --steps` from the "
	              "tables in the code.\n\n## Modules\n\n");
	for (size_t i = 0; registry->modules[i]; i++)
		schema_module(registry->modules[i], out);
	text_add(out, "## Connections\n\n");
	for (size_t i = 0; registry->connections[i]; i++) {
		text_format(out, "### %s\n\n%s\n", registry->connections[i]->name,
		            registry->connections[i]->text);
		describe_fields(registry->connections[i]->fields, "field", out);
		text_add(out, "\n");
	}
	text_add(out, "## Checks\n\n");
	for (size_t i = 0; registry->metrics[i]; i++)
		describe_metrics(registry->metrics[i], out);
}
