/* SPDX-License-Identifier: MIT */
/* Exit codes, the same for every command. */
#ifndef PLAN_EXIT_H
#define PLAN_EXIT_H

enum exit_code {
	EXIT_DONE = 0,          /* done, or no difference */
	EXIT_FAILED = 1,        /* a step failed, or output could not be written */
	EXIT_CHANGES = 2,       /* `diff --detailed-exitcode`: there are changes */
	EXIT_REFUSED = 3,       /* locked, stale approval, drift */
	EXIT_PARKED = 4,        /* waits for a person, a window or a condition */
	EXIT_ROLLED_BACK = 5,   /* failed, and went back by itself */
	EXIT_PERSON_NEEDED = 6, /* a person is needed now */
	EXIT_BAD_USAGE = 64,    /* usage, or an invalid plan */
	EXIT_INTERRUPTED = 128, /* plus the number of the signal */
};

#endif
