/* SPDX-License-Identifier: MIT */
/* Writes move to the target. */
#include "engine/base/clock.h"
#include "engine/step.h"
#include "steps/postgres/acl.h"
#include "steps/postgres/capture.h"
#include "steps/postgres/cutover_parts.h"
#include "steps/postgres/held.h"
#include "steps/postgres/query.h"
#include "steps/postgres/sequence.h"

#include <libpq-fe.h>
#include <string.h>

static bool is_mode(const char *mode, const char *one)
{
	return strcmp(mode, one) == 0;
}

/* ---- Before: nobody notices ---- */

static const char not_ready_sql[] =
	"SELECT pg_catalog.string_agg(pg_catalog.format('%I.%I is %s', schema, name, phase), ', ' "
	"ORDER BY schema, name)"
	" FROM " OUR_SCHEMA ".relation WHERE phase <> 'following' OR problem IS NOT NULL";

static const char unbuilt_sql[] =
	"SELECT pg_catalog.string_agg(pg_catalog.format('%s %s of %I.%I', type, name, schema, "
	"relation), ', '"
	" ORDER BY id) FROM " OUR_SCHEMA ".held WHERE NOT done AND stage IN ('key', 'index')";

static bool must_be_none(struct cutover *cutover, const char *sql, const char *what,
                         struct error *err)
{
	const char *names = NULL;

	return query_text(cutover->there.target, sql, cutover->step->arena, &names, err) &&
	       (!names || fail(err, ERROR_REFUSED, "%s: %s", what, names));
}

static bool no_new_tables(struct cutover *cutover, struct error *err)
{
	const char *table;

	return link_find_new_table(&cutover->there, cutover->there.arena, &table, err) &&
	       (!table || fail(err, ERROR_REFUSED, LINK_NEW_TABLE, table));
}

static bool is_close(struct cutover *cutover, struct error *err)
{
	int64_t behind_ms;

	if (!query_number(cutover->there.target,
	                  "SELECT (extract(epoch FROM pg_catalog.clock_timestamp() - applied_at) * "
	                  "1000)::int8"
	                  " FROM " OUR_SCHEMA ".stream",
	                  &behind_ms, err))
		return false;
	return behind_ms <= cutover->most_lag_ms ||
	       fail(err, ERROR_RETRY, "the target is %s behind, more than %s",
	            clock_duration_text(cutover->step->arena, behind_ms),
	            clock_duration_text(cutover->step->arena, cutover->most_lag_ms));
}

static bool ready(struct cutover *cutover, struct error *err)
{
	if (!link_read_tables(&cutover->there, err))
		return false;
	if (!is_mode(cutover->there_mode, MODE_FORWARD))
		return true; /* begun before, and closed by now */
	return must_be_none(cutover, not_ready_sql, "not every table follows", err) &&
	       must_be_none(cutover, unbuilt_sql, "not every index is built", err) &&
	       no_new_tables(cutover, err) && is_close(cutover, err) &&
	       held_build(cutover->there.target, HELD_PARENTS, NULL, NULL, cutover->step->arena,
	                  err);
}

/* ---- The way back is laid before it is needed ---- */

static bool lay_stream(struct cutover *cutover, struct error *err)
{
	struct stream_row row;
	const char *identity = NULL;
	bool exists;

	if (!state_identity(cutover->there.target, cutover->step->arena, &identity, err) ||
	    !state_read(cutover->there.target, cutover->step->arena, &row, &exists, err) ||
	    !state_prepare(cutover->there.source, err) ||
	    !state_create_stream(cutover->there.source, row.id, identity, err))
		return false;
	if (!query_run(cutover->there.source,
	               "UPDATE " OUR_SCHEMA ".stream SET mode = 'returning' WHERE mode = 'forward'",
	               err))
		return false;
	return cutover_read_modes(cutover, err);
}

static bool lay_table(struct cutover *cutover, const struct relation *relation, struct error *err)
{
	struct arena *arena = cutover->step->arena;
	const char *fingerprint = NULL;
	const char *sql =
		arena_printf(arena, "SELECT (%s)", capture_fingerprint_sql(relation->oid, arena));

	if (!query_text(cutover->there.target, sql, arena, &fingerprint, err))
		return false;
	const char *values[] = {relation->schema, relation->name,
	                        arena_printf(arena, "%u", relation->oid), fingerprint};
	return query_run_with(
		cutover->there.source,
		"INSERT INTO " OUR_SCHEMA ".relation (schema, name, source_oid, phase, fingerprint)"
		" VALUES ($1, $2, $3::oid, 'following', $4) ON CONFLICT (schema, name) DO UPDATE "
		"SET"
		" source_oid = excluded.source_oid, fingerprint = excluded.fingerprint",
		4, values, err);
}

