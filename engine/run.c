/* SPDX-License-Identifier: MIT */
/* Folds the records of a journal into the state of a run. */
#include "engine/run.h"
#include "engine/base/error.h"

#include <string.h>

static const char *const state_names[] = {
	[RUN_PENDING] = "pending",  [RUN_WAITING] = "waiting",
	[RUN_UNKNOWN] = "in doubt", [RUN_DONE] = "done",
	[RUN_FAILED] = "failed",    [RUN_UNDO_UNKNOWN] = "undo in doubt",
	[RUN_UNDONE] = "undone",    [RUN_PASSED] = "passed over",
};

const char *run_state_name(enum run_state state)
{
	return state_names[state];
}

/* ---- Steps by id: open addressing, at most half full ---- */

static size_t slot_of(const struct run *run, const char *id)
{
	size_t hash = 5381;

	for (const char *c = id; *c; c++)
		hash = hash * 33 ^ (unsigned char)*c;
	for (size_t i = hash % run->step_room;; i = (i + 1) % run->step_room)
		if (!run->steps[i] || strcmp(run->steps[i]->id, id) == 0)
			return i;
}

static void make_room(struct run *run)
{
	struct run_step **old = run->steps;
	size_t room = run->step_room;

	if (run->step_count * 2 < room)
		return;
	run->step_room = room ? room * 2 : 64;
	run->steps = arena_array(&run->arena, run->step_room, sizeof *run->steps);
	for (size_t i = 0; i < room; i++)
		if (old[i])
			run->steps[slot_of(run, old[i]->id)] = old[i];
}

struct run_step *run_step(struct run *run, const char *id)
{
	make_room(run);
	size_t slot = slot_of(run, id);
	if (!run->steps[slot]) {
		run->steps[slot] = arena_alloc(&run->arena, sizeof **run->steps);
		run->steps[slot]->id = arena_text(&run->arena, id);
		run->step_count++;
	}
	return run->steps[slot];
}

bool run_any_done(const struct run *run, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < run->step_room; i++) {
		const struct run_step *step = run->steps[i];
		if (step && step->state == RUN_DONE && strncmp(step->id, name, length) == 0 &&
		    (step->id[length] == '\0' || step->id[length] == '['))
			return true;
	}
	return false;
}

struct run *run_writable(const struct run *run)
{
	return (struct run *)(uintptr_t)run;
}

/* ---- Subjects ---- */

bool run_encloses(const char *outer, const char *inner)
{
	size_t length = strlen(outer);

	return strncmp(outer, inner, length) == 0 &&
	       (inner[length] == '\0' || inner[length] == '/');
}

static bool any_encloses(const struct value *outer, const struct value *inner)
{
	if (!outer || !inner)
		return false;
	for (const struct value *a = outer->as.items.first; a; a = a->next)
		for (const struct value *b = inner->as.items.first; b; b = b->next)
			if (a->kind == VALUE_TEXT && b->kind == VALUE_TEXT &&
			    run_encloses(a->as.text, b->as.text))
				return true;
	return false;
}

static bool is_taken_over(const struct run *run, const struct run_step *step, const char *subject)
{
	for (size_t i = 0; i < run->step_room; i++) {
		const struct run_step *other = run->steps[i];
		if (!other || other == step || other->state != RUN_DONE || !other->subjects ||
		    other->done_seq <= step->done_seq)
			continue;
		for (const struct value *one = other->subjects->as.items.first; one;
		     one = one->next)
			if (run_encloses(value_reveal(one), subject))
				return true;
	}
	return false;
}

bool run_superseded(struct run *run, const char *id)
{
	const struct run_step *step = run_step(run, id);
	const struct value *subjects = step->subjects;

	for (const struct value *one = subjects ? subjects->as.items.first : NULL; one;
	     one = one->next)
		if (!is_taken_over(run, step, value_reveal(one)))
			return false;
	return subjects && subjects->as.items.count > 0;
}

