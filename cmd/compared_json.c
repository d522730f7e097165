/* SPDX-License-Identifier: MIT */
/* Compared plans for programs; schemas/diff.schema.json describes it. */
#include "cmd/compared.h"
#include "cmd/show.h"

#include <string.h>

static struct value *problems_json(struct arena *arena, const struct problems *problems)
{
	struct value *list = value_list(arena);

	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *problem = &problems->list[i];
		struct value *one = value_map(arena);
		value_set_number(arena, one, "line", problem->at.line);
		value_set_number(arena, one, "column", problem->at.column);
		value_set_text(arena, one, "text", compare_clean(arena, problem->text));
		value_add(list, one);
	}
	return list;
}

static struct value *plan_json(struct arena *arena, const struct compared_plan *plan)
{
	struct value *map = value_map(arena), *problems = value_map(arena);
	struct value *parts = compare_json(&plan->comparison, arena);

	value_set_text(arena, map, "file", plan->path[1]);
	if (strcmp(plan->path[0], plan->path[1]) != 0)
		value_set_text(arena, map, "old_file", plan->path[0]);
	value_set_text(arena, map, "status", plan->status);
	value_set(arena, problems, "old", problems_json(arena, &plan->problems[0]));
	value_set(arena, problems, "new", problems_json(arena, &plan->problems[1]));
	value_set(arena, map, "problems", problems);
	for (struct value *part = parts->as.items.first, *next; part; part = next) {
		next = part->next;
		value_set(arena, map, part->key, part);
	}
	return map;
}

void compared_json(const struct compared *compared)
{
	struct arena *arena = compared->arena;
	struct value *top = value_map(arena), *plans = value_list(arena);
	struct value *summary = value_map(arena);

	value_set_number(arena, top, "format", 1);
	for (int side = 0; side < 2; side++) {
		struct value *revision = value_map(arena);
		value_set_text(arena, revision, "revision", compared->revision[side]);
		value_set_text(arena, revision, "commit", compared->commit[side]);
		value_set(arena, top, side ? "new" : "old", revision);
	}
	value_set_number(arena, summary, "plans", (int64_t)compared->plans);
	value_set_number(arena, summary, "differences", (int64_t)compared->differences);
	value_set_number(arena, summary, "loosened", (int64_t)compared->effects[EFFECT_LOOSENED]);
	value_set_number(arena, summary, "tightened", (int64_t)compared->effects[EFFECT_TIGHTENED]);
	value_set_number(arena, summary, "invalid", (int64_t)compared->invalid[1]);
	value_set(arena, top, "summary", summary);
	for (const struct compared_plan *one = compared->first; one; one = one->next)
		value_add(plans, plan_json(arena, one));
	value_set(arena, top, "plans", plans);
	show_json(stdout, top);
}
