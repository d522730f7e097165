/* SPDX-License-Identifier: MIT */
/* What a step waits for: conditions, people, its own work, the next try. */
#include "cmd/explained.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/walk.h"

#include <string.h>

/* What was measured so long ago is said to be of then. */
#define OLD_MS 10000

/* ---- Conditions ---- */

static const char *taken(struct arena *arena, struct text *text)
{
	const char *copy = arena_text(arena, text_string(text));

	text_free(text);
	return copy;
}

static void say_how_long(const struct explained *explained, const struct value *condition,
                         struct text *out)
{
	struct arena *arena = explained->situation->arena;
	int64_t since_ms = value_get_number(condition, "held_since_ms", 0);
	int64_t stable_ms = value_get_number(condition, "stable_for_ms", 0);
	int64_t held_ms = explained->situation->now_ms - since_ms;

	if (!since_ms || !stable_ms)
		text_add(out, "; it holds");
	else if (held_ms < stable_ms)
		text_format(out, "; it has held for %s and must for %s, %s to go",
		            clock_duration_text(arena, held_ms),
		            clock_duration_text(arena, stable_ms),
		            clock_duration_text(arena, stable_ms - held_ms));
	else
		text_format(out, "; it has held for %s, long enough (%s)",
		            clock_duration_text(arena, held_ms),
		            clock_duration_text(arena, stable_ms));
}

static void say_until_when(const struct explained *explained, const struct value *condition,
                           struct text *out)
{
	int64_t holds_ms = value_get_number(condition, "holds_at_ms", 0);
	int64_t deadline_ms = value_get_number(condition, "deadline_ms", 0);

	if (holds_ms)
		text_format(out, "; it will hold at %s", explained_time(explained, holds_ms));
	if (holds_ms && deadline_ms && holds_ms > deadline_ms)
		text_format(out, ", but that is after its deadline, %s",
		            explained_time(explained, deadline_ms));
	else if (deadline_ms)
		text_format(out, "; it is waited for until %s, then the step fails",
		            explained_time(explained, deadline_ms));
}

static void add_condition(struct explained *explained, const struct value *condition)
{
	const struct situation *situation = explained->situation;
	struct text out = {0};
	int64_t measured_ms = value_get_number(explained->said, "at_ms", 0);

	text_add(&out, situation_condition(situation->arena, condition));
	if (value_get_bool(condition, "holds", false))
		say_how_long(explained, condition, &out);
	else
		say_until_when(explained, condition, &out);
	if (situation->now_ms - measured_ms > OLD_MS)
		text_format(&out, " (measured %s ago)",
		            clock_duration_text(situation->arena, situation->now_ms - measured_ms));
	const char *kind = explained->phase == PHASE_CHECKING ? "postcondition" : "precondition";
	struct value *reason = explained_add(explained, kind, "%s", taken(situation->arena, &out));
	for (const struct value *fact = condition->as.items.first; fact; fact = fact->next)
		value_set(situation->arena, reason, fact->key, value_copy(situation->arena, fact));
	value_set_number(situation->arena, reason, "measured_at_ms", measured_ms);
}

void explained_conditions(struct explained *explained)
{
	const struct value *conditions = value_get(explained->said, "conditions");

	for (int holding = 0; holding < 2; holding++) /* what holds it back comes first */
		for (const struct value *one = conditions ? conditions->as.items.first : NULL; one;
		     one = one->next)
			if (value_get_bool(one, "holds", false) == (holding == 1))
				add_condition(explained, one);
}

static const char *limit_text(struct arena *arena, const struct plan_condition *condition)
{
	static const char *const comparators[] = {
		[COMPARE_TRUE] = "true",         [COMPARE_BELOW] = "below",
		[COMPARE_AT_MOST] = "at most",   [COMPARE_ABOVE] = "above",
		[COMPARE_AT_LEAST] = "at least", [COMPARE_EQUALS] = "equal to",
		[COMPARE_ONE_OF] = "one of",
	};
	struct text out = {0};

	text_add(&out, condition->check);
	if (condition->of) {
		text_add(&out, " of ");
		value_print(condition->of, &out);
	}
	text_format(&out, " must be %s", comparators[condition->comparator]);
	if (condition->limit) {
		text_add(&out, " ");
		value_print(condition->limit, &out);
	}
	if (condition->stable_for_ms)
		text_format(&out, " for %s", clock_duration_text(arena, condition->stable_for_ms));
	if (condition->within_ms)
		text_format(&out, ", within %s", clock_duration_text(arena, condition->within_ms));
	return taken(arena, &out);
}

