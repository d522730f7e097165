/* SPDX-License-Identifier: MIT */
/* The processes of a replication: some that copy, one that follows. */
#include "steps/postgres/crew.h"
#include "engine/base/clock.h"
#include "engine/step.h"
#include "steps/postgres/crew_member.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_FIRST_MS 250
#define PAUSE_LONGEST_MS 30000
#define GRACE_MS 6000

bool crew_make(struct crew *crew, size_t copiers, struct error *err)
{
	crew->count = copiers + 1;
	for (size_t i = 0; i < crew->count; i++)
		crew->members[i] =
			(struct member){.role = i < copiers ? CREW_COPIES : CREW_FOLLOWS};
	if (pipe2(crew->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail(err, ERROR_RETRY, "make a pipe: %s", strerror(errno));
	return true;
}

static bool start(struct crew *crew, struct member *member, struct error *err)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return fail(err, ERROR_RETRY, "start a process: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		crew_member_run(crew, member);
	}
	member->pid = pid;
	member->content = false;
	member->began = true;
	return true;
}

/* ---- What they say ---- */

/* A line: N and a note, or the first letter of an error's kind in capitals, and its text. */
static bool hear(struct crew *crew, char *line, struct error *err)
{
	if (line[0] == 'N') {
		step_note(crew->step, "%s", line + 1);
		return true;
	}
	enum error_kind kind = (enum error_kind)(line[0] - 'a');
	if (kind == ERROR_RETRY || kind == ERROR_CANCELLED) {
		step_note(crew->step, "%s; it is tried again", line + 1);
		return true;
	}
	return fail(err, kind, "%s", line + 1);
}

static bool listen_to_all(struct crew *crew, struct error *err)
{
	char buffer[PIPE_BUF + 1];
	ssize_t length;
	bool fine = true;

	/* Each is written at once and is not longer than PIPE_BUF, but several may be read
	 * together. */
	while ((length = read(crew->pipe[0], buffer, PIPE_BUF)) > 0) {
		buffer[length] = '\0';
		char *rest = NULL;
		for (char *line = strtok_r(buffer, "\n", &rest); fine && line;
		     line = strtok_r(NULL, "\n", &rest))
			fine = hear(crew, line, err);
	}
	return fine;
}

/* ---- Their lives ---- */

static void bury(struct member *member, int status)
{
	int64_t pause_ms = PAUSE_FIRST_MS;

	member->pid = 0;
	member->content = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (member->content) {
		member->tries = 0;
		return;
	}
	for (int64_t i = 0; i < member->tries && pause_ms < PAUSE_LONGEST_MS; i++)
		pause_ms *= 2;
	member->tries++;
	member->again_ms =
		clock_real_ms() + (pause_ms < PAUSE_LONGEST_MS ? pause_ms : PAUSE_LONGEST_MS);
}

static void reap(struct crew *crew)
{
	for (size_t i = 0; i < crew->count; i++) {
		struct member *member = &crew->members[i];
		int status;
		if (member->pid > 0 && waitpid(member->pid, &status, WNOHANG) == member->pid)
			bury(member, status);
	}
}

bool crew_tend(struct crew *crew, struct error *err)
{
	reap(crew);
	if (!listen_to_all(crew, err))
		return false;
	for (size_t i = 0; i < crew->count; i++) {
		struct member *member = &crew->members[i];
		bool wanted = !member->pid && (!member->content || member->role == CREW_FOLLOWS);
		if (wanted && clock_real_ms() >= member->again_ms && !start(crew, member, err))
			return false;
	}
	return true;
}

void crew_call_copiers(struct crew *crew)
{
	for (size_t i = 0; i < crew->count; i++)
		crew->members[i].content = false;
}

bool crew_copied(const struct crew *crew)
{
	for (size_t i = 0; i < crew->count; i++)
		if (crew->members[i].role == CREW_COPIES && !crew->members[i].content)
			return false;
	return true;
}

static bool anybody(const struct crew *crew)
{
	for (size_t i = 0; i < crew->count; i++)
		if (crew->members[i].pid > 0)
			return true;
	return false;
}

static void signal_all(const struct crew *crew, int number)
{
	for (size_t i = 0; i < crew->count; i++)
		if (crew->members[i].pid > 0)
			kill(crew->members[i].pid, number);
}

void crew_stop(struct crew *crew)
{
	int64_t until_ms = clock_real_ms() + GRACE_MS;

	signal_all(crew, SIGTERM);
	while (anybody(crew)) {
		if (clock_real_ms() > until_ms)
			signal_all(crew, SIGKILL);
		reap(crew);
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	close(crew->pipe[0]);
	close(crew->pipe[1]);
}
