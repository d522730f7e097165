/* SPDX-License-Identifier: MIT */
/* The frame of an explanation: the step's own phase, then how the run stands, then what to type. */
#include "cmd/explained.h"
#include "cmd/show.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/walk.h"

#include <stdarg.h>
#include <string.h>

struct value *explained_add(struct explained *explained, const char *kind, const char *format, ...)
{
	struct arena *arena = explained->situation->arena;
	struct value *reason = value_map(arena);
	va_list arguments;

	va_start(arguments, format);
	value_set_text(arena, reason, "kind", kind);
	value_set_text(arena, reason, "text", arena_vprintf(arena, format, arguments));
	va_end(arguments);
	value_add(explained->because, reason);
	return reason;
}

void explained_next(struct explained *explained, const char *command, const char *option,
                    const char *step)
{
	struct arena *arena = explained->situation->arena;
	const char *line = arena_printf(arena, "plan %s %s%s%s%s%s", command,
	                                show_word(arena, explained->situation->session->plan->file),
	                                step[0] ? " " : "", option,
	                                step[0] ? show_word(arena, step) : "", explained->options);

	for (const struct value *one = explained->next->as.items.first; one; one = one->next)
		if (strcmp(one->as.text, line) == 0)
			return;
	value_add(explained->next, value_text(arena, line));
}

const char *explained_time(const struct explained *explained, int64_t wall_ms)
{
	struct arena *arena = explained->situation->arena;
	int64_t left_ms = wall_ms - explained->situation->now_ms;
	const char *text = clock_text(arena, wall_ms);

	if (left_ms > 0)
		return arena_printf(arena, "%.19sZ (in %s)", text,
		                    clock_duration_text(arena, left_ms));
	if (left_ms > -1000)
		return arena_printf(arena, "%.19sZ (just now)", text);
	return arena_printf(arena, "%.19sZ (%s ago)", text, clock_duration_text(arena, -left_ms));
}

/* ---- The run ---- */

static void no_run(struct explained *explained)
{
	bool rehearsal = explained->situation->session->rehearsal;

	explained_add(explained, "run", "no run of this plan has begun");
	explained_next(explained, rehearsal ? "rehearse" : "apply", "", "");
}

static void run_is_paused(struct explained *explained)
{
	const struct request *pause = explained->situation->paused;
	struct value *reason =
		explained_add(explained, "paused", "%s paused the run at %s: no step begins to act",
	                      pause->who, explained_time(explained, pause->at_ms));

	value_set_text(explained->situation->arena, reason, "who", pause->who);
	value_set_number(explained->situation->arena, reason, "at_ms", pause->at_ms);
	explained_next(explained, "resume", "", "");
}

static void run_is_stopped(struct explained *explained)
{
	const struct request *stop = explained->situation->stopped;
	struct value *reason =
		explained_add(explained, "stop", "%s asked the run to stop at %s%s", stop->who,
	                      explained_time(explained, stop->at_ms),
	                      explained->situation->held ? ": it ends in good order" : "");

	value_set_text(explained->situation->arena, reason, "who", stop->who);
	value_set_number(explained->situation->arena, reason, "at_ms", stop->at_ms);
}

static void run_is_held(struct explained *explained)
{
	const struct situation *situation = explained->situation;
	const char *state = value_get_text(situation_of_run(situation), "state", "running");
	bool back = strcmp(state, "going back") == 0;
	struct value *reason =
		explained_add(explained, "run", "`plan %s` by %s on %s, process %lld, since %s%s%s",
	                      situation->holder.what, situation->holder.who, situation->holder.host,
	                      (long long)situation->holder.pid,
	                      explained_time(explained, situation->holder.since_ms),
	                      back ? "; it is " : "", back ? "going back" : "");

	value_set_text(situation->arena, reason, "holder", situation->holder.who);
	value_set_text(situation->arena, reason, "host", situation->holder.host);
	value_set_number(situation->arena, reason, "pid", situation->holder.pid);
	value_set_number(situation->arena, reason, "since_ms", situation->holder.since_ms);
	if (!explained->next->as.items.count)
		explained_next(explained,
		               situation->session->rehearsal ? "status --rehearsal --watch"
		                                             : "status --watch",
		               "", "");
}

/* After a failure what acts ends first, and nothing more begins. */
static void run_is_ending(struct explained *explained)
{
	const struct situation *situation = explained->situation;
	const struct plan *plan = situation->session->plan;
	struct value *failed = value_list(situation->arena);
	struct text out = {0};

	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		if (step->on_failure == ON_FAILURE_CONTINUE ||
		    situation_phase(situation, step) != PHASE_FAILED)
			continue;
		value_add(failed, value_text(situation->arena, step->id));
		text_format(&out, "%s%s", out.length ? ", " : ", because this failed: ", step->id);
	}
	struct value *reason =
		explained_add(explained, "ending",
	                      "the run is ending%s; what acts ends first, nothing more begins",
	                      text_string(&out));
	text_free(&out);
	value_set(situation->arena, reason, "failed", failed);
}

static void plan_is_changed(struct explained *explained)
{
	explained_add(explained, "changed",
	              "the plan or its inputs are not those that the open run began with: "
	              "--amend takes it up with these, and approvals given so far are void");
}

