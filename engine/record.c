/* SPDX-License-Identifier: MIT */
/* What the records of a journal hold. */
#include "engine/record.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"

#include <string.h>

enum shape {
	SHAPE_TEXT,
	SHAPE_NUMBER,
	SHAPE_BOOL,
	SHAPE_ANY,
	SHAPE_MAP,        /* of anything */
	SHAPE_TEXT_MAP,   /* of texts */
	SHAPE_TEXT_LIST,  /* of texts */
	SHAPE_CHANGES,    /* list of maps as `change` says */
	SHAPE_CONDITIONS, /* list of maps as `condition` says */
	SHAPE_ERROR_KIND, /* one of the words of error.h */
	SHAPES
};

enum { MAY_LACK = 1 << 0, MAY_BE_NULL = 1 << 1 };

struct member {
	const char *name;
	enum shape shape;
	unsigned flags;
	const char *text;
};

static const struct member change[] = {
	{"path", SHAPE_TEXT, 0, "What changes; empty: the whole."},
	{"from", SHAPE_ANY, MAY_LACK, "What it was; absent: it is added."},
	{"to", SHAPE_ANY, MAY_LACK, "What it becomes; absent: it is removed."},
	{"note", SHAPE_TEXT, MAY_LACK, "Why, or what to know."},
	{0},
};

static const struct member condition[] = {
	{"check", SHAPE_TEXT, 0, "What is measured."},
	{"of", SHAPE_TEXT, MAY_LACK, "Of what."},
	{"value", SHAPE_ANY, MAY_LACK, "The measured value; absent: not known."},
	{"is", SHAPE_TEXT, MAY_BE_NULL, "The same for people."},
	{"must_be", SHAPE_TEXT, MAY_BE_NULL, "What the plan says it must be."},
	{"holds", SHAPE_BOOL, 0, "Whether it holds now."},
	{"held_since_ms", SHAPE_NUMBER, MAY_LACK, "Since when without a break: ms since 1970."},
	{"stable_for_ms", SHAPE_NUMBER, MAY_LACK, "How long it must hold."},
	{"holds_at_ms", SHAPE_NUMBER, MAY_LACK, "When time alone makes it hold: ms since 1970."},
	{"deadline_ms", SHAPE_NUMBER, MAY_LACK, "Until when it is waited for: ms since 1970."},
	{0},
};

static const struct member run_members[] = {
	{"plan", SHAPE_TEXT, 0, "The name of the plan."},
	{"file", SHAPE_TEXT, 0, "The file it was read from."},
	{"digest", SHAPE_TEXT, 0, "Of plan and inputs."},
	{"identity", SHAPE_TEXT, 0, "Random: which run it is, wherever its journal goes."},
	{"tool", SHAPE_TEXT, 0, "The version of the program."},
	{"inputs", SHAPE_MAP, 0, "The inputs in force."},
	{"steps", SHAPE_TEXT_MAP, 0, "The digest of each step as written."},
	{0},
};

static const struct member failure_members[] = {
	{"kind", SHAPE_ERROR_KIND, 0, "What the engine does about it."},
	{"text", SHAPE_TEXT, 0, "What was tried and why it failed."},
	{0},
};

static const struct member note_members[] = {
	{"text", SHAPE_TEXT, 0, "What is to be known."},
	{0},
};

