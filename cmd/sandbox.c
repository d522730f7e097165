/* SPDX-License-Identifier: MIT */
/* plan sandbox: a Heroku on this machine, until it is interrupted. */
#include "cmd/command.h"
#include "steps/heroku/simulator.h"

#include <stdio.h>

static int run(struct invocation *invocation)
{
	struct simulator_options options = {
		.cert_file = invocation->text[OPTION_CERT],
		.key_file = invocation->text[OPTION_KEY],
	};
	struct error err = {0};

	if (!options.cert_file != !options.key_file) {
		fprintf(stderr, "plan sandbox: --cert and --key go together\n");
		return EXIT_BAD_USAGE;
	}
	return simulator_sandbox(&options, &err) ? EXIT_DONE : command_fail(&err);
}

const struct command command_sandbox = {
	.name = "sandbox",
	.usage = "[--cert FILE --key FILE]",
	.text = "Serve a simulated Heroku on loopback, empty, until interrupted",
	.options = {OPTION_CERT, OPTION_KEY, OPTION_COLOR},
	.run = run,
};
