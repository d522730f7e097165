/* SPDX-License-Identifier: MIT */
/* The part of a plan before its steps: inputs, secrets, connections, windows, downtime, defaults.
 */
#include "engine/base/json.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"
#include "engine/decode.h"
#include "engine/unit.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const struct key plan_keys[] = {
	{"plan", VALUE_INT, true, "the version of the language; write `plan: 1`"},
	{"name", VALUE_TEXT, true, "a short name: a-z, 0-9 and -"},
	{"summary", VALUE_TEXT, true, "one sentence for reviewers"},
	{"inputs", VALUE_MAP, false, "values that may differ from run to run"},
	{"secrets", VALUE_MAP, false, "where secrets are found; never the secrets themselves"},
	{"connections", VALUE_MAP, false, "services that steps talk to"},
	{"windows", VALUE_MAP, false, "named windows of time"},
	{"downtime", VALUE_MAP, false, "from which step to which users are shut out"},
	{"notify", VALUE_LIST, false, "webhooks for named events"},
	{"defaults", VALUE_MAP, false, "timeout, retry and on_failure of steps that say nothing"},
	{"steps", VALUE_MAP, true, "what is to be done"},
	{0},
};

const struct key input_keys[] = {
	{"type", VALUE_TEXT, true,
         "string, bool, int, duration, rate, app, domain, url or path; or `list of` one"},
	{"default", VALUE_NULL, false, "the value when none is set"},
	{"one_of", VALUE_LIST, false, "the values allowed"},
	{"text", VALUE_TEXT, false, "what it is for"},
	{0},
};

const struct key secret_keys[] = {
	{"env", VALUE_TEXT, false, "the environment variable that holds it"},
	{"file", VALUE_TEXT, false, "the file that holds it, beneath the plan's directory"},
	{0},
};

const struct key window_keys[] = {
	{"days", VALUE_LIST, true, "days of the week: mon tue wed thu fri sat sun"},
	{"from", VALUE_TEXT, true, "the time it opens, \"22:00\""},
	{"to", VALUE_TEXT, true, "the time it closes, \"04:00\""},
	{"zone", VALUE_TEXT, true, "the time zone, such as Europe/Berlin"},
	{0},
};

const struct key downtime_keys[] = {
	{"begins", VALUE_TEXT, true, "the step with which users are shut out"},
	{"ends", VALUE_TEXT, true, "the step that lets them in again"},
	{"budget", VALUE_TEXT, false, "how long that may take"},
	{0},
};

const struct key defaults_keys[] = {
	{"timeout", VALUE_TEXT, false, "how long a step may act"},
	{"retry", VALUE_MAP, false, "how often and when it is tried again"},
	{"on_failure", VALUE_TEXT, false, "stop, continue, or roll back to STEP"},
	{0},
};

const struct key notify_keys[] = {
	{"on", VALUE_LIST, true, "events: started waiting approval failed rolled-back done"},
	{"url", VALUE_TEXT, true, "the webhook, as ${secrets.NAME}"},
	{0},
};

static bool is_name(const char *name)
{
	if (!islower((unsigned char)name[0]) || strlen(name) > 100)
		return false;
	for (const char *c = name; *c; c++)
		if (!islower((unsigned char)*c) && !isdigit((unsigned char)*c) && *c != '-' &&
		    *c != '_')
			return false;
	return true;
}

static void check_name(struct decoder *decoder, const struct value *item, const char *what)
{
	if (!is_name(item->key))
		problems_add(
			decoder->problems, item->key_at,
			"`%s` is no name for %s; use a-z, 0-9, - and _, beginning with a letter",
			item->key, what);
}

/* ---- Inputs ---- */

static const struct value *given_input(struct decoder *decoder, const char *name)
{
	return decoder->options ? value_get(decoder->options->inputs, name) : NULL;
}

