/* SPDX-License-Identifier: MIT */
/* Modules and checks that need nothing but this machine. */
#ifndef PLAN_LOCAL_H
#define PLAN_LOCAL_H

#include "engine/step.h"

extern const struct step_module local_command, local_manual, local_wait;
extern const struct metric local_time[]; /* time.since, window */

#endif
