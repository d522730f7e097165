/* SPDX-License-Identifier: MIT */
/* A Heroku to rehearse with, in a process of its own: Platform API, Data API and router on
 * loopback.
 *
 * Add-ons of heroku-postgresql are real throw-away PostgreSQL clusters (steps/postgres/scratch.h),
 * a follower is a streaming replica, unfollow is a promotion, backups are pg_dump and pg_restore.
 *
 * One port serves both APIs: give base_url as url and data_url of the connection; any non-empty
 * bearer token is accepted. The same port has the control API, without token:
 *
 *  GET  /_sim/ledger       [{n, method, path, at, what, app}] every effect performed, in order
 *  GET  /_sim/world        the whole state as canonical JSON (sorted keys)
 *  POST /_sim/seed         makes apps; answers 201 when all of it is there, databases included:
 *       {apps: [{name, region: "us", stack: "heroku-24", maintenance: false,
 *                buildpacks: [url], config: {K: V}, collaborators: [email], features: [name],
 *                drains: [url], webhooks: [{url, include: ["api:release"], level: "notify"}],
 *                pipeline: {stage: "production", review_apps: [branch]}, domains: [hostname],
 *                formation: {web: 1, worker: 1}, one_off: [command],
 *                addons: [{plan: "heroku-postgresql:standard-0", name, as: "DATABASE", pool: true,
 *                          credentials: [name], schedules: [{hour: 2, timezone: "UTC"}]}],
 *                slug: {commit, process_types: {web: "bin/web"}}}]}
 *       all but name may be left out; answer {apps: [{name, id, database_url, web_url}]};
 *       a process type `release` is a release phase: later releases are pending for a moment,
 *       then failed when its command is "false", else succeeded (no command is executed)
 *  GET  /_sim/faults       [{id, method, path, nth, when, action, hit, seen}]
 *  POST /_sim/faults       {method: "POST", path: "/apps/?*" (fnmatch pattern), nth: 1,
 *                           when: "before"|"after", action: drop|half|hang|429|500|503|slow|
 *                           fail_provision}; strikes at the nth matching request only (nth 0:
 *                           every one); 201 with its id
 *       method WRITE stands for every one but GET and log sessions, which only read
 *  DELETE /_sim/faults     all; /_sim/faults/ID: one. A held (hang) request is then let go; when
 * its client is gone by then, one held before its effect has none. POST /_sim/replication  {addon:
 * name or id, paused: true}: stops and goes on replaying
 *  POST /_sim/info         {addon: name or id, info: {"PG Version": "14.9"}}: what the Data API
 * says of a database instead of the truth
 *
 * A one-off dyno made through the API ends by itself, and the log of the app says with what status:
 * see simulator/one_off.c. GET /_sim/logs/ID is the place of a log session.
 *
 * The router picks the app by Host (custom domain, NAME.localhost, the app's herokuapp.com host),
 * or at a plain address by the first part of the path: web_url is http://127.0.0.1:PORT/NAME/. It
 * answers 503 in maintenance or without web dynos, 200 with `x-app: NAME` to GET, and 201 to
 * POST /write?key=K once the row (key K) is committed to table visits through the app's
 * DATABASE_URL; 503 when the database refuses. While `worker` is scaled above 0, or a one-off dyno
 * is up, rows with source 'worker' or 'run' come every 50 ms: maintenance does not stop those. */
#ifndef PLAN_HEROKU_SIMULATOR_H
#define PLAN_HEROKU_SIMULATOR_H

#include <stdbool.h>
#include <sys/types.h>

struct error;

struct simulator_options {
	const char
		*state_dir; /* databases go here; made if need be; NULL: a fresh one under TMPDIR */
	const char *cert_file; /* PEM, for the HTTPS router; NULL: no HTTPS */
	const char *key_file;
	int api_port, router_port, router_tls_port; /* 0: any free one */
};

struct simulator {
	pid_t pid;
	char base_url[64];   /* "http://127.0.0.1:PORT" */
	int router_port;     /* HTTP */
	int router_tls_port; /* HTTPS; 0 without a certificate */
	char state_dir[256];
	bool made_state_dir;
};

/* Returns when it serves. It dies with the calling process. */
bool simulator_spawn(struct simulator *simulator, const struct simulator_options *options,
                     struct error *err);

/* Ends it with its databases and removes what it kept on disk. Harmless when it is gone already. */
void simulator_stop(struct simulator *simulator);

/* `plan sandbox`: starts empty, prints the export lines for the Heroku CLI on
 * stdout, and serves until SIGINT, SIGTERM or the end of the process. */
bool simulator_sandbox(const struct simulator_options *options, struct error *err);

#endif