/* --set gives texts: a list is written with commas, other types as in YAML. */
static struct value *from_command_line(struct decoder *decoder, const struct field *field,
                                       const struct value *given)
{
	const char *text = given->kind == VALUE_TEXT ? given->as.text : NULL;

	if (!text)
		return value_copy(decoder->arena, given);
	if (field->flags & FIELD_LIST) {
		struct value *list = value_list(decoder->arena);
		for (const char *at = text; *at;) {
			size_t length = strcspn(at, ",");
			value_add(list, value_text(decoder->arena,
			                           arena_text_n(decoder->arena, at, length)));
			at += length + (at[length] == ',');
		}
		return list;
	}
	if (field->type == FIELD_BOOL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
		return value_bool(decoder->arena, strcmp(text, "true") == 0);
	if (field->type == FIELD_INT) {
		long long number;
		char rest;
		if (sscanf(text, "%lld%c", &number, &rest) == 1)
			return value_number(decoder->arena, number);
	}
	return value_copy(decoder->arena, given);
}

static void decode_choices(struct decoder *decoder, struct field *field, const struct value *list)
{
	size_t i = 0;
	const char **choices =
		arena_array(decoder->arena, list->as.items.count + 1, sizeof *choices);

	for (const struct value *one = list->as.items.first; one; one = one->next) {
		struct text printed = {0};
		if (one->kind == VALUE_LIST || one->kind == VALUE_MAP || one->kind == VALUE_NULL)
			problems_add(decoder->problems, one->at,
			             "one_of: write the values themselves, this is a %s",
			             value_kind_name(one->kind));
		value_print(one, &printed);
		choices[i++] = arena_text(decoder->arena, text_string(&printed));
		text_free(&printed);
	}
	field->choices = choices;
}

static void decode_input(struct decoder *decoder, const struct value *map, struct plan_input *input)
{
	const struct value *fallback = value_get(map, "default"), *given, *choices;
	const char *type = value_get_text(map, "type", "");
	struct error err = {0};

	input->name = map->key;
	input->field = (struct field){.name = map->key, .text = value_get_text(map, "text", "")};
	check_name(decoder, map, "an input");
	if (!decode_keys(decoder, map, input_keys, "an input"))
		return;
	if (type[0] && !field_type_from_name(type, &input->field))
		problems_add(decoder->problems, value_get(map, "type")->at,
		             "there is no type `%s`; there are: string bool int duration rate app "
		             "domain url path, and `list of` each",
		             type);
	if ((choices = value_get(map, "one_of")) && choices->kind == VALUE_LIST)
		decode_choices(decoder, &input->field, choices);
	given = given_input(decoder, map->key);
	const struct value *value =
		given ? from_command_line(decoder, &input->field, given) : fallback;
	if (!value)
		return;
	/* The value stays as it is written: durations and rates become numbers in the fields. */
	if (field_accept(&input->field, value, decoder->arena, &err))
		input->value = value_copy(decoder->arena, value);
	else
		problems_add(decoder->problems, given ? map->key_at : value->at, "input %s: %s%s",
		             map->key, err.text, given ? " (set on the command line)" : "");
}

static void check_set_inputs(struct decoder *decoder)
{
	const struct value *set = decoder->options ? decoder->options->inputs : NULL;
	const struct plan *plan = decoder->plan;

	/* Of two versions that are compared, one may lack it. */
	if (decode_as_written(decoder))
		return;
	for (const struct value *one = set ? set->as.items.first : NULL; one; one = one->next) {
		struct nearest nearest = nearest_to(one->key);
		size_t index;
		if (names_find(&decoder->inputs, one->key, &index))
			continue;
		if (decode_may_guess(decoder, plan->input_count))
			for (size_t i = 0; i < plan->input_count; i++)
				nearest_try(&nearest, plan->inputs[i].name);
		problems_add(decoder->problems, (struct place){1, 1},
		             "the plan has no input %s%s%s%s (set on the command line)", one->key,
		             nearest.best ? "; did you mean " : "",
		             nearest.best ? nearest.best : "", nearest.best ? "?" : "");
	}
}

void decode_inputs(struct decoder *decoder)
{
	const struct value *inputs = value_get(decoder->plan->root, "inputs");
	struct plan *plan = decoder->plan;

	if (inputs && inputs->kind == VALUE_MAP) {
		plan->inputs =
			arena_array(decoder->arena, inputs->as.items.count, sizeof *plan->inputs);
		names_begin(&decoder->inputs, &decoder->scratch, inputs->as.items.count);
		for (const struct value *one = inputs->as.items.first; one; one = one->next) {
			names_add(&decoder->inputs, one->key, plan->input_count, NULL);
			decode_input(decoder, one, &plan->inputs[plan->input_count++]);
		}
	}
	check_set_inputs(decoder);
}

/* ---- Secrets and connections ---- */

static void check_secret_path(struct decoder *decoder, const struct value *secret)
{
	static const struct field path = {.name = "file", .type = FIELD_PATH};
	const struct value *file = value_get(secret, "file");
	struct error err = {0};

	if (file && !field_accept(&path, file, decoder->arena, &err))
		problems_add(decoder->problems, file->at, "file: %s", err.text);
}

static void decode_secrets(struct decoder *decoder, const struct value *secrets)
{
	struct plan *plan = decoder->plan;

	names_begin(&decoder->secrets, &decoder->scratch, secrets->as.items.count);
	plan->secrets = arena_array(decoder->arena, secrets->as.items.count, sizeof *plan->secrets);
	for (const struct value *one = secrets->as.items.first; one; one = one->next) {
		names_add(&decoder->secrets, one->key, plan->secret_count, NULL);
		struct plan_secret *secret = &plan->secrets[plan->secret_count++];
		check_name(decoder, one, "a secret");
		*secret = (struct plan_secret){
			.name = one->key,
			.env = value_get_text(one, "env", NULL),
			.file = value_get_text(one, "file", NULL),
			.at = one->at,
		};
		if (one->kind != VALUE_MAP)
			problems_add(decoder->problems, one->at,
			             "a secret never stands in a plan; write {env: VARIABLE} or "
			             "{file: PATH}, "
			             "and change the secret if it was real");
		else if (decode_keys(decoder, one, secret_keys, "a secret") &&
		         (secret->env != NULL) == (secret->file != NULL))
			problems_add(decoder->problems, one->at,
			             "a secret has one of `env` and `file`");
		check_secret_path(decoder, one);
	}
}

static void lacks_uses(struct decoder *decoder, const struct value *map)
{
	const struct value *items = map->kind == VALUE_MAP ? map->as.items.first : NULL;

	for (const struct value *item = items; item; item = item->next) {
		struct nearest nearest = nearest_to(item->key);
		nearest_try(&nearest, "uses");
		if (!nearest.best)
			continue;
		problems_add(decoder->problems, item->key_at,
		             "a connection has no key `%s`; did you mean `uses`?", item->key);
		return;
	}
	problems_add(decoder->problems, map->at,
	             "a connection is a map with `uses`, such as {uses: heroku, ...}");
}

static void decode_connection(struct decoder *decoder, const struct value *map)
{
	struct plan *plan = decoder->plan;
	const char *uses = value_get_text(map, "uses", NULL);
	const struct connection_kind *kind =
		uses ? registry_connection(plan->registry, uses) : NULL;

	check_name(decoder, map, "a connection");
	if (map->kind != VALUE_MAP || !uses) {
		lacks_uses(decoder, map);
		return;
	}
	if (!kind) {
		const char *near = registry_nearest_connection(plan->registry, uses);
		problems_add(decoder->problems, value_get(map, "uses")->at,
		             "there is no connection of kind %s%s%s%s", uses,
		             near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
		return;
	}
	names_add(&decoder->connections, map->key, plan->connection_count, NULL);
	plan->connections[plan->connection_count++] = (struct plan_connection){
		.name = map->key,
		.kind = kind,
		.with = decode_fields(decoder, map, kind->fields, "uses", kind->name, map->at),
		.at = map->at,
	};
}

static void decode_connections(struct decoder *decoder, const struct value *connections)
{
	struct plan *plan = decoder->plan;

	names_begin(&decoder->connections, &decoder->scratch, connections->as.items.count);
	plan->connections =
		arena_array(decoder->arena, connections->as.items.count, sizeof *plan->connections);
	for (const struct value *one = connections->as.items.first; one; one = one->next)
		decode_connection(decoder, one);
}

/* ---- Windows, downtime, notify ---- */

static bool is_time_of_day(const char *text)
{
	int hour, minute;
	char rest;

	return sscanf(text, "%2d:%2d%c", &hour, &minute, &rest) == 2 && hour >= 0 && hour < 24 &&
	       minute >= 0 && minute < 60;
}

static const char *const week[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL};
static const char *const events[] = {"started",     "waiting", "approval", "failed",
                                     "rolled-back", "done",    NULL};

static bool is_one_of(const struct value *value, const char *const *words)
{
	for (; *words; words++)
		if (value->kind == VALUE_TEXT && strcmp(value->as.text, *words) == 0)
			return true;
	return false;
}

static void decode_windows(struct decoder *decoder, const struct value *windows)
{
	static const char *const times[] = {"from", "to"};

	for (const struct value *one = windows->as.items.first; one; one = one->next) {
		check_name(decoder, one, "a window");
		if (!decode_keys(decoder, one, window_keys, "a window"))
			continue;
		for (size_t i = 0; i < 2; i++) {
			const struct value *time = value_get(one, times[i]);
			if (time && time->kind == VALUE_TEXT && !is_time_of_day(time->as.text))
				problems_add(decoder->problems, time->at,
				             "%s: write a time of day such as \"22:00\"", times[i]);
		}
		const struct value *days = value_get(one, "days");
		for (const struct value *day =
		             days && days->kind == VALUE_LIST ? days->as.items.first : NULL;
		     day; day = day->next)
			if (!is_one_of(day, week))
				problems_add(decoder->problems, day->at,
				             "days are mon tue wed thu fri sat sun");
	}
	decoder->plan->windows = windows;
}

static const char *step_name(struct decoder *decoder, const struct value *map, const char *key)
{
	const struct value *name = value_get(map, key);

	if (!name || name->kind != VALUE_TEXT)
		return NULL;
	if (!decode_find(decoder, name->as.text)) {
		const char *near = decode_nearest_step(decoder, name->as.text);
		problems_add(decoder->problems, name->at, "there is no step %s%s%s%s",
		             name->as.text, near ? "; did you mean " : "", near ? near : "",
		             near ? "?" : "");
	}
	return name->as.text;
}

static void decode_downtime(struct decoder *decoder, const struct value *downtime)
{
	struct plan *plan = decoder->plan;

	if (!decode_keys(decoder, downtime, downtime_keys, "downtime"))
		return;
	plan->downtime_begins = step_name(decoder, downtime, "begins");
	plan->downtime_ends = step_name(decoder, downtime, "ends");
	decode_limit(decoder, downtime, "budget", &plan->downtime_budget_ms);
}

static void decode_notify_one(struct decoder *decoder, const struct value *one)
{
	const struct value *url = value_get(one, "url"), *on = value_get(one, "on");

	if (!decode_keys(decoder, one, notify_keys, "a notification"))
		return;
	if (url && url->kind == VALUE_TEXT && strncmp(url->as.text, "${secrets.", 10) != 0)
		problems_add(decoder->problems, url->at,
		             "a webhook's address is a secret: write ${secrets.NAME}");
	if (url)
		decode_value(decoder, url, true);
	for (const struct value *event = on && on->kind == VALUE_LIST ? on->as.items.first : NULL;
	     event; event = event->next)
		if (!is_one_of(event, events))
			problems_add(decoder->problems, event->at,
			             "events are started waiting approval failed rolled-back done");
}

static void decode_notify(struct decoder *decoder, const struct value *notify)
{
	for (const struct value *one = notify->as.items.first; one; one = one->next)
		decode_notify_one(decoder, one);
	decoder->plan->notify = notify;
}

static void decode_identity(struct decoder *decoder)
{
	struct plan *plan = decoder->plan;
	const struct value *version = value_get(plan->root, "plan");
	const struct value *name = value_get(plan->root, "name");

	if (version && version->kind == VALUE_INT && version->as.number != 1)
		problems_add(decoder->problems, version->at,
		             "this plan is written for version %lld of the language; this program "
		             "reads version 1: use a newer one",
		             (long long)version->as.number);
	if (version && plan->root->as.items.first != version)
		problems_add(decoder->problems, version->key_at, "`plan: 1` must be the first key");
	plan->name = value_get_text(plan->root, "name", "");
	plan->summary = value_get_text(plan->root, "summary", "");
	if (name && name->kind == VALUE_TEXT && !is_name(name->as.text))
		problems_add(decoder->problems, name->at,
		             "`%s` is no name for a plan; use a-z, 0-9, - and _", name->as.text);
}

void decode_rest_of_head(struct decoder *decoder)
{
	static const struct {
		const char *key;
		enum value_kind kind;
		void (*decode)(struct decoder *decoder, const struct value *value);
	} parts[] = {
		{"secrets", VALUE_MAP, decode_secrets},
		{"connections", VALUE_MAP, decode_connections},
		{"windows", VALUE_MAP, decode_windows},
		{"downtime", VALUE_MAP, decode_downtime},
		{"notify", VALUE_LIST, decode_notify},
	};

	decode_identity(decoder);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		const struct value *part = value_get(decoder->plan->root, parts[i].key);
		if (part && part->kind == parts[i].kind)
			parts[i].decode(decoder, part);
	}
}
