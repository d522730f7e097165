/* SPDX-License-Identifier: MIT */
/* heroku.inventory: what of an app was carried over to another one, what a person has to do, and
 * what is left behind, and why. It stops the plan at what is left behind unexpectedly. */
#include "steps/heroku/inventory.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"
#include "steps/heroku/modules.h"

#include <string.h>

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The new app."},
	{"like", FIELD_APP, FIELD_REQUIRED | FIELD_EXISTS, NULL, NULL,
         "The app that has what it shall have."},
	{"later", FIELD_STEP, FIELD_MAP, NULL, NULL,
         "What a later step of the plan carries over: `domain: move-domain`. Where that step has a "
         "field with the name of the kind, only what it says is."},
	{"accept", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "What may be left behind: a kind (`webhook`) or one thing (`config:OLD_KEY`)."},
	{"refuse", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "What may not even be left to a person: kinds or things, in the same way."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static const struct field outputs[] = {
	{"copied", FIELD_STRING, FIELD_LIST, NULL, NULL, "What the new app has."},
	{"changed", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "Config vars that it has with another value."},
	{"later", FIELD_STRING, FIELD_LIST, NULL, NULL, "What later steps carry over."},
	{"manual", FIELD_STRING, FIELD_LIST, NULL, NULL, "What a person has to do."},
	{"left", FIELD_STRING, FIELD_LIST, NULL, NULL, "What is not carried over."},
	{0},
};

static const char is_later[] = "later";

/* ---- Names of kinds and things ---- */

static bool check_kind(const char *field, const char *name, struct error *err)
{
	size_t length = strcspn(name, ":");
	struct nearest nearest = nearest_to(name);
	struct text all = {0};

	for (const struct inventory_kind *kind = inventory_kinds; kind->name; kind++) {
		if (strlen(kind->name) == length && strncmp(kind->name, name, length) == 0) {
			text_free(&all);
			return true;
		}
		nearest_try(&nearest, kind->name);
		text_format(&all, "%s%s", all.length ? ", " : "", kind->name);
	}
	fail(err, ERROR_PLAN, "%s: there is no kind of things %.*s%s%s; there are %s", field,
	     (int)length, name, nearest.best ? "; did you mean " : "",
	     nearest.best ? nearest.best : "", text_string(&all));
	text_free(&all);
	return false;
}

static bool check(const struct value *with, struct error *err)
{
	static const char *const lists[] = {"accept", "refuse"};
	const struct value *later = value_get(with, "later");

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		const struct value *list = value_get(with, lists[i]);
		if (!list || list->kind != VALUE_LIST)
			continue;
		for (const struct value *one = list->as.items.first; one; one = one->next)
			if (value_reveal(one) && !check_kind(lists[i], value_reveal(one), err))
				return false;
	}
	if (!later || later->kind != VALUE_MAP)
		return true;
	for (const struct value *one = later->as.items.first; one; one = one->next)
		if (!check_kind("later", one->key, err))
			return false;
	return true;
}

static bool is_meant(const char *name, const char *what)
{
	size_t length = strlen(name);

	return strncmp(name, what, length) == 0 && (what[length] == '\0' || what[length] == ':');
}

static bool names(const struct step *step, const char *field, const char *what)
{
	const struct value *list = value_get(step->with, field);

	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next)
		if (value_reveal(one) && is_meant(value_reveal(one), what))
			return true;
	return false;
}

/* The step that carries it over; a thing's own entry comes before that of its kind. */
static const char *later_step(const struct step *step, const char *what)
{
	const struct value *later = value_get(step->with, "later");
	const char *found = value_get_text(later, what, NULL);

	for (const struct value *one = later && !found ? later->as.items.first : NULL; one;
	     one = one->next)
		if (is_meant(one->key, what))
			found = value_reveal(one);
	return found;
}

/* ---- Looking ---- */

/* Whether a later step, or one of its for_each, carries that thing over: where it has a field with
 * the name of the kind (`domain`), what that says must be the thing. */
static bool is_carried(struct step *step, const char *later, const char *what, bool *carried,
                       struct error *err)
{
	struct value *list = step_with_of(step, later, err);
	const char *name = strchr(what, ':');

