/* SPDX-License-Identifier: MIT */
/* plan approve, pause, resume, stop: requests from people, filed in the journal. */
#include "cmd/command.h"
#include "cmd/session.h"
#include "cmd/show.h"

static int file_request(struct invocation *invocation, const char *file, const char *step,
                        enum request_kind kind)
{
	struct plan plan;
	struct session session = {0};
	struct error err = {0};

	if (!command_load_plan(invocation, file, &plan))
		return EXIT_BAD_USAGE;
	struct request request = {.kind = kind,
	                          .step = step ? step : "",
	                          .digest = plan.digest,
	                          .who = session_who(&invocation->arena),
	                          .text = ""};
	int code = EXIT_DONE;
	if (step && !plan_find(&plan, step)) {
		fprintf(stderr, "plan: there is no such step in %s\n", plan.name);
		code = EXIT_BAD_USAGE;
	} else if (!session_open(&session, &plan, true, &err) ||
	           !journal_request(session.journal, &request, &err)) {
		code = command_fail(&err);
	} else {
		show_line(stdout, invocation->color, TONE_GOOD, "%s %s%s by %s, for version %.12s",
		          request_kind_name(kind), step ? step : plan.name, step ? "" : ":",
		          request.who, plan.digest);
		show_line(stdout, false, TONE_PLAIN, "Next: plan status %s", plan.file);
	}
	session_close(&session);
	plan_free(&plan);
	return code;
}

static int approve(struct invocation *invocation)
{
	int count = invocation->argument_count;

	return file_request(invocation, count > 1 ? invocation->arguments[0] : NULL,
	                    invocation->arguments[count - 1], REQUEST_APPROVE);
}

static const char *only_file(const struct invocation *invocation)
{
	return invocation->argument_count ? invocation->arguments[0] : NULL;
}

static int pause_run(struct invocation *invocation)
{
	return file_request(invocation, only_file(invocation), NULL, REQUEST_PAUSE);
}

static int resume_run(struct invocation *invocation)
{
	return file_request(invocation, only_file(invocation), NULL, REQUEST_RESUME);
}

static int stop_run(struct invocation *invocation)
{
	return file_request(invocation, only_file(invocation), NULL, REQUEST_STOP);
}

const struct command command_approve = {
	.name = "approve",
	.usage = "[FILE] STEP",
	.text = "Say yes to a step, or that it is done by hand",
	.least = 1,
	.most = 2,
	.options = {OPTION_SET, OPTION_INPUTS, OPTION_COLOR},
	.run = approve,
};

const struct command command_pause = {
	.name = "pause",
	.usage = "[FILE]",
	.text = "Let no further step act, until `plan resume`",
	.most = 1,
	.options = {OPTION_SET, OPTION_INPUTS, OPTION_COLOR},
	.run = pause_run,
};

const struct command command_resume = {
	.name = "resume",
	.usage = "[FILE]",
	.text = "Let a paused run go on",
	.most = 1,
	.options = {OPTION_SET, OPTION_INPUTS, OPTION_COLOR},
	.run = resume_run,
};

const struct command command_stop = {
	.name = "stop",
	.usage = "[FILE]",
	.text = "End a run in good order; `plan apply` goes on",
	.most = 1,
	.options = {OPTION_SET, OPTION_INPUTS, OPTION_COLOR},
	.run = stop_run,
};
