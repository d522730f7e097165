/* SPDX-License-Identifier: MIT */
/* What parking and restoring share. */
#ifndef PLAN_POSTGRES_FOREIGN_PARTS_H
#define PLAN_POSTGRES_FOREIGN_PARTS_H

#include "steps/postgres/foreign.h"
#include "steps/postgres/relation.h"

/* A lock with the limits given, without tables and work. */
struct lock foreign_lock(const struct foreign *foreign, const char *mode, const char *doing);

/* Makes the lock one of both tables and all their partitions; other may be NULL. Quoted names. */
bool foreign_trees(PGconn *connection, const struct foreign *foreign, const char *table,
                   const char *other, struct lock *lock, struct error *err);

#endif
