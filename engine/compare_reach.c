/* SPDX-License-Identifier: MIT */
/* The blast radius: what in the world a plan reads, changes and destroys, from the tables of the
 * modules (`subjects`, `touches`, `reads`). */
#include "engine/compare_parts.h"
#include "engine/reference.h"
#include "engine/resolve.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_LIMIT 8      /* references to steps that refer to steps */
#define TOUCH_LIMIT 100000 /* things a plan may touch before the rest is left out */

static const char *const level_words[] = {[REACH_NOT] = "",
                                          [REACH_READ] = "read",
                                          [REACH_CHANGED] = "changed",
                                          [REACH_DESTROYED] = "destroyed"};

/* One step at one thing. */
struct touch {
	const char *kind, *name, *aspect;
	enum reach_level level;
	const struct plan_step *step;
};

struct collection {
	struct compare *compare;
	struct touch *list;
	size_t count, capacity;
	int side;
	struct touch now; /* what is being collected, but for the name */
};

/* ---- Collecting ---- */

static void add_name(struct collection *collection, const char *name)
{
	if (collection->count == TOUCH_LIMIT)
		return;
	if (collection->count == TOUCH_LIMIT - 1)
		name = "(more than can be counted: the rest is left out)";
	if (collection->count == collection->capacity) {
		size_t capacity = collection->capacity ? collection->capacity * 2 : 64;
		struct touch *list =
			arena_array(collection->compare->arena, capacity, sizeof *list);
		if (collection->count)
			memcpy(list, collection->list, collection->count * sizeof *list);
		collection->list = list;
		collection->capacity = capacity;
	}
	collection->list[collection->count] = collection->now;
	collection->list[collection->count++].name =
		compare_clean(collection->compare->arena, name);
}

static void add_field(struct collection *collection, const struct plan_step *step,
                      const char *field, int depth);

/* ${steps.create-target.app}: the output has the name of a field, and gives what that says. */
static bool add_referred(struct collection *collection, const struct reference *reference,
                         int depth)
{
	const struct plan *plan = collection->compare->plan[collection->side];
	const struct plan_step *step =
		reference->kind == REFERENCE_STEP ? plan_find(plan, reference->name) : NULL;

	if (!step || !step->module || depth >= DEPTH_LIMIT ||
	    !field_find(step->module->fields, reference->member) ||
	    !value_get(step->with, reference->member))
		return false;
	add_field(collection, step, reference->member, depth + 1);
	return true;
}

static void add_each(struct collection *collection, const struct plan_step *step, int depth);

static void add_value(struct collection *collection, const struct plan_step *step,
                      const struct value *value, int depth)
{
	struct reference reference;
	struct error err = {0};

	if (value->kind == VALUE_LIST) {
		for (const struct value *one = value->as.items.first; one; one = one->next)
			add_value(collection, step, one, depth + 1);
		return;
	}
	if (value->kind == VALUE_TEXT && depth < DEPTH_LIMIT &&
	    reference_next(value->as.text, &reference, &err) &&
	    reference_is_whole(value->as.text, &reference)) {
		if (reference.kind == REFERENCE_EACH && compare_items(step->each)) {
			add_each(collection, step, depth);
			return;
		}
		if (add_referred(collection, &reference, depth))
			return;
	}
	const struct value *shown =
		collection->side == OLD ? compare_renamed(collection->compare, value) : value;
	add_name(collection, compare_print(collection->compare, shown));
}

static void add_each(struct collection *collection, const struct plan_step *step, int depth)
{
	for (const struct value *one = compare_items(step->each); one; one = one->next)
		add_value(collection, step, one, depth + 1);
}

static void add_field(struct collection *collection, const struct plan_step *step,
                      const char *field, int depth)
{
	const struct field *entry = field_find(step->module->fields, field);
	const struct value *value = value_get(step->with, field);

	if (value) {
		add_value(collection, step, value, depth);
	} else if (entry && entry->fallback) {
		add_name(collection, entry->fallback);
	} else if (!entry && field_find(step->module->outputs, field)) {
		/* Its own output: what it is called is known when it is there. */
		const struct value *name =
			value_text(collection->compare->arena,
		                   arena_printf(collection->compare->arena, "${steps.%s.%s}",
		                                step->name, field));
		add_value(collection, step, name, DEPTH_LIMIT);
	}
}

