/* SPDX-License-Identifier: MIT */
/* A self-signed certificate for the names of a rehearsal. */
#ifndef PLAN_REHEARSAL_CERTIFICATE_H
#define PLAN_REHEARSAL_CERTIFICATE_H

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/value.h"

struct certificate {
	const char *chain, *key; /* PEM, in the arena */
};

/* P-256, valid for 400 days from yesterday. names: LIST of host names; without one, "localhost". */
bool certificate_make(struct certificate *certificate, const struct value *names,
                      struct arena *arena, struct error *err);

#endif
