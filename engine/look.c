/* SPDX-License-Identifier: MIT */
/* Looks at the world and compares it with the plan. */
#include "engine/look.h"
#include "engine/host.h"
#include "engine/resolve.h"

#include <string.h>

struct value *look_describe(struct arena *arena, const struct changes *changes)
{
	struct value *list = value_list(arena);

	for (const struct change *change = changes->first; change; change = change->next) {
		struct value *map = value_map(arena);
		value_set_text(arena, map, "path", change->path);
		if (change->from)
			value_set(arena, map, "from", value_copy(arena, change->from));
		if (change->to)
			value_set(arena, map, "to", value_copy(arena, change->to));
		if (change->note)
			value_set_text(arena, map, "note", change->note);
		value_add(list, map);
	}
	return list;
}

/* "dns/${names}/ttl" over a list gives a subject for each item. */
static const struct value *list_in(const char *template, const struct value *with)
{
	for (const struct value *item = with->as.items.first; item; item = item->next) {
		const char *at = strstr(template, item->key);
		if (item->kind == VALUE_LIST && at && at >= template + 2 &&
		    strncmp(at - 2, "${", 2) == 0 && at[strlen(item->key)] == '}')
			return item;
	}
	return NULL;
}

static void add_subject(struct step *step, const char *template, const struct value *with,
                        struct value *list)
{
	char *subject = resolve_template(template, with, step->outputs, step->arena);

	if (subject)
		value_add(list, value_text(step->arena, subject));
}

struct value *look_subjects(struct step *step)
{
	struct value *list = value_list(step->arena);
	const char *const *templates = step->module->subjects;

	for (size_t i = 0; templates && templates[i]; i++) {
		const struct value *many = list_in(templates[i], step->with);
		if (!many) {
			add_subject(step, templates[i], step->with, list);
			continue;
		}
		for (const struct value *one = many->as.items.first; one; one = one->next) {
			struct value *with = value_copy(step->arena, step->with);
			value_set(step->arena, with, many->key, value_copy(step->arena, one));
			add_subject(step, templates[i], with, list);
		}
	}
	return list;
}

static bool compare_by_table(struct step *step, const struct value *seen, struct changes *changes)
{
	struct value *wanted = value_map(step->arena);

	for (const struct value *item = step->with->as.items.first; item; item = item->next)
		if (value_get(seen, item->key))
			value_set(step->arena, wanted, item->key, value_copy(step->arena, item));
	changes_compare(changes, "", seen, wanted);
	return true;
}

bool look_at(struct step *step, struct value **seen, struct changes *changes, struct error *err)
{
	*seen = value_map(step->arena);
	*changes = (struct changes){.arena = step->arena};
	step->outputs = value_map(step->arena);
	if (!step->module->observe(step, *seen, err))
		return fail_while(err, "look");
	if (step->module->plan)
		return step->module->plan(step, *seen, changes, err) || fail_while(err, "compare");
	return compare_by_table(step, *seen, changes);
}

static bool send_looked(struct step *step, const struct changes *changes, struct error *err)
{
	struct value *message = host_message(step, "looked");

	value_set(step->arena, message, "changes", look_describe(step->arena, changes));
	value_set(step->arena, message, "outputs", step->outputs);
	value_set(step->arena, message, "subjects", look_subjects(step));
	return host_send(step, message, err);
}

/* A field that must be there but is not known yet: there is nothing to look at. */
static const struct value *unknown_field(const struct step *step)
{
	const struct field *field = step->module->fields;

	for (; field && field->name; field++) {
		const struct value *given = value_get(step->with, field->name);
		if ((field->flags & FIELD_REQUIRED) && given && value_has_unknown(given))
			return given;
	}
	return NULL;
}

/* The step of this plan that took away what this one, done before, would read to compare. */
static const char *taken_away_by(struct step *step)
{
	const struct plan *plan = step->host->plan;
	const char *const *reads = step->module->reads;

	for (size_t r = 0; step->was_done && reads && reads[r]; r++) {
		const char *read =
			resolve_template(reads[r], step->with, step->outputs, step->arena);
		for (size_t i = 0; read && i < plan->step_count; i++) {
			const struct run_step *other = run_step(step->host->run, plan->steps[i].id);
			if (!(plan->steps[i].module->traits & STEP_DESTROYS) ||
			    other->state != RUN_DONE || !other->subjects)
				continue;
			for (const struct value *one = other->subjects->as.items.first; one;
			     one = one->next)
				if (run_encloses(value_reveal(one), read))
					return plan->steps[i].id;
		}
	}
	return NULL;
}

bool look_only(struct step *step, struct error *err)
{
	struct value *seen;
	struct changes changes = {.arena = step->arena};
	const struct value *unknown = unknown_field(step);

	if (taken_away_by(step)) {
		/* There is nothing left to compare with; what it gave to others stays known. */
		const struct value *outputs = run_step(step->host->run, step->id)->outputs;
		if (outputs)
			step->outputs = value_copy(step->arena, outputs);
		return send_looked(step, &changes, err);
	}
	if (!unknown)
		return look_at(step, &seen, &changes, err) && send_looked(step, &changes, err);
	const char *note = arena_printf(step->arena, "%s is known only later", unknown->key);
	changes_add(&changes, unknown->key, NULL, unknown, note);
	return send_looked(step, &changes, err);
}
