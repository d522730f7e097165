/* SPDX-License-Identifier: MIT */
/* Renames a remote as `git remote rename` does. */
#ifndef PLAN_GIT_RENAME_H
#define PLAN_GIT_RENAME_H

#include "steps/git/repository.h"

/* Section, fetch refspecs, branch.*.remote and pushRemote, remote.pushDefault, tracking refs. */
bool rename_remote(struct repository *repository, struct step *step, const char *from,
                   const char *to, struct error *err);

#endif
