/* SPDX-License-Identifier: MIT */
/* Reads how a run stands, and says in which phase each step is. */
#include "cmd/situation.h"
#include "engine/base/clock.h"

#include <string.h>

static const char *const phase_words[PHASES] = {
	[PHASE_PENDING] = "pending",
	[PHASE_READY] = "ready",
	[PHASE_LOOKING] = "looking",
	[PHASE_CONDITIONS] = "waiting",
	[PHASE_PEOPLE] = "waiting",
	[PHASE_RUNNING] = "running",
	[PHASE_RETRYING] = "retrying",
	[PHASE_CHECKING] = "waiting",
	[PHASE_SERVING] = "serving",
	[PHASE_RESTARTING] = "restarting",
	[PHASE_DONE] = "done",
	[PHASE_FAILED] = "failed",
	[PHASE_IN_DOUBT] = "in doubt",
	[PHASE_GOING_BACK] = "going back",
	[PHASE_UNDO_FAILED] = "not undone",
	[PHASE_UNDO_IN_DOUBT] = "undo in doubt",
	[PHASE_UNDONE] = "undone",
	[PHASE_PASSED] = "passed over",
};

/* What a live state stands for. */
static const struct {
	const char *state;
	const char *waits_for; /* NULL: whatever */
	enum phase phase;
	bool lasts; /* true also when nobody holds the run any more */
} live_phases[] = {
	{"waiting", "precondition", PHASE_CONDITIONS, true},
	{"waiting", "postcondition", PHASE_CHECKING, false},
	{"waiting", "approval", PHASE_PEOPLE, true},
	{"waiting", "pause", PHASE_PEOPLE, true},
	{"waiting", "end", PHASE_PEOPLE, false},
	{"waiting", NULL, PHASE_LOOKING, false},
	{"acting", NULL, PHASE_RUNNING, false},
	{"retrying", NULL, PHASE_RETRYING, false},
	{"serving", NULL, PHASE_SERVING, false},
	{"restarting", NULL, PHASE_RESTARTING, false},
};

const char *situation_phase_word(enum phase phase)
{
	return phase_words[phase];
}

/* ---- Reading ---- */

static void read_requests(struct situation *situation)
{
	struct journal *journal = situation->session->journal;
	const struct request *request;
	size_t room = 16;

	situation->requests = arena_array(situation->arena, room, sizeof *situation->requests);
	for (int handled = 1; handled >= 0; handled--)
		for (int64_t id = 0;
		     (request = journal_next_request(journal, id, handled, situation->arena));
		     id = request->id) {
			if (situation->request_count == room) {
				const struct request **more = arena_array(
					situation->arena, room * 2, sizeof *situation->requests);
				memcpy(more, situation->requests, room * sizeof *more);
				situation->requests = more;
				room *= 2;
			}
			situation->requests[situation->request_count++] = request;
		}
}

/* A pause holds until somebody says resume; a stop is for who carries the plan out then. */
static void weigh_requests(struct situation *situation)
{
	for (size_t i = 0; i < situation->request_count; i++) {
		const struct request *one = situation->requests[i];
		if (one->kind == REQUEST_PAUSE)
			situation->paused = one;
		else if (one->kind == REQUEST_RESUME)
			situation->paused = NULL;
		else if (one->kind == REQUEST_STOP &&
		         (!one->handled || one->at_ms >= situation->session->run.started_at_ms))
			situation->stopped = one;
	}
}

void situation_read(struct situation *situation, struct session *session)
{
	const struct run *run = &session->run;

	*situation = (struct situation){
		.session = session,
		.arena = &session->arena,
		.now_ms = clock_now_ms(),
	};
	if (!session->journal)
		return;
	situation->held = journal_holder(session->journal, &situation->holder);
	situation->live = journal_live(session->journal, situation->arena);
	situation->plan_changed =
		run->digest && run->open && strcmp(run->digest, session->plan->digest) != 0;
	read_requests(situation);
	weigh_requests(situation);
}

const char *situation_word(const struct situation *situation)
{
	const struct run *run = &situation->session->run;

	if (!run->number)
		return "not begun";
	if (situation->held)
		return "running";
	if (run->outcome)
		return run->outcome;
	return "stopped without a word; `plan apply` takes it up";
}

