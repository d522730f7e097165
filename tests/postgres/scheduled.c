/* SPDX-License-Identifier: MIT */
/* Wraps PQexec() and PQexecParams() at link time, so that a test decides what happens between two
 * statements of a running replication, and what they say. PLAN_SCHEDULE names a directory:
 *
 *   rewrite     lines "what<TAB>by": in every statement; how a variant is broken, or its chunks
 * made small N.hold      a text: the first statement that holds it makes N.reached, and waits for
 * N.go N.after     the same, but after the statement N.die       the process kills itself with
 * SIGKILL before that statement N.dead      the same, after it
 *
 * Each is for one statement of one process. */
#include <dirent.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_MOST = 2000, WAIT_MOST_MS = 120000 };

PGresult *__real_PQexec(PGconn *connection, const char *sql);
PGresult *__wrap_PQexec(PGconn *connection, const char *sql);
PGresult *__real_PQexecParams(PGconn *connection, const char *sql, int count, const Oid *types,
                              const char *const *values, const int *lengths, const int *formats,
                              int format);
PGresult *__wrap_PQexecParams(PGconn *connection, const char *sql, int count, const Oid *types,
                              const char *const *values, const int *lengths, const int *formats,
                              int format);

static bool read_line(const char *directory, const char *name, char *text)
{
	char path[600];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *file = fopen(path, "re");
	size_t length = file ? fread(text, 1, TEXT_MOST - 1, file) : 0;

	text[length] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (file)
		fclose(file);
	return length > 0;
}

/* False when some process has been here before. */
static bool be_the_first(const char *directory, const char *name)
{
	char path[600];

	snprintf(path, sizeof path, "%s/%s.reached", directory, name);
	int file = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (file >= 0)
		close(file);
	return file >= 0;
}

static void wait_for_go(const char *directory, const char *name)
{
	char path[600];

	snprintf(path, sizeof path, "%s/%s.go", directory, name);
	for (int waited_ms = 0; access(path, F_OK) != 0 && waited_ms < WAIT_MOST_MS; waited_ms += 5)
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* The events with that ending whose text is in the statement. */
static void meet(const char *directory, const char *sql, const char *ending, bool deadly)
{
	DIR *entries = opendir(directory);
	char text[TEXT_MOST], name[300];

	for (const struct dirent *entry; entries && (entry = readdir(entries));) {
		const char *dot = strchr(entry->d_name, '.');
		if (!dot || strcmp(dot, ending) != 0 ||
		    !read_line(directory, entry->d_name, text) || !strstr(sql, text))
			continue;
		snprintf(name, sizeof name, "%.*s", (int)(dot - entry->d_name), entry->d_name);
		if (!be_the_first(directory, name))
			continue;
		if (deadly)
			kill(getpid(), SIGKILL);
		wait_for_go(directory, name);
	}
	if (entries)
		closedir(entries);
}

/* A new string with every rule applied. */
static char *rewritten(const char *directory, const char *sql)
{
	char path[600], line[2 * TEXT_MOST], *text = strdup(sql);

	snprintf(path, sizeof path, "%s/rewrite", directory);
	FILE *rules = fopen(path, "re");
	while (rules && fgets(line, sizeof line, rules)) {
		line[strcspn(line, "\n")] = '\0';
		char *by = strchr(line, '\t');
		if (!by)
			continue;
		*by++ = '\0';
		for (char *at = text; (at = strstr(at, line));) {
			size_t before = (size_t)(at - text), rest = strlen(at + strlen(line));
			char *changed = malloc(before + strlen(by) + rest + 1);
			if (!changed)
				abort();
			memcpy(changed, text, before);
			memcpy(changed + before, by, strlen(by));
			memcpy(changed + before + strlen(by), at + strlen(line), rest + 1);
			free(text);
			text = changed;
			at = text + before + strlen(by);
		}
	}
	if (rules)
		fclose(rules);
	return text;
}

PGresult *__wrap_PQexec(PGconn *connection, const char *sql)
{
	const char *directory = getenv("PLAN_SCHEDULE");

	if (!directory)
		return __real_PQexec(connection, sql);
	char *text = rewritten(directory, sql);
	meet(directory, sql, ".hold", false);
	meet(directory, sql, ".die", true);
	PGresult *result = __real_PQexec(connection, text);
	meet(directory, sql, ".dead", true);
	meet(directory, sql, ".after", false);
	free(text);
	return result;
}

PGresult *__wrap_PQexecParams(PGconn *connection, const char *sql, int count, const Oid *types,
                              const char *const *values, const int *lengths, const int *formats,
                              int format)
{
	const char *directory = getenv("PLAN_SCHEDULE");

	if (!directory)
		return __real_PQexecParams(connection, sql, count, types, values, lengths, formats,
		                           format);
	char *text = rewritten(directory, sql);
	meet(directory, sql, ".hold", false);
	meet(directory, sql, ".die", true);
	PGresult *result = __real_PQexecParams(connection, text, count, types, values, lengths,
	                                       formats, format);
	meet(directory, sql, ".dead", true);
	meet(directory, sql, ".after", false);
	free(text);
	return result;
}
