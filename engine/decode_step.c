/* SPDX-License-Identifier: MIT */
/* Steps: who is included, how often (for_each), and what each instance says. */
#include "engine/base/text.h"
#include "engine/decode.h"
#include "engine/reference.h"
#include "engine/unit.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const struct key step_keys[] = {
	{"uses", VALUE_TEXT, true, "the module, such as heroku.app"},
	{"with", VALUE_MAP, false, "the fields of the module"},
	{"title", VALUE_TEXT, false, "a sentence for people"},
	{"needs", VALUE_LIST, false, "the steps that come first"},
	{"if", VALUE_NULL, false, "include it or leave it out, from inputs"},
	{"for_each", VALUE_NULL, false, "once for each item of a list; the item is ${each}"},
	{"preconditions", VALUE_LIST, false, "conditions to wait for before acting"},
	{"postconditions", VALUE_LIST, false, "conditions that must hold afterwards"},
	{"invariants", VALUE_LIST, false, "conditions that must hold all the while"},
	{"approval", VALUE_MAP, false, "who must say yes first"},
	{"timeout", VALUE_TEXT, false, "how long it may look, and how long it may act"},
	{"retry", VALUE_MAP, false, "how often it is tried again"},
	{"on_failure", VALUE_TEXT, false, "stop, continue, or roll back to STEP"},
	{"rollback", VALUE_NULL, false, "the way back: a list of steps, or {nothing: why}"},
	{"irreversible", VALUE_TEXT, false, "why there is no way back"},
	{0},
};

const struct key retry_keys[] = {
	{"attempts", VALUE_INT, false, "how often in all"},
	{"backoff", VALUE_TEXT, false, "the pause between, `2s to 60s`"},
	{0},
};

const struct key approval_keys[] = {
	{"by", VALUE_INT, true, "how many people"},
	{"from", VALUE_LIST, false, "who may"},
	{"text", VALUE_TEXT, false, "what they should know"},
	{0},
};

static const struct key nothing_keys[] = {
	{"nothing", VALUE_TEXT, true, "why the way back may pass over it"},
	{0},
};

#define MOST_UNROLLED 1000000

/* ---- Declarations ---- */

static bool is_step_name(const char *name)
{
	if (!islower((unsigned char)name[0]) || strlen(name) > 100)
		return false;
	for (const char *c = name; *c; c++)
		if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-')
			return false;
	return true;
}

void decode_declarations(struct decoder *decoder)
{
	const struct value *steps = value_get(decoder->plan->root, "steps");
	size_t count = steps && steps->kind == VALUE_MAP ? steps->as.items.count : 0;

	decoder->declarations =
		arena_array(&decoder->scratch, count + 1, sizeof *decoder->declarations);
	decoder->needed_by = arena_array(&decoder->scratch, count + 1, sizeof(size_t));
	names_begin(&decoder->by_name, &decoder->scratch, count);
	for (const struct value *one = count ? steps->as.items.first : NULL; one; one = one->next) {
		size_t index = decoder->declaration_count++;
		if (!is_step_name(one->key))
			problems_add(
				decoder->problems, one->key_at,
				"`%s` is no name for a step; use a-z, 0-9 and -, beginning with "
				"a letter",
				one->key);
		decoder->declarations[index] = (struct declaration){
			.name = one->key, .map = one, .included = true, .index = index};
		names_add(&decoder->by_name, one->key, index, NULL);
	}
}

/* ---- if and for_each ---- */

static bool decide_if(struct decoder *decoder, const struct value *condition)
{
	const struct value *value = decode_value(decoder, condition, false);
	const char *input = value_get_text(value, "input", NULL);

	if (value->kind == VALUE_BOOL)
		return value->as.truth;
	if (decode_as_written(decoder) && decode_has_reference(value))
		return true;
	if (input && value_get(value, "equals")) {
		size_t index;
		if (names_find(&decoder->inputs, input, &index))
			return value_equal(decoder->plan->inputs[index].value,
			                   value_get(value, "equals"));
	}
	problems_add(decoder->problems, condition->at,
	             "`if` is decided from inputs: ${inputs.NAME} of a bool, or {input: NAME, "
	             "equals: VALUE}");
	return true;
}

/* A small file must not become a large plan: for_each times what the step says. */
static void unroll(struct decoder *decoder, const struct declaration *declaration)
{
	bool was_over = decoder->unrolled > MOST_UNROLLED;

	decoder->unrolled += declaration->count * value_count(declaration->map);
	if (!was_over && decoder->unrolled > MOST_UNROLLED)
		problems_add(decoder->problems, declaration->map->key_at,
		             "with `for_each` written out the plan has more than 1,000,000 parts; "
		             "split it");
}

