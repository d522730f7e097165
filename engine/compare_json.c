/* SPDX-License-Identifier: MIT */
/* A comparison for programs, and the schema that describes it. */
#include "engine/compare.h"
#include "engine/decode.h"
#include "engine/schema.h"

#include <string.h>

static const char *const level_names[] = {
	[REACH_NOT] = "none",
	[REACH_READ] = "read",
	[REACH_CHANGED] = "changed",
	[REACH_DESTROYED] = "destroyed",
};

/* ---- The shape ---- */

static const struct key top_keys[] = {
	{"format", VALUE_INT, true, "the version of this format: 1"},
	{"old", VALUE_MAP, true, "the revision compared with"},
	{"new", VALUE_MAP, true, "the revision compared"},
	{"summary", VALUE_MAP, true, "all plans together"},
	{"plans", VALUE_LIST, true, "the plans that differ, or cannot be read, by file"},
	{0},
};

static const struct key revision_keys[] = {
	{"revision", VALUE_TEXT, true, "as it was written"},
	{"commit", VALUE_TEXT, true, "the commit; empty for the index and the working tree"},
	{0},
};

static const struct key summary_keys[] = {
	{"plans", VALUE_INT, true, "how many plans differ or cannot be read"},
	{"differences", VALUE_INT, true, "how many differences there are in them"},
	{"loosened", VALUE_INT, true, "how many of them loosen something"},
	{"tightened", VALUE_INT, true, "how many of them tighten something"},
	{"invalid", VALUE_INT, true, "how many plans have problems in the new revision"},
	{0},
};

static const struct key plan_entry_keys[] = {
	{"file", VALUE_TEXT, true, "its path in the repository"},
	{"old_file", VALUE_TEXT, false, "its path in the old revision, when it was renamed"},
	{"status", VALUE_TEXT, true, "what became of the file"},
	{"problems", VALUE_MAP, true, "what is wrong with it in each revision"},
	{"overview", VALUE_MAP, true, "each revision at a glance"},
	{"differences", VALUE_LIST, true, "in the order in which to read them"},
	{"blast_radius", VALUE_LIST, true, "the things in the world that it reaches"},
	{0},
};

static const struct key problem_keys[] = {
	{"line", VALUE_INT, true, "1-based; 0 when it is about the file as a whole"},
	{"column", VALUE_INT, true, "1-based; 0 likewise"},
	{"text", VALUE_TEXT, true, "what, why, and what to do"},
	{0},
};

static const struct key overview_keys[] = {
	{"present", VALUE_BOOL, true, "whether there is such a file"},
	{"readable", VALUE_BOOL, true, "whether its parts could be made out"},
	{"steps", VALUE_INT, true, "how many steps it has"},
	{"gates", VALUE_INT, true, "how many conditions"},
	{"approvals", VALUE_INT, true, "how many steps need an approval"},
	{"points_of_no_return", VALUE_LIST, true, "the steps that cannot be undone, up to 40"},
	{"downtime_budget_ms", VALUE_INT, true, "0: none"},
	{"shut_out_steps", VALUE_INT, true, "how many steps run while users are shut out"},
	{"read", VALUE_INT, true, "how many things in the world it only reads"},
	{"changed", VALUE_INT, true, "how many it changes"},
	{"destroyed", VALUE_INT, true, "how many it destroys"},
	{0},
};

static const struct key difference_keys[] = {
	{"topic", VALUE_TEXT, true, "what it is about"},
	{"kind", VALUE_TEXT, true, "added, removed or changed"},
	{"effect", VALUE_TEXT, true, "whether less is demanded than before, or more"},
	{"subject", VALUE_TEXT, false, "the step, input, thing in the world, ...; none: the plan"},
	{"what", VALUE_TEXT, false, "which part of it; none: the whole"},
	{"old", VALUE_TEXT, false, "in the words of the plan, secrets hidden; none: not there"},
	{"new", VALUE_TEXT, false, "likewise"},
	{"note", VALUE_TEXT, false, "for people"},
	{0},
};

