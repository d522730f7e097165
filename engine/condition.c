/* SPDX-License-Identifier: MIT */
/* Measures conditions, compares them with their limits, and waits until they hold. */
#include "engine/condition.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/host.h"
#include "engine/resolve.h"
#include "engine/unit.h"

#include <string.h>

#define LOOK_FIRST_MS 200
#define LOOK_SELDOM_MS 5000
#define FAR_MS 1e14 /* what lies further ahead than any duration may be long is not awaited */
#define REHEARSAL_STABLE_MS 1500 /* seen steady so long, a rehearsal takes the rest for granted */

static const char *const comparator_texts[] = {
	[COMPARE_TRUE] = "true",          [COMPARE_BELOW] = "below ",
	[COMPARE_AT_MOST] = "at most ",   [COMPARE_ABOVE] = "above ",
	[COMPARE_AT_LEAST] = "at least ", [COMPARE_EQUALS] = "",
	[COMPARE_ONE_OF] = "one of ",
};

static const char *printed(struct step *step, const struct value *value)
{
	struct text out = {0};

	value_print(value, &out);
	const char *copy = arena_text(step->arena, text_string(&out));
	text_free(&out);
	return copy;
}

static bool number_of(const struct metric *metric, const struct value *value, double *number,
                      struct error *err)
{
	struct quantity quantity;

	switch (value->kind) {
	case VALUE_INT:
		*number = (double)value->as.number;
		return true;
	case VALUE_REAL:
		*number = value->as.real;
		return true;
	case VALUE_TEXT:
		if (!unit_parse(value->as.text, &quantity, err))
			return false;
		*number = quantity.number;
		return true;
	case VALUE_NULL:
	case VALUE_BOOL:
	case VALUE_LIST:
	case VALUE_MAP:
	case VALUE_SECRET:
	case VALUE_UNKNOWN:
		break;
	}
	return fail(err, ERROR_PLAN, "%s is compared with a %s; write a number with its unit",
	            metric->name, value_kind_name(value->kind));
}

static bool compare_numbers(enum comparator comparator, double measured, double limit)
{
	switch (comparator) {
	case COMPARE_BELOW:
		return measured < limit;
	case COMPARE_AT_MOST:
		return measured <= limit;
	case COMPARE_ABOVE:
		return measured > limit;
	case COMPARE_AT_LEAST:
		return measured >= limit;
	case COMPARE_EQUALS:
		return !(measured < limit) && !(measured > limit);
	case COMPARE_TRUE:
	case COMPARE_ONE_OF:
		break;
	}
	return false;
}

static bool equals(const struct metric *metric, const struct value *measured,
                   const struct value *limit, struct error *err)
{
	double left = 0, right = 0;

	if (metric->type == METRIC_TEXT || metric->type == METRIC_BOOL)
		return value_equal(measured, limit);
	return number_of(metric, measured, &left, err) && number_of(metric, limit, &right, err) &&
	       compare_numbers(COMPARE_EQUALS, left, right);
}

static bool compare(const struct plan_condition *condition, const struct value *measured,
                    const struct value *limit, bool *holds, struct error *err)
{
	double left = 0, right = 0;

	err->kind = ERROR_NONE;
	*holds = false;
	switch (condition->comparator) {
	case COMPARE_TRUE:
		*holds = measured->kind == VALUE_BOOL && measured->as.truth;
		return true;
	case COMPARE_EQUALS:
		*holds = equals(condition->metric, measured, limit, err);
		return err->kind == ERROR_NONE;
	case COMPARE_ONE_OF:
		for (const struct value *one = limit ? limit->as.items.first : NULL; one && !*holds;
		     one = one->next)
			*holds = equals(condition->metric, measured, one, err);
		return err->kind == ERROR_NONE;
	case COMPARE_BELOW:
	case COMPARE_AT_MOST:
	case COMPARE_ABOVE:
	case COMPARE_AT_LEAST:
		break;
	}
	if (!number_of(condition->metric, measured, &left, err) ||
	    !number_of(condition->metric, limit, &right, err))
		return false;
	*holds = compare_numbers(condition->comparator, left, right);
	return true;
}

/* A duration that grows with the clock reaches its limit by itself. */
static int64_t when_it_grows_to(const struct plan_condition *condition,
                                const struct value *measured, const struct value *limit)
{
	struct error ignored;
	double now, then;
	bool grows = condition->metric->type == METRIC_DURATION &&
	             (condition->comparator == COMPARE_AT_LEAST ||
	              condition->comparator == COMPARE_ABOVE);

	if (!grows || !number_of(condition->metric, measured, &now, &ignored) ||
	    !number_of(condition->metric, limit, &then, &ignored) ||
	    !(then >= now && then - now <= FAR_MS))
		return 0;
	return clock_now_ms() + (int64_t)(then - now) + 1;
}