static void decode_presence(struct decoder *decoder, struct declaration *declaration)
{
	const struct value *condition = value_get(declaration->map, "if");
	const struct value *each = value_get(declaration->map, "for_each");

	declaration->count = 1;
	if (condition)
		declaration->included = decide_if(decoder, condition);
	if (each) {
		declaration->each = decode_value(decoder, each, false);
		bool open = decode_as_written(decoder) && decode_has_reference(declaration->each);
		if (declaration->each->kind != VALUE_LIST && !open) {
			problems_add(
				decoder->problems, each->at,
				"`for_each` takes a list, such as ${inputs.NAME} of a list input");
			declaration->each = NULL;
		}
	}
	if (decode_as_written(decoder))
		return;
	if (declaration->each) {
		declaration->count = declaration->each->as.items.count;
		unroll(decoder, declaration);
	}
	if (!declaration->included)
		declaration->count = 0;
}

/* ---- The keys of a step ---- */

static void decode_needs(struct decoder *decoder, const struct value *list)
{
	for (const struct value *one = list->as.items.first; one; one = one->next) {
		const char *name = value_reveal(one);
		struct declaration *found = name ? decode_find(decoder, name) : NULL;
		const char *near = name && !found ? decode_nearest_step(decoder, name) : NULL;
		if (found)
			decode_need(decoder, found->index);
		else
			problems_add(decoder->problems, one->at, "there is no step %s%s%s%s",
			             name ? name : "of that kind", near ? "; did you mean " : "",
			             near ? near : "", near ? "?" : "");
	}
}

static void decode_backoff(struct decoder *decoder, const struct value *text,
                           struct plan_step *step)
{
	char from[64];
	const char *to = strstr(text->as.text, " to ");
	size_t length = to ? (size_t)(to - text->as.text) : strlen(text->as.text);
	struct error err;

	if (length < sizeof from) {
		memcpy(from, text->as.text, length);
		from[length] = '\0';
		if (unit_parse_duration(from, &step->backoff_from_ms, &err) &&
		    unit_parse_duration(to ? to + 4 : from, &step->backoff_to_ms, &err) &&
		    step->backoff_from_ms <= step->backoff_to_ms)
			return;
	}
	problems_add(decoder->problems, text->at,
	             "backoff: write `2s to 60s`, the shorter pause first");
}

static void decode_retry(struct decoder *decoder, const struct value *map, struct plan_step *step)
{
	const struct value *backoff = value_get(map, "backoff");

	if (!decode_keys(decoder, map, retry_keys, "retry"))
		return;
	step->retry_attempts = value_get_number(map, "attempts", step->retry_attempts);
	if (step->retry_attempts < 1 || step->retry_attempts > 1000)
		problems_add(decoder->problems, value_get(map, "attempts")->at,
		             "attempts: write a number from 1 to 1000");
	if (backoff && backoff->kind == VALUE_TEXT)
		decode_backoff(decoder, backoff, step);
}

static void decode_on_failure(struct decoder *decoder, const struct value *value,
                              struct plan_step *step)
{
	static const char back[] = "roll back to ";
	const char *text = value_reveal(value);

	if (text && strcmp(text, "stop") == 0) {
		step->on_failure = ON_FAILURE_STOP;
	} else if (text && strcmp(text, "continue") == 0) {
		step->on_failure = ON_FAILURE_CONTINUE;
	} else if (text && strncmp(text, back, strlen(back)) == 0) {
		step->on_failure = ON_FAILURE_ROLL_BACK;
		step->roll_back_to = text + strlen(back);
		if (!decode_find(decoder, step->roll_back_to))
			problems_add(decoder->problems, value->at,
			             "there is no step %s to roll back to", step->roll_back_to);
	} else {
		problems_add(decoder->problems, value->at,
		             "on_failure: write stop, continue, or roll back to STEP");
	}
}

static void decode_approval(struct decoder *decoder, const struct value *map,
                            struct plan_step *step)
{
	if (!decode_keys(decoder, map, approval_keys, "approval"))
		return;
	step->approval = (struct plan_approval){
		.by = value_get_number(map, "by", 0),
		.from = value_get(map, "from"),
		.text = value_get_text(map, "text", NULL),
	};
	if (step->approval.by < 1 && value_get(map, "by"))
		problems_add(decoder->problems, value_get(map, "by")->at,
		             "approval: `by` is how many people, at least 1");
	if (step->approval.from && step->approval.from->kind == VALUE_LIST &&
	    (int64_t)step->approval.from->as.items.count < step->approval.by)
		problems_add(decoder->problems, step->approval.from->at,
		             "approval: %lld people must say yes, but `from` names only %zu",
		             (long long)step->approval.by, step->approval.from->as.items.count);
}