	*carried = false;
	for (const struct value *one = list ? list->as.items.first : NULL; one && name;
	     one = one->next) {
		const struct value *its =
			value_get(one, arena_text_n(step->arena, what, (size_t)(name - what)));
		if (!its || !value_reveal(its) || strcmp(value_reveal(its), name + 1) == 0)
			*carried = true;
	}
	return list != NULL;
}

/* What later steps do is theirs, whatever stands there meanwhile: a copy of the data, say. */
static bool judge(struct step *step, struct value *entry, struct error *err)
{
	const char *what = value_get_text(entry, "what", "");
	const char *is = value_get_text(entry, "is", "");
	bool data = is_meant("data", what), carried = false;
	const char *later = strcmp(is, inventory_left) == 0 || data ? later_step(step, what) : NULL;

	if (later && !is_carried(step, later, what, &carried, err))
		return false;
	if (carried) {
		value_set_text(step->arena, entry, "is", is_later);
		value_set_text(step->arena, entry, "why",
		               arena_printf(step->arena, "by the step %s", later));
		return true;
	}
	if (later)
		value_set_text(step->arena, entry, "why",
		               arena_printf(step->arena,
		                            "%s, and the step %s does not carry it over",
		                            value_get_text(entry, "why", "it is there"), later));
	bool accepted = strcmp(is, inventory_left) != 0 || names(step, "accept", what);
	if (strcmp(is, inventory_manual) == 0 && names(step, "refuse", what))
		accepted = false;
	value_set_bool(step->arena, entry, "accepted", accepted);
	return true;
}

/* Before the new app is there, other steps may carry over what a later one does not even name. */
static bool is_foreseen(const struct inventory *inventory, const struct value *entry)
{
	const char *what = value_get_text(entry, "what", "");
	bool later = strcmp(value_get_text(entry, "is", ""), is_later) == 0;

	return inventory->to || !is_meant("domain", what) ||
	       (!later && later_step(inventory->heroku.step, what));
}

bool inventory_take(struct step *step, struct value **things, struct error *err)
{
	struct inventory inventory = {.entries = value_list(step->arena)};
	struct heroku *heroku = &inventory.heroku;

	*things = value_list(step->arena);
	if (!heroku_open(heroku, step, err))
		return false;
	inventory.app = lookup_field(heroku, "app");
	inventory.like = lookup_field(heroku, "like");
	if (!lookup_app(heroku, inventory.like, &inventory.from, err) ||
	    !lookup_app_needed(heroku, inventory.app, &inventory.to, err))
		return false;
	if (!inventory.from)
		return fail(err, ERROR_FAILED, "there is no app %s that this account may see",
		            inventory.like);
	for (const struct inventory_kind *kind = inventory_kinds; kind->name; kind++)
		if (kind->take && !kind->take(&inventory, err))
			return fail_while(err, "what %s has: %s", inventory.like, kind->name);
	for (struct value *one = inventory.entries->as.items.first; one; one = one->next) {
		if (!judge(step, one, err))
			return false;
		if (is_foreseen(&inventory, one))
			value_add(*things, value_copy(step->arena, one));
	}
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct value *things;

	if (!inventory_take(step, &things, err))
		return false;
	value_set(step->arena, seen, "things", things);
	return true;
}

/* ---- Telling ---- */

/* What is so, as a LIST of names and as one line. */
static struct value *pick(struct step *step, const struct value *things, const char *is,
                          struct text *line)
{
	struct value *list = value_list(step->arena);

	for (const struct value *one = things->as.items.first; one; one = one->next) {
		const char *what = value_get_text(one, "what", "");
		if (strcmp(value_get_text(one, "is", ""), is) != 0)
			continue;
		text_format(line, "%s%s", line->length ? ", " : "", what);
		value_add(list, value_text(step->arena, what));
	}
	return list;
}

