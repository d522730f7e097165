/* SPDX-License-Identifier: MIT */
/* What stands before the steps: name, inputs, secrets, connections, windows, notifications. */
#include "engine/compare_parts.h"

#include <string.h>

static const struct field no_fields[] = {{0}};

static bool is_map(const struct value *value)
{
	return value && value->kind == VALUE_MAP;
}

/* ---- Steps that use an input ---- */

static bool mentions(const struct value *value, const char *reference)
{
	if (value->kind == VALUE_TEXT)
		return strstr(value->as.text, reference) != NULL;
	for (const struct value *one = compare_items(value); one; one = one->next)
		if (mentions(one, reference))
			return true;
	return false;
}

static const char *users_of(struct compare *compare, const char *kind, const char *name)
{
	const struct plan *plan = compare->plan[NEW];
	const char *reference = arena_printf(compare->arena, "${%s.%s}", kind, name);
	bool *users = arena_array(&compare->scratch, plan->step_count + 1, sizeof *users);

	for (size_t i = 0; i < plan->step_count; i++)
		users[i] = mentions(plan->steps[i].written, reference);
	const char *names = compare_names(compare, NEW, users);
	arena_free(&compare->scratch);
	return names;
}

static bool waits_for_window(const struct plan_conditions *conditions, const char *name)
{
	for (size_t i = 0; i < conditions->count; i++) {
		const struct plan_condition *condition = &conditions->list[i];
		const char *of = condition->of ? value_reveal(condition->of) : NULL;
		if (condition->metric && condition->metric->of == OF_WINDOW && of &&
		    strcmp(of, name) == 0)
			return true;
	}
	return false;
}

static const char *users_of_window(struct compare *compare, const char *name)
{
	const struct plan *plan = compare->plan[NEW];
	bool *users = arena_array(&compare->scratch, plan->step_count + 1, sizeof *users);

	for (size_t i = 0; i < plan->step_count; i++)
		users[i] = waits_for_window(&plan->steps[i].preconditions, name) ||
		           waits_for_window(&plan->steps[i].postconditions, name) ||
		           waits_for_window(&plan->steps[i].invariants, name);
	const char *names = compare_names(compare, NEW, users);
	arena_free(&compare->scratch);
	return names;
}

/* ---- Parts that are maps of maps ---- */

/* Gives one entry as it may be shown. */
typedef const struct value *show_entry(struct compare *compare, const struct value *entry);

struct part {
	const char *key;
	enum topic topic;
	show_entry *show;
	const char *used_as; /* how steps refer to an entry; NULL */
};

static const struct value *show_plain(struct compare *compare, const struct value *entry)
{
	(void)compare;
	return entry;
}

/* Where it is looked for, and nothing else: what stands in the wrong place may be the secret. */
static const struct value *show_secret(struct compare *compare, const struct value *entry)
{
	static const char *const sources[] = {"env", "file"};
	struct value *shown = value_map(compare->arena);

	for (size_t i = 0; i < 2; i++) {
		const char *source = value_get_text(entry, sources[i], NULL);
		if (source)
			value_set_text(compare->arena, shown, sources[i], source);
	}
	return shown->as.items.count
	               ? shown
	               : value_secret(compare->arena, "", "(hidden: neither env nor file)");
}

static const struct connection_kind *kind_of(struct compare *compare, const struct value *entry)
{
	const struct plan *plan =
		compare->plan[NEW]->registry ? compare->plan[NEW] : compare->plan[OLD];

	return registry_connection(plan->registry, value_get_text(entry, "uses", ""));
}

static const struct value *show_connection(struct compare *compare, const struct value *entry)
{
	const struct connection_kind *kind = kind_of(compare, entry);
	struct value *shown = value_map(compare->arena);

	for (const struct value *one = compare_items(entry); one; one = one->next) {
		if (!one->key)
			continue;
		const struct field *field =
			strcmp(one->key, "uses") == 0
				? NULL
				: compare_field(kind ? kind->fields : NULL, one->key);
		value_set(compare->arena, shown, one->key, compare_masked(compare, one, field));
	}
	return shown;
}

static const struct part parts[] = {
	{"inputs", TOPIC_INPUTS, show_plain, "inputs"},
	{"secrets", TOPIC_SECRETS, show_secret, "secrets"},
	{"connections", TOPIC_CONNECTIONS, show_connection, NULL},
	{"windows", TOPIC_WINDOWS, show_plain, NULL},
};

static void compare_whole_entry(struct compare *compare, struct difference difference,
                                const struct part *part, const struct value *old,
                                const struct value *new)
{
	difference.from = old ? compare_print(compare, part->show(compare, old)) : NULL;
	difference.to = new ? compare_print(compare, part->show(compare, new)) : NULL;
	compare_add(compare, difference);
}