/* What follows the field: "/config", or "/attachment/${as}" with the name as written; NULL when the
 * step does not give that field. */
static const char *aspect_of(const struct plan_step *step, const char *rest, struct arena *arena)
{
	const char *begin = strstr(rest, "${");
	const char *field = begin ? arena_text_n(arena, begin + 2, strcspn(begin + 2, "}")) : NULL;
	const char *aspect = rest[0] ? rest + 1 : "";
	const char *resolved = resolve_template(aspect, step->with, NULL, arena);

	if (field && !value_get(step->with, field))
		return NULL;
	return resolved ? compare_clean(arena, resolved) : aspect;
}

/* "heroku/app/${app}/config": kind, field, aspect. */
static void add_templates(struct collection *collection, const char *const *templates,
                          const struct plan_step *step, enum reach_level level)
{
	struct arena *arena = collection->compare->arena;

	for (; templates && *templates; templates++) {
		const char *begin = strstr(*templates, "/${"),
			   *end = begin ? strchr(begin, '}') : NULL;
		const char *aspect = end ? aspect_of(step, end + 1, arena) : NULL;
		if (!aspect)
			continue;
		collection->now = (struct touch){
			.kind = arena_text_n(arena, *templates, (size_t)(begin - *templates)),
			.aspect = aspect,
			.level = level,
			.step = step,
		};
		add_field(collection, step,
		          arena_text_n(arena, begin + 3, (size_t)(end - begin - 3)), 0);
	}
}

static void add_step(struct collection *collection, const struct plan_step *step)
{
	const struct step_module *module = step->module;

	for (size_t i = 0; i < step->rollback_step_count; i++)
		add_step(collection, &step->rollback_steps[i]);
	if (!module || !step->with)
		return;
	add_templates(collection, module->subjects, step,
	              module->traits & STEP_DESTROYS    ? REACH_DESTROYED
	              : module->traits & STEP_READ_ONLY ? REACH_READ
	                                                : REACH_CHANGED);
	add_templates(collection, module->touches, step, REACH_CHANGED);
	add_templates(collection, module->reads, step, REACH_READ);
}

/* By thing; in it the strongest first, then by aspect. */
static int by_thing(const void *left, const void *right)
{
	const struct touch *a = left, *b = right;
	int order = strcmp(a->kind, b->kind);

	if (order == 0)
		order = strcmp(a->name, b->name);
	if (order == 0)
		order = (int)b->level - (int)a->level;
	if (order == 0)
		order = strcmp(a->aspect, b->aspect);
	if (order == 0)
		order = a->step->order < b->step->order ? -1 : a->step->order > b->step->order;
	return order ? order : strcmp(a->step->name, b->step->name);
}

static struct collection collect(struct compare *compare, int side)
{
	struct collection collection = {.compare = compare, .side = side};
	const struct plan *plan = compare->plan[side];

	for (size_t i = 0; i < plan->step_count; i++)
		add_step(&collection, &plan->steps[i]);
	if (collection.count)
		qsort(collection.list, collection.count, sizeof *collection.list, by_thing);
	return collection;
}

/* ---- Merging ---- */

static bool is_same_thing(const struct touch *a, const struct touch *b)
{
	return strcmp(a->kind, b->kind) == 0 && strcmp(a->name, b->name) == 0;
}

static size_t thing_length(const struct touch *list, size_t count)
{
	size_t length = 1;

	while (length < count && is_same_thing(list, &list[length]))
		length++;
	return length;
}