/* What another step did to the same thing is no longer in force: earlier steps look again. */
static void reopen_earlier(struct run *run, const struct run_step *undone)
{
	for (size_t i = 0; i < run->step_room; i++) {
		struct run_step *other = run->steps[i];
		bool touched = other && other != undone && other->state == RUN_DONE &&
		               (any_encloses(other->subjects, undone->subjects) ||
		                any_encloses(undone->subjects, other->subjects));
		if (!touched)
			continue;
		other->state = RUN_PENDING;
		other->was_done = true;
	}
}

/* ---- One function a kind of record ---- */

static struct value *keep(struct run *run, const struct record *record, const char *key)
{
	const struct value *item = value_get(record->body, key);

	return item ? value_copy(&run->arena, item) : NULL;
}

static const char *keep_text(struct run *run, const struct record *record, const char *key)
{
	return arena_text(&run->arena, value_get_text(record->body, key, NULL));
}

static void fold_begin(struct run *run, const struct record *record)
{
	run_free(run);
	run->number = record->run;
	run->open = true;
	run->begun_at_ms = record->at_ms;
	run->digest = keep_text(run, record, "digest");
	run->begin = value_copy(&run->arena, record->body);
	run->pins = value_map(&run->arena);
	strncpy(run->identity, value_get_text(record->body, "identity", ""),
	        sizeof run->identity - 1);
}

static void fold_amend(struct run *run, const struct record *record)
{
	run->digest = keep_text(run, record, "digest");
	run->begin = value_copy(&run->arena, record->body);
}

static void fold_pin(struct run *run, const struct record *record)
{
	const char *name = value_get_text(record->body, "name", "");
	const char *identity = value_get_text(record->body, "identity", NULL);

	if (identity)
		value_set_text(&run->arena, run->pins, name, identity);
	else
		value_remove(run->pins, name);
}

static void fold_wait(struct run_step *step, const struct record *record)
{
	if (step->state == RUN_PENDING || step->state == RUN_FAILED || step->state == RUN_UNDONE ||
	    step->state == RUN_PASSED)
		step->state = RUN_WAITING;
	if (!step->waiting_since_ms)
		step->waiting_since_ms = record->at_ms;
}

static void mark_reached(struct run_step *step, const struct record *record)
{
	if (!step->reached_seq)
		step->reached_seq = record->seq;
}

static void fold_intent(struct run *run, struct run_step *step, const struct record *record)
{
	step->state = RUN_UNKNOWN;
	step->attempts++;
	mark_reached(step, record);
	if (!step->intent_seq) {
		step->intent_seq = record->seq;
		step->intent_at_ms = record->at_ms;
		step->before = keep(run, record, "before");
	}
	struct value *subjects = keep(run, record, "subjects");
	if (subjects)
		step->subjects = subjects;
}

static void fold_done(struct run *run, struct run_step *step, const struct record *record)
{
	step->state = RUN_DONE;
	mark_reached(step, record);
	step->done_seq = record->seq;
	step->done_at_ms = record->at_ms;
	step->outputs = keep(run, record, "outputs");
	step->subjects = keep(run, record, "subjects");
	step->changed = value_get_bool(record->body, "changed", false);
	step->waiting_since_ms = 0;
	step->error_kind = step->error_text = NULL;
}

static void fold_failed(struct run *run, struct run_step *step, const struct record *record)
{
	step->error_kind = keep_text(run, record, "kind");
	step->error_text = keep_text(run, record, "text");
	step->waiting_since_ms = 0;
}

static void fold_undone(struct run *run, struct run_step *step, enum run_state state)
{
	step->state = state;
	step->was_done = step->was_done && state == RUN_PASSED; /* of that nothing is undone */
	step->intent_seq = 0;
	step->reached_seq = 0;
	step->intent_at_ms = 0;
	step->before = NULL;
	step->waiting_since_ms = 0;
	reopen_earlier(run, step);
}

static void void_approvals(struct run *run, const char *step)
{
	for (struct run_approval *one = run->approvals; one; one = one->next)
		if (strcmp(one->step, step) == 0)
			one->digest = "";
}

static void fold_approval(struct run *run, const struct record *record)
{
	struct run_approval *approval = arena_alloc(&run->arena, sizeof *approval);

	approval->step = arena_text(&run->arena, record->step);
	approval->who = keep_text(run, record, "who");
	approval->digest = keep_text(run, record, "digest");
	approval->next = run->approvals;
	run->approvals = approval;
}