static const struct record_shape {
	bool of_the_run; /* `step` is empty */
	const char *text;
	const struct member *members;
} shapes[RECORD_KINDS] = {
	[RECORD_BEGIN] = {true, "A run begins.", run_members},
	[RECORD_AMEND] = {true, "The plan was changed while its run is open.", run_members},
	[RECORD_START] = {true, "Somebody took the run up.",
                          (const struct member[]){
				  {"who", SHAPE_TEXT, 0, "User and host."},
				  {"pid", SHAPE_NUMBER, 0, "The process there."},
				  {"mode", SHAPE_TEXT, 0, "apply, rollback or rehearse."},
				  {0},
			  }},
	[RECORD_PIN] = {false, "What a name stood for at first contact.",
                        (const struct member[]){
				{"name", SHAPE_TEXT, 0, "The name: heroku/app/targetapp."},
				{"identity", SHAPE_TEXT, MAY_BE_NULL,
                                 "The identity; null: forgotten, we destroyed it."},
				{0},
			}},
	[RECORD_WAIT] = {false, "A step waits for conditions.",
                         (const struct member[]){
				 {"for", SHAPE_TEXT, 0, "precondition or postcondition."},
				 {"conditions", SHAPE_CONDITIONS, 0, "As they were then."},
				 {0},
			 }},
	[RECORD_INTENT] = {false, "A step is about to act.",
                           (const struct member[]){
				   {"before", SHAPE_MAP, 0,
                                    "What it saw; the way back restores it."},
				   {"changes", SHAPE_CHANGES, 0, "What it is about to change."},
				   {"conditions", SHAPE_CONDITIONS, MAY_LACK,
                                    "Its preconditions, measured just before."},
				   {"subjects", SHAPE_TEXT_LIST, 0, "What it governs."},
				   {0},
			   }},
	[RECORD_DONE] = {false, "A step is done, or was found done.",
                         (const struct member[]){
				 {"outputs", SHAPE_MAP, 0, "What later steps may refer to."},
				 {"subjects", SHAPE_TEXT_LIST, 0, "What it governs."},
				 {"changed", SHAPE_BOOL, 0, "Whether it acted in this run."},
				 {0},
			 }},
	[RECORD_FAILED] = {false, "A step failed.", failure_members},
	[RECORD_UNDO_INTENT] = {false, "A step is about to be undone.",
                                (const struct member[]){
					{"before", SHAPE_MAP, 0, "What is to be restored."},
					{0},
				}},
	[RECORD_UNDONE] = {false, "A step is undone.",
                           (const struct member[]){
				   {"void_approvals", SHAPE_BOOL, MAY_LACK,
                                    "What a person said of it holds no longer."},
				   {0},
			   }},
	[RECORD_PASSED] = {false, "The way back passed over a step.",
                           (const struct member[]){
				   {"why", SHAPE_TEXT, 0, "What the plan says about that."},
				   {0},
			   }},
	[RECORD_UNDO_FAILED] = {false, "A step could not be undone.", failure_members},
	[RECORD_APPROVAL] = {false, "Somebody approved a step.",
                             (const struct member[]){
				     {"who", SHAPE_TEXT, 0, "User and host."},
				     {"digest", SHAPE_TEXT, 0, "Of the plan and inputs approved."},
				     {"text", SHAPE_TEXT, 0, "What they said; may be empty."},
				     {0},
			     }},
	[RECORD_NOTE] = {false, "A step told something.", note_members},
	[RECORD_END] = {true, "The run ends, or stops for now.",
                        (const struct member[]){
				{"outcome", SHAPE_TEXT, 0, "done, failed, parked, ..."},
				{"exit", SHAPE_NUMBER, 0, "The exit code."},
				{"downtime_ms", SHAPE_NUMBER, MAY_LACK,
                                 "How long users were shut out."},
				{0},
			}},
};

/* ---- The check of what is appended ---- */

static bool fits_members(const struct value *map, const struct member *members, struct arena *arena,
                         const char **why);

static bool all_fit(const struct value *list, const struct member *members, struct arena *arena,
                    const char **why)
{
	for (const struct value *one = list->as.items.first; one; one = one->next)
		if (!fits_members(one, members, arena, why))
			return false;
	return true;
}

static bool is_text(const struct value *value)
{
	return value->kind == VALUE_TEXT || value->kind == VALUE_SECRET;
}

static bool all_are_text(const struct value *items)
{
	for (const struct value *one = items->as.items.first; one; one = one->next)
		if (!is_text(one))
			return false;
	return true;
}

static bool fits(const struct value *value, enum shape shape, struct arena *arena, const char **why)
{
	switch (shape) {
	case SHAPE_TEXT:
		return is_text(value);
	case SHAPE_ERROR_KIND:
		return is_text(value) && value_reveal(value)[0];
	case SHAPE_NUMBER:
		return value->kind == VALUE_INT;
	case SHAPE_BOOL:
		return value->kind == VALUE_BOOL;
	case SHAPE_ANY:
		return true;
	case SHAPE_MAP:
		return value->kind == VALUE_MAP;
	case SHAPE_TEXT_MAP:
		return value->kind == VALUE_MAP && all_are_text(value);
	case SHAPE_TEXT_LIST:
		return value->kind == VALUE_LIST && all_are_text(value);
	case SHAPE_CHANGES:
		return value->kind == VALUE_LIST && all_fit(value, change, arena, why);
	case SHAPE_CONDITIONS:
		return value->kind == VALUE_LIST && all_fit(value, condition, arena, why);
	case SHAPES:
		break;
	}
	return false;
}

static bool fits_members(const struct value *map, const struct member *members, struct arena *arena,
                         const char **why)
{
	size_t known = 0;

	for (const struct member *one = members; map->kind == VALUE_MAP && one->name; one++) {
		const struct value *value = value_get(map, one->name);
		known += value != NULL;
		bool fine = value ? (value->kind == VALUE_NULL && one->flags & MAY_BE_NULL) ||
		                            fits(value, one->shape, arena, why)
		                  : (one->flags & MAY_LACK) != 0;
		if (fine)
			continue;
		if (!*why)
			*why = arena_printf(arena, "%s is %s", one->name,
			                    value ? value_kind_name(value->kind) : "absent");
		return false;
	}
	if (map->kind == VALUE_MAP && known == map->as.items.count)
		return true;
	*why = "there is a key that the table of record.c does not know";
	return false;
}

bool record_is_described(enum record_kind kind, const struct value *body, struct arena *arena,
                         const char **why)
{
	*why = NULL;
	return fits_members(body, shapes[kind].members, arena, why);
}

/* ---- The schema ---- */

static struct value *typed(struct arena *arena, const char *type)
{
	struct value *map = value_map(arena);

	value_set_text(arena, map, "type", type);
	return map;
}

static struct value *constant(struct arena *arena, const char *text)
{
	struct value *map = value_map(arena);

