/* SPDX-License-Identifier: MIT */
/* plan diff FILE: what each step would change in the live world. With two revisions in the place of
 * the file it is compared.c that answers. */
#include "cmd/command.h"
#include "cmd/compared.h"
#include "cmd/report.h"
#include "cmd/session.h"
#include "cmd/show.h"
#include "engine/base/clock.h"
#include "steps/git/revision.h"

#include <string.h>

struct looks {
	struct arena arena;
	const struct plan *plan;
	struct run *run;
	struct value **found; /* by order of the step: the `looked` message, or NULL */
	const char **words;   /* by order: what is said instead */
};

static void take_news(void *context, const struct walk_event *event)
{
	struct looks *looks = context;

	if (!event->step)
		return;
	size_t order = event->step->order;
	if (event->news == NEWS_LOOKED && event->body)
		looks->found[order] = value_copy(&looks->arena, event->body);
	else if (event->news == NEWS_LOOKED || event->news == NEWS_FAILED)
		looks->words[order] =
			arena_printf(&looks->arena, "%s%s",
		                     event->news == NEWS_FAILED ? "cannot be looked at: " : "",
		                     event->text ? event->text : "");
}

static void show_gates(const struct plan_step *step, bool color)
{
	for (size_t i = 0; i < step->preconditions.count; i++) {
		const struct plan_condition *condition = &step->preconditions.list[i];
		show_line(stdout, color, TONE_DIM, "      waits for %s", condition->check);
	}
	if (step->approval.by)
		show_line(stdout, color, TONE_DIM, "      needs %lld approval%s: %s",
		          (long long)step->approval.by, step->approval.by == 1 ? "" : "s",
		          step->approval.text ? step->approval.text : "");
}

static void show_no_return(const struct plan_step *step, bool color)
{
	show_line(stdout, color, TONE_BAD, "      point of no return: %s", step->rollback_why);
}

static bool has_changes(const struct looks *looks, const struct plan_step *step)
{
	const struct value *changes = value_get(looks->found[step->order], "changes");

	return changes && changes->as.items.count > 0;
}

/* What cannot be undone is named before it happens, also where it would change nothing now: a step
 * before it may bring about what it then changes. */
static bool has_no_return_ahead(const struct looks *looks, const struct plan_step *step)
{
	const struct run_step *known = run_step(looks->run, step->id);
	bool looked_at = looks->found[step->order] || looks->words[step->order];

	if (step->rollback != ROLLBACK_NEVER || !looked_at)
		return false;
	return has_changes(looks, step) || (known->state != RUN_DONE && !known->was_done);
}

static void show_step(const struct looks *looks, const struct plan_step *step, bool color)
{
	const char *word = looks->words[step->order];
	bool no_return = has_no_return_ahead(looks, step);

	if (has_changes(looks, step)) {
		show_line(stdout, color, TONE_STRONG, "  ~ %s (%s)%s%s", step->id,
		          step->module->name, step->title ? ": " : "",
		          step->title ? step->title : "");
		show_changes(stdout, color, value_get(looks->found[step->order], "changes"));
		show_gates(step, color);
	} else if (word) {
		show_line(stdout, color, TONE_WARN, "  ? %s (%s): %s", step->id, step->module->name,
		          word);
	} else if (no_return) {
		show_line(stdout, color, TONE_PLAIN, "  = %s (%s): as wanted now", step->id,
		          step->module->name);
	}
	if (no_return)
		show_no_return(step, color);
}

static void show_text_diff(const struct looks *looks, const struct walk_result *result, bool color)
{
	const struct plan *plan = looks->plan;
	size_t same = 0, stops = 0;
	struct arena arena = {0};

	if (result->changed == 0 && result->failed == 0) {
		show_line(stdout, color, TONE_GOOD, "%s: no difference", plan->name);
		return;
	}
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		show_step(looks, step, color);
		same += !has_changes(looks, step) && !looks->words[i];
		stops += has_no_return_ahead(looks, step);
	}
	show_line(stdout, color, TONE_STRONG,
	          "%s: %zu steps would act, %zu are as wanted or done, %zu could not be looked at",
	          plan->name, result->changed, same, result->failed);
	if (plan->downtime_budget_ms && result->changed)
		show_line(stdout, color, TONE_PLAIN,
		          "  users are shut out from %s to %s, for %s at most",
		          plan->downtime_begins, plan->downtime_ends,
		          clock_duration_text(&arena, plan->downtime_budget_ms));
	if (stops)
		show_line(stdout, color, TONE_BAD, "  %zu point%s of no return", stops,
		          stops == 1 ? "" : "s");
	show_line(stdout, color, TONE_PLAIN, "Next: plan apply %s", plan->file);
	arena_free(&arena);
}

static void show_json_diff(struct looks *looks, const struct walk_result *result)
{
	struct value *top = value_map(&looks->arena), *steps = value_list(&looks->arena);

	for (size_t i = 0; i < looks->plan->step_count; i++) {
		const struct plan_step *step = &looks->plan->steps[i];
		struct value *one = value_map(&looks->arena);
		value_set_text(&looks->arena, one, "step", step->id);
		value_set_text(&looks->arena, one, "uses", step->module->name);
		if (has_changes(looks, step))
			value_set(&looks->arena, one, "changes",
			          value_copy(&looks->arena, value_get(looks->found[i], "changes")));
		if (looks->words[i])
			value_set_text(&looks->arena, one, "note", looks->words[i]);
		if (has_no_return_ahead(looks, step))
			value_set_text(&looks->arena, one, "point_of_no_return",
			               step->rollback_why);
		if (one->as.items.count > 2)
			value_add(steps, one);
	}
	value_set_number(&looks->arena, top, "format", 1);
	value_set_text(&looks->arena, top, "plan", looks->plan->name);
	value_set_number(&looks->arena, top, "changed", (int64_t)result->changed);
	value_set_number(&looks->arena, top, "failed", (int64_t)result->failed);
	value_set(&looks->arena, top, "steps", steps);
	show_json(stdout, top);
}

