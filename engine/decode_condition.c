/* SPDX-License-Identifier: MIT */
/* Conditions: a check, what it is of, one comparator with a unit, and how long. */
#include "engine/decode.h"
#include "engine/unit.h"

#include <string.h>

const struct key condition_keys[] = {
	{"check", VALUE_TEXT, true, "what is measured, such as heroku.postgres.lag"},
	{"of", VALUE_TEXT, false, "what it is measured of"},
	{"below", VALUE_NULL, false, "it must be less"},
	{"at_most", VALUE_NULL, false, "it must not be more"},
	{"above", VALUE_NULL, false, "it must be more"},
	{"at_least", VALUE_NULL, false, "it must not be less"},
	{"equals", VALUE_NULL, false, "it must be this"},
	{"one_of", VALUE_LIST, false, "it must be one of these"},
	{"stable_for", VALUE_TEXT, false, "it must have held for so long"},
	{"within", VALUE_TEXT, false, "the deadline; without it the condition must hold at once"},
	{0},
};

static const struct {
	const char *key;
	enum comparator comparator;
	bool needs_number;
} comparators[] = {
	{"below", COMPARE_BELOW, true},    {"at_most", COMPARE_AT_MOST, true},
	{"above", COMPARE_ABOVE, true},    {"at_least", COMPARE_AT_LEAST, true},
	{"equals", COMPARE_EQUALS, false}, {"one_of", COMPARE_ONE_OF, false},
};

static void check_quantity(struct decoder *decoder, const struct metric *metric,
                           const struct value *limit)
{
	const char *unit = metric->type == METRIC_DURATION ? "ms" : metric->unit;
	const char *shown = metric->type == METRIC_DURATION ? "5s" : metric->unit;
	struct quantity quantity = {0};
	struct error err = {0};

	if (decode_has_reference(limit))
		return;
	if (limit->kind == VALUE_TEXT && !unit_parse(limit->as.text, &quantity, &err)) {
		problems_add(decoder->problems, limit->at, "%s", err.text);
		return;
	}
	bool is_number =
		limit->kind == VALUE_TEXT || limit->kind == VALUE_INT || limit->kind == VALUE_REAL;
	if (!is_number || strcmp(quantity.unit, unit) != 0)
		problems_add(decoder->problems, limit->at,
		             "%s is measured in %s; write the number with that unit%s%s",
		             metric->name,
		             metric->type == METRIC_DURATION ? "time"
		             : unit[0]                       ? unit
		                                             : "plain numbers",
		             unit[0] ? ", such as " : "",
		             metric->type == METRIC_DURATION ? shown
		             : unit[0] ? arena_printf(decoder->arena, "200 %s", unit)
		                       : "");
}

/* What is no list was reported already. */
static const struct value *items_of(const struct value *list)
{
	return list->kind == VALUE_LIST ? list->as.items.first : NULL;
}

static void check_text(struct decoder *decoder, const struct metric *metric,
                       const struct value *limit)
{
	if (limit->kind != VALUE_TEXT || !limit->as.text[0])
		problems_add(decoder->problems, limit->at,
		             "%s is a text, this is %s; write what it must be", metric->name,
		             limit->kind == VALUE_TEXT ? "empty" : value_kind_name(limit->kind));
}

static void check_limit(struct decoder *decoder, const struct plan_condition *condition,
                        bool needs_number)
{
	const struct metric *metric = condition->metric;
	const struct value *limit = condition->limit;

	if (metric->type == METRIC_NUMBER || metric->type == METRIC_DURATION) {
		if (condition->comparator != COMPARE_ONE_OF) {
			check_quantity(decoder, metric, limit);
			return;
		}
		for (const struct value *one = items_of(limit); one; one = one->next)
			check_quantity(decoder, metric, one);
	} else if (needs_number) {
		problems_add(decoder->problems, limit->at,
		             "%s is no number; compare it with `equals`", metric->name);
	} else if (metric->type == METRIC_BOOL && !decode_has_reference(limit) &&
	           limit->kind != VALUE_BOOL) {
		problems_add(decoder->problems, limit->at, "%s is true or false", metric->name);
	} else if (metric->type == METRIC_TEXT && condition->comparator == COMPARE_ONE_OF) {
		for (const struct value *one = items_of(limit); one; one = one->next)
			check_text(decoder, metric, one);
	} else if (metric->type == METRIC_TEXT) {
		check_text(decoder, metric, limit);
	}
}

