/* SPDX-License-Identifier: MIT */
/* Throw-away PostgreSQL clusters: real servers on 127.0.0.1, gone with the thread that made them.
 *
 * A cluster listens on a free high port and on a socket in its own directory, asks for a password,
 * and does not care for durability (fsync is off). Start and stop all clusters of a process from
 * one thread that lives as long as they shall: the kernel ends them with that thread. */
#ifndef PLAN_POSTGRES_SCRATCH_H
#define PLAN_POSTGRES_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;

struct scratch {
	char directory[300]; /* data/, socket and log are in it; removed by scratch_destroy() */
	char user[32];       /* a superuser, for us */
	char owner[32];      /* of the database: an ordinary role, as customers have */
	char password[48], database[64]; /* the password of both */
	char programs[256];              /* the directory of its release; "": the newest one */
	int port;
	pid_t pid; /* of the server; 0 while it is stopped */
	bool follower;
};

/* A new, running cluster in parent/name with an empty database. parent exists and may be entered by
 * the account the server runs as. programs: where initdb and postgres are; NULL: the newest. */
bool scratch_make(struct scratch *scratch, const char *parent, const char *name,
                  const char *programs, struct error *err);

/* A running hot standby that streams from the leader. */
bool scratch_follow(struct scratch *scratch, const struct scratch *leader, const char *parent,
                    const char *name, struct error *err);

/* Ends recovery; returns when the follower takes writes. */
bool scratch_promote(struct scratch *scratch, struct error *err);

/* "postgres://owner:password@localhost:port/database" */
void scratch_url(const struct scratch *scratch, char *out, size_t size);

bool scratch_start(struct scratch *scratch, struct error *err);
void scratch_stop(struct scratch *scratch);

/* Stops it and removes its directory. */
void scratch_destroy(struct scratch *scratch);

/* Statements as the superuser; the first field of the first row goes to out (may be NULL). */
bool scratch_query(const struct scratch *scratch, const char *sql, char *out, size_t size,
                   struct error *err);

/* Removes a directory and all in it, without following links. */
void scratch_remove_tree(const char *path);

#endif
