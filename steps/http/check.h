/* SPDX-License-Identifier: MIT */
/* Checks over HTTP. */
#ifndef PLAN_HTTP_CHECK_H
#define PLAN_HTTP_CHECK_H

#include "engine/step.h"

extern const struct step_module http_check;
extern const struct metric http_metrics[]; /* http.status */

#endif
