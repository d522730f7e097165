/* SPDX-License-Identifier: MIT */
/* plan apply: carries a plan out, or goes on where the last run of it stopped. */
#include "cmd/command.h"
#include "cmd/report.h"
#include "cmd/session.h"
#include "cmd/show.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_confirmed(const struct invocation *invocation, const struct plan *plan)
{
	char answer[64] = "";

	if (invocation->given[OPTION_YES])
		return true;
	if (!isatty(STDIN_FILENO)) {
		fprintf(stderr,
		        "plan: there is no terminal to ask at; look with `%s %s`, then "
		        "give --yes\n",
		        invocation->text[OPTION_TO] ? "plan rollback --preview --to STEP"
		                                    : "plan diff",
		        plan->file);
		return false;
	}
	if (invocation->text[OPTION_TO])
		fprintf(stderr, "Undo this, newest first, to before %s? Type yes: ",
		        invocation->text[OPTION_TO]);
	else
		fprintf(stderr,
		        "Carry out %s (%zu steps)? Look with `plan diff %s` first. Type yes: ",
		        plan->name, plan->step_count, plan->file);
	return fgets(answer, sizeof answer, stdin) && strcmp(answer, "yes\n") == 0;
}

#define JOBS_MOST 256

/* *jobs 0: not given. */
static bool read_jobs(const struct invocation *invocation, size_t *jobs)
{
	const char *text = invocation->text[OPTION_JOBS];
	char *end = NULL;
	long number = text ? strtol(text, &end, 10) : 0;

	*jobs = (size_t)number;
	if (!text || (end != text && !*end && number >= 1 && number <= JOBS_MOST))
		return true;
	fprintf(stderr, "plan: --jobs takes a number from 1 to %d, not %s\n", JOBS_MOST, text);
	return false;
}

static int walk_and_report(const struct invocation *invocation, struct session *session,
                           enum walk_mode mode, const char *through)
{
	struct report report = {
		.stream = invocation->given[OPTION_JSON] ? stdout : stderr,
		.json = invocation->given[OPTION_JSON],
		.color = show_wants_color(invocation->text[OPTION_COLOR], stderr),
	};
	struct walk_options options = {
		.mode = mode,
		.plan = session->plan,
		.journal = session->journal,
		.run = &session->run,
		.secrets = session->secrets,
		.connections = session->connections,
		.through = through,
		.allow_commands = invocation->given[OPTION_ALLOW_COMMANDS],
		.wait_for_people = invocation->given[OPTION_WAIT] || isatty(STDIN_FILENO),
		.tell = report_event,
		.context = &report,
	};
	struct walk_result result;
	struct error err = {0};

	read_jobs(invocation, &options.jobs);
	walk_catch_signals();
	if (!walk(&options, &result))
		return command_fail(&result.error);
	int code = report_result(&report, session->plan, &result);
	bool whole = mode == WALK_APPLY && result.outcome == WALK_DONE && !through;
	const char *outcome = result.outcome == WALK_DONE && !whole
	                              ? "partly done"
	                              : report_outcome(result.outcome);
	if (mode != WALK_LOOK && !session_end(session, outcome, code, result.downtime_ms, &err))
		return command_fail(&err);
	return code;
}

/* The last run is complete: nothing is repeated, but what was changed since is named. */
static int look_again(const struct invocation *invocation, struct session *session)
{
	int code = walk_and_report(invocation, session, WALK_LOOK, NULL);

	if (code == EXIT_DONE)
		fprintf(stderr,
		        "The run is complete; nothing was done. `plan apply --again %s` begins "
		        "a new one.\n",
		        session->plan->file);
	return code;
}

static bool starts_programs(const struct plan_step *step)
{
	bool starts = step->module->traits & STEP_COMMANDS;

	for (size_t i = 0; i < step->rollback_step_count && !starts; i++)
		starts = step->rollback_steps[i].module->traits & STEP_COMMANDS;
	return starts;
}

static bool refuse_programs(const struct plan_step *step, struct error *err)
{
	return fail(err, ERROR_REFUSED,
	            "step %s starts programs on this machine (%s); read them, then give "
	            "--allow-commands. Nothing was done",
	            step->id, step->module->name);
}

/* All of it before the first step, not half-way. */
static bool may_start_programs(const struct invocation *invocation, const struct session *session,
                               struct error *err)
{
	for (size_t i = 0; i < session->plan->step_count; i++) {
		const struct plan_step *step = &session->plan->steps[i];
		if (starts_programs(step) && !invocation->given[OPTION_ALLOW_COMMANDS])
			return refuse_programs(step, err);
	}
	return true;
}

static bool may_undo_with_programs(const struct invocation *invocation, const struct way_back *line,
                                   struct error *err)
{
	for (; line; line = line->next)
		if (line->what == BACK_UNDO && starts_programs(line->step) &&
		    !invocation->given[OPTION_ALLOW_COMMANDS])
			return refuse_programs(line->step, err);
	return true;
}

static int apply(const struct invocation *invocation, struct session *session)
{
	enum session_take how = invocation->given[OPTION_AMEND]   ? TAKE_AMEND
	                        : invocation->given[OPTION_AGAIN] ? TAKE_AGAIN
	                                                          : TAKE_OPEN;
	struct error err = {0};

	if (!session_resolve(session, &err))
		return command_fail(&err);
	if (session->run.number && !session->run.open && how != TAKE_AGAIN)
		return look_again(invocation, session);
	if (!may_start_programs(invocation, session, &err) ||
	    !session_take(session, how, "apply", &err))
		return command_fail(&err);
	return walk_and_report(invocation, session, WALK_APPLY, invocation->text[OPTION_THROUGH]);
}

