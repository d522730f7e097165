/* SPDX-License-Identifier: MIT */
/* A git repository as plan sees it: its configuration and the refs of its remotes. */
#ifndef PLAN_GIT_REPOSITORY_H
#define PLAN_GIT_REPOSITORY_H

#include "engine/step.h"

#include <git2.h>

struct repository {
	git_repository *handle;
	git_config *config;      /* only the repository's own level */
	const char *config_path; /* shared by all worktrees */
};

/* Finds the repository at or above directory/path (honours GIT_DIR when path is "."). */
bool repository_open(struct repository *repository, struct step *step, const char *path,
                     struct error *err);
void repository_close(struct repository *repository);

/* The error of libgit2 as ours: a lock held by somebody else is ERROR_RETRY. Returns false. */
bool repository_failed(struct error *err, int code, const char *doing);

/* {config: SECRET text of the file, refs: {name: target}} of refs/remotes. */
bool repository_snapshot(struct repository *repository, struct arena *arena, struct value *into,
                         struct error *err);

/* Puts configuration and remote refs back to what a snapshot says, byte for byte. */
bool repository_restore(struct repository *repository, struct arena *arena,
                        const struct value *snapshot, struct error *err);

/* Replaces the configuration file as git does: through config.lock, then a rename. */
bool repository_write_config(struct repository *repository, const char *text, struct error *err);

#endif
