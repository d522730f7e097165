/* SPDX-License-Identifier: MIT */
/* The simulator as a process: begin, serve, end. */
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "steps/heroku/simulator/world.h"
#include "steps/postgres/program.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct ports {
	int api, router, router_tls;
};

static int port_of(struct MHD_Daemon *daemon)
{
	return daemon ? MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port : 0;
}

static void stop_on_signal(struct world *world)
{
	sigset_t ends;
	struct timespec soon = {.tv_nsec = 20000000};

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	while (sigtimedwait(&ends, NULL, &soon) < 0) {
		pthread_mutex_lock(&world->lock);
		while (jobs_run_one(world))
			;
		pthread_mutex_unlock(&world->lock);
	}
}

static bool open_doors(struct world *world, const struct simulator_options *options,
                       struct MHD_Daemon *doors[3], struct error *err)
{
	struct arena arena = {0};
	size_t length;
	char *cert = NULL, *key = NULL;
	bool good = true;

	if (options->cert_file) {
		cert = file_read(&arena, options->cert_file, 1 << 20, &length, err);
		key = cert ? file_read(&arena, options->key_file, 1 << 20, &length, err) : NULL;
		good = key != NULL;
	}
	doors[1] = good ? router_start(world, options->router_port, NULL, NULL, err) : NULL;
	doors[2] =
		good && cert ? router_start(world, options->router_tls_port, cert, key, err) : NULL;
	world->router_port = port_of(doors[1]);
	doors[0] = doors[1] ? server_start(world, options->api_port, err) : NULL;
	arena_free(&arena);
	return doors[0] && (!cert || doors[2]);
}

static _Noreturn void serve(const struct simulator_options *options, const char *state_dir,
                            int ready, pid_t parent)
{
	struct world *world = calloc(1, sizeof *world);
	struct MHD_Daemon *doors[3] = {0};
	struct error err = {0};
	pthread_t writers;
	sigset_t ends;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (!world || getppid() != parent)
		_exit(1);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	pthread_sigmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);
	pthread_mutex_init(&world->lock, NULL);
	pthread_cond_init(&world->changed, NULL);
	world->lists = json_object();
	world->ledger = json_array();
	world->faults = json_array();
	world->remaining = 4500;
	world->refilled_ms = clock_real_ms();
	snprintf(world->state_dir, sizeof world->state_dir, "%s", state_dir);
	world_fill_catalogue(world);
	if (!open_doors(world, options, doors, &err)) {
		fprintf(stderr, "simulator: %s\n", err.text);
		_exit(1);
	}
	struct ports ports = {port_of(doors[0]), port_of(doors[1]), port_of(doors[2])};
	snprintf(world->base_url, sizeof world->base_url, "http://127.0.0.1:%d", ports.api);
	if (write(ready, &ports, sizeof ports) != sizeof ports ||
	    pthread_create(&writers, NULL, writers_run, world) != 0)
		_exit(1);
	close(ready);
	stop_on_signal(world);
	for (size_t i = 0; i < CLUSTERS_MOST; i++)
		if (world->clusters[i].addon[0])
			scratch_destroy(&world->clusters[i].scratch);
	scratch_remove_tree(state_dir);
	_exit(0);
}

static bool prepare(struct simulator *simulator, const struct simulator_options *options,
                    struct error *err)
{
	const char *temporary = getenv("TMPDIR");
	char dumps[300];
	uid_t user;
	gid_t group;

	if (options->state_dir) {
		snprintf(simulator->state_dir, sizeof simulator->state_dir, "%s",
		         options->state_dir);
		if (mkdir(simulator->state_dir, 0711) != 0 && errno != EEXIST)
			return fail(err, ERROR_FAILED, "make %s: %s", simulator->state_dir,
			            strerror(errno));
	} else {
		snprintf(simulator->state_dir, sizeof simulator->state_dir, "%s/plan-sim-XXXXXX",
		         temporary && *temporary ? temporary : "/tmp");
		if (!mkdtemp(simulator->state_dir))
			return fail(err, ERROR_FAILED, "make a state directory: %s",
			            strerror(errno));
		simulator->made_state_dir = true;
	}
	/* The account of the databases must be able to pass through. */
	chmod(simulator->state_dir, 0711);
	program_account(&user, &group);
	snprintf(dumps, sizeof dumps, "%s/dumps", simulator->state_dir);
	if ((mkdir(dumps, 0700) != 0 && errno != EEXIST) ||
	    (geteuid() == 0 && chown(dumps, user, group) != 0))
		return fail(err, ERROR_FAILED, "make %s: %s", dumps, strerror(errno));
	return true;
}

bool simulator_spawn(struct simulator *simulator, const struct simulator_options *options,
                     struct error *err)
{
	struct ports ports;
	int pipes[2];
	pid_t parent = getpid();

	*simulator = (struct simulator){0};
	if (sodium_init() < 0 || !prepare(simulator, options, err) || pipe2(pipes, O_CLOEXEC) != 0)
		return err->kind ? false
		                 : fail(err, ERROR_FAILED, "the simulator cannot be started");
	fflush(NULL);
	simulator->pid = fork();
	if (simulator->pid == 0) {
		close(pipes[0]);
		serve(options, simulator->state_dir, pipes[1], parent);
	}
	close(pipes[1]);
	bool good = simulator->pid > 0 && read(pipes[0], &ports, sizeof ports) == sizeof ports;
	close(pipes[0]);
	if (!good) {
		simulator_stop(simulator);
		return fail(err, ERROR_FAILED, "the simulator did not start");
	}
	snprintf(simulator->base_url, sizeof simulator->base_url, "http://127.0.0.1:%d", ports.api);
	simulator->router_port = ports.router;
	simulator->router_tls_port = ports.router_tls;
	return true;
}

void simulator_stop(struct simulator *simulator)
{
	if (simulator->pid > 0) {
		kill(simulator->pid, SIGTERM);
		while (waitpid(simulator->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	simulator->pid = 0;
	scratch_remove_tree(simulator->state_dir);
}

bool simulator_sandbox(const struct simulator_options *options, struct error *err)
{
	struct simulator simulator;
	sigset_t ends;
	int which;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	if (!simulator_spawn(&simulator, options, err))
		return false;
	/* The CLI takes scheme and port of the Data API from HEROKU_HOST, and only a host name
	 * here. It asks the third host about accounts and teams. */
	printf("export HEROKU_HOST=%s\nexport HEROKU_DATA_HOST=127.0.0.1\n"
	       "export HEROKU_PARTICLEBOARD_URL=%s\nexport HEROKU_GIT_HOST=git.heroku.com\n"
	       "export HEROKU_API_KEY=sandbox\nexport DISABLE_TELEMETRY=true\n"
	       "export HEROKU_SKIP_NEW_VERSION_CHECK=1\n"
	       "# apps answer at http://127.0.0.1:%d/APP/\n",
	       simulator.base_url, simulator.base_url, simulator.router_port);
	if (simulator.router_tls_port)
		printf("# custom domains answer at https://DOMAIN, there at 127.0.0.1:%d\n",
		       simulator.router_tls_port);
	fflush(stdout);
	sigwait(&ends, &which);
	simulator_stop(&simulator);
	return true;
}
