/* SPDX-License-Identifier: MIT */
/* postgres.switch: writes move from the source of a replication to its target; back again with
 * every row. */
#include "engine/base/clock.h"
#include "steps/postgres/cutover.h"
#include "steps/postgres/modules.h"

#include <libpq-fe.h>
#include <string.h>

static const struct field fields[] = {
	{"of", FIELD_STRING, FIELD_REQUIRED, NULL, NULL, "The replication: ${steps.STEP.stream}."},
	{"end_transactions_after", FIELD_DURATION, 0, "0s", NULL,
         "Transactions that keep the fence from coming up for longer are ended; 0s: none is, and "
         "the step fails."},
	{"lock_timeout", FIELD_DURATION, 0, "200ms", NULL,
         "How long a statement of the application may have to wait for one attempt of ours."},
	{"give_up_after", FIELD_DURATION, 0, "60s", NULL,
         "How long the fence is tried before the step fails."},
	{0},
};

static const struct field outputs[] = {
	{"outage_ms", FIELD_INT, 0, NULL, NULL, "How long nobody could write, in milliseconds."},
	{0},
};

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct stream stream;
	struct stream_row row, back;
	bool exists = false, back_exists = false;

	if (!stream_find(step, NULL, &stream, err))
		return false;
	PGconn *target = database_open(&stream.target, "look", err);
	PGconn *source = target ? database_open(&stream.source, "look", err) : NULL;
	bool fine = source && state_read(target, step->arena, &row, &exists, err) &&
	            state_read(source, step->arena, &back, &back_exists, err);
	PQfinish(target);
	PQfinish(source);
	if (!fine)
		return false;
	if (!exists && !step->looking)
		return fail(err, ERROR_REFUSED, "no replication writes to %s", stream.target.name);
	bool switched = exists && strcmp(row.mode, MODE_SWITCHED) == 0;
	value_set_text(step->arena, seen, "writes", switched ? "target" : "source");
	value_set_bool(step->arena, seen, "way_back",
	               back_exists && strcmp(back.mode, MODE_SWITCHED) == 0);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	if (strcmp(value_get_text(seen, "writes", ""), "target") != 0)
		changes_add(changes, "writes", value_get(seen, "writes"),
		            value_text(step->arena, "target"), "the source is closed to writers");
	if (!value_get_bool(seen, "way_back", false))
		changes_add(changes, "way back", NULL, value_text(step->arena, "open"),
		            "the source follows the target");
	return true;
}

static bool carry_out(struct step *step, bool (*go)(struct cutover *, struct error *),
                      struct error *err)
{
	struct cutover cutover;
	bool fine = cutover_open(&cutover, step, err) && go(&cutover, err);

	if (cutover.outage_ms) {
		step_note(step, "nobody could write for %s",
		          clock_duration_text(step->arena, cutover.outage_ms));
		step_output(step, "outage_ms", value_number(step->arena, cutover.outage_ms));
	}
	cutover_close(&cutover);
	return fine;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	(void)changes;
	return carry_out(step, cutover_there, err);
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	(void)before;
	return carry_out(step, cutover_back, err);
}

const struct step_module postgres_switch = {
	.name = "postgres.switch",
	.text = "Closes the source of a replication to writers, applies the last changes, and lets "
		"the target be written; "
		"the source follows from there on, so that going back loses nothing.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"postgres/stream/${of}/writes", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