static void decode_step(struct decoder *decoder, const struct value *map, struct plan_step *step);

static void decode_rollback_steps(struct decoder *decoder, const struct value *list,
                                  struct plan_step *step)
{
	size_t i = 0;

	step->rollback = ROLLBACK_STEPS;
	step->rollback_steps =
		arena_array(decoder->arena, list->as.items.count, sizeof *step->rollback_steps);
	for (const struct value *one = list->as.items.first; one; one = one->next, i++) {
		struct plan_step *inner = &step->rollback_steps[i];
		*inner = decoder->defaults;
		inner->id = arena_printf(decoder->arena, "%s.rollback[%zu]", step->id, i + 1);
		inner->name = inner->id;
		inner->each = step->each;
		inner->rollback = ROLLBACK_NOTHING; /* a way back needs none of its own */
		inner->rollback_why = "It is the way back.";
		decode_step(decoder, one, inner);
		inner->rollback = ROLLBACK_NOTHING;
	}
	step->rollback_step_count = i;
}

static void decode_rollback(struct decoder *decoder, const struct value *map,
                            struct plan_step *step)
{
	const struct value *rollback = value_get(map, "rollback");
	const struct value *irreversible = value_get(map, "irreversible");

	if (rollback && irreversible)
		problems_add(decoder->problems, irreversible->key_at,
		             "a step has `rollback` or `irreversible`, not both");
	if (irreversible) {
		step->rollback = ROLLBACK_NEVER;
		step->rollback_why = value_get_text(map, "irreversible", "");
	} else if (rollback && rollback->kind == VALUE_LIST && !rollback->as.items.first) {
		problems_add(decoder->problems, rollback->at,
		             "`rollback` names no step; write the steps, or {nothing: why}");
	} else if (rollback && rollback->kind == VALUE_LIST) {
		decode_rollback_steps(decoder, rollback, step);
	} else if (rollback && decode_keys(decoder, rollback, nothing_keys, "rollback")) {
		step->rollback = ROLLBACK_NOTHING;
		step->rollback_why = value_get_text(rollback, "nothing", "");
	}
	bool covered = !step->module || step_has_inverse(step->module, step->with) || rollback ||
	               irreversible || step->module->traits & STEP_READ_ONLY ||
	               step->rollback == ROLLBACK_NOTHING;
	if (!covered)
		problems_add(decoder->problems, map->key_at,
		             "%s cannot be undone by itself: write %s%s%s`rollback:` (steps, or "
		             "{nothing: why}) or `irreversible: why`",
		             step->module->name, step->module->undo ? "its field `" : "",
		             step->module->undo ? step->module->undo : "",
		             step->module->undo ? "`, " : "");
}

static void decode_module(struct decoder *decoder, const struct value *map, struct plan_step *step)
{
	const struct value *uses = value_get(map, "uses"), *with = value_get(map, "with");

	if (!uses || uses->kind != VALUE_TEXT)
		return;
	step->module = registry_module(decoder->plan->registry, uses->as.text);
	if (!step->module) {
		const char *near = registry_nearest_module(decoder->plan->registry, uses->as.text);
		problems_add(decoder->problems, uses->at, "there is no module %s%s%s%s",
		             uses->as.text, near ? "; did you mean " : "; `plan steps` lists them",
		             near ? near : "", near ? "?" : "");
		if (with)
			decode_value(decoder, with, true);
		return;
	}
	step->with = decode_fields(decoder, with, step->module->fields, NULL, step->module->name,
	                           with ? with->at : map->key_at);
	decode_check_module(decoder, step, with ? with->at : map->key_at);
}

static void decode_step(struct decoder *decoder, const struct value *map, struct plan_step *step)
{
	const struct value *needs = value_get(map, "needs"), *retry = value_get(map, "retry");
	const struct value *on_failure = value_get(map, "on_failure");
	const struct value *approval = value_get(map, "approval");

	step->at = map->key_at.line ? map->key_at : map->at;
	step->title = value_get_text(map, "title", NULL);
	if (!decode_keys(decoder, map, step_keys, "a step"))
		return;
	decode_module(decoder, map, step);
	if (needs && needs->kind == VALUE_LIST)
		decode_needs(decoder, needs);
	decode_conditions(decoder, value_get(map, "preconditions"), &step->preconditions);
	decode_conditions(decoder, value_get(map, "postconditions"), &step->postconditions);
	decode_conditions(decoder, value_get(map, "invariants"), &step->invariants);
	decode_limit(decoder, map, "timeout", &step->timeout_ms);
	if (retry && retry->kind == VALUE_MAP)
		decode_retry(decoder, retry, step);
	if (on_failure)
		decode_on_failure(decoder, on_failure, step);
	if (approval && approval->kind == VALUE_MAP)
		decode_approval(decoder, approval, step);
	decode_rollback(decoder, map, step);
}

