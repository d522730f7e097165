/* SPDX-License-Identifier: MIT */
/* The cut-over of a stream, and the way back: what both have in common. */
#include "steps/postgres/cutover.h"
#include "engine/base/clock.h"
#include "engine/step.h"
#include "steps/postgres/cutover_parts.h"
#include "steps/postgres/query.h"

#include <libpq-fe.h>
#include <string.h>

static void tell(void *context, const char *text)
{
	step_note(context, "%s", text);
}

bool cutover_read_modes(struct cutover *cutover, struct error *err)
{
	struct stream_row row;
	bool exists;

	if (!state_read(cutover->there.target, cutover->step->arena, &row, &exists, err))
		return false;
	if (!exists)
		return fail(err, ERROR_REFUSED, "no replication writes to %s",
		            cutover->stream.target.name);
	cutover->there_mode = row.mode;
	if (!state_read(cutover->back.target, cutover->step->arena, &row, &exists, err))
		return false;
	cutover->back_mode = exists ? row.mode : "";
	return true;
}

bool cutover_open(struct cutover *cutover, struct step *step, struct error *err)
{
	*cutover = (struct cutover){.step = step, .most_lag_ms = 5000};
	if (!stream_find(step, NULL, &cutover->stream, err))
		return false;
	cutover->there = (struct link){
		.arena = step->arena,
		.tell = tell,
		.context = step,
		.from = &cutover->stream.source,
		.to = &cutover->stream.target,
	};
	cutover->back = cutover->there;
	cutover->back.from = cutover->there.to;
	cutover->back.to = cutover->there.from;
	cutover->limits = (struct lock_limits){
		.lock_timeout_ms = value_get_number(step->with, "lock_timeout", 200),
		.end_after_ms = value_get_number(step->with, "end_transactions_after", 0),
		.give_up_after_ms = value_get_number(step->with, "give_up_after", 60000),
	};
	return link_open(&cutover->there, "switch", err) &&
	       link_open(&cutover->back, "switch", err) && cutover_read_modes(cutover, err) &&
	       query_text(cutover->there.target, "SELECT namespaces FROM " OUR_SCHEMA ".stream",
	                  step->arena, &cutover->namespaces, err);
}

void cutover_close(struct cutover *cutover)
{
	link_close(&cutover->there);
	link_close(&cutover->back);
}

bool cutover_set_mode(struct cutover *cutover, const struct link *link, const char *mode,
                      struct error *err)
{
	const char **known = link == &cutover->there ? &cutover->there_mode : &cutover->back_mode;

	if (!state_set_mode(link->target, *known, mode, err))
		return false;
	*known = mode;
	return true;
}

/* Twice nothing, and nothing left that any snapshot could show. */
bool cutover_drain(struct cutover *cutover, struct link *link, const char *mode, struct error *err)
{
	int64_t left = 0;

	for (int empty = 0; empty < 2;) {
		struct batch_report report;
		if (!batch_run(link, mode, &report, err))
			return fail_while(err, "drain");
		if (report.refused)
			return fail(err, ERROR_RETRY,
			            "somebody else changed the mode of the replication");
		if (report.changed)
			return fail(err, ERROR_DRIFT, "%s was altered: go back, and switch again",
			            report.changed->relation->quoted);
		empty = report.keys == 0 ? empty + 1 : 0;
		if (step_stopping(cutover->step))
			return fail(err, ERROR_CANCELLED, "asked to stop");
	}
	return batch_undelivered(link, 1000, &left, err) &&
	       (left == 0 ||
	        fail(err, ERROR_FAILED, "%lld changes came in behind the fence", (long long)left));
}

struct relations *cutover_relations(const struct link *link, bool of_target)
{
	struct relations *all = arena_alloc(link->arena, sizeof *all);

	for (size_t i = 0; i < link->table_count; i++) {
		struct relation *copy = arena_alloc(link->arena, sizeof *copy);
		*copy = of_target ? *link->tables[i].there : *link->tables[i].relation;
		copy->next = all->first;
		all->first = copy;
		all->count++;
	}
	return all;
}

struct fence cutover_fence(const struct cutover *cutover, bool of_target)
{
	return (struct fence){
		.namespaces = cutover->namespaces,
		.closed_by = arena_printf(cutover->step->arena, "step %s (%s)", cutover->step->id,
	                                  of_target ? "way back" : "switch"),
		.limits = cutover->limits,
		.step = cutover->step,
		.arena = cutover->step->arena,
	};
}

struct foreign cutover_foreign(const struct cutover *cutover)
{
	return (struct foreign){
		.namespaces = cutover->namespaces,
		.limits = cutover->limits,
		.step = cutover->step,
		.arena = cutover->step->arena,
	};
}

void cutover_tell_ended(struct cutover *cutover, const struct lock_report *report)
{
	struct text out = {0};

	blocker_print(&report->blockers, true, &out);
	if (out.length)
		step_note(cutover->step, "transactions were ended: %s", text_string(&out));
	text_free(&out);
}

bool cutover_validate(struct cutover *cutover, PGconn *side, struct error *err)
{
	struct foreign foreign = cutover_foreign(cutover);
	struct foreign_report report = {.lock.blockers.arena = cutover->step->arena};

	return foreign_validate(side, &foreign, &report, err);
}

bool cutover_run(struct cutover *cutover, const struct cutover_phase *phases, struct error *err)
{
	for (const struct cutover_phase *phase = phases; phase->name; phase++) {
		int64_t began_ms = clock_real_ms();
		step_progress(cutover->step, "%s", phase->text);
		if (!phase->run(cutover, err))
			return fail_while(err, "%s", phase->name);
		step_note(cutover->step, "%s: %lld ms", phase->name,
		          (long long)(clock_real_ms() - began_ms));
	}
	return true;
}
