/* SPDX-License-Identifier: MIT */
/* What is said of a step, phase by phase. */
#include "cmd/explained.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "engine/walk.h"

#include <string.h>

#define NEEDS_MOST 5 /* so many are named */
#define CHAIN_MOST 4

/* ---- Needs ---- */

static const struct plan_step *first_missing(const struct explained *explained,
                                             const struct plan_step *step)
{
	for (size_t i = 0; i < step->need_count; i++)
		if (run_step(&explained->situation->session->run, step->needs[i]->id)->state !=
		    RUN_DONE)
			return step->needs[i];
	return NULL;
}

/* ", which waits for b, which waits for c" from a; *root is the last of them. */
static const char *chain_text(const struct explained *explained, const struct plan_step *need,
                              struct value *chain, const struct plan_step **root)
{
	struct arena *arena = explained->situation->arena;
	struct text out = {0};
	size_t count = 0;

	for (const struct plan_step *one = need; one; one = first_missing(explained, one)) {
		*root = one;
		value_add(chain, value_text(arena, one->id));
		if (count && count < CHAIN_MOST)
			text_format(&out, ", which waits for %s", one->id);
		count++;
	}
	if (count > CHAIN_MOST)
		text_format(&out, ", and so on to %s", (*root)->id);
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}

/* What holds the root back, in its own words; its next command is ours. */
static void add_need(struct explained *explained, const struct plan_step *need)
{
	struct arena *arena = explained->situation->arena;
	struct value *chain = value_list(arena);
	const struct plan_step *root = need;
	const char *links = chain_text(explained, need, chain, &root);
	struct explained its = *explained;

	its.step = root;
	its.known = run_step(&explained->situation->session->run, root->id);
	its.said = situation_said(explained->situation, root->id);
	its.phase = situation_phase(explained->situation, root);
	its.because = value_list(arena);
	explained_phase(&its);
	const char *why = value_get_text(its.because->as.items.first, "text", NULL);
	struct value *reason =
		explained_add(explained, "needs", "it needs %s%s%s%s%s%s%s", need->id, links,
	                      root == need ? ", which is " : "; ", root == need ? "" : root->id,
	                      root == need ? "" : " is ", situation_phase_word(its.phase),
	                      why ? arena_printf(arena, ": %s", why) : "");
	value_set_text(arena, reason, "step", need->id);
	value_set(arena, reason, "chain", chain);
	value_set_text(arena, reason, "root", root->id);
	value_set_text(arena, reason, "root_state", situation_phase_word(its.phase));
	value_set(arena, reason, "root_because", its.because);
}

static void pending(struct explained *explained)
{
	const struct plan_step *step = explained->step;
	size_t missing = 0;

	for (size_t i = 0; i < step->need_count; i++) {
		const struct plan_step *need = step->needs[i];
		if (run_step(&explained->situation->session->run, need->id)->state == RUN_DONE)
			continue;
		if (missing++ < NEEDS_MOST)
			add_need(explained, need);
	}
	if (missing > NEEDS_MOST)
		value_set_number(explained->situation->arena,
		                 explained_add(explained, "needs",
		                               "and %zu more of what it needs are not done",
		                               missing - NEEDS_MOST),
		                 "more", (int64_t)(missing - NEEDS_MOST));
	explained_ahead(explained);
}

/* ---- Its turn has come ---- */

/* `--through` may name a step, or all of a for_each. */
static bool has_step(const struct explained *explained, const char *through)
{
	const struct plan *plan = explained->situation->session->plan;

	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *last = &plan->steps[i];
		bool named = strcmp(last->id, through) == 0 || strcmp(last->name, through) == 0;
		if (named && (last == explained->step || plan_comes_before(explained->step, last)))
			return true;
	}
	return false;
}

static const char *names_of(const struct explained *explained, const struct value *running,
                            size_t *count)
{
	struct text out = {0};

	*count = 0;
	for (const struct value *one = running ? running->as.items.first : NULL; one;
	     one = one->next) {
		const char *state = value_get_text(one, "state", "");
		if (strcmp(state, "serving") == 0)
			continue;
		text_format(&out, "%s%s (%s)", *count ? ", " : "", value_get_text(one, "step", ""),
		            state);
		(*count)++;
	}
	const char *copy = arena_text(explained->situation->arena, text_string(&out));
	text_free(&out);
	return copy;
}

static bool is_ending(const struct value *run)
{
	return strcmp(value_get_text(run, "state", ""), "ending") == 0;
}

