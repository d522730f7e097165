/* SPDX-License-Identifier: MIT */
/* Conditions of any bytes, as they stand in a step, measured against readings of any kind: a gate
 * that the plan was let through with can be judged, comparators agree with each other, and a
 * condition written down as it was understood is understood the same. The readings are a JSON map
 * from checks to values; the conditions stand behind a line `---8<---`. */
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "engine/condition.h"
#include "engine/host.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char cut[] = "\n---8<---\n";
static const char head[] =
	"plan: 1\nname: fuzz\nsummary: Conditions.\n"
	"windows: {night: {days: [mon], from: \"01:00\", to: \"02:00\", zone: UTC}}\n"
	"steps:\n  first: {uses: nothing}\n  it:\n    uses: nothing\n    needs: [first]\n"
	"    preconditions:\n";

/* ---- What can be measured ---- */

static const struct value *reading_now; /* of the check that is measured next, or NULL */

static bool measure(struct step *step, const struct value *of, struct reading *reading,
                    struct error *err)
{
	(void)of;
	if (!reading_now)
		return fail(err, ERROR_RETRY, "nothing is known yet");
	reading->value = value_copy(step->arena, reading_now);
	return true;
}

static const struct metric metrics[] = {
	{"app.open", METRIC_BOOL, "", OF_NOTHING, "Truth.", measure},
	{"app.lag", METRIC_NUMBER, "commits", OF_TEXT, "A count.", measure},
	{"app.size", METRIC_NUMBER, "bytes", OF_NOTHING, "A size.", measure},
	{"app.load", METRIC_NUMBER, "", OF_NOTHING, "A plain number.", measure},
	{"app.age", METRIC_DURATION, "", OF_STEP, "A duration.", measure},
	{"app.state", METRIC_TEXT, "", OF_WINDOW, "A text.", measure},
	{0},
};

static bool look(struct step *step, struct value *seen, struct error *err)
{
	(void)step, (void)seen, (void)err;
	return true;
}

static const struct step_module nothing = {
	.name = "nothing", .text = "Nothing.", .traits = STEP_READ_ONLY, .observe = look};

static const struct registry registry = {
	.modules = (const struct step_module *const[]){&nothing, NULL},
	.connections = (const struct connection_kind *const[]){NULL},
	.metrics = (const struct metric *const[]){metrics, NULL},
};

/* ---- Comparators agree ---- */

/* Whether it holds with that comparator; false in *known when it could not be measured. */
static bool holds(struct step *step, const struct plan_condition *condition,
                  enum comparator comparator, const struct value *limit, bool *known)
{
	struct plan_condition other = *condition;
	struct standing standing = {0};
	struct error err = {0};

	other.comparator = comparator;
	other.limit = limit;
	*known = condition_measure(step, &other, &standing, &err);
	if (!*known && err.kind == ERROR_NONE)
		abort(); /* without a reason */
	if (*known && (!standing.text || !standing.limit_text || standing.holds_at_ms < 0))
		abort();
	return standing.holds;
}

static void compare_with_itself(struct step *step, const struct plan_condition *condition)
{
	bool known;
	bool below = holds(step, condition, COMPARE_BELOW, condition->limit, &known);

	if (!known)
		return;
	bool at_most = holds(step, condition, COMPARE_AT_MOST, condition->limit, &known);
	bool above = holds(step, condition, COMPARE_ABOVE, condition->limit, &known);
	bool at_least = holds(step, condition, COMPARE_AT_LEAST, condition->limit, &known);
	bool equals = holds(step, condition, COMPARE_EQUALS, condition->limit, &known);

	if (below == at_least || above == at_most || equals != (at_most && at_least))
		abort();
}

static void compare_one_of(struct step *step, const struct plan_condition *condition)
{
	bool any = false, known, known_one;
	bool one_of = holds(step, condition, COMPARE_ONE_OF, condition->limit, &known);

	for (const struct value *one = condition->limit->as.items.first; one && known && !any;
	     one = one->next) {
		any = holds(step, condition, COMPARE_EQUALS, one, &known_one);
		known = known_one;
	}
	if (known && any != one_of)
		abort();
}

static bool is_number(const struct value *value)
{
	return value->kind == VALUE_INT || value->kind == VALUE_REAL;
}

/* What was measured is of the kind that the metric promises. */
static bool fits(const struct metric *metric, const struct value *value)
{
	switch (metric->type) {
	case METRIC_BOOL:
		return value->kind == VALUE_BOOL;
	case METRIC_NUMBER:
	case METRIC_DURATION:
		return is_number(value);
	case METRIC_TEXT:
		return value->kind == VALUE_TEXT;
	}
	return false;
}

static void judge(struct step *step, const struct plan_condition *condition)
{
	bool is_numeric = condition->metric->type == METRIC_NUMBER ||
	                  condition->metric->type == METRIC_DURATION;
	bool known;

	holds(step, condition, condition->comparator, condition->limit, &known);
	if (!known && reading_now && fits(condition->metric, reading_now))
		abort(); /* no problem was found with it, and it cannot be judged */
	if (!known)
		return;
	if (condition->comparator == COMPARE_ONE_OF)
		compare_one_of(step, condition);
	else if (is_numeric)
		compare_with_itself(step, condition);
}

