/* SPDX-License-Identifier: MIT */
/* What is ours in a database: one schema, known by its comment, and triggers that bear its prefix.
 * Nothing else is ever made, and all of it can be removed. */
#ifndef PLAN_POSTGRES_OURS_H
#define PLAN_POSTGRES_OURS_H

#include <stdbool.h>
#include <stdint.h>

struct error;
typedef struct pg_conn PGconn;

/* Whether our schema is there; ERROR_REFUSED when somebody else made one of that name. */
bool ours_find(PGconn *connection, bool *exists, struct error *err);

/* Makes the schema where it is not. */
bool ours_prepare(PGconn *connection, struct error *err);

/* How many objects of ours there are: the schema, its tables, views, sequences and functions, and
 * triggers. */
bool ours_count(PGconn *connection, int64_t *count, struct error *err);

#endif
