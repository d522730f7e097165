/* SPDX-License-Identifier: MIT */
/* What the records of a journal hold: one table for the check of what is appended and for the JSON
 * schema of `plan journal --json`. */
#ifndef PLAN_RECORD_H
#define PLAN_RECORD_H

#include "engine/journal.h"

/* Whether the body has every key that its kind must have, none that the table does not know, and
 * the right types; *why names the first that is wrong, in the arena. */
bool record_is_described(enum record_kind kind, const struct value *body, struct arena *arena,
                         const char **why);

/* JSON Schema (draft-07) of one line of `plan journal --json`. */
struct value *record_schema(struct arena *arena);

#endif
