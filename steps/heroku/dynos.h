/* SPDX-License-Identifier: MIT */
/* The dynos of an app's formation, by the release that they run. One-off dynos do not count. */
#ifndef PLAN_HEROKU_DYNOS_H
#define PLAN_HEROKU_DYNOS_H

#include "steps/heroku/client.h"

struct dynos {
	int64_t wanted;  /* as the formation says */
	int64_t up;      /* with the newest release */
	int64_t older;   /* with a release before it, in whatever state */
	int64_t one_off; /* with a release before it */
	bool any;        /* there is a process type at all */
	bool pending;    /* a newer release waits for its release phase */
};

/* A release that failed does not count: the app goes on with the one before it. */
bool dynos_count(struct heroku *heroku, const char *app, struct dynos *dynos, struct error *err);

#endif