static void its_turn(struct explained *explained)
{
	struct arena *arena = explained->situation->arena;
	const struct value *run = situation_of_run(explained->situation);
	const struct value *running = value_get(run, "running");
	const char *through = value_get_text(run, "through", NULL);
	int64_t jobs = value_get_number(run, "jobs", 0);
	size_t count;
	const char *names = names_of(explained, running, &count);

	if (through && !has_step(explained, through)) {
		struct value *reason =
			explained_add(explained, "through",
		                      "`--through %s` leaves it for a later `plan apply`", through);
		value_set_text(arena, reason, "through", through);
	} else if (jobs && (int64_t)count >= jobs) {
		struct value *reason = explained_add(
			explained, "jobs", "%s taken: %s; --jobs gives more",
			jobs == 1 ? "the one job is"
				  : arena_printf(arena, "all %lld jobs are", (long long)jobs),
			names);
		value_set_number(arena, reason, "jobs", jobs);
		value_set(arena, reason, "running", value_copy(arena, running));
	} else if (!explained->situation->paused && !is_ending(run)) {
		explained_add(explained, "turn", "all it needs is done: its turn comes now");
	}
}

static void ready(struct explained *explained)
{
	if (explained->known->was_done)
		explained_add(explained, "again",
		              "it was done; it is looked at again, because something else that "
		              "governs the same was undone");
	if (situation_of_run(explained->situation))
		its_turn(explained);
	else if (explained->situation->session->run.number)
		explained_add(explained, "turn", "all it needs is done");
	explained_ahead(explained);
}

static void looking(struct explained *explained)
{
	if (explained->known->state == RUN_UNKNOWN)
		explained_add(explained, "in doubt",
		              "an earlier try was cut off: it looks first at what became of it");
	explained_running(explained);
}

static void people(struct explained *explained)
{
	const char *what = value_get_text(explained->said, "for", "");

	if (strcmp(what, "approval") == 0)
		explained_approvals(explained);
	explained_conditions(explained);
}

static void waiting(struct explained *explained)
{
	explained_conditions(explained);
	if (walk_approvals_needed(explained->step))
		explained_approvals(explained);
}

static void checking(struct explained *explained)
{
	explained_conditions(explained);
	explained_running(explained);
}

/* ---- Services ---- */

static void serving(struct explained *explained)
{
	const struct plan_step *step = explained->step;
	struct value *users = value_list(explained->situation->arena);
	int64_t since_ms = value_get_number(explained->said, "since_ms", 0);
	struct text out = {0};

	for (size_t i = 0; i < step->user_count; i++) {
		const struct plan_step *user = step->users[i];
		if (run_step(&explained->situation->session->run, user->id)->state == RUN_DONE)
			continue;
		value_add(users, value_text(explained->situation->arena, user->id));
		text_format(&out, "%s%s", out.length ? ", " : "", user->id);
	}
	struct value *reason =
		explained_add(explained, "service",
	                      "it is satisfied, and runs on since %s until these are done: %s",
	                      explained_time(explained, since_ms), text_string(&out));
	text_free(&out);
	value_set_number(explained->situation->arena, reason, "since_ms", since_ms);
	value_set(explained->situation->arena, reason, "until_done", users);
	const char *text = value_get_text(explained->said, "text", NULL);
	if (text)
		value_set_text(explained->situation->arena,
		               explained_add(explained, "progress", "it says: %s", text),
		               "progress", text);
}

static void restarting(struct explained *explained)
{
	struct arena *arena = explained->situation->arena;
	int64_t next_ms = value_get_number(explained->said, "next_at_ms", 0);
	int64_t tries = value_get_number(explained->said, "tries", 0);
	const char *error = value_get_text(explained->said, "error", "");
	bool now = next_ms <= explained->situation->now_ms;
	struct value *reason = explained_add(explained, "restart",
	                                     "its service ended before its time (%s); it is "
	                                     "started again, for the %lld. time, %s%s",
	                                     error, (long long)tries, now ? "now" : "at ",
	                                     now ? "" : explained_time(explained, next_ms));

	value_set_text(arena, reason, "error", error);
	value_set_number(arena, reason, "tries", tries);
	value_set_number(arena, reason, "next_at_ms", next_ms);
}

/* ---- What has an end ---- */

static void done(struct explained *explained)
{
	const struct run_step *known = explained->known;
	bool serves = explained->step->module->traits & STEP_SERVICE &&
	              explained->situation->session->run.open && !explained->situation->held;
	struct value *reason = explained_add(
		explained, "done", "%s at %s%s",
		known->changed ? "it acted and was done" : "it was found as wanted",
		explained_time(explained, known->done_at_ms),
		serves ? "; its service runs again with the run, as long as it is needed" : "");

	value_set_number(explained->situation->arena, reason, "done_at_ms", known->done_at_ms);
	value_set_bool(explained->situation->arena, reason, "changed", known->changed);
}