static const char *reading_text(struct step *step, const struct metric *metric,
                                const struct reading *reading)
{
	if (reading->text)
		return reading->text;
	if (metric->type == METRIC_DURATION && reading->value->kind == VALUE_INT)
		return clock_duration_text(step->arena, reading->value->as.number);
	if (metric->type == METRIC_NUMBER && metric->unit[0])
		return arena_printf(step->arena, "%s %s", printed(step, reading->value),
		                    metric->unit);
	return printed(step, reading->value);
}

bool condition_measure(struct step *step, const struct plan_condition *condition,
                       struct standing *standing, struct error *err)
{
	const struct scope *scope = step->host->scope;
	struct reading reading = {0};
	struct value *of = NULL, *limit = NULL;

	*standing = (struct standing){.text = "not measured", .limit_text = ""};
	if (condition->of && !(of = resolve(scope, condition->of, step->arena, err)))
		return false;
	if (condition->limit && !(limit = resolve(scope, condition->limit, step->arena, err)))
		return false;
	standing->of_text = of ? printed(step, of) : NULL;
	standing->limit_text =
		arena_printf(step->arena, "%s%s", comparator_texts[condition->comparator],
	                     limit ? printed(step, limit) : "");
	reading.limit = limit;
	if (!condition->metric->measure(step, of, &reading, err))
		return fail_while(err, "measure %s", condition->check);
	if (!reading.value)
		return fail(err, ERROR_RETRY, "%s gave no value", condition->check);
	standing->value = reading.value;
	standing->text = reading_text(step, condition->metric, &reading);
	standing->again_ms = reading.again_ms;
	if (!compare(condition, reading.value, limit, &standing->holds, err))
		return fail_while(err, "%s", condition->check);
	standing->holds_at_ms = reading.holds_at_ms;
	if (!standing->holds && !standing->holds_at_ms && limit)
		standing->holds_at_ms = when_it_grows_to(condition, reading.value, limit);
	return true;
}

static void name_condition(const struct plan_condition *condition, const struct standing *standing,
                           struct error *err, enum error_kind kind, const char *more)
{
	fail(err, kind, "%s%s%s is %s and must be %s%s", condition->check,
	     standing->of_text ? " of " : "", standing->of_text ? standing->of_text : "",
	     standing->text, standing->limit_text, more);
}

bool conditions_hold_now(struct step *step, const struct plan_conditions *conditions,
                         struct error *err)
{
	struct standing standing;

	for (size_t i = 0; i < conditions->count; i++) {
		const struct plan_condition *condition = &conditions->list[i];
		if (!condition_measure(step, condition, &standing, err))
			return err->kind == ERROR_RETRY; /* not to be measured is not broken */
		if (standing.holds)
			continue;
		name_condition(condition, &standing, err, ERROR_FAILED, "");
		return false;
	}
	return true;
}

struct watch watch_begin(struct step *step, const struct plan_conditions *conditions,
                         const char *noun, int64_t began_ms)
{
	return (struct watch){
		.conditions = conditions,
		.noun = noun,
		.began_ms = began_ms,
		.held_since_ms = arena_array(step->arena, conditions->count, sizeof(int64_t)),
	};
}

/* Wall clock until which it is waited for; 0: it must hold at once. */
static int64_t deadline_ms(const struct watch *watch, const struct plan_condition *condition)
{
	return condition->within_ms ? watch->began_ms + condition->within_ms : 0;
}

static struct value *describe(struct step *step, const struct watch *watch, size_t i,
                              const struct standing *standing)
{
	const struct plan_condition *condition = &watch->conditions->list[i];
	int64_t held_since_ms = watch->held_since_ms[i];
	int64_t deadline = deadline_ms(watch, condition);
	struct value *map = value_map(step->arena);

	value_set_text(step->arena, map, "check", condition->check);
	if (standing->of_text)
		value_set_text(step->arena, map, "of", standing->of_text);
	if (standing->value)
		value_set(step->arena, map, "value", value_copy(step->arena, standing->value));
	value_set_text(step->arena, map, "is", standing->text);
	value_set_text(step->arena, map, "must_be", standing->limit_text);
	value_set_bool(step->arena, map, "holds", standing->holds);
	if (held_since_ms)
		value_set_number(step->arena, map, "held_since_ms", held_since_ms);
	if (condition->stable_for_ms)
		value_set_number(step->arena, map, "stable_for_ms", condition->stable_for_ms);
	if (!standing->holds && standing->holds_at_ms)
		value_set_number(step->arena, map, "holds_at_ms", standing->holds_at_ms);
	if (deadline)
		value_set_number(step->arena, map, "deadline_ms", deadline);
	return map;
}

/* What one round over all conditions found. */
struct round {
	struct value *list;
	size_t holding;
	int64_t sleep_until_ms; /* latest moment that time alone must reach; 0: look again soon */
	int64_t again_ms;
	bool only_time; /* all that do not hold yet just need time */
};