	value_set_text(arena, map, "const", text);
	return map;
}

static struct value *defined(struct arena *arena, const char *name)
{
	struct value *map = value_map(arena);

	value_set_text(arena, map, "$ref", arena_printf(arena, "#/definitions/%s", name));
	return map;
}

static struct value *container_of(struct arena *arena, const char *type, const char *key,
                                  struct value *items)
{
	struct value *map = typed(arena, type);

	value_set(arena, map, key, items);
	return map;
}

static struct value *error_kinds(struct arena *arena)
{
	struct value *map = value_map(arena), *words = value_list(arena);

	for (int kind = ERROR_PLAN; kind <= ERROR_FAILED; kind++)
		value_add(words, value_text(arena, error_kind_name((enum error_kind)kind)));
	value_set(arena, map, "enum", words);
	return map;
}

static struct value *schema_of_shape(struct arena *arena, enum shape shape)
{
	switch (shape) {
	case SHAPE_TEXT:
		return typed(arena, "string");
	case SHAPE_NUMBER:
		return typed(arena, "integer");
	case SHAPE_BOOL:
		return typed(arena, "boolean");
	case SHAPE_ANY:
		return value_map(arena);
	case SHAPE_MAP:
		return typed(arena, "object");
	case SHAPE_TEXT_MAP:
		return container_of(arena, "object", "additionalProperties",
		                    typed(arena, "string"));
	case SHAPE_TEXT_LIST:
		return container_of(arena, "array", "items", typed(arena, "string"));
	case SHAPE_CHANGES:
		return container_of(arena, "array", "items", defined(arena, "change"));
	case SHAPE_CONDITIONS:
		return container_of(arena, "array", "items", defined(arena, "condition"));
	case SHAPE_ERROR_KIND:
		return error_kinds(arena);
	case SHAPES:
		break;
	}
	return value_map(arena);
}

static struct value *schema_of_member(struct arena *arena, const struct member *member)
{
	struct value *schema = schema_of_shape(arena, member->shape);

	if (member->flags & MAY_BE_NULL) {
		struct value *both = value_list(arena), *either = value_map(arena);
		value_add(both, schema);
		value_add(both, typed(arena, "null"));
		value_set(arena, either, "anyOf", both);
		schema = either;
	}
	value_set_text(arena, schema, "description", member->text);
	return schema;
}

static struct value *schema_of_members(struct arena *arena, const struct member *members)
{
	struct value *map = typed(arena, "object"), *properties = value_map(arena);
	struct value *required = value_list(arena);

	for (; members->name; members++) {
		value_set(arena, properties, members->name, schema_of_member(arena, members));
		if (!(members->flags & MAY_LACK))
			value_add(required, value_text(arena, members->name));
	}
	value_set(arena, map, "properties", properties);
	if (required->as.items.count)
		value_set(arena, map, "required", required);
	value_set_bool(arena, map, "additionalProperties", false);
	return map;
}

/* The members of every record. */
static const struct member line_members[] = {
	{"seq", SHAPE_NUMBER, 0, "1, 2, ...: its place in the chain."},
	{"run", SHAPE_NUMBER, 0, "The number of the run in this journal."},
	{"kind", SHAPE_TEXT, 0, "What kind of record it is."},
	{"step", SHAPE_TEXT, 0, "The step; empty when it is about the run."},
	{"at_ms", SHAPE_NUMBER, 0, "When: ms since 1970."},
	{"body", SHAPE_MAP, 0, "What it says, as its kind has it."},
	{0},
};

static struct value *schema_of_kind(struct arena *arena, enum record_kind kind)
{
	const struct record_shape *shape = &shapes[kind];
	struct value *line = value_map(arena), *properties = value_map(arena);
	struct value *step = typed(arena, "string");

	value_set_number(arena, step, "minLength", 1);
	value_set_text(arena, line, "description", shape->text);
	value_set(arena, properties, "kind", constant(arena, record_kind_name(kind)));
	value_set(arena, properties, "step", shape->of_the_run ? constant(arena, "") : step);
	value_set(arena, properties, "body", schema_of_members(arena, shape->members));
	value_set(arena, line, "properties", properties);
	return line;
}

struct value *record_schema(struct arena *arena)
{
	struct value *schema = value_map(arena), *line = schema_of_members(arena, line_members);
	struct value *kinds = value_list(arena), *definitions = value_map(arena);

	value_set_text(arena, schema, "$schema", "http://json-schema.org/draft-07/schema#");
	value_set_text(arena, schema, "title", "A line of plan journal --json");
	for (struct value *item = line->as.items.first; item; item = item->next)
		value_set(arena, schema, item->key, value_copy(arena, item));
	for (int kind = 0; kind < RECORD_KINDS; kind++)
		value_add(kinds, schema_of_kind(arena, (enum record_kind)kind));
	value_set(arena, schema, "oneOf", kinds);
	value_set(arena, definitions, "change", schema_of_members(arena, change));
	value_set(arena, definitions, "condition", schema_of_members(arena, condition));
	value_set(arena, schema, "definitions", definitions);
	return schema;
}
