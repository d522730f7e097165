/* SPDX-License-Identifier: MIT */
/* plan sandbox: a Heroku on this machine, until it is interrupted. */
#include "cmd/command.h"
#include "steps/heroku/simulator.h"

static int run(struct invocation *invocation)
{
	struct simulator_options options = {0};
	struct error err = {0};

	(void)invocation;
	return simulator_sandbox(&options, &err) ? EXIT_DONE : command_fail(&err);
}

const struct command command_sandbox = {
	.name = "sandbox",
	.usage = "",
	.text = "Serve a simulated Heroku on loopback, empty, until interrupted",
	.options = {OPTION_COLOR},
	.run = run,
};
