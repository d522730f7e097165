/* SPDX-License-Identifier: MIT */
/* A busy application: processes that write to its database by their own rules, through no part of
 * this program, and note what the server acknowledged.
 *
 * They insert, update and delete; move money between accounts, some of them hot; append to lists;
 * change keys and swap them; delete a row and insert it again under its key; load in bulk and
 * TRUNCATE; and keep a transaction open for seconds. Each transaction leaves a line in the table
 * `ledger`, so that a lost one is missed by its number. */
#ifndef PLAN_REHEARSAL_APPLICATION_H
#define PLAN_REHEARSAL_APPLICATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

enum { APPLICATION_WORKERS = 3 };

/* What any app has stored before a plan begins, beside the visits that its users make; and the
 * tables of this one. As the owner of the database. */
extern const char application_stock_sql[], application_sql[];

/* Gives the URL of its database as it stands in its configuration now; asked by a worker each time
 * it connects. False: it cannot be known right now. */
typedef bool application_where(void *context, char *url, size_t size);

struct application {
	pid_t workers[APPLICATION_WORKERS]; /* 0 when they are not there */
	char log_path[280];
};

/* They die with the calling process. */
bool application_start(struct application *application, application_where *where, void *context,
                       const char *log_path, struct error *err);
void application_stop(struct application *application);

/* A time in which we held the application back ourselves, by clock_real_ms(). */
struct application_hold {
	int64_t from_ms, to_ms;
};

/* What became of its transactions. */
struct application_story {
	int64_t acknowledged;  /* since the start */
	int64_t lost;          /* acknowledged, and not in this database */
	int64_t contradictory; /* of its rules, how many do not hold: 0 to 3 */
	int64_t pause_ms;      /* the longest time in which no transaction ended, less our holds */
};

/* Reads what its workers noted and looks it up in the database. */
bool application_examine(const struct application *application, const char *url,
                         const struct application_hold *holds, size_t hold_count,
                         struct application_story *story, struct error *err);

/* Waits until a worker had a transaction acknowledged after now; at most within_ms. */
bool application_see_success(const struct application *application, int64_t within_ms);

#endif
