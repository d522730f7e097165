/* SPDX-License-Identifier: MIT */
/* Foreign keys, triggers and rules of the user's, parked while rows are applied, as in a database
 * that follows another one: a cascade or a trigger would change rows that no log knows.
 *
 * plan_replication.parked has a row for each. Foreign keys are dropped, as nobody but a superuser
 * can disable them; their definition, name, comment and validity come back. Triggers and rules are
 * disabled, and come back as exactly what they were: enabled for origin, replica, always, or
 * disabled. Row and change commit together, table by table, so both may be called again after a
 * crash at any point. What is ours stays.
 *
 * Two columns of pg_constraint that nobody sees are not what they were: connoinherit of a leaf's
 * key, and convalidated of the rows that point to single partitions of a partitioned table. */
#ifndef PLAN_POSTGRES_FOREIGN_H
#define PLAN_POSTGRES_FOREIGN_H

#include "steps/postgres/lock.h"

struct foreign {
	const char *namespaces; /* condition on n: see relation_schemas_sql(); NULL: all schemas */
	struct lock_limits limits;
	struct step *step; /* for progress and stopping; NULL: neither */
	struct arena *arena;
};

struct foreign_report {
	struct lock_report lock;      /* of all tables together */
	size_t keys, triggers, rules; /* parked, restored or validated, now */
	const char *invalid; /* of foreign_validate(): "orders_user_fkey of public.orders" */
};

/* Foreign keys that the tables have, or that point to them from other schemas, triggers and rules.
 * Those that a superuser disabled by hand inside of a foreign key are not told apart. */
bool foreign_park(PGconn *connection, const struct foreign *foreign, struct foreign_report *report,
                  struct error *err);

/* Triggers and rules come back, and keys as NOT VALID: they hold for every row that is written from
 * then on. Quick, and nothing is left to do before the database may be opened. */
bool foreign_restore(PGconn *connection, const struct foreign *foreign,
                     struct foreign_report *report, struct error *err);

/* The rest, while the application writes: keys are validated one by one, which keeps nobody
 * waiting, and then those of partitioned tables are made of those of their leaves, without reading
 * the rows again. ERROR_FAILED names those whose rows do not fit, after all else is done; they go
 * on to hold for new rows. */
bool foreign_validate(PGconn *connection, const struct foreign *foreign,
                      struct foreign_report *report, struct error *err);

/* How many are parked or not validated yet. */
bool foreign_count(PGconn *connection, int64_t *count, struct error *err);

#endif
