/* SPDX-License-Identifier: MIT */
/* postgres.compare: whether every row of every table is the same on both sides, while both change.
 */
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/step.h"
#include "steps/postgres/compare_run.h"
#include "steps/postgres/discrepancy.h"
#include "steps/postgres/modules.h"
#include "steps/postgres/query.h"
#include "steps/postgres/stream.h"

#include <libpq-fe.h>
#include <string.h>

#define DEFAULT_LIMIT 20
#define MOST_LIMIT 10000

static const char *const on_difference[] = {"fail", "report", NULL};

static const struct field fields[] = {
	{"of", FIELD_STRING, 0, NULL, NULL,
         "The replication, ${steps.STEP.stream}: both sides may change meanwhile."},
	{"source", FIELD_CONNECTION, 0, NULL, NULL,
         "Instead of `of`: a database at rest, which is compared with `target`."},
	{"target", FIELD_CONNECTION, 0, NULL, NULL, "The other one; it is at rest, too."},
	{"schemas", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "With `source`: the schemas that are compared; [all], the default: all but the "
         "system's."},
	{"tables", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "Only these, as schema.table; without it every table."},
	{"chunk_rows", FIELD_INT, 0, NULL, NULL,
         "How many rows are compared at a time; without it as many as take about half a second."},
	{"limit", FIELD_INT, 0, "20", NULL, "Of so many rows that differ the key is told."},
	{"on_difference", FIELD_CHOICE, 0, "fail", on_difference,
         "Whether rows that differ fail the step, or are left to its postconditions."},
	{0},
};

static const struct field outputs[] = {
	{"tables", FIELD_INT, 0, NULL, NULL, "How many tables were compared."},
	{"rows", FIELD_INT, 0, NULL, NULL, "How many rows were compared."},
	{"different_rows", FIELD_INT, 0, NULL, NULL,
         "How many rows differ, or are on one side only; a table or column that is missing counts "
         "as one."},
	{"differences", FIELD_STRING, FIELD_LIST, NULL, NULL, "Which rows, by their keys."},
	{0},
};

/* A step has a process of its own, and what was compared in another one is compared anew: nothing
 * tells what became of it since. */
static bool compared;

static bool check(const struct value *with, struct error *err)
{
	bool of = value_get(with, "of"), source = value_get(with, "source");
	int64_t limit = value_get_number(with, "limit", DEFAULT_LIMIT);

	if (of == source || source != (value_get(with, "target") != NULL))
		return fail(
			err, ERROR_PLAN,
			"write `of: ${steps.STEP.stream}`, of the step with postgres.replicate, "
			"or `source` and `target` of two databases at rest");
	if (of && value_get(with, "schemas"))
		return fail(err, ERROR_PLAN,
		            "schemas goes with `source`; a replication has its own");
	if (limit < 0 || limit > MOST_LIMIT)
		return fail(err, ERROR_PLAN, "limit must be 0 to %d", MOST_LIMIT);
	return value_get_number(with, "chunk_rows", 1) > 0 ||
	       fail(err, ERROR_PLAN, "chunk_rows must be at least 1");
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	(void)err;
	value_set_bool(step->arena, seen, "compared",
	               compared || (step->looking && step->was_done));
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	if (!value_get_bool(seen, "compared", false))
		changes_add(changes, "compare", NULL, value_text(step->arena, "every row"), NULL);
	return true;
}

/* ---- Which way ---- */

/* After the switch the old target is written, and what follows keeps the state of the way back. */
static bool choose_direction(struct step *step, const struct stream *stream, struct pair *pair,
                             struct error *err)
{
	struct stream_row row;
	PGconn *state;

	pair->databases[HERE] = &stream->source;
	pair->databases[THERE] = &stream->target;
	if (!value_get(step->with, "of"))
		return true;
	if (!(state = stream_open_state(step, stream, &row, err)))
		return false;
	PQfinish(state);
	if (strcmp(row.mode, MODE_ENDED) == 0)
		return fail(
			err, ERROR_REFUSED,
			"the replication into %s has ended: write `source` and `target` to compare "
			"databases at rest",
			stream->target.name);
	pair->mode = MODE_FORWARD;
	if (strcmp(row.mode, MODE_SWITCHED) != 0 && strcmp(row.mode, MODE_RETURNING) != 0)
		return true;
	pair->mode = MODE_SWITCHED;
	pair->databases[HERE] = &stream->target;
	pair->databases[THERE] = &stream->source;
	return true;
}