static const struct key reach_keys[] = {
	{"kind", VALUE_TEXT, true, "such as heroku/app or dns"},
	{"name", VALUE_TEXT, true, "as far as it is known without running the plan"},
	{"old", VALUE_MAP, true, "how the old plan reaches it"},
	{"new", VALUE_MAP, true, "how the new one does"},
	{0},
};

static const struct key reached_keys[] = {
	{"level", VALUE_TEXT, true, "none, read, changed or destroyed"},
	{"text", VALUE_TEXT, false, "which parts of it"},
	{"steps", VALUE_TEXT, false, "by which steps"},
	{0},
};

/* ---- Values ---- */

static void set_text(struct arena *arena, struct value *map, const char *key, const char *text)
{
	if (text)
		value_set_text(arena, map, key, text);
}

static struct value *overview_json(struct arena *arena, const struct overview *overview)
{
	struct value *map = value_map(arena), *points = value_list(arena);
	const struct {
		const char *key;
		int64_t number;
	} numbers[] = {
		{"steps", (int64_t)overview->steps},
		{"gates", (int64_t)overview->gates},
		{"approvals", (int64_t)overview->approvals},
		{"downtime_budget_ms", overview->budget_ms},
		{"shut_out_steps", (int64_t)overview->shut_out},
		{"read", (int64_t)overview->reached[REACH_READ]},
		{"changed", (int64_t)overview->reached[REACH_CHANGED]},
		{"destroyed", (int64_t)overview->reached[REACH_DESTROYED]},
	};

	value_set_bool(arena, map, "present", overview->present);
	value_set_bool(arena, map, "readable", overview->readable);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		value_set_number(arena, map, numbers[i].key, numbers[i].number);
	for (const char *name = overview->point_names; *name;) {
		size_t length = strcspn(name, ", ");
		value_add(points, value_text(arena, arena_text_n(arena, name, length)));
		/* Behind the last name that was written out stands how many more there are. */
		name += name[length] == ',' ? length + 2 : strlen(name);
	}
	value_set(arena, map, "points_of_no_return", points);
	return map;
}

static struct value *difference_json(struct arena *arena, const struct difference *difference)
{
	struct value *map = value_map(arena);
	const char *note = difference->note;

	if (note && difference->names)
		note = arena_printf(arena, "%s %s", note, difference->names);
	set_text(arena, map, "topic", compare_topics[difference->topic].name);
	set_text(arena, map, "kind", compare_kind_names[difference->kind]);
	set_text(arena, map, "effect", compare_effect_names[difference->effect]);
	set_text(arena, map, "subject", difference->subject);
	set_text(arena, map, "what", difference->what);
	set_text(arena, map, "old", difference->from);
	set_text(arena, map, "new", difference->to);
	set_text(arena, map, "note", note);
	return map;
}

static struct value *reached_json(struct arena *arena, const struct reach *reach, int side)
{
	struct value *map = value_map(arena);

	set_text(arena, map, "level", level_names[reach->level[side]]);
	set_text(arena, map, "text", reach->text[side]);
	set_text(arena, map, "steps", reach->steps[side]);
	return map;
}

struct value *compare_json(const struct comparison *comparison, struct arena *arena)
{
	struct value *map = value_map(arena), *overview = value_map(arena);
	struct value *differences = value_list(arena), *reaches = value_list(arena);

	value_set(arena, overview, "old", overview_json(arena, &comparison->overview[0]));
	value_set(arena, overview, "new", overview_json(arena, &comparison->overview[1]));
	for (size_t i = 0; i < comparison->count; i++)
		value_add(differences, difference_json(arena, &comparison->list[i]));
	for (size_t i = 0; i < comparison->reach_count; i++) {
		const struct reach *reach = &comparison->reaches[i];
		struct value *one = value_map(arena);
		set_text(arena, one, "kind", reach->kind);
		set_text(arena, one, "name", reach->name);
		value_set(arena, one, "old", reached_json(arena, reach, 0));
		value_set(arena, one, "new", reached_json(arena, reach, 1));
		value_add(reaches, one);
	}
	value_set(arena, map, "overview", overview);
	value_set(arena, map, "differences", differences);
	value_set(arena, map, "blast_radius", reaches);
	return map;
}