static int run(struct invocation *invocation)
{
	struct plan plan;
	struct session session = {0};
	struct error err = {0};
	size_t jobs;

	if (!read_jobs(invocation, &jobs) ||
	    !command_load_plan(invocation, invocation->arguments[0], &plan))
		return EXIT_BAD_USAGE;
	int code = EXIT_BAD_USAGE;
	if (is_confirmed(invocation, &plan))
		code = session_open(&session, &plan, true, &err) ? apply(invocation, &session)
		                                                 : command_fail(&err);
	session_close(&session);
	plan_free(&plan);
	return code;
}

const struct command command_apply = {
	.name = "apply",
	.usage = "FILE [--yes] [--through STEP]",
	.text = "Carry a plan out, or go on with it",
	.least = 1,
	.most = 1,
	.options = {OPTION_YES, OPTION_THROUGH, OPTION_AMEND, OPTION_AGAIN, OPTION_ALLOW_COMMANDS,
                    OPTION_JOBS, OPTION_WAIT, OPTION_SET, OPTION_INPUTS, OPTION_JSON, OPTION_COLOR},
	.run = run,
};

/* ---- plan rollback ---- */

static void print_preview(const struct invocation *invocation, const struct way_back *line)
{
	static const char *const words[] = {
		[BACK_UNDO] = "undo", [BACK_PASS] = "pass over", [BACK_STOP] = "stop at"};

	if (!line)
		show_line(stdout, invocation->color, TONE_PLAIN, "nothing is to be undone");
	for (; line; line = line->next)
		show_line(stdout, invocation->color,
		          line->what == BACK_STOP ? TONE_BAD : TONE_PLAIN, "  %-10s %s%s%s",
		          words[line->what], line->step->id, line->why ? ": " : "",
		          line->why ? line->why : "");
}

static int go_back(const struct invocation *invocation, struct session *session)
{
	struct error err = {0};
	struct report report = {
		.stream = invocation->given[OPTION_JSON] ? stdout : stderr,
		.json = invocation->given[OPTION_JSON],
		.color = show_wants_color(invocation->text[OPTION_COLOR], stderr),
		.back_to = invocation->text[OPTION_TO],
	};
	struct walk_options options = {
		.mode = WALK_REVERT,
		.plan = session->plan,
		.journal = session->journal,
		.run = &session->run,
		.back_to = invocation->text[OPTION_TO],
		.allow_commands = invocation->given[OPTION_ALLOW_COMMANDS],
		.tell = report_event,
		.context = &report,
	};
	struct walk_result result;

	fflush(stdout);
	if (!is_confirmed(invocation, session->plan))
		return EXIT_BAD_USAGE;
	if (!session_resolve(session, &err) || !session_take(session, TAKE_OPEN, "rollback", &err))
		return command_fail(&err);
	options.secrets = session->secrets;
	options.connections = session->connections;
	walk_catch_signals();
	if (!walk(&options, &result))
		return command_fail(&result.error);
	int code = report_result(&report, session->plan, &result);
	const char *outcome =
		result.outcome == WALK_DONE ? "rolled back" : report_outcome(result.outcome);
	return session_end(session, outcome, code, result.downtime_ms, &err) ? code
	                                                                     : command_fail(&err);
}

static int preview_or_go(const struct invocation *invocation, struct session *session)
{
	struct error err = {0};

	if (!session->journal || !session->run.number) {
		fprintf(stderr, "plan: %s has no run to go back in\n", session->plan->name);
		return EXIT_BAD_USAGE;
	}
	struct way_back *back = walk_preview(session->plan, &session->run,
	                                     invocation->text[OPTION_TO], &session->arena, &err);
	if (err.kind != ERROR_NONE)
		return command_fail(&err);
	if (!invocation->given[OPTION_JSON] || invocation->given[OPTION_PREVIEW])
		print_preview(invocation, back);
	if (invocation->given[OPTION_PREVIEW] || !back)
		return EXIT_DONE;
	return may_undo_with_programs(invocation, back, &err) ? go_back(invocation, session)
	                                                      : command_fail(&err);
}

static int rollback(struct invocation *invocation)
{
	struct plan plan;
	struct session session = {0};
	struct error err = {0};
	const char *file = invocation->argument_count ? invocation->arguments[0] : NULL;

	if (!invocation->text[OPTION_TO]) {
		fprintf(stderr, "plan rollback: --to STEP says how far back\n");
		return EXIT_BAD_USAGE;
	}
	if (!command_load_plan(invocation, file, &plan))
		return EXIT_BAD_USAGE;
	int code = session_open(&session, &plan, false, &err) ? preview_or_go(invocation, &session)
	                                                      : command_fail(&err);
	session_close(&session);
	plan_free(&plan);
	return code;
}

const struct command command_rollback = {
	.name = "rollback",
	.usage = "[FILE] --to STEP [--preview]",
	.text = "Undo, newest first, to before a step",
	.least = 0,
	.most = 1,
	.options = {OPTION_TO, OPTION_PREVIEW, OPTION_YES, OPTION_ALLOW_COMMANDS, OPTION_SET,
                    OPTION_INPUTS, OPTION_JSON, OPTION_COLOR},
	.run = rollback,
};
