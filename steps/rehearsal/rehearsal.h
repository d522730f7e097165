/* SPDX-License-Identifier: MIT */
/* The world a plan is rehearsed in: stand-ins for all its connections, an app with data, and users
 * who write to it all the time. What stands in is as real as can be had: PostgreSQL servers with
 * streaming replicas, a name server, a git repository; Heroku is simulated.
 *
 * Order of use: rehearsal_open, plan_load with `directory`, clock_share_jumps, rehearsal_build,
 * walk (each of its events to rehearsal_event), rehearsal_examine, rehearsal_close. Where
 * rehearsal_way_back says so, three walks, with rehearsal_pass before the second and the third. */
#ifndef PLAN_REHEARSAL_H
#define PLAN_REHEARSAL_H

#include "engine/walk.h"
#include "steps/dns/name_server.h"
#include "steps/heroku/simulator.h"
#include "steps/rehearsal/compare.h"
#include "steps/rehearsal/replication.h"
#include "steps/rehearsal/servers.h"
#include "steps/rehearsal/surroundings.h"
#include "steps/rehearsal/users.h"

#define REHEARSAL_NAME_SERVERS 8
#define REHEARSAL_PASSES 3 /* there, back, and there again */

struct rehearsal {
	struct arena arena;
	char directory[256]; /* all of it on disk; paths in the plan are relative to it */
	const struct plan *plan;
	struct surroundings surroundings;
	struct simulator heroku;
	struct name_server name_servers[REHEARSAL_NAME_SERVERS]; /* one a zone */
	const char *zones[REHEARSAL_NAME_SERVERS];
	size_t name_server_count;
	struct servers servers;
	struct replication replication;
	struct users users;
	char first_database[300];     /* where the app's data is before the plan; "" */
	struct comparison comparison; /* the last one that could be made */
	bool compared;
	pid_t burst; /* a process that makes the followers fall behind */
	int64_t effects_before[REHEARSAL_PASSES]; /* in the ledger, before each pass over the plan
	                                           */
	size_t passes;
	int64_t pass_at_ms; /* when the last one began, by the clock that jumps */
	struct value *dns_before, *remotes_before;
	const struct value *secrets, *connections; /* what a walk takes */
	void (*tell)(const char *text);            /* how far the building is; may be NULL */
};

/* Makes the directory. */
bool rehearsal_open(struct rehearsal *rehearsal, struct error *err);

/* Starts and fills everything; users begin to write. ERROR_REFUSED names a connection that nothing
 * can stand in for, or a program that is missing. */
bool rehearsal_build(struct rehearsal *rehearsal, const struct plan *plan, struct error *err);

/* What the name servers have now for the domains of the plan: MAP name -> text, "CNAME x (60 s)".
 */
bool rehearsal_dns(struct rehearsal *rehearsal, struct value **answers, struct error *err);

/* Whether the plan switches a database: then its way back is proven too. The first walk goes
 * through *through, the second back to *back_to, the third all the way. */
bool rehearsal_way_back(const struct rehearsal *rehearsal, const char **through,
                        const char **back_to);

/* Before another walk. stay: the application first works for a while where it is now. */
bool rehearsal_pass(struct rehearsal *rehearsal, bool stay, struct error *err);

/* Plays along: writes a burst once a follower follows, compares data before anything is destroyed.
 */
void rehearsal_event(struct rehearsal *rehearsal, const struct walk_event *event);

/* Compares the first database with the one the users' app has now, when that is another one and
 * both are there; keeps the result. False only when the look itself failed. */
bool rehearsal_compare(struct rehearsal *rehearsal, struct error *err);

/* Sends the users home and looks at what is left. Adds to report: downtime_s (measured by the
 * users), rows_written, rows_lost, rows_compared, tables_compared, effects, duplicate_effects,
 * leftovers, dns {name: {before, after}}, remotes {before, after}, replication (see there). */
bool rehearsal_examine(struct rehearsal *rehearsal, struct value *report, struct error *err);

/* Ends all processes and removes the directory. Harmless at any time. */
void rehearsal_close(struct rehearsal *rehearsal);

#endif
