/* SPDX-License-Identifier: MIT */
/* All modules, connections and metrics there are: one line each in registry.c. */
#ifndef PLAN_STEPS_REGISTRY_H
#define PLAN_STEPS_REGISTRY_H

#include "engine/registry.h"

extern const struct registry steps_registry;

#endif
