/* SPDX-License-Identifier: MIT */
/* Files that a plan or an operator names. */
#include "engine/base/file.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A regular file goes right where it will lie. */
static char *read_sized(struct arena *arena, int descriptor, size_t size, size_t *length,
                        struct error *err)
{
	char *data = arena_alloc(arena, size + 1);
	size_t done = 0;
	ssize_t got = 1;

	/* One byte more than there should be: a file that grows meanwhile is noticed. */
	while (done <= size && (got = read(descriptor, data + done, size + 1 - done)) > 0)
		done += (size_t)got;
	if (got < 0)
		fail(err, ERROR_PLAN, "cannot be read: %s", strerror(errno));
	else if (done > size)
		fail(err, ERROR_PLAN, "grew while it was read; try again");
	if (got < 0 || done > size)
		return NULL;
	if (length)
		*length = done;
	return data;
}

static char *read_stream(struct arena *arena, int descriptor, size_t limit, size_t *length,
                         struct error *err)
{
	struct text text = {.limit = limit};
	char piece[16384];
	ssize_t got;

	while ((got = read(descriptor, piece, sizeof piece)) > 0)
		if (!text_put(&text, piece, (size_t)got))
			break;
	char *data = NULL;
	if (got < 0)
		fail(err, ERROR_PLAN, "cannot be read: %s", strerror(errno));
	else if (text.full)
		fail(err, ERROR_PLAN, "is larger than the %zu bytes allowed", limit);
	else
		data = arena_text_n(arena, text_string(&text), text.length);
	if (data && length)
		*length = text.length;
	text_free(&text);
	return data;
}

static char *read_descriptor(struct arena *arena, int descriptor, size_t limit, size_t *length,
                             struct error *err)
{
	struct stat status;
	bool sized = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) &&
	             status.st_size > 0 && lseek(descriptor, 0, SEEK_CUR) == 0;

	if (!sized)
		return read_stream(arena, descriptor, limit, length, err);
	if ((size_t)status.st_size <= limit)
		return read_sized(arena, descriptor, (size_t)status.st_size, length, err);
	fail(err, ERROR_PLAN, "is larger than the %zu bytes allowed", limit);
	return NULL;
}

static int open_beneath(const char *directory, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int top = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (top < 0)
		return -1;
	int descriptor = (int)syscall(SYS_openat2, top, path, &how, sizeof how);
	int problem = errno;
	close(top);
	errno = problem;
	return descriptor;
}

static const char *why_not_opened(int problem)
{
	switch (problem) {
	case EXDEV:
		return "it leads out of the directory of the plan; name a file beneath it";
	case ELOOP:
		return "a symbolic link is on the way; name the file itself";
	default:
		return strerror(problem);
	}
}

int file_open_directory_beneath(const char *directory, const char *path, struct error *err)
{
	struct stat status;
	int descriptor = open_beneath(directory, path);

	if (descriptor < 0) {
		fail(err, ERROR_PLAN, "%s (beneath %s): %s", path, directory,
		     why_not_opened(errno));
	} else if (fstat(descriptor, &status) < 0 || !S_ISDIR(status.st_mode)) {
		fail(err, ERROR_PLAN, "%s (beneath %s): is no directory", path, directory);
		close(descriptor);
		descriptor = -1;
	}
	return descriptor;
}

char *file_read_beneath(struct arena *arena, const char *directory, const char *path, size_t limit,
                        size_t *length, struct error *err)
{
	struct stat status;
	int descriptor = open_beneath(directory, path);
	char *data = NULL;

	if (descriptor < 0) {
		fail(err, ERROR_PLAN, "%s (beneath %s): %s", path, directory,
		     why_not_opened(errno));
		return NULL;
	}
	if (fstat(descriptor, &status) < 0 || !S_ISREG(status.st_mode))
		fail(err, ERROR_PLAN, "%s (beneath %s) is not a regular file", path, directory);
	else if (!(data = read_descriptor(arena, descriptor, limit, length, err)))
		fail_while(err, "%s (beneath %s)", path, directory);
	close(descriptor);
	return data;
}

char *file_read(struct arena *arena, const char *path, size_t limit, size_t *length,
                struct error *err)
{
	bool standard_input = strcmp(path, "-") == 0;
	int descriptor = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

	if (descriptor < 0) {
		fail(err, ERROR_PLAN, "%s: %s", path, strerror(errno));
		return NULL;
	}
	char *data = read_descriptor(arena, descriptor, limit, length, err);
	if (!data)
		fail_while(err, "%s", path);
	if (!standard_input)
		close(descriptor);
	return data;
}

bool file_private_directory(const char *path, struct error *err)
{
	struct stat status;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return fail(err, ERROR_REFUSED, "make directory %s: %s", path, strerror(errno));
	if (lstat(path, &status) < 0)
		return fail(err, ERROR_REFUSED, "look at directory %s: %s", path, strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return fail(err, ERROR_REFUSED, "%s is not a directory; move it away", path);
	if (status.st_uid != geteuid())
		return fail(err, ERROR_REFUSED, "directory %s belongs to another user (uid %u)",
		            path, (unsigned)status.st_uid);
	if (status.st_mode & (S_IWGRP | S_IWOTH))
		return fail(err, ERROR_REFUSED,
		            "others can write to directory %s; `chmod 700 %s` mends it", path,
		            path);
	return true;
}

char *file_directory(struct arena *arena, const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return arena_text(arena, ".");
	return arena_text_n(arena, path, slash == path ? 1 : (size_t)(slash - path));
}

char *file_join(struct arena *arena, const char *directory, const char *name)
{
	if (name[0] == '/' || strcmp(directory, ".") == 0)
		return arena_text(arena, name);
	return arena_printf(arena, "%s/%s", directory, name);
}
