/* SPDX-License-Identifier: MIT */
/* Modules that work on git repositories. */
#ifndef PLAN_GIT_H
#define PLAN_GIT_H

#include "engine/step.h"

extern const struct step_module git_remotes;

#endif