static void compare_connection(struct compare *compare, struct difference difference,
                               const struct value *old, const struct value *new)
{
	const struct connection_kind *kind = kind_of(compare, new);
	struct compare_maps maps = {
		.old = old,
		.new = new,
		.fields = kind ? kind->fields : no_fields,
		.prefix = "",
		.except = "uses",
	};

	if (kind == kind_of(compare, old)) {
		compare_entries(compare, difference, &maps);
		return;
	}
	difference.from = compare_print(compare, show_connection(compare, old));
	difference.to = compare_print(compare, show_connection(compare, new));
	compare_add(compare, difference);
}

static void compare_entry(struct compare *compare, const struct part *part, const struct value *old,
                          const struct value *new)
{
	const char *name = new ? new->key : old->key;
	struct difference difference = {.topic = part->topic,
	                                .subject = compare_clean(compare->arena, name)};
	const char *users = part->used_as                  ? users_of(compare, part->used_as, name)
	                    : part->topic == TOPIC_WINDOWS ? users_of_window(compare, name)
	                                                   : NULL;

	difference.note = users ? "used by" : NULL;
	difference.names = users;
	bool maps = old && new && old->kind == VALUE_MAP &&new->kind == VALUE_MAP;
	if (value_equal(old, new))
		return;
	if (part->topic == TOPIC_INPUTS && is_map(new) && value_get(old, "default") &&
	    !value_get(new, "default"))
		difference.note = users ? "must now be given; used by" : "must now be given";
	if (!maps) {
		compare_whole_entry(compare, difference, part, old, new);
		return;
	}
	if (part->topic == TOPIC_CONNECTIONS) {
		compare_connection(compare, difference, old, new);
		return;
	}
	size_t count = compare->out->count;
	struct compare_maps shown = {
		.old = part->show(compare, old), .new = part->show(compare, new), .prefix = ""};
	if (shown.old->kind == VALUE_MAP && shown.new->kind == VALUE_MAP)
		compare_entries(compare, difference, &shown);
	if (compare->out->count == count) {
		/* It differs where nothing may be shown. */
		difference.from = difference.to = "(hidden)";
		difference.note = "another value";
		difference.unlike = true;
		compare_add(compare, difference);
	}
}

static void compare_part(struct compare *compare, const struct part *part)
{
	const struct value *old = value_get(compare->plan[OLD]->root, part->key);
	const struct value *new = value_get(compare->plan[NEW]->root, part->key);

	old = is_map(old) ? old : NULL;
	new = is_map(new) ? new : NULL;
	for (const struct value *one = compare_items(new); one; one = one->next)
		compare_entry(compare, part, value_get(old, one->key), one);
	for (const struct value *one = compare_items(old); one; one = one->next)
		if (!value_get(new, one->key))
			compare_entry(compare, part, one, NULL);
}

/* ---- Notifications ---- */

/* The address is a secret: only a reference to one may be shown. */
static const char *notice_text(struct compare *compare, const struct value *notice)
{
	static const struct field secret = {.name = "url", .type = FIELD_SECRET};
	const struct value *url = value_get(notice, "url"), *on = value_get(notice, "on");

	return arena_printf(
		compare->arena, "on %s to %s", on ? compare_print(compare, on) : "nothing",
		url ? compare_print(compare, compare_masked(compare, url, &secret)) : "nobody");
}

static bool holds(const struct value *list, const struct value *wanted)
{
	for (const struct value *one = compare_items(list); one; one = one->next)
		if (value_equal(one, wanted))
			return true;
	return false;
}

static void compare_notices(struct compare *compare)
{
	const struct value *old = value_get(compare->plan[OLD]->root, "notify");
	const struct value *new = value_get(compare->plan[NEW]->root, "notify");
	struct difference difference = {.topic = TOPIC_NOTIFY, .what = "message"};

	for (const struct value *one = compare_items(new); one; one = one->next) {
		difference.to = notice_text(compare, one);
		if (!holds(old, one))
			compare_add(compare, difference);
	}
	difference.to = NULL;
	for (const struct value *one = compare_items(old); one; one = one->next) {
		difference.from = notice_text(compare, one);
		if (!holds(new, one))
			compare_add(compare, difference);
	}
}

void compare_head(struct compare *compare)
{
	static const char *const keys[] = {"plan", "name", "summary"};
	struct difference difference = {.topic = TOPIC_PLAN};

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		difference.what = keys[i];
		compare_values(compare, difference, value_get(compare->plan[OLD]->root, keys[i]),
		               value_get(compare->plan[NEW]->root, keys[i]), NULL);
	}
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		compare_part(compare, &parts[i]);
	compare_notices(compare);
}
