/* SPDX-License-Identifier: MIT */
/* postgres.complete: the end of a replication. What is ours is removed from both sides, and nothing
 * else. */
#include "engine/base/clock.h"
#include "engine/step.h"
#include "steps/postgres/acl.h"
#include "steps/postgres/capture.h"
#include "steps/postgres/fence.h"
#include "steps/postgres/foreign.h"
#include "steps/postgres/held.h"
#include "steps/postgres/modules.h"
#include "steps/postgres/ours.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"
#include "steps/postgres/stream.h"

#include <libpq-fe.h>
#include <string.h>

/* Followers notice within a look that the mode is another one. */
#define SETTLE_MS 1000

static const struct field fields[] = {
	{"of", FIELD_STRING, 0, NULL, NULL, "The replication: ${steps.STEP.stream}."},
	{"source", FIELD_CONNECTION, 0, NULL, NULL,
         "Instead of `of`, where no step knows it any more."},
	{"target", FIELD_CONNECTION, 0, NULL, NULL, "With source."},
	{"abandon", FIELD_BOOL, 0, "false", NULL,
         "End a replication whose target does not take the writes: what it has of the data stays, "
         "and gets stale."},
	{"lock_timeout", FIELD_DURATION, 0, "200ms", NULL,
         "How long a statement of the application may have to wait for us, at most."},
	{0},
};

static bool check(const struct value *with, struct error *err)
{
	bool both = value_get(with, "source") && value_get(with, "target");

	return (value_get(with, "of") != NULL) != both ||
	       fail(err, ERROR_PLAN, "write `of:`, or `source:` and `target:`");
}

struct ends {
	struct stream stream;
	PGconn *source, *target;
};

static bool open_ends(struct step *step, struct ends *ends, struct error *err)
{
	*ends = (struct ends){0};
	if (!stream_find(step, NULL, &ends->stream, err))
		return false;
	ends->source = database_open(&ends->stream.source, "complete", err);
	ends->target = ends->source ? database_open(&ends->stream.target, "complete", err) : NULL;
	return ends->target != NULL;
}

static void close_ends(struct ends *ends)
{
	PQfinish(ends->source);
	PQfinish(ends->target);
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct ends ends;
	int64_t here = 0, there = 0;
	bool fine = open_ends(step, &ends, err) && ours_count(ends.source, &here, err) &&
	            ours_count(ends.target, &there, err);

	close_ends(&ends);
	value_set_number(step->arena, seen, "source", here);
	value_set_number(step->arena, seen, "target", there);
	return fine;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	static const char *const sides[] = {"source", "target"};

	for (size_t i = 0; i < 2; i++)
		if (value_get_number(seen, sides[i], 0))
			changes_add(changes, sides[i],
			            value_text(step->arena,
			                       arena_printf(step->arena, "%lld objects of ours",
			                                    (long long)value_get_number(
								    seen, sides[i], 0))),
			            NULL, "removed");
	return true;
}

/* ---- Ending ---- */

static bool may_end(struct step *step, const struct stream_row *row, struct error *err)
{
	if (strcmp(row->mode, MODE_SWITCHED) == 0 || strcmp(row->mode, MODE_ENDED) == 0 ||
	    value_get_bool(step->with, "abandon", false))
		return true;
	return fail(err, ERROR_REFUSED,
	            "the target does not take the writes (mode %s), so its data would get stale: "
	            "carry out "
	            "postgres.switch first, or write `abandon: true`",
	            row->mode);
}

/* Whoever runs batches finds another mode from now on. A target that takes writes gets its last
 * constraints. */
static bool end_stream(struct step *step, struct ends *ends, struct error *err)
{
	struct stream_row row;
	bool exists;

	if (!state_read(ends->target, step->arena, &row, &exists, err))
		return false;
	if (!exists)
		return true;
	if (!may_end(step, &row, err))
		return false;
	if (strcmp(row.mode, MODE_SWITCHED) == 0 &&
	    !held_build(ends->target, HELD_AFTER, NULL, NULL, step->arena, err))
		return false;
	if (!state_set_mode(ends->target, row.mode, MODE_ENDED, err) ||
	    !state_read(ends->source, step->arena, &row, &exists, err) ||
	    (exists && !state_set_mode(ends->source, row.mode, MODE_ENDED, err)))
		return false;
	return step_sleep(step, SETTLE_MS, err);
}

static bool remove_from(struct step *step, PGconn *side, struct error *err)
{
	struct lock_limits limits = {
		.lock_timeout_ms = value_get_number(step->with, "lock_timeout", 200),
		.give_up_after_ms = 600000,
	};
	struct fence fence = {.limits = limits, .step = step, .arena = step->arena};
	struct fence_report fence_report = {.lock.blockers.arena = step->arena};
	struct foreign foreign = {.limits = limits, .step = step, .arena = step->arena};
	struct foreign_report foreign_report = {.lock.blockers.arena = step->arena};
	struct acl_report acl_report = {0};

	return foreign_restore(side, &foreign, &foreign_report, err) &&
	       foreign_validate(side, &foreign, &foreign_report, err) &&
	       acl_restore(side, step->arena, &acl_report, err) &&
	       fence_lower(side, &fence, &fence_report, err) &&
	       capture_remove(side, limits.lock_timeout_ms, step, err) &&
	       query_run(side, "DROP SCHEMA IF EXISTS " OUR_SCHEMA " CASCADE", err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct ends ends;
	(void)changes;
	bool fine = open_ends(step, &ends, err) && end_stream(step, &ends, err) &&
	            (remove_from(step, ends.source, err) || fail_while(err, "source")) &&
	            (remove_from(step, ends.target, err) || fail_while(err, "target"));

	close_ends(&ends);
	return fine;
}

const struct step_module postgres_complete = {
	.name = "postgres.complete",
	.text = "Ends a replication: validates what is left to validate, and removes all its "
		"objects from both sides.",
	.traits = STEP_IRREVERSIBLE,
	.fields = fields,
	.subjects = (const char *const[]){"postgres/stream/${of}", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
};
