/* SPDX-License-Identifier: MIT */
/* Loads a plan: reads, decodes, orders, and checks what only the whole can tell. */
#include "engine/plan.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/decode.h"
#include "engine/yaml.h"

#include <stdlib.h>
#include <string.h>

/* ---- Finding ---- */

static int compare_ids(const void *left, const void *right)
{
	return strcmp((*(struct plan_step *const *)left)->id,
	              (*(struct plan_step *const *)right)->id);
}

static int compare_names(const void *left, const void *right)
{
	const struct plan_step *a = *(struct plan_step *const *)left;
	const struct plan_step *b = *(struct plan_step *const *)right;
	int order = strcmp(a->name, b->name);

	return order ? order : a->order < b->order ? -1 : 1;
}

static int find_id(const void *id, const void *step)
{
	return strcmp(id, (*(struct plan_step *const *)step)->id);
}

static void make_index(struct plan *plan)
{
	size_t count = plan->step_count;

	plan->by_id = arena_array(&plan->arena, count + 1, sizeof *plan->by_id);
	plan->by_name = arena_array(&plan->arena, count + 1, sizeof *plan->by_name);
	for (size_t i = 0; i < count; i++)
		plan->by_id[i] = plan->by_name[i] = &plan->steps[i];
	qsort(plan->by_id, count, sizeof *plan->by_id, compare_ids);
	qsort(plan->by_name, count, sizeof *plan->by_name, compare_names);
}

