/* SPDX-License-Identifier: MIT */
/* The processes of a replication: some that copy, one that follows. They share nothing but the
 * databases, and are forked by the step's own process, which tends them: what they have to say
 * comes through a pipe, one that dies is started again, each time later. */
#ifndef PLAN_POSTGRES_CREW_H
#define PLAN_POSTGRES_CREW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct database;
struct error;
struct link;
struct step;

#define CREW_MOST 33 /* 32 that copy and one that follows */

enum crew_role { CREW_COPIES, CREW_FOLLOWS };

struct member {
	enum crew_role role;
	pid_t pid;        /* 0: not running */
	int64_t tries;    /* deaths in a row, none of which came after some work */
	int64_t began_ms; /* clock_real_ms() when it was last started; 0: never */
	bool worked;      /* since then */
	int64_t again_ms; /* clock_real_ms() from which it may be started; 0: now */
	bool content;     /* ended because nothing was left to do */
};

struct crew {
	struct step *step; /* what they say is noted there */
	const struct database *from, *to;
	const char *mode;         /* of the stream: the follower works in this one only */
	int64_t bytes_per_second; /* of all together; 0: no limit */
	const struct link *read;  /* whose tables were read just now, in the same direction: a
	                           * first start need not read them again; NULL: none were */
	struct member members[CREW_MOST];
	size_t count;
	int pipe[2];
};

/* Prepares a crew of so many that copy, and one that follows; nobody runs yet. */
bool crew_make(struct crew *crew, size_t copiers, struct error *err);

/* Starts who is due, notes what was said, reaps who ended. False when something failed that will
 * not go away by itself. */
bool crew_tend(struct crew *crew, struct error *err);

/* Those that copied are needed again: tables began anew. */
void crew_call_copiers(struct crew *crew);

/* True when everyone who copies has nothing left to do. */
bool crew_copied(const struct crew *crew);

/* Asks all to end, waits, and kills who does not. */
void crew_stop(struct crew *crew);

#endif
