/* SPDX-License-Identifier: MIT */
/* plan status: what the journal says of a run, live, finished or crashed. */
#include "cmd/command.h"
#include "cmd/show.h"
#include "cmd/situation.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"

#include <unistd.h>

static const enum tone tones[PHASES] = {
	[PHASE_PENDING] = TONE_DIM,       [PHASE_READY] = TONE_DIM,
	[PHASE_CONDITIONS] = TONE_WARN,   [PHASE_PEOPLE] = TONE_WARN,
	[PHASE_RUNNING] = TONE_STRONG,    [PHASE_RETRYING] = TONE_WARN,
	[PHASE_CHECKING] = TONE_WARN,     [PHASE_SERVING] = TONE_GOOD,
	[PHASE_RESTARTING] = TONE_WARN,   [PHASE_DONE] = TONE_GOOD,
	[PHASE_FAILED] = TONE_BAD,        [PHASE_IN_DOUBT] = TONE_BAD,
	[PHASE_GOING_BACK] = TONE_WARN,   [PHASE_UNDO_FAILED] = TONE_BAD,
	[PHASE_UNDO_IN_DOUBT] = TONE_BAD, [PHASE_UNDONE] = TONE_WARN,
	[PHASE_PASSED] = TONE_WARN,
};

/* "heroku.postgres.lag of x is 5,123 commits, must be below 200 commits; ..." */
static const char *conditions_text(struct arena *arena, const struct value *conditions)
{
	struct text out = {0};

	for (const struct value *one = conditions->as.items.first; one; one = one->next) {
		text_format(&out, "%s%s", out.length ? "; " : "", situation_condition(arena, one));
		int64_t since_ms = value_get_number(one, "held_since_ms", 0);
		int64_t stable_ms = value_get_number(one, "stable_for_ms", 0);
		if (since_ms && stable_ms)
			text_format(&out, " (holds since %s, must hold for %s)",
			            clock_duration_text(arena, clock_now_ms() - since_ms),
			            clock_duration_text(arena, stable_ms));
	}
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}

static const char *detail(const struct situation *situation, const struct plan_step *plan_step,
                          enum phase phase)
{
	const struct run_step *step = run_step(&situation->session->run, plan_step->id);
	const struct value *said = situation_said(situation, plan_step->id);
	const char *text = value_get_text(said, "text", "");

	switch (phase) {
	case PHASE_DONE:
	case PHASE_UNDONE:
	case PHASE_PASSED:
	case PHASE_PENDING:
	case PHASE_READY:
		return "";
	case PHASE_FAILED:
	case PHASE_UNDO_FAILED:
		return step->error_text ? step->error_text : "";
	case PHASE_RESTARTING:
		return value_get_text(said, "error", "");
	case PHASE_CONDITIONS:
	case PHASE_CHECKING:
		return value_get(said, "conditions")
		               ? conditions_text(situation->arena, value_get(said, "conditions"))
		               : text;
	case PHASE_LOOKING:
	case PHASE_PEOPLE:
	case PHASE_RUNNING:
	case PHASE_SERVING:
	case PHASE_RETRYING:
	case PHASE_IN_DOUBT:
	case PHASE_GOING_BACK:
	case PHASE_UNDO_IN_DOUBT:
		return text;
	}
	return text;
}

static void print_step(const struct situation *situation, const struct plan_step *step, bool color)
{
	enum phase phase = situation_phase(situation, step);
	const char *more = detail(situation, step, phase);

	fputs("  ", stdout);
	show_text(stdout, color, tones[phase],
	          arena_printf(situation->arena, "%-12s", situation_phase_word(phase)));
	show_line(stdout, false, TONE_PLAIN, " %s%s%s", step->id, more[0] ? ": " : "", more);
}