/* ---- Reporting ---- */

static void give_outputs(struct step *step, const struct comparison *comparison)
{
	const struct discrepancies *discrepancies = &comparison->discrepancies;

	step_output(step, "tables", value_number(step->arena, (int64_t)comparison->twins.count));
	step_output(step, "rows", value_number(step->arena, comparison->rows));
	step_output(step, "different_rows", value_number(step->arena, discrepancies->rows));
	step_output(step, "differences", value_copy(step->arena, discrepancies->told));
}

static bool judge(struct step *step, const struct comparison *comparison, struct error *err)
{
	struct text out = {0};

	compared = true;
	give_outputs(step, comparison);
	if (comparison->discrepancies.rows == 0) {
		step_note(step, "%lld rows of %zu tables are the same on both sides",
		          (long long)comparison->rows, comparison->twins.count);
		return true;
	}
	discrepancy_print(&comparison->discrepancies, &out);
	bool fine = strcmp(value_get_text(step->with, "on_difference", "fail"), "report") == 0;
	if (fine)
		step_note(step, "%s", text_string(&out));
	else
		fail(err, ERROR_DRIFT,
		     "%s. Somebody else writes to %s, or the copy is wrong: mend these rows there, "
		     "or roll back the replication and begin anew",
		     text_string(&out), comparison->pair.databases[THERE]->name);
	text_free(&out);
	return fine;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct stream stream;
	struct comparison comparison = {.step = step};

	(void)changes;
	if (!stream_find(step, NULL, &stream, err) ||
	    !choose_direction(step, &stream, &comparison.pair, err))
		return false;
	comparison.choice = (struct twin_choice){
		.schemas = value_get(step->with, "schemas"),
		.tables = value_get(step->with, "tables"),
	};
	comparison.pace.fixed = value_get_number(step->with, "chunk_rows", 0);
	discrepancy_begin(&comparison.discrepancies, step->arena,
	                  (size_t)value_get_number(step->with, "limit", DEFAULT_LIMIT));
	return compare_run(&comparison, err) && judge(step, &comparison, err);
}

/* Nothing was changed, and to compare again would tell of another moment. */
static bool verify(struct step *step, struct error *err)
{
	(void)step, (void)err;
	return true;
}

const struct step_module postgres_compare = {
	.name = "postgres.compare",
	.text = "Compares every row of two databases, between two batches of a replication while "
		"both sides change, and names those that differ by their keys.",
	.traits = STEP_READ_ONLY,
	.fields = fields,
	.outputs = outputs,
	.reads = (const char *const[]){"postgres/${source}/data", "postgres/${target}/data", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.verify = verify,
};

/* ---- What conditions can test ---- */

static bool measure_different(struct step *step, const struct value *of, struct reading *reading,
                              struct error *err)
{
	const struct value *found =
		of && value_reveal(of) ? step_output_of(step, value_reveal(of), "different_rows")
				       : value_get(step->outputs, "different_rows");

	if (!found)
		return fail(
			err, ERROR_PLAN,
			"nothing was compared: this goes with a step that has postgres.compare");
	reading->value = value_copy(step->arena, found);
	const struct value *rows = value_get(step->outputs, "rows");
	if (rows && !of)
		reading->text =
			arena_printf(step->arena, "%lld rows of %lld", (long long)found->as.number,
		                     (long long)rows->as.number);
	return true;
}

const struct metric compare_metrics[] = {
	{
		.name = "compare.different_rows",
		.type = METRIC_NUMBER,
		.unit = "rows",
		.of = OF_NOTHING,
		.text = "How many rows a postgres.compare found to differ; a condition of that "
			"step, or "
			"of: its name.",
		.measure = measure_different,
	},
	{0},
};
