/* SPDX-License-Identifier: MIT */
/* Files that a plan names: beneath one directory, regular, of bounded size. */
#ifndef PLAN_FILE_H
#define PLAN_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct error;

/* Reads directory/path whole (NUL-terminated). No way out of the directory, no symbolic link, no
 * device or FIFO (openat2, RESOLVE_BENEATH); more than limit bytes is an error. NULL on failure. */
char *file_read_beneath(struct arena *arena, const char *directory, const char *path, size_t limit,
                        size_t *length, struct error *err);

/* Opens directory/path, a directory, under the same rules; -1 on failure. The caller closes it. */
int file_open_directory_beneath(const char *directory, const char *path, struct error *err);

/* Reads a file that the operator named on the command line; "-" is standard input. NULL on failure.
 */
char *file_read(struct arena *arena, const char *path, size_t limit, size_t *length,
                struct error *err);

/* Makes the directory with mode 0700 unless it is there; refuses one that others can write to or
 * that belongs to somebody else. */
bool file_private_directory(const char *path, struct error *err);

/* The directory part of path, "." when there is none. */
char *file_directory(struct arena *arena, const char *path);

/* directory/name, or name itself when it is absolute or directory is ".". */
char *file_join(struct arena *arena, const char *directory, const char *name);

#endif