static struct value *step_as_json(const struct situation *situation,
                                  const struct plan_step *plan_step)
{
	struct arena *arena = situation->arena;
	const struct run_step *step = run_step(&situation->session->run, plan_step->id);
	const struct value *now = value_get(situation->live, plan_step->id);
	struct value *map = value_map(arena);

	value_set_text(arena, map, "step", plan_step->id);
	value_set_text(arena, map, "state", run_state_name(step->state));
	enum phase phase = situation_phase(situation, plan_step);
	value_set_text(arena, map, "phase", situation_phase_word(phase));
	if (step->error_text)
		value_set_text(arena, map, "error", step->error_text);
	if (step->done_at_ms)
		value_set_number(arena, map, "done_at_ms", step->done_at_ms);
	if (now && (step->state != RUN_DONE || phase == PHASE_SERVING || phase == PHASE_RESTARTING))
		value_set(arena, map, "live", value_copy(arena, now));
	return map;
}

static const char *next_command(const struct situation *situation)
{
	const struct run *run = &situation->session->run;

	if (situation->held)
		return "status --watch";
	return run->number && !run->open ? "diff" : "apply";
}

static void print_json(const struct situation *situation)
{
	const struct session *session = situation->session;
	struct arena *arena = situation->arena;
	struct value *top = value_map(arena), *steps = value_list(arena);

	value_set_number(arena, top, "format", 1);
	value_set_text(arena, top, "plan", session->plan->name);
	value_set_number(arena, top, "run", session->run.number);
	value_set_text(arena, top, "state", situation_word(situation));
	if (situation->held) {
		value_set_text(arena, top, "holder", situation->holder.who);
		value_set_text(arena, top, "host", situation->holder.host);
		value_set_number(arena, top, "pid", situation->holder.pid);
	}
	for (size_t i = 0; i < session->plan->step_count; i++)
		value_add(steps, step_as_json(situation, &session->plan->steps[i]));
	value_set(arena, top, "steps", steps);
	show_json(stdout, top);
}

static void print_text(const struct situation *situation, bool color)
{
	const struct plan *plan = situation->session->plan;

	show_line(stdout, color, TONE_STRONG, "%s: %s", plan->name, situation_word(situation));
	if (situation->held)
		show_line(stdout, false, TONE_PLAIN, "  by %s on %s, process %lld, since %s",
		          situation->holder.who, situation->holder.host,
		          (long long)situation->holder.pid,
		          clock_text(situation->arena, situation->holder.since_ms));
	for (size_t i = 0; i < plan->step_count; i++)
		print_step(situation, &plan->steps[i], color);
	show_line(stdout, false, TONE_PLAIN, "Next: plan %s %s", next_command(situation),
	          plan->file);
}

/* Opens the journal, prints, and closes it again: true while a process holds the plan. */
static bool look_once(const struct invocation *invocation, const struct plan *plan, int *code)
{
	struct session session = {.rehearsal = invocation->given[OPTION_REHEARSAL]};
	struct situation situation = {0};
	struct error err = {0};

	if (session_open(&session, plan, false, &err)) {
		situation_read(&situation, &session);
		if (invocation->given[OPTION_JSON])
			print_json(&situation);
		else
			print_text(&situation, invocation->color);
	} else {
		*code = command_fail(&err);
	}
	session_close(&session);
	return situation.held;
}

static int run(struct invocation *invocation)
{
	struct plan plan;
	int code = EXIT_DONE;
	const char *file = invocation->argument_count ? invocation->arguments[0] : NULL;

	if (!command_load_plan(invocation, file, &plan))
		return EXIT_BAD_USAGE;
	while (look_once(invocation, &plan, &code) && invocation->given[OPTION_WATCH]) {
		fflush(stdout);
		sleep(1);
	}
	plan_free(&plan);
	return code;
}

const struct command command_status = {
	.name = "status",
	.usage = "[FILE] [--watch] [--json]",
	.text = "Show how far a run is",
	.least = 0,
	.most = 1,
	.options = {OPTION_WATCH, OPTION_REHEARSAL, OPTION_SET, OPTION_INPUTS, OPTION_JSON,
                    OPTION_COLOR},
	.run = run,
};
