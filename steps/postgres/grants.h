/* SPDX-License-Identifier: MIT */
/* The privileges of a dump as the target can have them.
 *
 * All objects belong to the role that the plan connects as. Grants are carried to PUBLIC and to
 * roles that the target has; who granted them is not, as only a superuser could. What the owner of
 * the source took from itself is left out: the copy must be able to write. */
#ifndef PLAN_POSTGRES_GRANTS_H
#define PLAN_POSTGRES_GRANTS_H

#include "engine/base/names.h"

#include <stdbool.h>

struct arena;
struct error;
struct value;
typedef struct pg_conn PGconn;

struct grants {
	struct arena *arena;
	struct names roles;      /* of the target */
	struct names ours;       /* those of them that we are, or are members of */
	const char *source_user; /* who the plan connects as, there */
	const char *target_user; /* and here */
	struct value *left_out;  /* LIST of TEXTs: statements that cannot be carried */
};

bool grants_read(struct grants *grants, PGconn *source, PGconn *target, struct arena *arena,
                 struct error *err);

/* The statements of an entry of type ACL or DEFAULT ACL that hold on the target, "" when none do;
 * the others are added to left_out. Default privileges of the source's role become those of ours.
 */
const char *grants_carry(struct grants *grants, const char *sql);

#endif
