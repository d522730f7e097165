/* SPDX-License-Identifier: MIT */
/* A scratch git repository with the remotes that a plan takes for granted. */
#ifndef PLAN_REHEARSAL_REMOTES_H
#define PLAN_REHEARSAL_REMOTES_H

#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/value.h"

/* remotes: MAP name -> URL. */
bool remotes_make(const char *path, const struct value *remotes, struct error *err);

/* MAP name -> URL of what is there now; NULL on error. */
struct value *remotes_read(const char *path, struct arena *arena, struct error *err);

#endif