static void set_outputs(struct step *step, const struct value *things)
{
	static const struct {
		const char *name, *is;
	} sorts[] = {{"copied", inventory_copied},
	             {"later", is_later},
	             {"manual", inventory_manual},
	             {"left", inventory_left}};

	for (size_t i = 0; i < sizeof sorts / sizeof *sorts; i++) {
		struct text line = {0};
		step_output(step, sorts[i].name, pick(step, things, sorts[i].is, &line));
		text_free(&line);
	}
	struct value *changed = value_list(step->arena);
	for (const struct value *one = things->as.items.first; one; one = one->next)
		if (strcmp(value_get_text(one, "why", ""), inventory_other_value) == 0)
			value_add(changed,
			          value_text(step->arena, value_get_text(one, "what", "")));
	step_output(step, "changed", changed);
}

/* What is said of a thing besides what becomes of it; "" for nothing. */
static const char *reason(struct step *step, const struct value *thing)
{
	bool stops = !value_get_bool(thing, "accepted", true);
	bool left = strcmp(value_get_text(thing, "is", ""), inventory_left) == 0;

	return arena_printf(step->arena, "%s%s", value_get_text(thing, "why", ""),
	                    stops  ? "; it stops the plan"
	                    : left ? "; accepted"
	                           : "");
}

/* "manual: jobs:x (Scheduler has no API), ..." */
static void tell_sort(struct step *step, const struct value *things, const char *is,
                      struct text *line)
{
	bool first = true;

	for (const struct value *one = things->as.items.first; one; one = one->next) {
		const char *why = reason(step, one);
		if (strcmp(value_get_text(one, "is", ""), is) != 0)
			continue;
		if (first)
			text_format(line, "%s%s: ", line->length ? "; " : "", is);
		text_format(line, "%s%s%s%s%s", first ? "" : ", ", value_get_text(one, "what", ""),
		            why[0] ? " (" : "", why, why[0] ? ")" : "");
		first = false;
	}
}

/* Two notes, not one a thing: each is a record of its own. */
static void tell_notes(struct step *step, const struct value *things)
{
	static const char *const sorts[][2] = {{inventory_copied, is_later},
	                                       {inventory_manual, inventory_left}};

	for (size_t i = 0; i < sizeof sorts / sizeof *sorts; i++) {
		struct text line = {0};
		for (size_t k = 0; k < 2; k++)
			tell_sort(step, things, sorts[i][k], &line);
		if (line.length)
			step_note(step, "%s", text_string(&line));
		text_free(&line);
	}
}

/* A line for each thing that is not copied, or not as it was; one for all the others. */
static void tell_changes(struct step *step, const struct value *things, struct changes *changes)
{
	struct text line = {0};

	pick(step, things, inventory_copied, &line);
	if (line.length)
		changes_add(changes, inventory_copied, NULL,
		            value_text(step->arena, text_string(&line)), NULL);
	text_free(&line);
	for (const struct value *one = things->as.items.first; one; one = one->next) {
		const char *why = reason(step, one);
		if (strcmp(value_get_text(one, "is", ""), inventory_copied) != 0 || why[0])
			changes_add(changes, value_get_text(one, "what", ""), NULL,
			            value_get(one, "is"), why);
	}
}

static bool refuse(const struct value *things, struct error *err)
{
	struct text line = {0};
	const char *first = NULL;

	for (const struct value *one = things->as.items.first; one; one = one->next) {
		const char *what = value_get_text(one, "what", "");
		if (value_get_bool(one, "accepted", true))
			continue;
		first = first ? first : what;
		text_format(&line, "%s%s (%s)", line.length ? ", " : "", what,
		            value_get_text(one, "why", ""));
	}
	if (first)
		fail(err, ERROR_REFUSED,
		     "not carried over: %s; see to it, or write `accept: [\"%s\"]` if it may stay "
		     "behind",
		     text_string(&line), first);
	text_free(&line);
	return !first;
}

/* While looking these are differences for people to see; in the run they are notes. */
static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *things = value_get(seen, "things");

	set_outputs(step, things);
	if (step->looking)
		tell_changes(step, things, changes);
	else
		tell_notes(step, things);
	return step->looking || refuse(things, err);
}

const struct step_module heroku_inventory = {
	.name = "heroku.inventory",
	.text = "Says of each thing of an app whether another one has it too, a person must see to "
		"it, or it stays behind.",
	.traits = STEP_READ_ONLY | STEP_FORESEES,
	.fields = fields,
	.outputs = outputs,
	.reads = (const char *const[]){"heroku/app/${like}", "heroku/app/${app}", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
};
