/* SPDX-License-Identifier: MIT */
/* Throw-away PostgreSQL clusters. */
#include "steps/postgres/scratch.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/port.h"
#include "steps/postgres/program.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READY_WITHIN_MS = 30000, POLL_MS = 30 };

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
}

static void random_hex(char *out, size_t bytes)
{
	unsigned char noise[24];

	randombytes_buf(noise, bytes);
	sodium_bin2hex(out, bytes * 2 + 1, noise, bytes);
}

static bool give_away(const char *path, struct error *err)
{
	uid_t user;
	gid_t group;

	program_account(&user, &group);
	if (geteuid() == 0 && chown(path, user, group) != 0)
		return fail(err, ERROR_FAILED, "hand %s over: %s", path, strerror(errno));
	return true;
}

static bool prepare_directory(struct scratch *scratch, const char *parent, const char *name,
                              struct error *err)
{
	int length = snprintf(scratch->directory, sizeof scratch->directory, "%s/%s", parent, name);

	if (length < 0 || (size_t)length >= sizeof scratch->directory - 40)
		return fail(err, ERROR_FAILED, "the path %s/%s is too long", parent, name);
	if (mkdir(scratch->directory, 0700) != 0 && errno != EEXIST)
		return fail(err, ERROR_FAILED, "make %s: %s", scratch->directory, strerror(errno));
	return give_away(scratch->directory, err);
}

static const char *programs_of(const struct scratch *scratch)
{
	return scratch->programs[0] ? scratch->programs : NULL;
}

static bool write_file(const char *path, const char *text, struct error *err)
{
	int handle = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t length = strlen(text);
	bool good = handle >= 0 && write(handle, text, length) == (ssize_t)length;

	if (handle >= 0)
		close(handle);
	if (!good)
		return fail(err, ERROR_FAILED, "write %s: %s", path, strerror(errno));
	return give_away(path, err);
}

void scratch_url(const struct scratch *scratch, char *out, size_t size)
{
	snprintf(out, size, "postgres://%s:%s@localhost:%d/%s", scratch->owner, scratch->password,
	         scratch->port, scratch->database);
}

static PGconn *connect_to(const struct scratch *scratch, const char *database)
{
	char port[12];
	const char *const keys[] = {"host", "port", "user", "password", "dbname", "connect_timeout",
	                            NULL};
	const char *const values[] = {"127.0.0.1", port, scratch->user, scratch->password,
	                              database,    "5",  NULL};

	snprintf(port, sizeof port, "%d", scratch->port);
	return PQconnectdbParams(keys, values, 0);
}