static void run_is_over(struct explained *explained)
{
	const struct run *run = &explained->situation->session->run;
	struct value *reason;

	if (run->outcome)
		reason = explained_add(explained, "run",
		                       "nobody carries the plan out: the last "
		                       "run ended at %s, %s",
		                       explained_time(explained, run->ended_at_ms), run->outcome);
	else
		reason = explained_add(explained, "run",
		                       "nobody carries the plan out: the run, taken up at %s, "
		                       "stopped without a word; `plan apply` takes it up",
		                       explained_time(explained, run->started_at_ms));
	if (run->outcome)
		value_set_text(explained->situation->arena, reason, "outcome", run->outcome);
	if (explained->situation->session->rehearsal)
		explained_next(explained, "rehearse", "", "");
	else if (!run->open)
		explained_next(explained, "diff", "", "");
	else
		explained_next(explained,
		               explained->situation->plan_changed ? "apply --amend" : "apply", "",
		               "");
}

static void users_are_shut_out(struct explained *explained)
{
	const struct situation *situation = explained->situation;
	const struct plan *plan = situation->session->plan;
	struct arena *arena = situation->arena;
	bool running = false;
	int64_t used_ms = walk_downtime_ms(plan, &situation->session->run, &running);
	int64_t left_ms = plan->downtime_budget_ms - used_ms;

	if (!running)
		return;
	struct value *reason = explained_add(
		explained, "downtime", "users have been shut out for %s%s%s%s%s",
		clock_duration_text(arena, used_ms),
		plan->downtime_budget_ms ? " of a budget of " : "",
		plan->downtime_budget_ms ? clock_duration_text(arena, plan->downtime_budget_ms)
					 : "",
		!plan->downtime_budget_ms ? ""
		: left_ms > 0
			? arena_printf(arena, ", %s left", clock_duration_text(arena, left_ms))
			: ", all used up",
		plan->downtime_budget_ms && situation->held
			? "; the way back is taken in time to stay within it"
			: "");
	value_set_number(arena, reason, "downtime_ms", used_ms);
	if (plan->downtime_budget_ms)
		value_set_number(arena, reason, "budget_ms", plan->downtime_budget_ms);
}

static void explain_run(struct explained *explained)
{
	const struct situation *situation = explained->situation;

	if (!situation->session->run.number) {
		no_run(explained);
		return;
	}
	if (situation->session->run.open) {
		if (situation->paused)
			run_is_paused(explained);
		if (situation->stopped)
			run_is_stopped(explained);
		if (strcmp(value_get_text(situation_of_run(situation), "state", ""), "ending") == 0)
			run_is_ending(explained);
		users_are_shut_out(explained);
		if (situation->plan_changed)
			plan_is_changed(explained);
	}
	if (situation->held)
		run_is_held(explained);
	else
		run_is_over(explained);
}

/* ---- The whole ---- */

static struct explained begin(const struct situation *situation, const char *options)
{
	return (struct explained){
		.situation = situation,
		.because = value_list(situation->arena),
		.next = value_list(situation->arena),
		.options = options,
	};
}

void explained_step(struct explained *explained, const struct situation *situation,
                    const struct plan_step *step, const char *options)
{
	*explained = begin(situation, options);
	explained->step = step;
	explained->known = run_step(&situation->session->run, step->id);
	explained->said = situation_said(situation, step->id);
	explained->phase = situation_phase(situation, step);
	explained_phase(explained);
	explain_run(explained);
}

/* "kind is large" of {input: kind, equals: x}, or of ${inputs.kind}. */
static const char *inputs_text(const struct situation *situation, const struct value *condition)
{
	const struct plan *plan = situation->session->plan;
	const char *name = value_get_text(condition, "input", NULL);
	struct text out = {0};

	for (size_t i = 0; i < plan->input_count; i++) {
		const struct plan_input *input = &plan->inputs[i];
		const char *reference = arena_printf(situation->arena, "${inputs.%s}", input->name);
		bool meant = name ? strcmp(name, input->name) == 0
		                  : condition->kind == VALUE_TEXT &&
		                             strcmp(condition->as.text, reference) == 0;
		if (!meant)
			continue;
		text_format(&out, ", and the input %s is ", input->name);
		if (input->value)
			value_print(input->value, &out);
		else
			text_add(&out, "not set");
	}
	const char *copy = arena_text(situation->arena, text_string(&out));
	text_free(&out);
	return copy;
}

bool explained_left_out(struct explained *explained, const struct situation *situation,
                        const char *name, const char *options)
{
	const struct value *steps = value_get(situation->session->plan->root, "steps");
	const struct value *written = value_get(steps, name);
	const struct value *condition = value_get(written, "if");
	struct text out = {0};

	*explained = begin(situation, options);
	if (!written)
		return false;
	if (condition) {
		value_print(condition, &out);
		explained_add(explained, "if", "its `if` says %s%s", text_string(&out),
		              inputs_text(situation, condition));
	} else {
		explained_add(explained, "for_each", "its `for_each` is a list of nothing");
	}
	text_free(&out);
	explain_run(explained);
	return true;
}
