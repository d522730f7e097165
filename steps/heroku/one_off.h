/* SPDX-License-Identifier: MIT */
/* A one-off dyno that is found again by a marker in its command, and how it ended.
 *
 * The Platform API tells a detached dyno's state while it lives, and nothing of it afterwards: no
 * exit status, no record that it ran. Heroku's own log lines of the app do ("Process exited with
 * status 0"), for as long as the log reaches back: 1,500 lines or a week. */
#ifndef PLAN_HEROKU_ONE_OFF_H
#define PLAN_HEROKU_ONE_OFF_H

#include "steps/heroku/client.h"

struct one_off {
	const char *app, *command; /* one line, without the marker */
	const char *marker;        /* a word; stands behind # at the end of the command */
	const char *size;          /* NULL: Heroku's default */
	const struct value *env;   /* MAP or NULL */
	int64_t time_to_live_ms;
};

enum one_off_state {
	ONE_OFF_NONE, /* neither a dyno nor a line of the log */
	ONE_OFF_RUNNING,
	ONE_OFF_ENDED,
};

struct one_off_trace {
	enum one_off_state state;
	const char *dyno;     /* its name; NULL for NONE */
	const char *id;       /* of RUNNING */
	int64_t status;       /* of ENDED; -1: the log does not say */
	size_t line;          /* where it began in the log; later ones are greater */
	bool log_was_read;    /* whether this account may read the log and it was there */
	int64_t log_since_ms; /* how far back the log reaches; 0: to the first line */
};

/* What is there of the newest dyno with that marker. */
bool one_off_find(struct heroku *heroku, const struct one_off *one_off, struct one_off_trace *trace,
                  struct error *err);

/* The same after a request at that time that got no answer: waits for the log to catch up. *proven:
 * whether NONE means that nothing was started. */
bool one_off_find_late(struct heroku *heroku, const struct one_off *one_off, int64_t asked_at_ms,
                       struct one_off_trace *trace, bool *proven, struct error *err);

/* Starts it, and looks it up when the reply is lost. */
bool one_off_start(struct heroku *heroku, const struct one_off *one_off,
                   struct one_off_trace *trace, struct error *err);

/* Waits for the end of a RUNNING one, and for the log to tell the status. */
bool one_off_await(struct heroku *heroku, const struct one_off *one_off,
                   struct one_off_trace *trace, struct error *err);

/* Stops a RUNNING one; it is gone when this returns. */
bool one_off_stop(struct heroku *heroku, const struct one_off *one_off, struct one_off_trace *trace,
                  struct error *err);

#endif