/* What it will wait for when its turn comes. */
void explained_ahead(struct explained *explained)
{
	const struct plan_conditions *conditions = &explained->step->preconditions;

	for (size_t i = 0; i < conditions->count; i++) {
		struct value *reason = explained_add(
			explained, "ahead", "before it acts: %s",
			limit_text(explained->situation->arena, &conditions->list[i]));
		value_set_text(explained->situation->arena, reason, "check",
		               conditions->list[i].check);
	}
	if (walk_approvals_needed(explained->step))
		explained_approvals(explained);
}

/* ---- Approvals ---- */

/* How an approval counts, of the journal or still to be read. */
static const char *const shares[] = {"approved_by", "not_read_yet_from", "void_of", "not_named"};
enum { SHARE_COUNTS, SHARE_FILED, SHARE_VOID, SHARE_NOT_NAMED, SHARES };

static bool holds_text(const struct value *list, const char *text)
{
	for (const struct value *one = list->as.items.first; one; one = one->next)
		if (strcmp(value_reveal(one), text) == 0)
			return true;
	return false;
}

/* Each person once; whose approval counts is in no other list. */
static void add_person(const struct explained *explained, struct value **lists, int share,
                       const char *who)
{
	if (!holds_text(lists[share], who) && !holds_text(lists[SHARE_COUNTS], who))
		value_add(lists[share], value_text(explained->situation->arena, who));
}

static void count_recorded(const struct explained *explained, struct value **lists)
{
	const struct run *run = &explained->situation->session->run;
	const char *digest = explained->situation->session->plan->digest;

	/* The newest comes first. */
	for (const struct run_approval *one = run->approvals; one; one = one->next)
		if (strcmp(one->step, explained->step->id) == 0)
			add_person(explained, lists,
			           strcmp(one->digest, digest) == 0 ? SHARE_COUNTS : SHARE_VOID,
			           one->who);
}

static void count_request(const struct explained *explained, const struct request *request,
                          struct value **lists)
{
	const struct plan_step *step = explained->step;
	bool same = strcmp(request->digest, explained->situation->session->plan->digest) == 0;
	int share = !walk_may_approve(step, request->who) ? SHARE_NOT_NAMED
	            : !same                               ? SHARE_VOID
	                                                  : SHARE_FILED;

	if (request->kind != REQUEST_APPROVE ||
	    (strcmp(request->step, step->id) != 0 && strcmp(request->step, step->name) != 0))
		return;
	/* What was read and counted is in the journal; what was read in another run is of then. */
	bool past = request->handled &&
	            (share == SHARE_FILED ||
	             request->at_ms < explained->situation->session->run.begun_at_ms);
	if (!past)
		add_person(explained, lists, share, request->who);
}

static void say_names(struct text *out, const char *before, const struct value *names)
{
	if (!names || !names->as.items.count)
		return;
	text_add(out, before);
	for (const struct value *one = names->as.items.first; one; one = one->next)
		text_format(out, "%s%s", one == names->as.items.first ? "" : ", ",
		            value_reveal(one) ? value_reveal(one) : "?");
}

static const char *approvals_text(const struct explained *explained, int64_t needed,
                                  struct value *const *lists)
{
	const struct plan_step *step = explained->step;
	const char *text =
		step->approval.text ? step->approval.text : value_get_text(step->with, "text", "");
	struct text out = {0};

	if (step->module->traits & STEP_PERSON)
		text_add(&out, "a person does it and then says so: ");
	text_format(&out, "%zu of %lld approvals", lists[SHARE_COUNTS]->as.items.count,
	            (long long)needed);
	say_names(&out, ", by ", lists[SHARE_COUNTS]);
	if (text[0])
		text_format(&out, ": %s", text);
	say_names(&out, "; who may: ", step->approval.from);
	say_names(&out, "; to be counted: ", lists[SHARE_FILED]);
	say_names(&out, "; void, because the plan or its inputs changed or the step was undone: ",
	          lists[SHARE_VOID]);
	say_names(&out, "; does not count, the plan does not name them: ", lists[SHARE_NOT_NAMED]);
	return taken(explained->situation->arena, &out);
}

