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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGUMENTS_MOST = 62, WATCH_NS = 20000000 };

static int version_of(const char *path)
{
	const char *found = strstr(path, "postgresql/");

	return found ? atoi(found + strlen("postgresql/")) : 0;
}

bool program_directory(char *out, size_t size, struct error *err)
{
	const char *chosen = getenv("PLAN_PG_BIN");
	glob_t found = {0};
	int best = 0;

	out[0] = '\0';
	if (chosen && *chosen) {
		snprintf(out, size, "%s", chosen);
		return true;
	}
	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			if (version_of(found.gl_pathv[i]) > best) {
				best = version_of(found.gl_pathv[i]);
				snprintf(out, size, "%.*s",
				         (int)(strlen(found.gl_pathv[i]) - strlen("/initdb")),
				         found.gl_pathv[i]);
			}
	globfree(&found);
	return best > 0 || fail(err, ERROR_REFUSED,
	                        "no PostgreSQL server programs under /usr/lib/postgresql: install "
	                        "postgresql, or set PLAN_PG_BIN to the directory of initdb");
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

pid_t program_start(const struct program *program, struct error *err)
{
	const char *argv[ARGUMENTS_MOST + 2] = {0};
	char directory[400], path[512], password[512];
	const char *environment[] = {"LC_ALL=C", "TZ=UTC", "PATH=/usr/bin:/bin",
	                             program->password ? password : NULL, NULL};
	struct process process = process_plain();
	size_t count = 0;

	if (!program_directory(directory, sizeof directory, err))
		return -1;
	snprintf(path, sizeof path, "%s/%s", directory, program->name);
	snprintf(password, sizeof password, "PGPASSWORD=%s",
	         program->password ? program->password : "");
	argv[0] = path; /* initdb finds postgres beside itself */
	for (; program->arguments[count]; count++) {
		if (count >= ARGUMENTS_MOST) {
			fail(err, ERROR_FAILED, "%s: too many arguments", program->name);
			return -1;
		}
		argv[count + 1] = program->arguments[count];
	}
	process.path = path;
	process.argv = argv;
	process.environment = environment;
	process.death_signal = SIGQUIT;
	program_account(&process.user, &process.group);
	if (program->log_path)
		process.output =
			open(program->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	pid_t pid = process_start(&process, err);
	if (process.output >= 0)
		close(process.output);
	return pid;
}

static void last_lines(const char *path, char *out, size_t size)
{
	FILE *file = path ? fopen(path, "re") : NULL;

	out[0] = '\0';
	if (!file)
		return;
	if (fseek(file, -(long)(size - 1), SEEK_END) != 0)
		rewind(file);
	out[fread(out, 1, size - 1, file)] = '\0';
	fclose(file);
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

bool program_run(const struct program *program, struct error *err)
{
	pid_t pid = program_start(program, err);
	int status = 0;
	char log[512];

	if (pid < 0)
		return false;
	while (await(program, pid, &status) < 0)
		if (errno != EINTR)
			return fail(err, ERROR_FAILED, "%s: %s", program->name, strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	last_lines(program->log_path, log, sizeof log);
	return fail(err, ERROR_FAILED, "%s ended with %s %d: %s", program->name,
	            WIFEXITED(status) ? "exit code" : "signal",
	            WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), log);
}
