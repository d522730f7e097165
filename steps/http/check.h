/* SPDX-License-Identifier: MIT */
/* Checks over HTTP. */
#ifndef PLAN_HTTP_CHECK_H
#define PLAN_HTTP_CHECK_H

#include "engine/registry.h"

extern const struct connection_kind http_connection;
extern const struct step_module http_check;
extern const struct metric http_metrics[]; /* http.status */

#endif