static bool past_deadline(const struct watch *watch, const struct plan_condition *condition)
{
	return clock_now_ms() - watch->began_ms >= condition->within_ms;
}

static bool steady(const struct watch *watch, size_t i, struct round *round)
{
	const struct plan_condition *condition = &watch->conditions->list[i];
	int64_t now = clock_now_ms(), since = watch->held_since_ms[i];

	if (now - since >= condition->stable_for_ms)
		return true;
	if (clock_can_jump() && now - since >= REHEARSAL_STABLE_MS) {
		int64_t until = since + condition->stable_for_ms;
		if (until > round->sleep_until_ms)
			round->sleep_until_ms = until;
	} else {
		round->only_time = false;
	}
	return false;
}

/* It is looked at again when time alone makes it hold, but not after its deadline. */
static void sleep_until(const struct watch *watch, const struct plan_condition *condition,
                        const struct standing *standing, struct round *round)
{
	int64_t until = standing->holds_at_ms, deadline = deadline_ms(watch, condition);

	if (!until) {
		round->only_time = false;
		return;
	}
	if (deadline && deadline < until)
		until = deadline;
	if (until > round->sleep_until_ms)
		round->sleep_until_ms = until;
}

static bool look_at(struct step *step, struct watch *watch, size_t i, struct round *round,
                    struct error *err)
{
	const struct plan_condition *condition = &watch->conditions->list[i];
	struct standing standing;
	struct error problem = {0};

	if (!condition_measure(step, condition, &standing, &problem)) {
		if (problem.kind != ERROR_RETRY) {
			*err = problem;
			return false;
		}
		standing.holds = false;
		standing.text = arena_printf(step->arena, "not known (%s)", problem.text);
	}
	if (!standing.holds) {
		watch->held_since_ms[i] = 0;
		if (past_deadline(watch, condition)) {
			const char *more =
				condition->within_ms
					? arena_printf(step->arena,
			                               "; it was waited for %s (within)",
			                               clock_duration_text(step->arena,
			                                                   condition->within_ms))
					: "; it has no `within`, so it must hold at once";
			name_condition(condition, &standing, err, ERROR_FAILED, more);
			return false;
		}
		sleep_until(watch, condition, &standing, round);
	} else if (watch->held_since_ms[i] == 0) {
		watch->held_since_ms[i] = clock_now_ms();
	}
	if (standing.holds && steady(watch, i, round))
		round->holding++;
	if (standing.again_ms && (!round->again_ms || standing.again_ms < round->again_ms))
		round->again_ms = standing.again_ms;
	value_add(round->list, describe(step, watch, i, &standing));
	return true;
}

static bool tell_waiting(struct step *step, const struct watch *watch, const struct round *round,
                         struct error *err)
{
	struct value *message = host_message(step, "waiting");

	value_set_text(step->arena, message, "for", watch->noun);
	value_set(step->arena, message, "conditions", value_copy(step->arena, round->list));
	if (round->only_time && round->sleep_until_ms)
		value_set_number(step->arena, message, "until_ms", round->sleep_until_ms);
	return host_send(step, message, err);
}

static bool pause_between(struct step *step, const struct round *round, int64_t *look_ms,
                          struct error *err)
{
	if (round->only_time && round->sleep_until_ms > clock_now_ms())
		return step_wait_until(step, round->sleep_until_ms, NULL, err);
	int64_t pause_ms = round->again_ms ? round->again_ms : *look_ms;
	if (clock_can_jump() && pause_ms > 500)
		pause_ms = 500;
	*look_ms = *look_ms * 3 / 2 < LOOK_SELDOM_MS ? *look_ms * 3 / 2 : LOOK_SELDOM_MS;
	return step_sleep(step, pause_ms, err);
}

static bool wait_round(struct step *step, struct watch *watch, int64_t *look_ms, struct arena *kept,
                       struct value **evidence, struct error *err)
{
	struct round round = {.list = value_list(step->arena), .only_time = true};

	for (size_t i = 0; i < watch->conditions->count; i++)
		if (!look_at(step, watch, i, &round, err))
			return fail_while(err, "%s", watch->noun);
	if (round.holding == watch->conditions->count) {
		*evidence = value_copy(kept, round.list);
		return true;
	}
	return tell_waiting(step, watch, &round, err) && pause_between(step, &round, look_ms, err);
}

/* A wait may last days: what each round allocates is given back before the next. */
bool watch_wait(struct step *step, struct watch *watch, struct value **evidence, struct error *err)
{
	struct arena *kept = step->arena, scratch = {0};
	int64_t look_ms = LOOK_FIRST_MS;
	bool fine = true;

	step->arena = &scratch;
	for (*evidence = NULL; fine && !*evidence;) {
		arena_free(&scratch);
		fine = wait_round(step, watch, &look_ms, kept, evidence, err);
	}
	step->arena = kept;
	arena_free(&scratch);
	return fine;
}