static void decode_comparator(struct decoder *decoder, const struct value *map,
                              struct plan_condition *condition)
{
	size_t found = 0;

	for (size_t i = 0; i < sizeof comparators / sizeof *comparators; i++) {
		const struct value *limit = value_get(map, comparators[i].key);
		if (!limit)
			continue;
		if (++found > 1)
			problems_add(decoder->problems, limit->key_at,
			             "a condition has one comparator; write a second condition");
		condition->comparator = comparators[i].comparator;
		condition->limit = decode_value(decoder, limit, false);
		if (condition->metric)
			check_limit(decoder, condition, comparators[i].needs_number);
	}
	if (!found && condition->metric && condition->metric->type != METRIC_BOOL)
		problems_add(decoder->problems, map->at,
		             "%s is compared with nothing; write below, at_most, above, at_least, "
		             "equals or one_of",
		             condition->check);
}

static void check_of(struct decoder *decoder, const struct value *map,
                     const struct plan_condition *condition)
{
	const struct metric *metric = condition->metric;
	const char *name = condition->of ? value_reveal(condition->of) : NULL;

	if (metric->of != OF_NOTHING && metric->of != OF_REPLICATION && !condition->of) {
		problems_add(decoder->problems, map->at, "%s needs `of`: %s", metric->name,
		             metric->text);
		return;
	}
	if (!name || decode_has_reference(condition->of))
		return;
	if (metric->of == OF_STEP && !decode_find(decoder, name)) {
		const char *near = decode_nearest_step(decoder, name);
		problems_add(decoder->problems, condition->of->at, "there is no step %s%s%s%s",
		             name, near ? "; did you mean " : "", near ? near : "",
		             near ? "?" : "");
	}
	if (metric->of == OF_WINDOW && !value_get(decoder->plan->windows, name))
		problems_add(decoder->problems, condition->of->at,
		             "there is no window %s; name it under `windows:`", name);
}

static void decode_condition(struct decoder *decoder, const struct value *map,
                             struct plan_condition *condition)
{
	const struct value *of, *check;

	condition->at = map->at;
	if (!decode_keys(decoder, map, condition_keys, "a condition"))
		return;
	condition->check = value_get_text(map, "check", "");
	condition->metric = registry_metric(decoder->plan->registry, condition->check);
	if ((of = value_get(map, "of")))
		condition->of = decode_value(decoder, of, false);
	check = value_get(map, "check");
	if (check && !condition->metric) {
		const char *near =
			registry_nearest_metric(decoder->plan->registry, condition->check);
		problems_add(decoder->problems, check->at, "there is no check %s%s%s%s",
		             condition->check, near ? "; did you mean " : "", near ? near : "",
		             near ? "?" : "");
	}
	decode_comparator(decoder, map, condition);
	if (condition->metric)
		check_of(decoder, map, condition);
	decode_duration(decoder, map, "stable_for", &condition->stable_for_ms);
	decode_duration(decoder, map, "within", &condition->within_ms);
}

void decode_conditions(struct decoder *decoder, const struct value *list,
                       struct plan_conditions *conditions)
{
	if (!list || list->kind != VALUE_LIST)
		return;
	struct plan_condition *all =
		arena_array(decoder->arena, list->as.items.count + 1, sizeof *all);
	for (const struct value *one = list->as.items.first; one; one = one->next)
		decode_condition(decoder, one, &all[conditions->count++]);
	conditions->list = all;
}
