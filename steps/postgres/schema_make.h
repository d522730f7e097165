/* SPDX-License-Identifier: MIT */
/* Making a schema on the target: all of it in one transaction, or nothing. */
#ifndef PLAN_POSTGRES_SCHEMA_MAKE_H
#define PLAN_POSTGRES_SCHEMA_MAKE_H

#include <stdbool.h>

struct error;
struct step;
struct value;
typedef struct pg_conn PGconn;

/* Refuses when the target lacks extensions of the source, or has one in another schema. */
bool schema_check_extensions(PGconn *source, PGconn *target, struct step *step, struct error *err);

/* Makes what rows need, and fills plan_replication.held with the rest. Before it commits, all that
 * is held is built once on the empty tables, compared with the source, and taken back: what could
 * not be built later fails now. */
bool schema_make(struct step *step, PGconn *source, PGconn *target, const struct value *schemas,
                 struct error *err);

/* Drops what `missing` names (a MAP of kind -> LIST of identities), in one transaction. Refuses,
 * and changes nothing, when a table has rows, replication still uses them, or something else would
 * go with them. */
bool schema_drop(struct step *step, PGconn *target, const struct value *missing, struct error *err);

#endif