static void fold_end(struct run *run, const struct record *record)
{
	run->outcome = keep_text(run, record, "outcome");
	run->ended_at_ms = record->at_ms;
	run->last_downtime_ms = value_get_number(record->body, "downtime_ms", 0);
	run->open = !run->outcome || strcmp(run->outcome, "done") != 0;
}

static void fold_start(struct run *run, const struct record *record)
{
	run->outcome = NULL; /* not known until it ends */
	run->open = true;
	run->started_at_ms = record->at_ms;
	run->started_mode = keep_text(run, record, "mode");
}

static bool is_about_a_step(enum record_kind kind)
{
	return kind == RECORD_WAIT || kind == RECORD_INTENT || kind == RECORD_DONE ||
	       kind == RECORD_FAILED || kind == RECORD_UNDO_INTENT || kind == RECORD_UNDONE ||
	       kind == RECORD_PASSED || kind == RECORD_UNDO_FAILED;
}

static void fold_about_step(struct run *run, struct run_step *step, const struct record *record)
{
	switch (record->kind) {
	case RECORD_WAIT:
		fold_wait(step, record);
		break;
	case RECORD_INTENT:
		fold_intent(run, step, record);
		break;
	case RECORD_DONE:
		fold_done(run, step, record);
		break;
	case RECORD_FAILED:
		step->state = RUN_FAILED;
		fold_failed(run, step, record);
		break;
	case RECORD_UNDO_INTENT:
		step->state = RUN_UNDO_UNKNOWN;
		step->undo_failed = false;
		break;
	case RECORD_UNDO_FAILED:
		step->undo_failed = true;
		fold_failed(run, step, record);
		break;
	case RECORD_UNDONE:
		fold_undone(run, step, RUN_UNDONE);
		if (value_get_bool(record->body, "void_approvals", false))
			void_approvals(run, step->id);
		break;
	case RECORD_PASSED:
		fold_undone(run, step, RUN_PASSED);
		break;
	default:
		break;
	}
	step->said_at_ms = record->at_ms;
}

void run_apply(struct run *run, const struct record *record)
{
	switch (record->kind) {
	case RECORD_BEGIN:
		fold_begin(run, record);
		break;
	case RECORD_AMEND:
		fold_amend(run, record);
		break;
	case RECORD_PIN:
		fold_pin(run, record);
		break;
	case RECORD_APPROVAL:
		fold_approval(run, record);
		break;
	case RECORD_END:
		fold_end(run, record);
		break;
	case RECORD_START:
		fold_start(run, record);
		break;
	default:
		if (is_about_a_step(record->kind))
			fold_about_step(run, run_step(run, record->step), record);
		break;
	}
	run->last_seq = record->seq;
}

/* ---- Reading ---- */

static bool apply_one(void *context, const struct record *record)
{
	run_apply(context, record);
	return true;
}

bool run_load(struct run *run, struct journal *journal, struct error *err)
{
	struct arena arena = {0};
	bool fine = journal_read(journal, 1, &arena, apply_one, run, err);

	arena_free(&arena);
	return fine;
}

void run_free(struct run *run)
{
	arena_free(&run->arena);
	*run = (struct run){0};
}

const char *run_pin(const struct run *run, const char *name)
{
	return value_get_text(run->pins, name, NULL);
}

static bool counted_before(const struct run_approval *newest, const struct run_approval *one)
{
	for (const struct run_approval *other = newest; other != one; other = other->next)
		if (strcmp(other->step, one->step) == 0 && strcmp(other->who, one->who) == 0 &&
		    strcmp(other->digest, one->digest) == 0)
			return true;
	return false;
}

int64_t run_approvals(const struct run *run, const char *step)
{
	int64_t people = 0;

	for (const struct run_approval *one = run->approvals; one; one = one->next)
		if (strcmp(one->step, step) == 0 && run->digest &&
		    strcmp(one->digest, run->digest) == 0 && !counted_before(run->approvals, one))
			people++;
	return people;
}
