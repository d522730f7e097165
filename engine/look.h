/* SPDX-License-Identifier: MIT */
/* The look of a step at the world: the same lines for diff, apply and verify. */
#ifndef PLAN_LOOK_H
#define PLAN_LOOK_H

#include "engine/step.h"

/* Observes and compares. Fills step->outputs anew. */
bool look_at(struct step *step, struct value **seen, struct changes *changes, struct error *err);

/* All that `plan diff` does: looks, and tells the engine what it found. */
bool look_only(struct step *step, struct error *err);

/* Changes as the journal and diff have them: LIST of MAPs path, from, to, note. */
struct value *look_describe(struct arena *arena, const struct changes *changes);

/* What the step governs: LIST of texts, from the templates of its module. */
struct value *look_subjects(struct step *step);

#endif