/* ---- Written down and read again ---- */

static const char *const words[] = {
	[COMPARE_TRUE] = NULL,       [COMPARE_BELOW] = "below",       [COMPARE_AT_MOST] = "at_most",
	[COMPARE_ABOVE] = "above",   [COMPARE_AT_LEAST] = "at_least", [COMPARE_EQUALS] = "equals",
	[COMPARE_ONE_OF] = "one_of",
};

static void set_duration(struct arena *arena, struct value *map, const char *key,
                         int64_t duration_ms)
{
	if (duration_ms)
		value_set_text(arena, map, key,
		               arena_printf(arena, "%lldms", (long long)duration_ms));
}

/* JSON, which is YAML. False where YAML takes a character only when it is escaped. */
static bool write_down(const struct plan_conditions *conditions, struct arena *arena,
                       struct text *out)
{
	struct value *list = value_list(arena);

	for (size_t i = 0; i < conditions->count; i++) {
		const struct plan_condition *one = &conditions->list[i];
		struct value *map = value_map(arena);
		value_set_text(arena, map, "check", one->check);
		if (one->of)
			value_set(arena, map, "of", value_copy(arena, one->of));
		if (one->comparator != COMPARE_TRUE)
			value_set(arena, map, words[one->comparator],
			          value_copy(arena, one->limit));
		set_duration(arena, map, "stable_for", one->stable_for_ms);
		set_duration(arena, map, "within", one->within_ms);
		value_add(list, map);
	}
	text_add(out, head);
	text_add(out, "      ");
	json_write(list, NULL, out);
	text_add(out, "\n");
	for (const char *c = text_string(out); *c; c++)
		if (*c == 0x7f || *c < 0)
			return false;
	return true;
}

static bool is_same(const struct plan_condition *a, const struct plan_condition *b)
{
	return strcmp(a->check, b->check) == 0 && a->metric == b->metric &&
	       a->comparator == b->comparator && value_equal(a->of, b->of) &&
	       value_equal(a->limit, b->limit) && a->stable_for_ms == b->stable_for_ms &&
	       a->within_ms == b->within_ms;
}

static void read_again(const struct plan_conditions *conditions, struct arena *arena)
{
	struct plan plan = {0};
	struct problems problems = {0};
	struct text text = {0};
	struct plan_options options = {.directory = "/nonexistent"};

	if (write_down(conditions, arena, &text)) {
		struct plan_source source = {"fuzz.yaml", text_string(&text), text.length};
		if (!plan_parse(&plan, &source, &registry, &options, &problems))
			abort();
		const struct plan_conditions *again = &plan_find(&plan, "it")->preconditions;
		if (again->count != conditions->count)
			abort();
		for (size_t i = 0; i < again->count; i++)
			if (!is_same(&again->list[i], &conditions->list[i]))
				abort();
	}
	plan_free(&plan);
	problems_free(&problems);
	text_free(&text);
}

/* ---- The whole ---- */

static const struct value *no_outputs(const struct scope *scope, const struct plan_step *step)
{
	(void)scope, (void)step;
	return NULL;
}

static void judge_all(const struct plan *plan, const struct value *readings)
{
	struct plan_step *step = plan_find(plan, "it");
	struct arena arena = {0};
	struct scope scope = {.plan = plan, .step = step, .outputs = no_outputs};
	struct run run = {0};
	struct step_host host = {
		.plan = plan, .plan_step = step, .run = &run, .scope = &scope, .looking = true};
	struct step it = {.id = "it", .module = &nothing, .arena = &arena, .host = &host};

	for (size_t i = 0; i < step->preconditions.count && i < 50; i++) {
		const struct plan_condition *condition = &step->preconditions.list[i];
		reading_now = value_get(readings, condition->check);
		judge(&it, condition);
	}
	read_again(&step->preconditions, &arena);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *middle = memmem(data, size, cut, sizeof cut - 1);
	size_t first = middle ? (size_t)(middle - text) : 0;
	size_t begin = middle ? first + sizeof cut - 1 : 0;
	struct arena arena = {0};
	struct error err = {0};
	struct plan plan = {0};
	struct problems problems = {0};
	struct text whole = {0};
	struct plan_options options = {.directory = "/nonexistent"};
	const struct value *readings = json_read(&arena, text, first, 0, NULL, &err);

	text_add(&whole, head);
	text_put(&whole, text + begin, size - begin);
	struct plan_source source = {"fuzz.yaml", text_string(&whole), whole.length};
	if (plan_parse(&plan, &source, &registry, &options, &problems) && plan_find(&plan, "it"))
		judge_all(&plan, readings);
	plan_free(&plan);
	problems_free(&problems);
	text_free(&whole);
	arena_free(&arena);
	return 0;
}
