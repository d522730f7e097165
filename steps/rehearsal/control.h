/* SPDX-License-Identifier: MIT */
/* How a rehearsal talks to the simulated Heroku: its control API and, to look, the Platform API. */
#ifndef PLAN_REHEARSAL_CONTROL_H
#define PLAN_REHEARSAL_CONTROL_H

#include "engine/step.h"
#include "steps/heroku/simulator.h"

/* The answer lives in the arena. Any status but 2xx is ERROR_FAILED. */
bool control_get(const struct simulator *heroku, const char *path, struct arena *arena,
                 struct value **answer, struct error *err);
bool control_post(const struct simulator *heroku, const char *path, const struct value *body,
                  struct arena *arena, struct value **answer, struct error *err);

#endif