/* "changed (config, formation), read (addons)"; an aspect counts once, at its strongest. */
static const char *levels_text(struct compare *compare, const struct touch *list, size_t count)
{
	struct text out = {0};
	enum reach_level level = REACH_NOT;
	bool open = false;

	for (size_t i = 0; i < count; i++) {
		bool seen = false;
		for (size_t j = 0; j < i && !seen; j++)
			seen = strcmp(list[j].aspect, list[i].aspect) == 0 &&
			       (list[i].aspect[0] || list[j].level == list[i].level);
		if (seen)
			continue;
		if (list[i].level != level) {
			text_format(&out, "%s%s%s", open ? ")" : "", out.length ? ", " : "",
			            level_words[list[i].level]);
			open = false;
		}
		if (list[i].aspect[0])
			text_format(&out, "%s%s", open ? ", " : " (", list[i].aspect);
		open = open || list[i].aspect[0];
		level = list[i].level;
	}
	text_format(&out, "%s", open ? ")" : "");
	const char *copy = arena_text(compare->arena, text_string(&out));
	text_free(&out);
	return copy;
}

static const char *steps_text(struct compare *compare, const struct touch *list, size_t count)
{
	struct text out = {.limit = 2000};

	for (size_t i = 0; i < count && !out.full; i++) {
		bool seen = false;
		for (size_t j = 0; j < i && !seen; j++)
			seen = list[j].step == list[i].step;
		if (!seen)
			text_format(&out, "%s%s", out.length ? ", " : "",
			            compare_clean(compare->arena, list[i].step->name));
	}
	if (out.full)
		out.limit = 0, text_add(&out, " and more");
	const char *copy = arena_text(compare->arena, text_string(&out));
	text_free(&out);
	return copy;
}

static void fill_side(struct compare *compare, struct reach *reach, int side,
                      const struct touch *list, size_t count)
{
	reach->kind = list->kind;
	reach->name = list->name;
	reach->level[side] = list->level;
	reach->text[side] = levels_text(compare, list, count);
	reach->steps[side] = steps_text(compare, list, count);
	compare->out->overview[side].reached[list->level]++;
}

static void add_difference(struct compare *compare, const struct reach *reach)
{
	struct difference difference = {
		.topic = TOPIC_REACH,
		.subject = arena_printf(compare->arena, "%s %s", reach->kind, reach->name),
		.from = reach->text[OLD],
		.to = reach->text[NEW],
		.note = "by",
		.destroys = reach->level[NEW] == REACH_DESTROYED &&
	                    reach->level[OLD] != REACH_DESTROYED,
		.names = reach->steps[NEW] ? reach->steps[NEW] : reach->steps[OLD],
	};

	if (!reach->text[OLD] || !reach->text[NEW] ||
	    strcmp(reach->text[OLD], reach->text[NEW]) != 0)
		compare_add(compare, difference);
}

static int compare_touches(const struct collection *old, size_t o, const struct collection *new,
                           size_t n)
{
	if (o == old->count || n == new->count)
		return o == old->count ? 1 : -1;
	int order = strcmp(old->list[o].kind, new->list[n].kind);
	return order ? order : strcmp(old->list[o].name, new->list[n].name);
}

void compare_reach(struct compare *compare)
{
	struct collection old = collect(compare, OLD), new = collect(compare, NEW);
	struct comparison *out = compare->out;
	bool readable = true;

	out->reaches = arena_array(compare->arena, old.count + new.count + 1, sizeof *out->reaches);
	for (int side = OLD; side <= NEW; side++)
		readable =
			readable && (out->overview[side].readable || !out->overview[side].present);
	for (size_t o = 0, n = 0; o < old.count || n < new.count;) {
		struct reach *reach = &out->reaches[out->reach_count++];
		int order = compare_touches(&old, o, &new, n);
		if (order <= 0) {
			size_t length = thing_length(&old.list[o], old.count - o);
			fill_side(compare, reach, OLD, &old.list[o], length);
			o += length;
		}
		if (order >= 0) {
			size_t length = thing_length(&new.list[n], new.count - n);
			fill_side(compare, reach, NEW, &new.list[n], length);
			n += length;
		}
		if (readable)
			add_difference(compare, reach);
	}
}