/* What a person can do, by the kind of error. */
static const char *const remedies[] = {
	[ERROR_NONE] = "`plan apply` tries it again",
	[ERROR_PLAN] = "the plan is to be mended; `plan apply --amend` then tries it again",
	[ERROR_RETRY] = "all its tries are used up; `plan apply` begins to count anew",
	[ERROR_REFUSED] = "a rule stands against it; mend what it names, then `plan apply`",
	[ERROR_DRIFT] = "the world is not what it was; look with `plan diff`, then `plan apply`",
	[ERROR_CANCELLED] = "`plan apply` tries it again",
	[ERROR_FAILED] = "mend the cause; `plan apply` then tries it again",
};

static void add_failure(struct explained *explained, const char *what, const char *remedy)
{
	struct arena *arena = explained->situation->arena;
	const struct run_step *known = explained->known;
	const char *text = known->error_text ? known->error_text : "";
	struct value *reason = explained_add(explained, "failed", "%s at %s: %s", what,
	                                     explained_time(explained, known->said_at_ms), text);

	value_set_number(arena, reason, "at_ms", known->said_at_ms);
	value_set_text(arena, reason, "error", text);
	value_set_text(arena, reason, "error_kind", known->error_kind ? known->error_kind : "");
	value_set_text(arena, reason, "remedy", remedy);
	explained_add(explained, "remedy", "%s", remedy);
}

static void failed(struct explained *explained)
{
	const char *kind = explained->known->error_kind;
	enum error_kind error = kind ? error_kind_from_name(kind) : ERROR_NONE;

	add_failure(explained, "it failed", remedies[error]);
}

static void in_doubt(struct explained *explained)
{
	struct value *reason = explained_add(
		explained, "in doubt",
		"it announced at %s what it was about to do, and no result is recorded: it was cut "
		"off. It will be looked up first; what is done is not done again",
		explained_time(explained, explained->known->said_at_ms));

	value_set_number(explained->situation->arena, reason, "at_ms",
	                 explained->known->said_at_ms);
	if (situation_of_run(explained->situation))
		its_turn(explained);
}

static void undo_in_doubt(struct explained *explained)
{
	struct value *reason = explained_add(
		explained, "in doubt",
		"its undoing was announced at %s and no result is recorded: it will be looked up "
		"first",
		explained_time(explained, explained->known->said_at_ms));

	value_set_number(explained->situation->arena, reason, "at_ms",
	                 explained->known->said_at_ms);
	if (!explained->situation->held)
		explained_next(explained, "rollback", "--to ", explained->step->id);
}

static void undo_failed(struct explained *explained)
{
	add_failure(explained, "it could not be undone",
	            "mend the cause; `plan rollback` tries it again");
	if (!explained->situation->held)
		explained_next(explained, "rollback", "--to ", explained->step->id);
}

static void undone(struct explained *explained)
{
	struct value *reason = explained_add(
		explained, "undone", "the way back undid it at %s; `plan apply` does it again",
		explained_time(explained, explained->known->said_at_ms));

	value_set_number(explained->situation->arena, reason, "at_ms",
	                 explained->known->said_at_ms);
}

static void passed(struct explained *explained)
{
	const char *why = explained->step->rollback_why;
	struct value *reason =
		explained_add(explained, "passed over", "the way back passed over it at %s: %s",
	                      explained_time(explained, explained->known->said_at_ms),
	                      why ? why : "the plan says so");

	value_set_number(explained->situation->arena, reason, "at_ms",
	                 explained->known->said_at_ms);
	if (why)
		value_set_text(explained->situation->arena, reason, "why", why);
}

static void (*const phases[PHASES])(struct explained *explained) = {
	[PHASE_PENDING] = pending,
	[PHASE_READY] = ready,
	[PHASE_LOOKING] = looking,
	[PHASE_CONDITIONS] = waiting,
	[PHASE_PEOPLE] = people,
	[PHASE_RUNNING] = explained_running,
	[PHASE_RETRYING] = explained_retry,
	[PHASE_CHECKING] = checking,
	[PHASE_SERVING] = serving,
	[PHASE_RESTARTING] = restarting,
	[PHASE_DONE] = done,
	[PHASE_FAILED] = failed,
	[PHASE_IN_DOUBT] = in_doubt,
	[PHASE_GOING_BACK] = explained_running,
	[PHASE_UNDO_FAILED] = undo_failed,
	[PHASE_UNDO_IN_DOUBT] = undo_in_doubt,
	[PHASE_UNDONE] = undone,
	[PHASE_PASSED] = passed,
};

void explained_phase(struct explained *explained)
{
	phases[explained->phase](explained);
}