static bool query_in(const struct scratch *scratch, const char *database, const char *sql,
                     char *out, size_t size, struct error *err)
{
	PGconn *connection = connect_to(scratch, database);
	PGresult *result = PQexec(connection, sql);
	ExecStatusType status = PQresultStatus(result);
	bool good = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;

	if (!good)
		fail(err, ERROR_RETRY, "scratch database: %.300s", PQerrorMessage(connection));
	else if (out)
		snprintf(out, size, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
	PQclear(result);
	PQfinish(connection);
	return good;
}

bool scratch_query(const struct scratch *scratch, const char *sql, char *out, size_t size,
                   struct error *err)
{
	return query_in(scratch, scratch->database, sql, out, size, err);
}

static bool wait_until_ready(struct scratch *scratch, struct error *err)
{
	int64_t until = clock_real_ms() + READY_WITHIN_MS;
	const char *database = scratch->follower ? scratch->database : "postgres";
	struct error last = {0};

	while (clock_real_ms() < until) {
		if (query_in(scratch, database, "SELECT 1", NULL, 0, &last))
			return true;
		if (waitpid(scratch->pid, NULL, WNOHANG) == scratch->pid) {
			scratch->pid = 0;
			return fail(err, ERROR_FAILED, "the server ended at once: see %s/log",
			            scratch->directory);
		}
		nap();
	}
	return fail(err, ERROR_FAILED, "the server did not get ready: %s", last.text);
}

bool scratch_start(struct scratch *scratch, struct error *err)
{
	char data[340], log[340], port[16], socket_dir[340];
	const char *const arguments[] = {
		"-D", data, "-p", port, "-k", socket_dir, "-c", "listen_addresses=127.0.0.1", NULL};
	struct program server = {.name = "postgres",
	                         .directory = programs_of(scratch),
	                         .arguments = arguments,
	                         .log_path = log};

	snprintf(data, sizeof data, "%s/data", scratch->directory);
	snprintf(log, sizeof log, "%s/log", scratch->directory);
	snprintf(socket_dir, sizeof socket_dir, "%s", scratch->directory);
	/* A socket path has about 107 bytes at most; TCP is enough beyond that. */
	if (strlen(socket_dir) > 80)
		socket_dir[0] = '\0';
	snprintf(port, sizeof port, "%d", scratch->port);
	scratch->pid = program_start(&server, err);
	if (scratch->pid < 0) {
		scratch->pid = 0;
		return false;
	}
	return wait_until_ready(scratch, err);
}

static const char settings[] =
	"\nfsync = off\nfull_page_writes = off\nsynchronous_commit = on\n"
	"wal_level = replica\nmax_wal_senders = 10\nhot_standby = on\n"
	"wal_keep_size = 256MB\nmax_connections = 60\nshared_buffers = 16MB\n"
	"max_standby_streaming_delay = -1\nlog_min_messages = warning\n";

static bool initialise(struct scratch *scratch, struct error *err)
{
	char data[340], pwfile[340], pwoption[360], log[340], conf[360];
	const char *const arguments[] = {
		"-D", data,   "-U",         scratch->user, pwoption, "-A", "scram-sha-256",
		"-E", "UTF8", "--locale=C", "-N",          NULL};
	struct program initdb = {.name = "initdb",
	                         .directory = programs_of(scratch),
	                         .arguments = arguments,
	                         .log_path = log};

	snprintf(data, sizeof data, "%s/data", scratch->directory);
	snprintf(log, sizeof log, "%s/log", scratch->directory);
	snprintf(pwfile, sizeof pwfile, "%s/password", scratch->directory);
	snprintf(pwoption, sizeof pwoption, "--pwfile=%s", pwfile);
	snprintf(conf, sizeof conf, "%s/postgresql.conf", data);
	bool good = write_file(pwfile, scratch->password, err) && program_run(&initdb, err) &&
	            write_file(conf, settings, err);
	unlink(pwfile);
	return good;
}

static bool make_database(const struct scratch *scratch, struct error *err)
{
	char sql[256];

	snprintf(sql, sizeof sql, "CREATE ROLE %s LOGIN PASSWORD '%s'", scratch->owner,
	         scratch->password);
	if (!query_in(scratch, "postgres", sql, NULL, 0, err))
		return false;
	snprintf(sql, sizeof sql, "CREATE DATABASE %s OWNER %s", scratch->database, scratch->owner);
	return query_in(scratch, "postgres", sql, NULL, 0, err);
}

bool scratch_make(struct scratch *scratch, const char *parent, const char *name,
                  const char *programs, struct error *err)
{
	*scratch =
		(struct scratch){.port = port_free(), .user = "s", .owner = "u", .database = "d"};
	random_hex(scratch->user + 1, 7);
	random_hex(scratch->owner + 1, 7);
	random_hex(scratch->password, 20);
	random_hex(scratch->database + 1, 7);
	snprintf(scratch->programs, sizeof scratch->programs, "%s", programs ? programs : "");
	if (scratch->port == 0)
		return fail(err, ERROR_RETRY, "no free port on the loopback address");
	return prepare_directory(scratch, parent, name, err) && initialise(scratch, err) &&
	       scratch_start(scratch, err) && make_database(scratch, err);
}

bool scratch_follow(struct scratch *scratch, const struct scratch *leader, const char *parent,
                    const char *name, struct error *err)
{
	char data[340], log[340], port[16];
	const char *const arguments[] = {"-D", data, "-h",         "127.0.0.1", "-p",
	                                 port, "-U", leader->user, "-X",        "stream",
	                                 "-R", "-c", "fast",       "-w",        NULL};
	struct program backup = {.name = "pg_basebackup",
	                         .directory = programs_of(scratch),
	                         .arguments = arguments,
	                         .password = leader->password,
	                         .log_path = log};

	*scratch = *leader;
	scratch->pid = 0;
	scratch->follower = true;
	scratch->port = port_free();
	if (scratch->port == 0)
		return fail(err, ERROR_RETRY, "no free port on the loopback address");
	if (!prepare_directory(scratch, parent, name, err))
		return false;
	snprintf(data, sizeof data, "%s/data", scratch->directory);
	snprintf(log, sizeof log, "%s/log", scratch->directory);
	snprintf(port, sizeof port, "%d", leader->port);
	return program_run(&backup, err) && scratch_start(scratch, err);
}

bool scratch_promote(struct scratch *scratch, struct error *err)
{
	char done[8] = "";

	struct error ignored = {0};

	/* Replaying may be paused; a server that is promoted already has nothing to go on with. */
	scratch_query(scratch, "SELECT pg_wal_replay_resume()", NULL, 0, &ignored);
	if (!scratch_query(scratch, "SELECT pg_promote(true, 30)", done, sizeof done, err))
		return false;
	if (strcmp(done, "t") != 0)
		return fail(err, ERROR_FAILED, "the follower was not promoted within 30 s");
	scratch->follower = false;
	return true;
}

void scratch_stop(struct scratch *scratch)
{
	int64_t until = clock_real_ms() + 10000;

	if (scratch->pid <= 0)
		return;
	kill(scratch->pid, SIGQUIT);
	while (waitpid(scratch->pid, NULL, WNOHANG) == 0) {
		if (clock_real_ms() > until)
			kill(scratch->pid, SIGKILL);
		nap();
	}
	scratch->pid = 0;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
	(void)about;
	(void)kind;
	(void)walk;
	remove(path);
	return 0;
}

void scratch_remove_tree(const char *path)
{
	if (*path)
		nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void scratch_destroy(struct scratch *scratch)
{
	scratch_stop(scratch);
	scratch_remove_tree(scratch->directory);
}
