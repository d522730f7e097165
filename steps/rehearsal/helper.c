/* SPDX-License-Identifier: MIT */
/* Processes that stand for other people in a rehearsal. */
#include "steps/rehearsal/helper.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOG_LIMIT ((size_t)256 * 1024 * 1024)

pid_t helper_fork(void)
{
	pid_t parent = getpid();

	fflush(NULL);
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_IGN);
	if (getppid() != parent)
		_exit(1);
	return 0;
}

void helper_stop(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGTERM);
		while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*pid = 0;
}

void helper_nap_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

char *helper_read_log(const char *path, struct arena *arena, struct error *err)
{
	FILE *file = fopen(path, "re");
	struct stat status;
	char *data = NULL;

	if (file && fstat(fileno(file), &status) == 0 && (size_t)status.st_size < LOG_LIMIT) {
		data = arena_alloc(arena, (size_t)status.st_size + 1);
		data[fread(data, 1, (size_t)status.st_size, file)] = '\0';
	}
	if (!data)
		fail(err, ERROR_FAILED, "read %s: %s", path, strerror(errno));
	if (file)
		fclose(file);
	return data;
}