/* ---- Instances ---- */

static void decode_instance(struct decoder *decoder, struct declaration *declaration,
                            const struct value *each, struct plan_step *step)
{
	*step = decoder->defaults;
	step->name = step->id = declaration->name;
	step->written = declaration->map;
	step->each = each;
	if (each) {
		struct text item = {.limit = 300};
		value_print(each, &item);
		step->id = arena_printf(decoder->arena, "%s[%s]", declaration->name,
		                        text_string(&item));
		text_free(&item);
	}
	decoder->at = declaration;
	decoder->each = each;
	decode_step(decoder, declaration->map, step);
	decoder->at = NULL;
	decoder->each = NULL;
}

/* A step that is left out is read all the same: its mistakes count, and so does what it needs,
 * which still comes before the steps that need it. */
static void decode_left_out(struct decoder *decoder, struct declaration *declaration)
{
	struct plan_step unused;
	const struct value *first = declaration->each ? declaration->each->as.items.first : NULL;
	bool many = value_get(declaration->map, "for_each") != NULL;

	decode_instance(decoder, declaration,
	                many && !first ? value_text(decoder->arena, "each") : first, &unused);
}

/* One step, whatever `if` and `for_each` say. */
static void decode_once(struct decoder *decoder, struct declaration *declaration)
{
	struct plan_step *step = &decoder->steps[decoder->step_count++];

	*step = decoder->defaults;
	step->name = step->id = declaration->name;
	step->written = declaration->map;
	step->each = declaration->each;
	step->left_out = !declaration->included;
	decoder->at = declaration;
	if (value_get(declaration->map, "for_each"))
		decoder->each = value_text(decoder->arena, "${each}");
	decode_step(decoder, declaration->map, step);
	decoder->at = NULL;
	decoder->each = NULL;
}

static void decode_instances(struct decoder *decoder, struct declaration *declaration)
{
	const struct value *each = declaration->each ? declaration->each->as.items.first : NULL;

	declaration->first = decoder->step_count;
	if (decode_as_written(decoder)) {
		decode_once(decoder, declaration);
		return;
	}
	if (declaration->count == 0)
		decode_left_out(decoder, declaration);
	for (size_t i = 0; i < declaration->count; i++, each = each ? each->next : NULL)
		decode_instance(decoder, declaration, each, &decoder->steps[decoder->step_count++]);
}

/* Fills what every step begins with. */
static void decode_defaults(struct decoder *decoder)
{
	const struct value *map = value_get(decoder->plan->root, "defaults");
	const struct value *retry = value_get(map, "retry");
	const struct value *on_failure = value_get(map, "on_failure");

	decoder->defaults = (struct plan_step){
		.retry_attempts = 1, .backoff_from_ms = 2000, .backoff_to_ms = 60000};
	if (!map || map->kind != VALUE_MAP || !decode_keys(decoder, map, defaults_keys, "defaults"))
		return;
	decode_limit(decoder, map, "timeout", &decoder->defaults.timeout_ms);
	if (retry && retry->kind == VALUE_MAP)
		decode_retry(decoder, retry, &decoder->defaults);
	if (on_failure)
		decode_on_failure(decoder, on_failure, &decoder->defaults);
}

void decode_steps(struct decoder *decoder)
{
	size_t count = 0;

	decode_defaults(decoder);
	struct plan_step *defaults = arena_alloc(decoder->arena, sizeof *defaults);
	*defaults = decoder->defaults;
	decoder->plan->defaults = defaults;
	for (size_t i = 0; i < decoder->declaration_count && decoder->unrolled <= MOST_UNROLLED;
	     i++) {
		decode_presence(decoder, &decoder->declarations[i]);
		count += decoder->declarations[i].count;
	}
	bool too_many = decoder->unrolled > MOST_UNROLLED;
	decoder->steps =
		arena_array(decoder->arena, too_many ? 1 : count + 1, sizeof *decoder->steps);
	for (size_t i = 0; i < decoder->declaration_count; i++) {
		if (too_many || problems_full(decoder->problems))
			decoder->declarations[i].count = 0;
		else
			decode_instances(decoder, &decoder->declarations[i]);
	}
}