void explained_approvals(struct explained *explained)
{
	const struct situation *situation = explained->situation;
	const struct plan_step *step = explained->step;
	bool person = step->module->traits & STEP_PERSON;
	int64_t needed = walk_approvals_needed(step);
	struct value *lists[SHARES];

	for (size_t i = 0; i < SHARES; i++)
		lists[i] = value_list(situation->arena);
	count_recorded(explained, lists);
	for (size_t i = 0; i < situation->request_count; i++)
		count_request(explained, situation->requests[i], lists);
	struct value *reason = explained_add(explained, person ? "person" : "approval", "%s",
	                                     approvals_text(explained, needed, lists));
	int64_t given = (int64_t)lists[SHARE_COUNTS]->as.items.count;
	value_set_number(situation->arena, reason, "needed", needed);
	value_set_number(situation->arena, reason, "given", given);
	if (step->approval.from)
		value_set(situation->arena, reason, "from",
		          value_copy(situation->arena, step->approval.from));
	for (size_t i = 0; i < SHARES; i++)
		if (lists[i]->as.items.count)
			value_set(situation->arena, reason, shares[i], lists[i]);
	if (explained->phase == PHASE_PEOPLE &&
	    given + (int64_t)lists[SHARE_FILED]->as.items.count < needed)
		explained_next(explained, "approve", "", step->id);
}

/* ---- Its own work ---- */

static void add_timeout(struct explained *explained)
{
	int64_t ends_ms = value_get_number(explained->said, "timeout_at_ms", 0);
	int64_t timeout_ms = explained->step->timeout_ms;
	struct arena *arena = explained->situation->arena;
	struct value *reason;

	if (!timeout_ms || !value_get(explained->said, "state"))
		return;
	const char *length = clock_duration_text(arena, timeout_ms);
	if (ends_ms)
		reason = explained_add(explained, "timeout",
		                       "its timeout of %s is over at %s, then it is stopped and "
		                       "fails",
		                       length, explained_time(explained, ends_ms));
	else
		reason = explained_add(explained, "timeout",
		                       "its timeout of %s does not run while it waits", length);
	value_set_number(arena, reason, "timeout_ms", timeout_ms);
	if (ends_ms)
		value_set_number(arena, reason, "timeout_at_ms", ends_ms);
}

void explained_running(struct explained *explained)
{
	struct arena *arena = explained->situation->arena;
	const struct value *process = situation_process(explained->situation, explained->step->id);
	const char *word = explained->phase == PHASE_GOING_BACK ? "go back"
	                   : explained->phase == PHASE_LOOKING  ? "look"
	                                                        : "act";
	const char *text = value_get_text(explained->said, "text", NULL);
	int64_t since_ms =
		value_get_number(explained->said ? explained->said : process, "since_ms", 0);
	int64_t until_ms = value_get_number(explained->said, "until_ms", 0);
	struct value *reason = explained_add(explained, "running", "it began to %s at %s%s%s", word,
	                                     explained_time(explained, since_ms), text ? ": " : "",
	                                     text ? text : "");

	value_set_number(arena, reason, "since_ms", since_ms);
	if (text)
		value_set_text(arena, reason, "progress", text);
	if (until_ms)
		value_set_number(arena,
		                 explained_add(explained, "time", "it waits until %s",
		                               explained_time(explained, until_ms)),
		                 "until_ms", until_ms);
	add_timeout(explained);
}

void explained_retry(struct explained *explained)
{
	struct arena *arena = explained->situation->arena;
	const struct value *said = explained->said;
	const char *error = value_get_text(said, "error", "");
	int64_t tries = value_get_number(said, "tries", 0);
	int64_t most = value_get_number(said, "tries_most", 0);
	int64_t next_ms = value_get_number(said, "next_at_ms", 0);
	bool now = next_ms <= explained->situation->now_ms;
	struct value *reason = explained_add(
		explained, "retry", "try %lld of %lld failed: %s; the next one %s%s",
		(long long)tries, (long long)most, error, now ? "is under way" : "is at ",
		now ? "" : explained_time(explained, next_ms));

	value_set_number(arena, reason, "tries", tries);
	value_set_number(arena, reason, "tries_most", most);
	value_set_number(arena, reason, "next_at_ms", next_ms);
	value_set_text(arena, reason, "error", error);
	add_timeout(explained);
}
