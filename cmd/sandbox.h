/* SPDX-License-Identifier: MIT */
/* `plan sandbox`: keeps a simulated Heroku running. */
#ifndef PLAN_SANDBOX_H
#define PLAN_SANDBOX_H

/* Arguments: none, or a directory for the state. Returns the exit code. */
int sandbox_main(int argc, char **argv);

#endif
