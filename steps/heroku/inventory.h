/* SPDX-License-Identifier: MIT */
/* What an app has, thing by thing, and whether another one has it too. */
#ifndef PLAN_HEROKU_INVENTORY_H
#define PLAN_HEROKU_INVENTORY_H

#include "steps/heroku/lookup.h"

struct inventory {
	struct heroku heroku;
	const char *app, *like; /* the new and the old one */
	struct value *from;     /* what the old app says of itself */
	struct value *to;       /* the new app; NULL while looking, when it is yet to be made */
	struct value *entries;  /* LIST of {what: "config:RACK_ENV", is, why} */
};

/* What becomes of a thing. */
extern const char inventory_copied[], inventory_manual[], inventory_left[];

/* Why a config var is copied, and yet not the same. */
extern const char inventory_other_value[];

/* Adds an entry. Of what is copied nothing is said before the new app is there: it is the other
 * steps' to say. */
void inventory_enter(struct inventory *inventory, const char *kind, const char *name,
                     const char *is, const char *why);

/* A kind of things: adds an entry for each one. */
struct inventory_kind {
	const char *name;
	bool (*take)(struct inventory *inventory, struct error *err);
};

/* All kinds, in the order in which they are told; a reader may enter things under the name of a
 * kind that has no reader of its own (NULL). Ends with {0}. */
extern const struct inventory_kind inventory_kinds[];

/* Takes the inventory that the fields of the step say: LIST of {what, is, why, accepted}. */
bool inventory_take(struct step *step, struct value **things, struct error *err);

/* The metric: how many things are not on the new app as they were when it was taken; of: the step.
 */
bool inventory_drift(struct step *step, const struct value *of, struct reading *reading,
                     struct error *err);

#endif
