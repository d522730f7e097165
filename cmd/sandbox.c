/* SPDX-License-Identifier: MIT */
/* `plan sandbox`: a Heroku on this machine, until it is interrupted. */
#include "cmd/sandbox.h"
#include "engine/base/error.h"
#include "steps/heroku/simulator.h"

#include <stdio.h>

int sandbox_main(int argc, char **argv)
{
	struct simulator_options options = {.state_dir = argc > 1 ? argv[1] : NULL};
	struct error err = {0};

	if (simulator_sandbox(&options, &err))
		return 0;
	fprintf(stderr, "plan sandbox: %s\n", err.text);
	return 1;
}
