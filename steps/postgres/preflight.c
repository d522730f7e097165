/* SPDX-License-Identifier: MIT */
/* postgres.preflight: what stands in the way of replicating one database to another, before
 * anything is made. */
#include "steps/postgres/preflight.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"
#include "steps/postgres/modules.h"
#include "steps/postgres/query.h"

#include <string.h>

static const struct field fields[] = {
	{"source", FIELD_CONNECTION, FIELD_REQUIRED, NULL, NULL,
         "The database to carry over; of kind postgres."},
	{"target", FIELD_CONNECTION, FIELD_REQUIRED, NULL, NULL,
         "Where it shall go; of kind postgres."},
	{"schemas", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "What of it; without it, or with `all` among them, every schema of the user's."},
	{"accept", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "Blockers that the plan may go on with: a finding (`large_objects`), or one object of it "
         "(`row_security:public.orders`)."},
	{"refuse", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "What it may not go on with, though it is only a warning or a note; in the same way."},
	{"target_space", FIELD_STRING, 0, NULL, NULL,
         "The storage of the target, such as 100 GiB: no managed service tells it by SQL. Without "
         "it preflight.free_space takes it for enough, and the finding `unknown_space` says so."},
	{"rate", FIELD_RATE, 0, "28 MB/s", NULL,
         "How fast the copy is expected to be; 28 MB/s is 100 GB an hour."},
	{"long_transaction", FIELD_DURATION, 0, "5m", NULL,
         "Transactions that have been open for so long are named."},
	{0},
};

static const struct field outputs[] = {
	{"findings", FIELD_ANY, FIELD_LIST, NULL, NULL,
         "A map for each finding: id, level (note, warning, blocker), side, object, text, remedy, "
         "and whether it stops the plan."},
	{"warnings", FIELD_INT, 0, NULL, NULL,
         "How many warnings and accepted blockers there are."},
	{"tables", FIELD_INT, 0, NULL, NULL, "How many tables are carried over."},
	{"size", FIELD_INT, 0, NULL, NULL, "Their bytes, with indexes."},
	{"copy_ms", FIELD_INT, 0, NULL, NULL,
         "How long the copy takes at `rate`, in milliseconds."},
	{0},
};

/* ---- Offline ---- */

static bool check_id(const char *field, const char *name, struct error *err)
{
	char id[64] = "";
	struct nearest nearest = nearest_to(name);
	struct text all = {.limit = 2000};

	memcpy(id, name, strcspn(name, ":") < sizeof id ? strcspn(name, ":") : 0);
	if (preflight_check(id))
		return true;
	for (size_t i = 0; preflight_checks[i]; i++)
		for (const struct check *one = preflight_checks[i]; one->id; one++) {
			nearest_try(&nearest, one->id);
			text_format(&all, "%s%s", all.length ? ", " : "", one->id);
		}
	fail(err, ERROR_PLAN, "%s: there is no finding %s%s%s; there are %s", field, name,
	     nearest.best ? "; did you mean " : "", nearest.best ? nearest.best : "",
	     text_string(&all));
	text_free(&all);
	return false;
}

static bool check(const struct value *with, struct error *err)
{
	static const char *const lists[] = {"accept", "refuse"};
	int64_t space;

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		const struct value *list = value_get(with, lists[i]);
		if (!list || list->kind != VALUE_LIST)
			continue;
		for (const struct value *one = list->as.items.first; one; one = one->next)
			if (value_reveal(one) && !check_id(lists[i], value_reveal(one), err))
				return false;
	}
	return preflight_space(with, &space, err) || fail_while(err, "target_space");
}

/* ---- Looking ---- */

static const char count_of_tables[] =
	"SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "
	"n.nspname = ANY ($1::text[]) AND c.relkind = 'r'";

