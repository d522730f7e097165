/* SPDX-License-Identifier: MIT */
/* The one lock of a journal: held by a process and its children, gone when they are. */
#ifndef PLAN_LOCK_H
#define PLAN_LOCK_H

#include "engine/journal.h"

/* Takes the lock on the file (made if need be) and writes the holder into it. The descriptor is the
 * lock; children inherit it on purpose. -1 with ERROR_REFUSED naming the holder. */
int lock_take(const char *path, const struct holder *holder, struct error *err);

/* True when somebody holds it now; fills holder. */
bool lock_holder(const char *path, struct holder *holder);

#endif
