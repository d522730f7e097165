/* SPDX-License-Identifier: MIT */
/* The word that somebody probably meant. */
#ifndef PLAN_NEAREST_H
#define PLAN_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *word; /* what was written */
	const char *best; /* nearest candidate so far, or NULL when none is near */
	size_t distance;
};

struct nearest nearest_to(const char *word);
void nearest_try(struct nearest *nearest, const char *candidate);

#endif