/* How much there is; nothing where nothing could be asked. */
static bool measure(struct preflight *preflight, struct value *seen, struct error *err)
{
	const struct party *source = &preflight->parties[SOURCE];
	int64_t size;

	if (!source->session)
		return true;
	PGresult *result = query_with(source->session, count_of_tables, 1, &source->schemas, err);
	if (!result)
		return false;
	value_set_number(preflight->arena, seen, "tables", query_field_number(result, 0, 0));
	PQclear(result);
	if (!preflight_size(preflight, SOURCE, &size, err))
		return false;
	value_set_number(preflight->arena, seen, "size", size);
	value_set_number(preflight->arena, seen, "copy_ms",
	                 preflight_copy_ms(preflight->step->with, size));
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct preflight preflight;
	struct value *findings = value_list(step->arena);
	bool fine = preflight_open(&preflight, step, true, err) &&
	            preflight_examine(&preflight, findings, err) && measure(&preflight, seen, err);

	value_set(step->arena, seen, "findings", findings);
	preflight_close(&preflight);
	return fine;
}

/* ---- Telling ---- */

#define WARNINGS                                                  \
	{                                                         \
		.least = FINDING_WARNING, .most = FINDING_BLOCKER \
	}
#define STOPPING                                                              \
	{                                                                     \
		.stops = true, .least = FINDING_NOTE, .most = FINDING_BLOCKER \
	}

/* While looking these are differences for people to see; in the run they are notes. */
static void tell_changes(struct step *step, const struct value *list, struct changes *changes)
{
	for (const struct value *one = list->as.items.first; one; one = one->next) {
		const char *remedy = value_get_text(one, "remedy", "");
		changes_add(
			changes,
			arena_printf(step->arena, "%s.%s", value_get_text(one, "side", ""),
		                     value_get_text(one, "id", "")),
			NULL, value_get(one, "object"),
			arena_printf(
				step->arena, "%s: %s%s%s%s", value_get_text(one, "level", ""),
				value_get_text(one, "text", ""), remedy[0] ? " -> " : "", remedy,
				value_get_bool(one, "stops", false) ? "; it stops the plan" : ""));
	}
}

static void tell_notes(struct step *step, const struct value *list)
{
	static const struct {
		const char *word;
		struct finding_choice choice;
	} notes[] = {{"warning", WARNINGS}, {"note", {false, FINDING_NOTE, FINDING_NOTE}}};

	for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
		struct text out = {.limit = 8000};
		size_t count = finding_tell(list, notes[i].choice, &out);
		if (count)
			step_note(step, "%zu %s%s: %s", count, notes[i].word, count == 1 ? "" : "s",
			          text_string(&out));
		text_free(&out);
	}
}

static bool refuse(const struct value *list, struct error *err)
{
	struct text out = {.limit = 3500};
	size_t count = finding_tell(list, (struct finding_choice)STOPPING, &out);

	if (count)
		fail(err, ERROR_REFUSED, "%zu %s: %s; what may be so goes into `accept: []`", count,
		     count == 1 ? "thing stands in the way" : "things stand in the way",
		     text_string(&out));
	text_free(&out);
	return count == 0;
}

static struct value *count_warnings(struct step *step, const struct value *list)
{
	struct text out = {0};
	size_t count = finding_tell(list, (struct finding_choice)WARNINGS, &out);

	text_free(&out);
	return value_number(step->arena, (int64_t)count);
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	static const char *const measured[] = {"tables", "size", "copy_ms"};
	const struct value *list = value_get(seen, "findings");

	step_output(step, "findings", value_copy(step->arena, list));
	step_output(step, "warnings", count_warnings(step, list));
	for (size_t i = 0; i < sizeof measured / sizeof *measured; i++)
		if (value_get(seen, measured[i]))
			step_output(step, measured[i],
			            value_copy(step->arena, value_get(seen, measured[i])));
	if (step->looking)
		tell_changes(step, list, changes);
	else
		tell_notes(step, list);
	return step->looking || refuse(list, err);
}

const struct step_module postgres_preflight = {
	.name = "postgres.preflight",
	.text = "Finds what stands in the way of replicating a database to another one.",
	.traits = STEP_READ_ONLY | STEP_FORESEES,
	.fields = fields,
	.outputs = outputs,
	.reads = (const char *const[]){"postgres/${source}", "postgres/${target}", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
};
