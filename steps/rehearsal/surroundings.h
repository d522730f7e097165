/* SPDX-License-Identifier: MIT */
/* What a plan takes for granted, read off the tables of its modules: the apps, domains,
 * repositories and files that are there before it begins. */
#ifndef PLAN_REHEARSAL_SURROUNDINGS_H
#define PLAN_REHEARSAL_SURROUNDINGS_H

#include "engine/plan.h"

struct surroundings {
	struct value *apps;         /* LIST of names, less those that the plan makes */
	struct value *domains;      /* LIST of host names */
	struct value *repositories; /* MAP path -> MAP remote -> URL */
	const char *app;            /* the one that has the domains and the users; NULL */
	const char *region;         /* where the apps run: not where the plan makes one */
	const char *database_plan;  /* of the database of the apps */
	const char *key_secret;     /* the secret that is the key of the certificate; NULL */
};

void surroundings_read(struct surroundings *surroundings, const struct plan *plan,
                       struct arena *arena);

/* What the simulated Heroku is seeded with: MAP {apps: [...]}. */
struct value *surroundings_seed(const struct surroundings *surroundings, struct arena *arena);

/* Puts the files that the plan reads into the directory: a certificate's chain is `chain`, all
 * others are copied from where the plan lies. */
bool surroundings_files(const struct plan *plan, const char *directory, const char *chain,
                        struct error *err);

#endif
