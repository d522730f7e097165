/* SPDX-License-Identifier: MIT */
/* plan status and plan explain: what the journal says of a run, live, finished or crashed. */
#include "cmd/command.h"
#include "cmd/session.h"
#include "cmd/show.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"

#include <string.h>
#include <unistd.h>

static enum tone tone_of(enum run_state state)
{
	switch (state) {
	case RUN_DONE:
		return TONE_GOOD;
	case RUN_FAILED:
	case RUN_UNKNOWN:
	case RUN_UNDO_UNKNOWN:
		return TONE_BAD;
	case RUN_WAITING:
	case RUN_UNDONE:
	case RUN_PASSED:
		return TONE_WARN;
	case RUN_PENDING:
		return TONE_DIM;
	}
	return TONE_PLAIN;
}

/* "heroku.postgres.lag of x is 5,123 commits, must be below 200 commits; ..." */
static const char *conditions_text(struct arena *arena, const struct value *conditions)
{
	struct text out = {0};

	for (const struct value *one = conditions ? conditions->as.items.first : NULL; one;
	     one = one->next) {
		const char *of = value_get_text(one, "of", NULL);
		text_format(&out, "%s%s%s%s is %s, must be %s", out.length ? "; " : "",
		            value_get_text(one, "check", ""), of ? " of " : "", of ? of : "",
		            value_get_text(one, "is", "not known"),
		            value_get_text(one, "must_be", ""));
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

static const char *detail(struct session *session, const struct run_step *step,
                          const struct value *live)
{
	const char *text = value_get_text(live, "text", NULL);

	if (step->state == RUN_DONE || step->state == RUN_UNDONE || step->state == RUN_PASSED)
		return "";
	if (step->error_text)
		return step->error_text;
	if (value_get(live, "conditions"))
		return conditions_text(&session->arena, value_get(live, "conditions"));
	return text ? text : "";
}

static void print_step(struct session *session, const struct plan_step *plan_step,
                       const struct value *live, bool color)
{
	const struct run_step *step = run_step(&session->run, plan_step->id);
	const char *more = detail(session, step, value_get(live, plan_step->id));

	fputs("  ", stdout);
	show_text(stdout, color, tone_of(step->state),
	          arena_printf(&session->arena, "%-12s", run_state_name(step->state)));
	show_line(stdout, false, TONE_PLAIN, " %s%s%s", plan_step->id, more[0] ? ": " : "", more);
}

static struct value *step_as_json(struct session *session, const struct plan_step *plan_step,
                                  const struct value *live)
{
	struct arena *arena = &session->arena;
	const struct run_step *step = run_step(&session->run, plan_step->id);
	const struct value *now = value_get(live, plan_step->id);
	struct value *map = value_map(arena);

	value_set_text(arena, map, "step", plan_step->id);
	value_set_text(arena, map, "state", run_state_name(step->state));
	if (step->error_text)
		value_set_text(arena, map, "error", step->error_text);
	if (step->done_at_ms)
		value_set_number(arena, map, "done_at_ms", step->done_at_ms);
	if (now && step->state != RUN_DONE)
		value_set(arena, map, "live", value_copy(arena, now));
	return map;
}

static const char *run_word(const struct session *session, bool held)
{
	if (!session->run.number)
		return "not begun";
	if (held)
		return "running";
	if (session->run.outcome)
		return session->run.outcome;
	return "stopped without a word; `plan apply` takes it up";
}

static const char *next_command(const struct session *session, bool held)
{
	if (held)
		return "status --watch";
	return session->run.number && !session->run.open ? "diff" : "apply";
}

static void print_json(struct session *session, const struct value *live, bool held,
                       const struct holder *holder)
{
	struct arena *arena = &session->arena;
	struct value *top = value_map(arena), *steps = value_list(arena);

	value_set_number(arena, top, "format", 1);
	value_set_text(arena, top, "plan", session->plan->name);
	value_set_number(arena, top, "run", session->run.number);
	value_set_text(arena, top, "state", run_word(session, held));
	if (held) {
		value_set_text(arena, top, "holder", holder->who);
		value_set_text(arena, top, "host", holder->host);
		value_set_number(arena, top, "pid", holder->pid);
	}
	for (size_t i = 0; i < session->plan->step_count; i++)
		value_add(steps, step_as_json(session, &session->plan->steps[i], live));
	value_set(arena, top, "steps", steps);
	show_json(stdout, top);
}

static bool print_status(struct invocation *invocation, struct session *session)
{
	struct holder holder = {0};
	bool held = session->journal && journal_holder(session->journal, &holder);
	const struct value *live =
		session->journal ? journal_live(session->journal, &session->arena) : NULL;

	if (invocation->given[OPTION_JSON]) {
		print_json(session, live, held, &holder);
		return held;
	}
	show_line(stdout, invocation->color, TONE_STRONG, "%s: %s", session->plan->name,
	          run_word(session, held));
	if (held)
		show_line(stdout, false, TONE_PLAIN, "  by %s on %s, process %lld, since %s",
		          holder.who, holder.host, (long long)holder.pid,
		          clock_text(&session->arena, holder.since_ms));
	for (size_t i = 0; i < session->plan->step_count; i++)
		print_step(session, &session->plan->steps[i], live, invocation->color);
	show_line(stdout, false, TONE_PLAIN, "Next: plan %s %s", next_command(session, held),
	          session->plan->file);
	return held;
}

/* Opens the journal, prints, and closes it again: true while a process holds the plan. */
static bool look_once(struct invocation *invocation, const struct plan *plan, int *code,
                      bool (*print)(struct invocation *invocation, struct session *session))
{
	struct session session = {.rehearsal = invocation->given[OPTION_REHEARSAL]};
	struct error err = {0};
	bool held = false;

	if (session_open(&session, plan, false, &err))
		held = print(invocation, &session);
	else
		*code = command_fail(&err);
	session_close(&session);
	return held;
}

static int run(struct invocation *invocation)
{
	struct plan plan;
	int code = EXIT_DONE;
	const char *file = invocation->argument_count ? invocation->arguments[0] : NULL;

	if (!command_load_plan(invocation, file, &plan))
		return EXIT_BAD_USAGE;
	while (look_once(invocation, &plan, &code, print_status) &&
	       invocation->given[OPTION_WATCH]) {
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

/* ---- plan explain ---- */

static void explain_waiting(struct session *session, const struct plan_step *step)
{
	for (size_t i = 0; i < step->need_count; i++) {
		const struct run_step *need = run_step(&session->run, step->needs[i]->id);
		if (need->state != RUN_DONE)
			show_line(stdout, false, TONE_PLAIN, "  it needs %s, which is %s",
			          step->needs[i]->id, run_state_name(need->state));
	}
}

static bool print_explanation(struct invocation *invocation, struct session *session)
{
	const char *id = invocation->arguments[invocation->argument_count - 1];
	const struct plan_step *step = plan_find(session->plan, id);
	const struct value *live =
		session->journal ? journal_live(session->journal, &session->arena) : NULL;

	if (!step) {
		fprintf(stderr, "plan: there is no such step in %s\n", session->plan->name);
		return false;
	}
	const struct run_step *known = run_step(&session->run, step->id);
	const char *more = detail(session, known, value_get(live, step->id));
	show_line(stdout, invocation->color, TONE_STRONG, "%s is %s", step->id,
	          run_state_name(known->state));
	if (step->title)
		show_line(stdout, false, TONE_PLAIN, "  %s", step->title);
	show_line(stdout, false, TONE_PLAIN, "  %s: %s", step->module->name, step->module->text);
	if (more[0])
		show_line(stdout, false, TONE_PLAIN, "  %s", more);
	if (known->state != RUN_DONE)
		explain_waiting(session, step);
	if (step->approval.by)
		show_line(stdout, false, TONE_PLAIN, "  %lld of %lld approvals",
		          (long long)run_approvals(&session->run, step->id),
		          (long long)step->approval.by);
	if (step->rollback == ROLLBACK_NEVER || step->rollback == ROLLBACK_NOTHING)
		show_line(stdout, false, TONE_PLAIN, "  %s: %s",
		          step->rollback == ROLLBACK_NEVER ? "no way back"
		                                           : "the way back passes over it",
		          step->rollback_why);
	return true;
}

static int explain(struct invocation *invocation)
{
	struct plan plan;
	int code = EXIT_DONE;
	const char *file = invocation->argument_count > 1 ? invocation->arguments[0] : NULL;

	if (!command_load_plan(invocation, file, &plan))
		return EXIT_BAD_USAGE;
	if (!look_once(invocation, &plan, &code, print_explanation) && code == EXIT_DONE)
		code = EXIT_BAD_USAGE;
	plan_free(&plan);
	return code;
}

const struct command command_explain = {
	.name = "explain",
	.usage = "[FILE] STEP",
	.text = "Say why a step waits, and for what",
	.least = 1,
	.most = 2,
	.options = {OPTION_REHEARSAL, OPTION_SET, OPTION_INPUTS, OPTION_COLOR},
	.run = explain,
};
