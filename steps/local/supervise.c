/* SPDX-License-Identifier: MIT */
/* Between a step and its program stands a guard: a process that ends the program's whole group when
 * the program ends, when the step says so, and when the step is gone. It talks over a socket: the
 * step writes ASK_TO_END or closes it; the guard writes the program's status. */
#include "steps/local/supervise.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ASK_TO_END 't'

enum {
	LINE_MOST = 16384, /* of output; the rest of a longer line is dropped */
	GRACE_MS = 4000,   /* between SIGTERM and SIGKILL */
	SLICE_MS = 100,
	MIND_MS = 1000, /* how often the invariants are measured */
};

/* ---- The guard ---- */

static void ignore_signals(void)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};

	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		signal(ignored[i], SIG_IGN);
}

/* Until the program ends; SIGKILL when the step is gone. */
static void watch(int link, int program, pid_t group)
{
	struct pollfd ears[] = {{program, POLLIN, 0}, {link, POLLIN, 0}};

	for (;;) {
		char word;
		if (poll(ears, 2, -1) < 0 && errno != EINTR)
			return;
		if (ears[0].revents)
			return;
		if (!ears[1].revents)
			continue;
		bool asked = read(link, &word, 1) == 1 && word == ASK_TO_END;
		kill(-group, asked ? SIGTERM : SIGKILL);
		if (!asked)
			ears[1].fd = -1;
	}
}

static _Noreturn void guard(const struct process *process, int link)
{
	struct error err = {0};
	int status = -1;

	ignore_signals();
	pid_t program = process_start(process, &err);
	int ear = program > 0 ? (int)syscall(SYS_pidfd_open, program, 0) : -1;
	/* The pipe ends with the group, not with the guard. */
	close(process->output);
	if (program < 0)
		_exit(1);
	if (ear >= 0)
		watch(link, ear, program);
	/* What it started and left behind ends with it; its pid is taken until it is waited for. */
	kill(-program, SIGKILL);
	kill(program, SIGKILL);
	while (waitpid(program, &status, 0) < 0 && errno == EINTR)
		;
	ssize_t told = write(link, &status, sizeof status);
	_exit(told == sizeof status ? 0 : 1);
}

/* ---- The step's side ---- */

struct hearing {
	const struct supervise *what;
	struct text line;
	bool cut; /* the rest of this line is dropped */
};

static void take_output(struct hearing *hearing, const char *data, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (data[i] == '\n') {
			hearing->what->line(hearing->what->context, text_string(&hearing->line),
			                    !hearing->cut);
			text_clear(&hearing->line);
			hearing->cut = false;
		} else if (!hearing->cut) {
			/* A NUL would end the text. */
			hearing->cut = !text_put(&hearing->line, data[i] ? &data[i] : "?", 1);
		}
	}
}

/* All that is there now; false at its end. */
static bool drain(struct hearing *hearing, int output)
{
	char piece[4096];
	ssize_t got;

	while ((got = read(output, piece, sizeof piece)) > 0)
		take_output(hearing, piece, (size_t)got);
	return got < 0 && (errno == EAGAIN || errno == EINTR);
}

struct watchman {
	int64_t ends_at_ms, mind_at_ms, kill_at_ms; /* 0: not yet */
	int link;
	struct error why;
};

static void end_group(struct watchman *watchman)
{
	const char word = ASK_TO_END;

	if (watchman->kill_at_ms)
		return;
	watchman->kill_at_ms = clock_real_ms() + GRACE_MS;
	if (send(watchman->link, &word, 1, MSG_NOSIGNAL) != 1)
		watchman->kill_at_ms = clock_real_ms();
}

/* Whether it may go on; sets why when not. */
static void mind(const struct supervise *what, struct watchman *watchman)
{
	int64_t now_ms = clock_real_ms();

	if (watchman->kill_at_ms) {
		if (now_ms >= watchman->kill_at_ms)
			shutdown(watchman->link, SHUT_WR);
		return;
	}
	bool fine = true;
	if (step_stopping(what->step))
		fine = fail(&watchman->why, ERROR_CANCELLED, "stopped, and the program ended");
	else if (now_ms >= watchman->ends_at_ms)
		fine = fail(&watchman->why, ERROR_FAILED,
		            "it took longer than its limit of %lld ms and was ended",
		            (long long)what->limit_ms);
	else if (now_ms >= watchman->mind_at_ms) {
		watchman->mind_at_ms = now_ms + MIND_MS;
		fine = step_sleep(what->step, 0, &watchman->why);
	}
	if (!fine)
		end_group(watchman);
}

/* Until the guard has told the status; *status stays -1 when it could not. */
static void listen_to(const struct supervise *what, struct watchman *watchman, int output,
                      int *status)
{
	struct hearing hearing = {.what = what, .line = {.limit = LINE_MOST}};
	struct pollfd ears[] = {{watchman->link, POLLIN, 0}, {output, POLLIN, 0}};

	for (;;) {
		poll(ears, 2, SLICE_MS);
		if (ears[1].fd >= 0 && ears[1].revents && !drain(&hearing, output))
			ears[1].fd = -1;
		if (ears[0].revents) {
			if (read(watchman->link, status, sizeof *status) != sizeof *status)
				*status = -1;
			break;
		}
		mind(what, watchman);
	}
	drain(&hearing, output);
	if (hearing.line.length)
		take_output(&hearing, "\n", 1);
	text_free(&hearing.line);
}

/* In memory: a program that does not read cannot make us wait. */
static int make_input(const char *text)
{
	size_t length = text ? strlen(text) : 0, done = 0;
	int input = text ? memfd_create("input", MFD_CLOEXEC) : -1;

	while (input >= 0 && done < length) {
		ssize_t put = write(input, text + done, length - done);
		if (put < 0 && errno != EINTR)
			break;
		done += put > 0 ? (size_t)put : 0;
	}
	if (input >= 0)
		lseek(input, 0, SEEK_SET);
	return input;
}

bool supervise(const struct supervise *what, int *status, struct error *err)
{
	struct process process = what->process;
	int link[2], output[2];

	*status = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, link) < 0)
		return fail(err, ERROR_RETRY, "make a socket: %s", strerror(errno));
	if (pipe2(output, O_CLOEXEC) < 0) {
		close(link[0]), close(link[1]);
		return fail(err, ERROR_RETRY, "make a pipe: %s", strerror(errno));
	}
	process.input = make_input(what->input);
	process.output = output[1];
	process.leader = true;
	pid_t pid = fork();
	if (pid == 0) {
		close(link[0]), close(output[0]);
		guard(&process, link[1]);
	}
	close(link[1]), close(output[1]);
	if (process.input >= 0)
		close(process.input);
	struct watchman watchman = {.link = link[0]};
	watchman.ends_at_ms = clock_real_ms() + what->limit_ms;
	watchman.mind_at_ms = clock_real_ms() + MIND_MS;
	fcntl(output[0], F_SETFL, O_NONBLOCK);
	if (pid > 0)
		listen_to(what, &watchman, output[0], status);
	close(link[0]), close(output[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (watchman.why.kind != ERROR_NONE) {
		*err = watchman.why;
		return false;
	}
	return *status != -1 || fail(err, ERROR_RETRY, "%s could not be started", process.argv[0]);
}
