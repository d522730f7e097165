/* SPDX-License-Identifier: MIT */
/* Where PostgreSQL's programs are found and started. */
#include "steps/postgres/program.h"
#include "engine/base/error.h"
#include "steps/local/process.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WATCH_NS = 20000000 };

static int version_of(const char *path)
{
	const char *found = strstr(path, "postgresql/");

	return found ? atoi(found + strlen("postgresql/")) : 0;
}

bool program_find(const char *name, char *out, size_t size, struct error *err)
{
	const char *chosen = getenv("PLAN_PG_BIN");
	char pattern[128];
	glob_t found = {0};
	int best = 0;

	out[0] = '\0';
	if (chosen && *chosen) {
		snprintf(out, size, "%s", chosen);
		return true;
	}
	snprintf(pattern, sizeof pattern, "/usr/lib/postgresql/*/bin/%s", name);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			if (version_of(found.gl_pathv[i]) > best) {
				best = version_of(found.gl_pathv[i]);
				snprintf(out, size, "%.*s",
				         (int)(strlen(found.gl_pathv[i]) - strlen(name) - 1),
				         found.gl_pathv[i]);
			}
	globfree(&found);
	return best > 0 || fail(err, ERROR_REFUSED,
	                        "there is no %s under /usr/lib/postgresql: install postgresql, or "
	                        "set PLAN_PG_BIN to the directory it is in",
	                        name);
}

bool program_directory(char *out, size_t size, struct error *err)
{
	return program_find("initdb", out, size, err);
}

void program_account(uid_t *user, gid_t *group)
{
	const struct passwd *account = NULL;

	*user = geteuid();
	*group = getegid();
	if (*user != 0)
		return;
	account = getpwnam("postgres");
	if (!account)
		account = getpwnam("nobody");
	*user = account ? account->pw_uid : 65534;
	*group = account ? account->pw_gid : 65534;
}

/* The environment, to be freed; what it points to is the program's. */
static const char **environment_of(const struct program *program, const char *password)
{
	static const char *const always[] = {"LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin"};
	size_t fixed = sizeof always / sizeof *always, more = 0, count = 0;

	while (program->settings && program->settings[more])
		more++;
	const char **out = calloc(fixed + more + 2, sizeof *out);
	for (size_t i = 0; out && i < fixed; i++)
		out[count++] = always[i];
	for (size_t i = 0; out && i < more; i++)
		out[count++] = program->settings[i];
	if (out && program->password)
		out[count] = password;
	return out;
}

/* The same for the arguments; initdb finds postgres beside itself by the first. */
static const char **vector_of(const struct program *program, const char *path)
{
	size_t count = 0;

	while (program->arguments[count])
		count++;
	const char **out = calloc(count + 2, sizeof *out);
	if (out)
		out[0] = path;
	for (size_t i = 0; out && i < count; i++)
		out[i + 1] = program->arguments[i];
	return out;
}

/* -1: no log is wanted, or it cannot be made. */
static int open_log(const struct program *program)
{
	if (program->log_path)
		return open(program->log_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return program->output ? memfd_create("log", MFD_CLOEXEC) : -1;
}

static pid_t start(const struct program *program, int log, struct error *err)
{
	char directory[400], path[512], password[512];
	struct process process = process_plain();
	pid_t pid = -1;

	if (program->directory)
		snprintf(directory, sizeof directory, "%s", program->directory);
	else if (!program_directory(directory, sizeof directory, err))
		return -1;
	snprintf(path, sizeof path, "%s/%s", directory, program->name);
	snprintf(password, sizeof password, "PGPASSWORD=%s",
	         program->password ? program->password : "");
	const char **argv = vector_of(program, path);
	const char **environment = environment_of(program, password);
	process.path = path;
	process.argv = argv;
	process.environment = environment;
	process.input = program->input ? program->input : -1;
	process.output = program->output ? program->output : log;
	process.error = log;
	process.death_signal = SIGQUIT;
	if (!program->own_account)
		program_account(&process.user, &process.group);
	if (argv && environment)
		pid = process_start(&process, err);
	else
		fail(err, ERROR_RETRY, "%s: out of memory", program->name);
	free(argv);
	free(environment);
	return pid;
}

pid_t program_start(const struct program *program, struct error *err)
{
	int log = open_log(program);
	pid_t pid = start(program, log, err);

	if (log >= 0)
		close(log);
	return pid;
}

static void last_lines(int log, char *out, size_t size)
{
	off_t end = log >= 0 ? lseek(log, 0, SEEK_END) : 0;
	off_t from = end > (off_t)size - 1 ? end - (off_t)size + 1 : 0;
	ssize_t got = log >= 0 ? pread(log, out, size - 1, from) : 0;

	out[got > 0 ? got : 0] = '\0';
	for (char *at = out; *at; at++)
		if (*at == '\n')
			*at = ' ';
}

/* waitpid(), asking the watch meanwhile. */
static pid_t await(const struct program *program, pid_t pid, int *status)
{
	pid_t ended = 0;

	if (!program->watch)
		return waitpid(pid, status, 0);
	while ((ended = waitpid(pid, status, WNOHANG)) == 0) {
		if (!program->watch(program->context))
			kill(pid, SIGTERM);
		nanosleep(&(struct timespec){.tv_nsec = WATCH_NS}, NULL);
	}
	return ended;
}

static bool finish(const struct program *program, pid_t pid, int log, struct error *err)
{
	int status = 0;
	char text[512];

	while (await(program, pid, &status) < 0)
		if (errno != EINTR)
			return fail(err, ERROR_FAILED, "%s: %s", program->name, strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return fail(err, ERROR_REFUSED, "%s cannot be executed", program->name);
	last_lines(log, text, sizeof text);
	return fail(err, ERROR_FAILED, "%s ended with %s %d: %s", program->name,
	            WIFEXITED(status) ? "exit code" : "signal",
	            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), text);
}

bool program_run(const struct program *program, struct error *err)
{
	int log = open_log(program);
	pid_t pid = start(program, log, err);
	bool good = pid > 0 && finish(program, pid, log, err);

	if (log >= 0)
		close(log);
	return good;
}
