/* SPDX-License-Identifier: MIT */
/* The one place where programs are executed. */
#include "steps/local/process.h"
#include "engine/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Signals that we handle or ignore, and programs do not expect so. */
static const int own_signals[] = {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGQUIT};

struct process process_plain(void)
{
	return (struct process){
		.directory = -1,
		.input = -1,
		.output = -1,
		.error = -1,
		.user = geteuid(),
		.group = getegid(),
		.death_signal = SIGKILL,
	};
}

static void place_descriptors(const struct process *process)
{
	int input = process->input >= 0 ? process->input : open("/dev/null", O_RDONLY);
	int output = process->output >= 0 ? process->output : open("/dev/null", O_WRONLY);
	int error = process->error >= 0 ? process->error : output;

	dup2(input, 0);
	dup2(output, 1);
	dup2(error, 2);
}

/* Between fork and exec: other threads may hold locks, so nothing here allocates. */
static _Noreturn void become(const struct process *process, pid_t parent)
{
	sigset_t none;

	place_descriptors(process);
	if (process->directory >= 0 ? fchdir(process->directory) != 0 : chdir("/") != 0)
		_exit(124);
	close_range(3, ~0U, 0);
	if (process->leader)
		setsid();
	if (geteuid() == 0 && process->user != 0 &&
	    (setgroups(0, NULL) || setgid(process->group) || setuid(process->user)))
		_exit(126);
	/* After the change of account, which would clear it. */
	prctl(PR_SET_PDEATHSIG, process->death_signal);
	if (getppid() != parent)
		_exit(125);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < sizeof own_signals / sizeof *own_signals; i++)
		signal(own_signals[i], SIG_DFL);
	execve(process->path, (char *const *)(uintptr_t)process->argv,
	       (char *const *)(uintptr_t)process->environment);
	_exit(127);
}

pid_t process_start(const struct process *process, struct error *err)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		become(process, parent);
	if (pid < 0)
		fail(err, ERROR_RETRY, "start %s: %s", process->argv[0], strerror(errno));
	return pid;
}
