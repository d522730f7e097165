/* SPDX-License-Identifier: MIT */
/* References inside texts: ${inputs.x} ${secrets.x} ${steps.x.y} ${each}. */
#ifndef PLAN_REFERENCE_H
#define PLAN_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

struct error;

enum reference_kind { REFERENCE_INPUT, REFERENCE_SECRET, REFERENCE_STEP, REFERENCE_EACH };

struct reference {
	enum reference_kind kind;
	const char *begin, *end; /* in the text: from the $ to behind the } */
	char name[128];          /* of the input, secret or step; "" for each */
	char member[128];        /* the output of a step */
};

/* Finds the first reference at or behind `from`. False with ERROR_NONE when there is none, with
 * ERROR_PLAN when one is malformed. */
bool reference_next(const char *from, struct reference *reference, struct error *err);

/* True when the whole text is this one reference. */
bool reference_is_whole(const char *text, const struct reference *reference);

#endif
