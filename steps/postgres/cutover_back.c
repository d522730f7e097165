/* SPDX-License-Identifier: MIT */
/* Writes come back to the source, with every row that was written on the target. */
#include "engine/base/clock.h"
#include "engine/step.h"
#include "steps/postgres/acl.h"
#include "steps/postgres/capture.h"
#include "steps/postgres/cutover_parts.h"
#include "steps/postgres/query.h"
#include "steps/postgres/sequence.h"

#include <libpq-fe.h>
#include <string.h>

/* Whether the target ever took writes, and they are not all on the source yet. */
static bool has_writes(const struct cutover *cutover)
{
	return strcmp(cutover->there_mode, MODE_SWITCHING) != 0 &&
	       strcmp(cutover->there_mode, MODE_FORWARD) != 0 && cutover->back_mode[0] &&
	       strcmp(cutover->back_mode, MODE_RETURNED) != 0;
}

static bool park_both(struct cutover *cutover, PGconn *side, struct error *err)
{
	struct foreign foreign = cutover_foreign(cutover);
	struct foreign_report report = {.lock.blockers.arena = cutover->step->arena};

	return foreign_park(side, &foreign, &report, err);
}

static struct capture forward_capture(struct cutover *cutover)
{
	return (struct capture){
		.relations = cutover_relations(&cutover->there, false),
		.lock_timeout_ms = cutover->limits.lock_timeout_ms,
		.step = cutover->step,
	};
}

/* ---- The outage ---- */

static bool hold(struct cutover *cutover, struct error *err)
{
	if (!link_read_tables(&cutover->there, err))
		return false;
	if (!has_writes(cutover))
		return true;
	return link_read_tables(&cutover->back, err) &&
	       cutover_set_mode(cutover, &cutover->there, MODE_RETURNING, err) &&
	       cutover_set_mode(cutover, &cutover->back, MODE_RETURNING, err);
}

static bool raise_fence(struct cutover *cutover, struct error *err)
{
	struct fence fence = cutover_fence(cutover, true);
	struct fence_report report = {.lock.blockers.arena = cutover->step->arena};

	if (!has_writes(cutover))
		return true;
	if (!fence_raise(cutover->there.target, &fence, &report, err))
		return false;
	cutover_tell_ended(cutover, &report.lock);
	if (report.tables)
		cutover->closed_ms = clock_real_ms() - report.lock.held_ms;
	return true;
}

/* The switch may have been killed before the source could follow: what that needs is done again. */
static bool drain(struct cutover *cutover, struct error *err)
{
	struct capture capture = forward_capture(cutover);

	if (!has_writes(cutover))
		return true;
	return park_both(cutover, cutover->there.source, err) &&
	       capture_enable(cutover->there.source, &capture, false, err) &&
	       fence_pass(cutover->back.target, err) &&
	       cutover_drain(cutover, &cutover->back, MODE_RETURNING, err);
}

/* Never back: should this be done again after the source gave out values of its own, they stay. */
static bool set_sequences(struct cutover *cutover, struct error *err)
{
	struct sequence_options options = {.namespaces = cutover->namespaces,
	                                   .forward_only = true,
	                                   .arena = cutover->step->arena};
	struct sequence_report report = {0};

	if (!has_writes(cutover))
		return true;
	return sequence_copy(cutover->there.target, cutover->there.source, &options, &report,
	                     err) &&
	       cutover_set_mode(cutover, &cutover->back, MODE_RETURNED, err);
}

/* ---- The target follows again ---- */

static bool park(struct cutover *cutover, struct error *err)
{
	return park_both(cutover, cutover->there.target, err);
}

static bool restore_keys(struct cutover *cutover, struct error *err)
{
	struct foreign foreign = cutover_foreign(cutover);
	struct foreign_report report = {.lock.blockers.arena = cutover->step->arena};

	return foreign_restore(cutover->there.source, &foreign, &report, err);
}

static bool refresh_fingerprint(struct cutover *cutover, const struct followed *table,
                                struct error *err)
{
	struct arena *arena = cutover->step->arena;
	const char *fingerprint = NULL;

	if (!query_text(cutover->there.source,
	                arena_printf(arena, "SELECT (%s)",
	                             capture_fingerprint_sql(table->relation->oid, arena)),
	                arena, &fingerprint, err))
		return false;
	const char *values[] = {arena_printf(arena, "%lld", (long long)table->id), fingerprint};
	return query_run_with(cutover->there.target,
	                      "UPDATE " OUR_SCHEMA ".relation SET fingerprint = $2 WHERE id = $1",
	                      2, values, err);
}

/* Both sides are equal and closed: capture that begins here misses nothing, so nothing is copied
 * again. */
static bool capture_again(struct cutover *cutover, struct error *err)
{
	struct capture capture = forward_capture(cutover);

	if (strcmp(cutover->there_mode, MODE_FORWARD) == 0)
		return true;
	if (!capture_enable(cutover->there.source, &capture, true, err))
		return false;
	for (size_t i = 0; i < cutover->there.table_count; i++)
		if (!refresh_fingerprint(cutover, &cutover->there.tables[i], err))
			return false;
	return true;
}

static bool restore_rights(struct cutover *cutover, struct error *err)
{
	struct acl_report report = {0};

	if (!acl_restore(cutover->there.source, cutover->step->arena, &report, err))
		return false;
	if (report.drifted && report.drifted[0])
		step_note(cutover->step, "rights that somebody changed meanwhile: %s",
		          report.drifted);
	return true;
}

static bool open_source(struct cutover *cutover, struct error *err)
{
	struct fence fence = cutover_fence(cutover, false);
	struct fence_report report = {.lock.blockers.arena = cutover->step->arena};

	if (!fence_lower(cutover->there.source, &fence, &report, err))
		return false;
	if (cutover->closed_ms)
		cutover->outage_ms = clock_real_ms() - cutover->closed_ms;
	return true;
}

/* What was laid for the way back goes; the target follows, and stays closed: what somebody still
 * wrote there would be lost. */
static bool tidy(struct cutover *cutover, struct error *err)
{
	return capture_remove(cutover->there.target, cutover->limits.lock_timeout_ms, cutover->step,
	                      err) &&
	       query_run(cutover->there.source,
	                 "DROP TABLE IF EXISTS " OUR_SCHEMA ".stream, " OUR_SCHEMA
	                 ".relation, " OUR_SCHEMA ".chunk, " OUR_SCHEMA ".held",
	                 err) &&
	       cutover_set_mode(cutover, &cutover->there, MODE_FORWARD, err);
}

static bool validate(struct cutover *cutover, struct error *err)
{
	return cutover_validate(cutover, cutover->there.source, err);
}

static const struct cutover_phase phases[] = {
	{"hold", "taking over the batches", hold},
	{"fence", "closing the target to writers", raise_fence},
	{"drain", "applying the last changes", drain},
	{"sequences", "setting sequences", set_sequences},
	{"park", "foreign keys and triggers of the target", park},
	{"keys", "foreign keys and triggers of the source", restore_keys},
	{"capture", "capturing the source again", capture_again},
	{"rights", "the source's rights", restore_rights},
	{"open", "the source takes writes from here on", open_source},
	{"tidy", "the target follows again", tidy},
	{"validate", "validating foreign keys of the source", validate},
	{0},
};

bool cutover_back(struct cutover *cutover, struct error *err)
{
	return cutover_run(cutover, phases, err);
}
