/* SPDX-License-Identifier: MIT */
/* Files as they are in two states of a git repository: commits, the index, the working tree. Only
 * reads, never the network, starts no program. */
#ifndef PLAN_GIT_REVISION_H
#define PLAN_GIT_REVISION_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;

/* How the index and the working tree are written where a revision may stand: no name of git's can
 * hold a colon. */
#define REVISION_INDEX ":index"
#define REVISION_WORKTREE ":worktree"

enum revision_side { REVISION_OLD, REVISION_NEW };

struct revisions; /* two states of one repository */

/* A file that differs, or may differ. */
struct revision_change {
	const char *path[2]; /* by side, beneath the repository; not the same when renamed */
	struct revision_change *next;
};

enum revision_found { REVISION_FOUND, REVISION_MISSING, REVISION_UNREADABLE };

/* True when a command line's argument names revisions (A..B, A...B) and no file: it holds `..` that
 * is no part of a path. */
bool revisions_are_named(const char *text);

/* Opens the repository around the current directory. A...B begins where both come from. An empty
 * side is HEAD. NULL on failure; the text must outlive what is returned. */
struct revisions *revisions_open(const char *text, struct arena *arena, struct error *err);
void revisions_close(struct revisions *revisions);

/* What was written for a side (of A...B: "merge base of A and B"), and the commit, "" for the
 * index and the working tree. */
const char *revisions_name(const struct revisions *revisions, enum revision_side side);
const char *revisions_commit(const struct revisions *revisions, enum revision_side side);

/* The changed files whose names end like those of plans (.yaml, .yml), by name, renames found.
 * False on failure. */
bool revisions_changes(struct revisions *revisions, struct revision_change **changes,
                       struct error *err);

/* The one file, named as the operator did, from the current directory: its change also when it was
 * renamed, or when it is the same in both. */
bool revisions_file(struct revisions *revisions, const char *file, struct revision_change *change,
                    struct error *err);

struct revision_text {
	char *data;
	size_t length;
};

/* Reads a file of a side whole, NUL-terminated; more than limit bytes, symbolic links and
 * unresolved conflicts are unreadable, with the reason in err. */
enum revision_found revisions_read(struct revisions *revisions, enum revision_side side,
                                   const char *path, size_t limit, struct revision_text *text,
                                   struct error *err);

#endif