static bool wants_json(const struct invocation *invocation)
{
	const char *format = invocation->text[OPTION_FORMAT];

	return invocation->given[OPTION_JSON] || (format && strcmp(format, "json") == 0);
}

static int look(const struct invocation *invocation, struct session *session)
{
	struct looks looks = {.plan = session->plan, .run = &session->run};
	struct error err = {0};
	struct walk_result result;

	if (!session_resolve(session, &err))
		return command_fail(&err);
	looks.found = arena_array(&looks.arena, session->plan->step_count + 1, sizeof *looks.found);
	looks.words = arena_array(&looks.arena, session->plan->step_count + 1, sizeof *looks.words);
	struct walk_options options = {
		.mode = WALK_LOOK,
		.plan = session->plan,
		.run = &session->run,
		.secrets = session->secrets,
		.connections = session->connections,
		.through = invocation->text[OPTION_THROUGH],
		.allow_commands = invocation->given[OPTION_ALLOW_COMMANDS],
		.tell = take_news,
		.context = &looks,
	};
	walk_catch_signals();
	walk(&options, &result);
	int code = result.failed || result.outcome == WALK_FAILED ? EXIT_FAILED : EXIT_DONE;
	if (result.outcome == WALK_INTERRUPTED)
		code = EXIT_INTERRUPTED + result.signal;
	if (code == EXIT_DONE && result.changed && invocation->given[OPTION_DETAILED_EXITCODE])
		code = EXIT_CHANGES;
	if (result.error.kind == ERROR_PLAN && !result.failed)
		code = command_fail(&result.error);
	else if (wants_json(invocation))
		show_json_diff(&looks, &result);
	else
		show_text_diff(&looks, &result, invocation->color);
	arena_free(&looks.arena);
	return code;
}

static int diff_live(struct invocation *invocation)
{
	struct plan plan;
	struct session session = {0};
	struct error err = {0};

	if (!command_load_plan(invocation, invocation->arguments[0], &plan))
		return EXIT_BAD_USAGE;
	int code = session_open(&session, &plan, false, &err) ? look(invocation, &session)
	                                                      : command_fail(&err);
	session_close(&session);
	plan_free(&plan);
	return code;
}

static int bad_usage(const char *text)
{
	fprintf(stderr, "plan diff: %s\n", text);
	return EXIT_BAD_USAGE;
}

/* What makes no sense for the one or the other kind of diff; NULL when all does. */
static const char *find_misuse(const struct invocation *invocation, bool revisions)
{
	static const char *const formats[] = {"text", "json", "markdown"};
	const char *format = invocation->text[OPTION_FORMAT];
	bool known = !format;

	for (size_t i = 0; i < 3 && !known; i++)
		known = strcmp(format, formats[i]) == 0;
	if (!known)
		return "formats are text, markdown and json";
	if (revisions && invocation->given[OPTION_THROUGH])
		return "--through is for `plan diff FILE`, against the live world";
	if (!revisions && format && strcmp(format, "markdown") == 0)
		return "--format markdown is for two revisions: plan diff REV..REV [FILE]";
	if (!revisions && invocation->argument_count > 1)
		return "two revisions are written REV..REV, before the file; `plan diff --help` "
		       "explains";
	return NULL;
}

static int run(struct invocation *invocation)
{
	bool revisions = revisions_are_named(invocation->arguments[0]);
	const char *misuse = find_misuse(invocation, revisions);

	if (misuse)
		return bad_usage(misuse);
	return revisions ? compared_run(invocation) : diff_live(invocation);
}

const struct command command_diff = {
	.name = "diff",
	.usage = "FILE | REV..REV [FILE]",
	.text = "Show what each step would change, or what changed in plans",
	.details =
		"FILE alone: what each step would change in the live world, as it is now.\n"
		"\n"
		"REV..REV: what changed in plans between two git revisions, offline and without\n"
		"secrets. A revision is anything git takes: main, v1.2, HEAD~3, 1a2b3c4; :index "
		"is\n"
		"what is staged, :worktree the files as they lie there, untracked ones too.\n"
		"  plan diff main..HEAD              two branches\n"
		"  plan diff main...HEAD             from where HEAD left main: a pull request\n"
		"  plan diff HEAD..:worktree         what is not committed\n"
		"  plan diff HEAD..:index FILE       what is staged of one file\n"
		"An omitted side is HEAD. Without FILE: every changed *.yaml and *.yml that holds\n"
		"`plan: ` and a number at the margin, renamed ones together with what they were.\n"
		"A file whose own name holds `..` is written with ./ in front.\n"
		"\n"
		"Exit codes: 0; with --detailed-exitcode 2 when there are differences; 64 when "
		"the\n"
		"new version of a plan is not valid (the differences are printed all the same).\n",
	.formats = "text markdown json",
	.least = 1,
	.most = 2,
	.options = {OPTION_THROUGH, OPTION_ALLOW_COMMANDS, OPTION_DETAILED_EXITCODE, OPTION_SET,
                    OPTION_INPUTS, OPTION_FORMAT, OPTION_JSON, OPTION_COLOR},
	.run = run,
};
