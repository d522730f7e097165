/* SPDX-License-Identifier: MIT */
/* What this provider adds to the registry. */
#ifndef PLAN_POSTGRES_MODULES_H
#define PLAN_POSTGRES_MODULES_H

#include "engine/step.h"

extern const struct step_module postgres_compare, postgres_complete, postgres_extensions,
	postgres_preflight, postgres_replicate, postgres_schema, postgres_sql, postgres_switch;

extern const struct metric compare_metrics[], replication_metrics[];
extern const struct metric
	postgres_preflight_metrics[]; /* preflight.*, postgres.longest_transaction */

#endif