static struct plan_step *find_name(const struct plan *plan, const char *name)
{
	size_t low = 0, high = plan->step_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (strcmp(plan->by_name[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < plan->step_count && strcmp(plan->by_name[low]->name, name) == 0;
	return found ? plan->by_name[low] : NULL;
}

struct plan_step *plan_find(const struct plan *plan, const char *id)
{
	struct plan_step **found = plan->step_count ? bsearch(id, plan->by_id, plan->step_count,
	                                                      sizeof *plan->by_id, find_id)
	                                            : NULL;

	return found ? *found : find_name(plan, id);
}

/* Adds to *work how many steps and edges it looked at. */
static bool comes_before(const struct plan_step *first, const struct plan_step *second,
                         size_t *work)
{
	/* Steps lie in topological order: one sweep down, each step marked at most once. */
	const struct plan_step *steps = second - second->order;
	struct arena arena = {0};

	if (first->order >= second->order)
		return false;
	for (size_t n = 0; n < second->need_count; n++)
		if (second->needs[n] == first)
			return true;
	size_t base = first->order, count = second->order - base + 1;
	bool *before = arena_array(&arena, count, sizeof *before);
	before[count - 1] = true;
	for (size_t i = count - 1; i > 0; i--) {
		const struct plan_step *step = &steps[base + i];
		for (size_t n = 0; before[i] && n < step->need_count; n++, ++*work)
			if (step->needs[n]->order >= base)
				before[step->needs[n]->order - base] = true;
	}
	*work += count;
	bool found = before[0];
	arena_free(&arena);
	return found;
}

bool plan_comes_before(const struct plan_step *first, const struct plan_step *second)
{
	size_t work = 0;

	return comes_before(first, second, &work);
}

/* ---- Checks of the whole ---- */

/* The order between far steps is looked up so often in no plan that is not made for it. */
#define MOST_WORK 100000000

struct check {
	const struct plan *plan;
	struct problems *problems;
	size_t work;
};

/* True also when there was too much to look up, and that is said. */
static bool is_before(struct check *check, const struct plan_step *first,
                      const struct plan_step *second)
{
	if (first == second || check->work > MOST_WORK)
		return first != second;
	bool before = comes_before(first, second, &check->work);
	if (check->work > MOST_WORK)
		problems_add(check->problems, second->at,
		             "too many steps name others that come long before them; put those "
		             "into `needs`, beginning with %s here",
		             first->name);
	return before;
}

static void check_steps_of_conditions(struct check *check, const struct plan_step *step,
                                      const struct plan_conditions *conditions)
{
	for (size_t i = 0; i < conditions->count; i++) {
		const struct plan_condition *condition = &conditions->list[i];
		const char *name = condition->of ? value_reveal(condition->of) : NULL;
		if (!condition->metric || condition->metric->of != OF_STEP || !name)
			continue;
		const struct plan_step *other = plan_find(check->plan, name);
		if (other && !is_before(check, other, step))
			problems_add(check->problems, condition->of->at,
			             "step %s must come first: add it to `needs`", name);
	}
}

static struct place place_of(const struct value *map, const char *key, struct place otherwise)
{
	const struct value *value = value_get(map, key);

	return value ? value->at : otherwise;
}

static void check_way_back(struct check *check, const struct plan_step *step)
{
	const struct plan_step *to = step->on_failure == ON_FAILURE_ROLL_BACK
	                                     ? plan_find(check->plan, step->roll_back_to)
	                                     : NULL;

	if (to && to->name != step->name && !is_before(check, to, step))
		problems_add(check->problems, place_of(step->written, "on_failure", step->at),
		             "%s cannot roll back to %s, which does not come before it", step->id,
		             to->id);
}

static void check_downtime(const struct plan *plan, struct problems *problems)
{
	const struct plan_step *begins =
		plan->downtime_begins ? plan_find(plan, plan->downtime_begins) : NULL;
	const struct plan_step *ends =
		plan->downtime_ends ? plan_find(plan, plan->downtime_ends) : NULL;

	if (begins && ends && !plan_comes_before(begins, ends))
		problems_add(
			problems, place_of(value_get(plan->root, "downtime"), "ends", ends->at),
			"the downtime ends with %s, but %s, with which it begins, does not come "
			"before it",
			ends->id, begins->id);
}

static void check_ids(const struct plan *plan, struct problems *problems)
{
	for (size_t i = 1; i < plan->step_count; i++)
		if (strchr(plan->by_id[i]->id, '[') &&
		    strcmp(plan->by_id[i - 1]->id, plan->by_id[i]->id) == 0)
			problems_add(problems, plan->by_id[i]->at,
			             "`for_each` gives %s twice; each item must be another",
			             plan->by_id[i]->id);
}

static void check_whole(const struct plan *plan, struct problems *problems)
{
	struct check check = {.plan = plan, .problems = problems};

	check_ids(plan, problems);
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		check_steps_of_conditions(&check, step, &step->preconditions);
		check_steps_of_conditions(&check, step, &step->postconditions);
		check_steps_of_conditions(&check, step, &step->invariants);
		check_way_back(&check, step);
	}
	check_downtime(plan, problems);
}

/* ---- Loading ---- */

static void make_digest(struct plan *plan)
{
	struct value *inputs = value_map(&plan->arena);
	const struct value *const both[] = {plan->root, inputs};

	for (size_t i = 0; i < plan->input_count; i++)
		if (plan->inputs[i].value) {
			struct value *one = value_copy(&plan->arena, plan->inputs[i].value);
			one->key = plan->inputs[i].name;
			value_add(inputs, one);
		}
	json_digest(both, 2, plan->digest, sizeof plan->digest);
}

static bool decode(struct plan *plan, const struct plan_options *options, struct problems *problems)
{
	struct decoder decoder = {
		.plan = plan, .arena = &plan->arena, .problems = problems, .options = options};

	if (!decode_keys(&decoder, plan->root, plan_keys, "a plan"))
		return false;
	decode_inputs(&decoder);
	decode_declarations(&decoder);
	decode_rest_of_head(&decoder);
	decode_steps(&decoder);
	bool ordered = graph_order(&decoder);
	arena_free(&decoder.scratch);
	make_index(plan);
	if (!ordered)
		return false;
	check_whole(plan, problems);
	return problems->count == 0;
}

/* All that comes before the tree of the file is read. */
static void begin(struct plan *plan, const char *file, const struct registry *registry,
                  const struct plan_options *options)
{
	*plan = (struct plan){.registry = registry};
	plan->file = arena_text(&plan->arena, file);
	plan->directory = options && options->directory
	                          ? arena_text(&plan->arena, options->directory)
	                          : file_directory(&plan->arena, file);
	plan->name = plan->summary = "";
}

static bool finish(struct plan *plan, const struct plan_options *options, struct problems *problems)
{
	if (!plan->root || !decode(plan, options, problems))
		return false;
	make_digest(plan);
	return true;
}

bool plan_parse(struct plan *plan, const struct plan_source *source,
                const struct registry *registry, const struct plan_options *options,
                struct problems *problems)
{
	begin(plan, source->file, registry, options);
	plan->root = yaml_read(&plan->arena, source->data, source->length, problems);
	return finish(plan, options, problems);
}

bool plan_load(struct plan *plan, const char *file, const struct registry *registry,
               const struct plan_options *options, struct problems *problems)
{
	struct arena arena = {0};
	struct error err = {0};
	size_t length;

	begin(plan, file, registry, options);
	const char *data = file_read(&arena, file, YAML_BYTES, &length, &err);
	if (data)
		plan->root = yaml_read(&plan->arena, data, length, problems);
	else
		problems_add(problems, (struct place){0}, "%s", err.text);
	arena_free(&arena);
	return finish(plan, options, problems);
}

void plan_free(struct plan *plan)
{
	arena_free(&plan->arena);
	*plan = (struct plan){0};
}
