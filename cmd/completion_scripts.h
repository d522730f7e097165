/* SPDX-License-Identifier: MIT */
/* The parts of the completion scripts that no table says. */
#ifndef PLAN_COMPLETION_SCRIPTS_H
#define PLAN_COMPLETION_SCRIPTS_H

extern const char completion_bash[], completion_zsh[], completion_fish[];

#endif
