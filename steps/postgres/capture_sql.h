/* SPDX-License-Identifier: MIT */
/* The statements that make the capture of one table. */
#ifndef PLAN_POSTGRES_CAPTURE_SQL_H
#define PLAN_POSTGRES_CAPTURE_SQL_H

#include <stdbool.h>

struct arena;
struct relation;

/* The names of our triggers on a captured table; NULL-ended. */
extern const char *const capture_triggers[];

/* Log, functions and triggers of a table, several statements for one transaction. way_back: a
 * session that applies what another database logged (plan_replication.applying) is passed over. */
const char *capture_sql_install(const struct relation *relation, bool way_back,
                                struct arena *arena);

#endif