/* Our own batches are not logged there, so that it may stand long before it is needed. */
static bool prepare(struct cutover *cutover, struct error *err)
{
	struct relations *relations = cutover_relations(&cutover->there, true);
	struct capture capture = {
		.relations = relations,
		.lock_timeout_ms = cutover->limits.lock_timeout_ms,
		.way_back = true,
		.step = cutover->step,
	};

	if (is_mode(cutover->there_mode, MODE_SWITCHED))
		return true;
	if (!capture_install(cutover->there.target, &capture, err) || !lay_stream(cutover, err))
		return false;
	for (const struct relation *one = relations->first; one; one = one->next)
		if (!lay_table(cutover, one, err))
			return fail_while(err, "%s", one->quoted);
	return true;
}

/* ---- The outage ---- */

static bool hold(struct cutover *cutover, struct error *err)
{
	return is_mode(cutover->there_mode, MODE_SWITCHED) ||
	       cutover_set_mode(cutover, &cutover->there, MODE_SWITCHING, err);
}

static bool raise_fence(struct cutover *cutover, struct error *err)
{
	struct fence fence = cutover_fence(cutover, false);
	struct fence_report report = {.lock.blockers.arena = cutover->step->arena};

	if (!fence_raise(cutover->there.source, &fence, &report, err))
		return false;
	cutover_tell_ended(cutover, &report.lock);
	if (report.tables)
		cutover->closed_ms = clock_real_ms() - report.lock.held_ms;
	return true;
}

static bool drain(struct cutover *cutover, struct error *err)
{
	return is_mode(cutover->there_mode, MODE_SWITCHED) ||
	       cutover_drain(cutover, &cutover->there, MODE_SWITCHING, err);
}

static bool set_sequences(struct cutover *cutover, struct error *err)
{
	struct sequence_options options = {.namespaces = cutover->namespaces,
	                                   .arena = cutover->step->arena};
	struct sequence_report report = {0};

	if (is_mode(cutover->there_mode, MODE_SWITCHED))
		return true; /* the target has given out values of its own */
	return sequence_copy(cutover->there.source, cutover->there.target, &options, &report, err);
}

/* Those of a way back are parked; the first time they are held. */
static bool enforce_keys(struct cutover *cutover, struct error *err)
{
	struct foreign foreign = cutover_foreign(cutover);
	struct foreign_report report = {.lock.blockers.arena = cutover->step->arena};

	if (is_mode(cutover->there_mode, MODE_SWITCHED))
		return true;
	return held_build_together(cutover->there.target, HELD_SWITCH, cutover->step->arena, err) &&
	       foreign_restore(cutover->there.target, &foreign, &report, err);
}

/* After a way back the target is still closed. */
static bool open_target(struct cutover *cutover, struct error *err)
{
	struct fence fence = cutover_fence(cutover, true);
	struct fence_report report = {.lock.blockers.arena = cutover->step->arena};

	if (!is_mode(cutover->there_mode, MODE_SWITCHED) &&
	    !cutover_set_mode(cutover, &cutover->there, MODE_SWITCHED, err))
		return false;
	if (!fence_lower(cutover->there.target, &fence, &report, err))
		return false;
	if (cutover->closed_ms)
		cutover->outage_ms = clock_real_ms() - cutover->closed_ms;
	return true;
}

/* ---- After: the old database begins to follow ---- */

static bool park(struct cutover *cutover, struct error *err)
{
	struct foreign foreign = cutover_foreign(cutover);
	struct foreign_report report = {.lock.blockers.arena = cutover->step->arena};
	struct capture capture = {
		.relations = cutover_relations(&cutover->there, false),
		.lock_timeout_ms = cutover->limits.lock_timeout_ms,
		.step = cutover->step,
	};

	return foreign_park(cutover->there.source, &foreign, &report, err) &&
	       capture_enable(cutover->there.source, &capture, false, err);
}

static bool revoke(struct cutover *cutover, struct error *err)
{
	struct acl_report report = {0};

	if (!acl_revoke(cutover->there.source, cutover->namespaces, true, cutover->step->arena,
	                &report, err))
		return false;
	if (report.left && report.left[0])
		step_note(cutover->step,
		          "behind the fence alone, with their rights as they were: %s",
		          report.left);
	return true;
}

static bool follow(struct cutover *cutover, struct error *err)
{
	return cutover_set_mode(cutover, &cutover->back, MODE_SWITCHED, err);
}

static bool validate(struct cutover *cutover, struct error *err)
{
	return held_build(cutover->there.target, HELD_AFTER, NULL, NULL, cutover->step->arena,
	                  err) &&
	       cutover_validate(cutover, cutover->there.target, err);
}

static const struct cutover_phase phases[] = {
	{"ready", "looking whether everything is ready", ready},
	{"prepare", "laying the way back", prepare},
	{"hold", "taking over the batches", hold},
	{"fence", "closing the source to writers", raise_fence},
	{"drain", "applying the last changes", drain},
	{"sequences", "setting sequences", set_sequences},
	{"keys", "foreign keys and triggers of the target", enforce_keys},
	{"open", "the target takes writes from here on", open_target},
	{"park", "foreign keys and triggers of the source", park},
	{"rights", "the source's rights", revoke},
	{"follow", "the source follows the target", follow},
	{"validate", "validating foreign keys of the target", validate},
	{0},
};

bool cutover_there(struct cutover *cutover, struct error *err)
{
	return cutover_run(cutover, phases, err);
}
