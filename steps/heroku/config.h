/* SPDX-License-Identifier: MIT */
/* The parts of heroku.config that write, and what tells whether it is in force. */
#ifndef PLAN_HEROKU_CONFIG_H
#define PLAN_HEROKU_CONFIG_H

#include "steps/heroku/client.h"

/* What this run has set may wait for a release phase, or have failed there, and dynos may still run
 * with what an attachment gave them. *behind NULL: all is in force, or nothing was begun. */
bool config_read_behind(struct heroku *heroku, const struct value *wanted, const char **behind,
                        struct error *err);

/* Of the step_module. */
bool config_apply(struct step *step, const struct changes *changes, struct error *err);
bool config_revert(struct step *step, const struct value *before, struct error *err);

#endif
