/* SPDX-License-Identifier: MIT */
/* Whether the plan of an add-on can be had in a region, and what is taken where it cannot. */
#ifndef PLAN_HEROKU_AVAILABILITY_H
#define PLAN_HEROKU_AVAILABILITY_H

#include "steps/heroku/client.h"

/* The fields `except` and `unavailable`, which those below read. */
extern const char *const availability_choices[];
#define AVAILABILITY_FIELDS                                                                   \
	{"except", FIELD_STRING, FIELD_LIST, NULL, NULL, "Add-on services to leave out."},    \
	{                                                                                     \
		"unavailable", FIELD_CHOICE, FIELD_OR_MAP, "stop", availability_choices,      \
			"What to do about a plan that is gone or not offered in the region: " \
			"stop, skip, or a map of substitutes."                                \
	}

/* Whether `except` names the service. */
bool availability_is_excepted(const struct step *step, const char *service);

/* What a region offers: LIST; NULL when there is no such region. */
bool availability_read(struct heroku *heroku, const char *region, struct value **offers,
                       struct error *err);

/* What is taken for a plan: itself, or its substitute. *why: NULL when that can be had, else what
 * is wrong with it. offers NULL: the region is not known yet, so it is not looked at. */
bool availability_judge(struct heroku *heroku, const struct value *offers, const char *plan,
                        const char **taken, const char **why, struct error *err);

/* Whether what cannot be had is left out. */
bool availability_skips(const struct step *step);

#endif