/* ---- The schema ---- */

static struct value *property(struct value *schema, const char *name)
{
	return value_get(value_get(schema, "properties"), name);
}

static void set_choices(struct arena *arena, struct value *schema, const char *name,
                        const char *const *words, size_t count)
{
	struct value *list = value_list(arena);

	for (size_t i = 0; i < count; i++)
		value_add(list, value_text(arena, words[i]));
	value_set(arena, property(schema, name), "enum", list);
}

static void set_items(struct arena *arena, struct value *schema, const char *name,
                      struct value *items)
{
	value_set(arena, property(schema, name), "items", items);
}

/* {old: X, new: X} in the place of a property. */
static void set_sides(struct arena *arena, struct value *schema, const char *name,
                      struct value *side)
{
	static const struct key keys[] = {
		{"old", VALUE_NULL, true, "in the old revision"},
		{"new", VALUE_NULL, true, "in the new revision"},
		{0},
	};
	struct value *sides = schema_of_keys(arena, keys);
	struct value *properties = value_get(sides, "properties");

	value_set(arena, properties, "old", side);
	value_set(arena, properties, "new", value_copy(arena, side));
	value_set(arena, value_get(schema, "properties"), name, sides);
}

static struct value *difference_schema(struct arena *arena)
{
	struct value *schema = schema_of_keys(arena, difference_keys), *topics = value_list(arena);

	for (size_t i = 0; i < TOPIC_COUNT; i++)
		value_add(topics, value_text(arena, compare_topics[i].name));
	value_set(arena, property(schema, "topic"), "enum", topics);
	set_choices(arena, schema, "kind", compare_kind_names, 3);
	set_choices(arena, schema, "effect", compare_effect_names, EFFECT_COUNT);
	return schema;
}

static struct value *reach_schema(struct arena *arena)
{
	struct value *schema = schema_of_keys(arena, reach_keys);
	struct value *properties = value_get(schema, "properties");

	for (int side = 0; side < 2; side++) {
		struct value *reached = schema_of_keys(arena, reached_keys);
		set_choices(arena, reached, "level", level_names, 4);
		value_set(arena, properties, side ? "new" : "old", reached);
	}
	return schema;
}

static struct value *plan_schema(struct arena *arena)
{
	static const char *const states[] = {"added", "removed", "renamed", "changed", "unchanged"};
	struct value *schema = schema_of_keys(arena, plan_entry_keys);
	struct value *problems = value_map(arena);

	value_set_text(arena, problems, "type", "array");
	value_set(arena, problems, "items", schema_of_keys(arena, problem_keys));
	set_choices(arena, schema, "status", states, 5);
	set_sides(arena, schema, "problems", problems);
	set_sides(arena, schema, "overview", schema_of_keys(arena, overview_keys));
	set_items(arena, schema, "differences", difference_schema(arena));
	set_items(arena, schema, "blast_radius", reach_schema(arena));
	return schema;
}

struct value *compare_schema(struct arena *arena)
{
	struct value *schema = schema_of_keys(arena, top_keys);
	struct value *properties = value_get(schema, "properties"), *version = value_map(arena);

	value_set_number(arena, version, "const", 1);
	value_set_text(arena, schema, "$schema", "http://json-schema.org/draft-07/schema#");
	value_set_text(arena, schema, "title", "what `plan diff REV..REV --json` prints, format 1");
	value_set(arena, properties, "format", version);
	value_set(arena, properties, "old", schema_of_keys(arena, revision_keys));
	value_set(arena, properties, "new", schema_of_keys(arena, revision_keys));
	value_set(arena, properties, "summary", schema_of_keys(arena, summary_keys));
	set_items(arena, schema, "plans", plan_schema(arena));
	return schema;
}
