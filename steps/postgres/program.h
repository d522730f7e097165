/* SPDX-License-Identifier: MIT */
/* The programs of PostgreSQL, started with argument vectors and never through a shell. */
#ifndef PLAN_POSTGRES_PROGRAM_H
#define PLAN_POSTGRES_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;

struct program {
	const char *name;             /* "pg_dump" */
	const char *directory;        /* where it is; NULL: program_directory() */
	const char *const *arguments; /* NULL-ended, without the name */
	const char *password;         /* as PGPASSWORD, so that it is in no argument; NULL */
	const char *const *settings;  /* "PGHOST=...": more of its environment, NULL-ended; NULL */
	const char *log_path;         /* where stdout and stderr go (appended); NULL: nowhere */
	int input, output;            /* descriptors; with an output, stderr alone goes to the log
	                               * and log_path NULL is a log in memory; 0: none */
	bool own_account;             /* runs as we do, also when we are root */
	bool (*watch)(void *context); /* asked while it runs; false ends it; may be NULL */
	void *context;                /* of watch */
};

/* The newest directory with server programs, or PLAN_PG_BIN; false when there is none. */
bool program_directory(char *out, size_t size, struct error *err);

/* The newest directory that has a program of that name, or PLAN_PG_BIN. */
bool program_find(const char *name, char *out, size_t size, struct error *err);

/* The account databases run as: postgres, else nobody, when we are root; else our own. */
void program_account(uid_t *user, gid_t *group);

/* Starts it as that account; it dies with the calling thread. -1 on failure. */
pid_t program_start(const struct program *program, struct error *err);

/* Starts it and waits; anything but exit code 0 is ERROR_FAILED with the end of the log. */
bool program_run(const struct program *program, struct error *err);

#endif
