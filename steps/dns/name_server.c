/* SPDX-License-Identifier: MIT */
/* Starts and ends Knot DNS for a rehearsal. */
#include "steps/dns/name_server.h"
#include "engine/base/port.h"
#include "engine/base/text.h"
#include "steps/dns/provider.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READY_TRIES = 300, POLL_MS = 30, STOP_TRIES = 100 };

static const char *const programs[] = {"/usr/sbin/knotd", "/usr/local/sbin/knotd", NULL};

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
}

static const char *find_program(struct error *err)
{
	for (size_t i = 0; programs[i]; i++)
		if (access(programs[i], X_OK) == 0)
			return programs[i];
	fail(err, ERROR_REFUSED,
	     "%s is not installed; a rehearsal answers for DNS with it: apt-get install knot",
	     programs[0]);
	return NULL;
}

static bool write_file(const char *directory, const char *name, const struct text *text,
                       struct error *err)
{
	char path[400];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	int handle = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good = handle >= 0 && write(handle, text->data, text->length) == (ssize_t)text->length;
	if (handle >= 0)
		close(handle);
	return good || fail(err, ERROR_FAILED, "write %s: %s", path, strerror(errno));
}

static bool write_configuration(const struct name_server *server, const char *zone,
                                struct error *err)
{
	struct text text = {0};
	const char *secret = strrchr(server->key, ':') + 1, *directory = server->directory;

	text_format(&text, "server:\n    rundir: %s\n    listen: 127.0.0.1@%d\n", directory,
	            server->port);
	text_format(&text, "    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n");
	text_format(&text, "database:\n    storage: %s\n", directory);
	text_format(&text, "log:\n  - target: %s/log\n    any: info\n", directory);
	text_format(&text, "key:\n  - id: rehearsal\n    algorithm: hmac-sha256\n    secret: %s\n",
	            secret);
	text_format(&text, "acl:\n  - id: updates\n    key: rehearsal\n    action: [update]\n");
	text_format(&text,
	            "zone:\n  - domain: %s\n    storage: %s\n    file: zone\n    acl: updates\n",
	            zone, directory);
	bool good = write_file(directory, "knot.conf", &text, err);
	text_free(&text);
	return good;
}

static bool write_zone(const struct name_server *server, const char *zone, const char *records,
                       struct error *err)
{
	struct text text = {0};

	text_format(&text, "%s. 3600 IN SOA ns.%s. hostmaster.%s. 1 3600 600 86400 60\n", zone,
	            zone, zone);
	text_format(&text, "%s. 3600 IN NS ns.%s.\nns.%s. 3600 IN A 127.0.0.1\n%s", zone, zone,
	            zone, records);
	bool good = write_file(server->directory, "zone", &text, err);
	text_free(&text);
	return good;
}

static _Noreturn void become(const char *program, const char *directory, pid_t parent)
{
	char configuration[400], output[400];

	snprintf(configuration, sizeof configuration, "%s/knot.conf", directory);
	snprintf(output, sizeof output, "%s/output", directory);
	const char *const argv[] = {program, "-c", configuration, NULL};
	const char *const environment[] = {"LC_ALL=C", "PATH=/usr/sbin:/usr/bin", NULL};
	int nothing = open("/dev/null", O_RDONLY);
	int log = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	setpgid(0, 0); /* a ^C at the terminal is for the engine alone */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || nothing < 0 || log < 0)
		_exit(125);
	dup2(nothing, 0);
	dup2(log, 1);
	dup2(log, 2);
	close_range(3, ~0U, 0);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	execve(program, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
	_exit(127);
}

static bool wait_until_ready(const struct name_server *server, const char *zone, struct error *err)
{
	for (int i = 0; i < READY_TRIES; i++) {
		struct arena arena = {0};
		struct error problem = {0};
		struct value *records;
		char name[300];
		snprintf(name, sizeof name, "ns.%s", zone);
		bool answers = name_server_ask(server, name, &arena, &records, &problem);
		bool there = answers && value_get(records, "A");
		arena_free(&arena);
		if (there)
			return true;
		if (waitpid(server->pid, NULL, WNOHANG) != 0)
			break;
		nap();
	}
	return fail(err, ERROR_FAILED, "the name server for zone %s does not answer; see %s/log",
	            zone, server->directory);
}

bool name_server_start(struct name_server *server, const char *directory, const char *zone,
                       const char *records, struct error *err)
{
	unsigned char noise[32];
	char secret[64];
	const char *program = find_program(err);

	*server = (struct name_server){.port = port_free()};
	if (!program)
		return false;
	snprintf(server->directory, sizeof server->directory, "%s", directory);
	snprintf(server->address, sizeof server->address, "127.0.0.1:%d", server->port);
	randombytes_buf(noise, sizeof noise);
	sodium_bin2base64(secret, sizeof secret, noise, sizeof noise,
	                  sodium_base64_VARIANT_ORIGINAL);
	snprintf(server->key, sizeof server->key, "hmac-sha256:rehearsal:%s", secret);
	if (mkdir(directory, 0700) != 0 && errno != EEXIST)
		return fail(err, ERROR_FAILED, "make %s: %s", directory, strerror(errno));
	if (!write_configuration(server, zone, err) || !write_zone(server, zone, records, err))
		return false;
	pid_t parent = getpid();
	server->pid = fork();
	if (server->pid == 0)
		become(program, directory, parent);
	if (server->pid < 0) {
		server->pid = 0;
		return fail(err, ERROR_RETRY, "start %s: %s", program, strerror(errno));
	}
	if (wait_until_ready(server, zone, err))
		return true;
	name_server_stop(server);
	return false;
}

bool name_server_ask(const struct name_server *server, const char *name, struct arena *arena,
                     struct value **records, struct error *err)
{
	return server_ask(arena, server->address, name, records, err);
}

void name_server_stop(struct name_server *server)
{
	if (server->pid <= 0)
		return;
	kill(server->pid, SIGTERM);
	for (int i = 0; waitpid(server->pid, NULL, WNOHANG) == 0; i++) {
		if (i == STOP_TRIES)
			kill(server->pid, SIGKILL);
		nap();
	}
	server->pid = 0;
}
