/* SPDX-License-Identifier: MIT */
/* A program is started: with an argument vector, never through a shell, with an environment that is
 * given, and without any descriptor of ours but those named. */
#ifndef PLAN_LOCAL_PROCESS_H
#define PLAN_LOCAL_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct error;

struct process {
	const char *path;               /* what is executed; relative to the directory */
	const char *const *argv;        /* NULL-ended, with its name for itself first */
	const char *const *environment; /* "NAME=value", NULL-ended */
	int directory;                  /* descriptor of the working directory; -1: the root */
	int input, output;              /* descriptors; -1: nothing */
	int error;                      /* stderr; -1: the same as output */
	uid_t user;                     /* the account, where we are root */
	gid_t group;
	int death_signal; /* it gets this when the thread that started it is gone */
	bool leader;      /* of a session and process group of its own, without a terminal */
};

/* Our own account, nothing to read or write, the root directory; SIGKILL at our end. */
struct process process_plain(void);

/* The pid, or -1. An exit code of 124 to 127 comes from before the program began: no directory, a
 * parent that is gone, no such account, nothing to execute. */
pid_t process_start(const struct process *process, struct error *err);

#endif