/* ---- What is live ---- */

const struct value *situation_said(const struct situation *situation, const char *step)
{
	const struct value *said = value_get(situation->live, step);

	return value_get_number(said, "at_ms", 0) >= situation->session->run.started_at_ms ? said
	                                                                                   : NULL;
}

const struct value *situation_of_run(const struct situation *situation)
{
	return situation->held ? situation_said(situation, "") : NULL;
}

const struct value *situation_process(const struct situation *situation, const char *step)
{
	const struct value *running = value_get(situation_of_run(situation), "running");

	for (const struct value *one = running ? running->as.items.first : NULL; one;
	     one = one->next)
		if (strcmp(value_get_text(one, "step", ""), step) == 0)
			return one;
	return NULL;
}

const char *situation_condition(struct arena *arena, const struct value *condition)
{
	const char *of = value_get_text(condition, "of", NULL);

	return arena_printf(arena, "%s%s%s is %s, must be %s",
	                    value_get_text(condition, "check", ""), of ? " of " : "", of ? of : "",
	                    value_get_text(condition, "is", "not known"),
	                    value_get_text(condition, "must_be", ""));
}

/* ---- Phases ---- */

static bool live_phase(const struct situation *situation, const struct value *said,
                       enum phase *phase)
{
	const char *state = value_get_text(said, "state", ""),
		   *what = value_get_text(said, "for", "");

	for (size_t i = 0; i < sizeof live_phases / sizeof *live_phases; i++) {
		const char *waits_for = live_phases[i].waits_for;
		if (strcmp(live_phases[i].state, state) != 0 ||
		    (waits_for && strcmp(waits_for, what) != 0))
			continue;
		*phase = live_phases[i].phase;
		return situation->held || live_phases[i].lasts;
	}
	return false;
}

static enum phase before_it_begins(const struct situation *situation, const struct plan_step *step)
{
	for (size_t i = 0; i < step->need_count; i++)
		if (run_step(&situation->session->run, step->needs[i]->id)->state != RUN_DONE)
			return PHASE_PENDING;
	return PHASE_READY;
}

/* The phase of a step in that state of which nothing newer is live. */
static enum phase settled_phase(const struct situation *situation, const struct plan_step *step,
                                const struct run_step *known)
{
	switch (known->state) {
	case RUN_PENDING:
	case RUN_WAITING:
		return before_it_begins(situation, step);
	case RUN_UNKNOWN:
		return PHASE_IN_DOUBT;
	case RUN_DONE:
		return PHASE_DONE;
	case RUN_FAILED:
		return PHASE_FAILED;
	case RUN_UNDO_UNKNOWN:
		return known->undo_failed ? PHASE_UNDO_FAILED : PHASE_UNDO_IN_DOUBT;
	case RUN_UNDONE:
		return PHASE_UNDONE;
	case RUN_PASSED:
		return PHASE_PASSED;
	}
	return PHASE_PENDING;
}

enum phase situation_phase(const struct situation *situation, const struct plan_step *step)
{
	const struct run_step *known = run_step(&situation->session->run, step->id);
	const struct value *said = situation_said(situation, step->id);
	const struct value *process = situation_process(situation, step->id);
	enum phase settled = settled_phase(situation, step, known), phase;
	bool back = known->state == RUN_UNDONE || known->state == RUN_PASSED;
	bool stale = back && value_get_number(said, "at_ms", 0) <= known->said_at_ms;
	bool lives = said && !stale && live_phase(situation, said, &phase);

	if (known->state == RUN_UNDO_UNKNOWN)
		return lives && !known->undo_failed ? PHASE_GOING_BACK : settled;
	if (lives && known->state == RUN_DONE)
		return phase == PHASE_SERVING || phase == PHASE_RESTARTING ? phase : settled;
	if (lives)
		return phase;
	bool begun = process && settled != PHASE_DONE &&
	             value_get_number(process, "since_ms", 0) > known->said_at_ms;
	return begun ? PHASE_LOOKING : settled;
}
