/* SPDX-License-Identifier: MIT */
/* An open-file-description lock on a file that says who holds it. */
#include "engine/lock.h"
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool try_lock(int descriptor)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(descriptor, F_OFD_SETLK, &lock) == 0;
}

static bool read_holder(int descriptor, struct holder *holder)
{
	char data[1024] = "";
	struct arena arena = {0};
	struct error err;

	ssize_t length = pread(descriptor, data, sizeof data - 1, 0);
	const struct value *map =
		length > 0 ? json_read(&arena, data, (size_t)length, 0, NULL, &err) : NULL;
	*holder = (struct holder){0};
	snprintf(holder->who, sizeof holder->who, "%s", value_get_text(map, "who", "somebody"));
	snprintf(holder->host, sizeof holder->host, "%s", value_get_text(map, "host", "?"));
	snprintf(holder->what, sizeof holder->what, "%s", value_get_text(map, "what", "?"));
	holder->pid = value_get_number(map, "pid", 0);
	holder->since_ms = value_get_number(map, "since_ms", 0);
	holder->epoch = value_get_number(map, "epoch", 0);
	arena_free(&arena);
	return map != NULL;
}

static void write_holder(int descriptor, const struct holder *holder)
{
	struct arena arena = {0};
	struct text text = {0};
	struct value *map = value_map(&arena);

	value_set_text(&arena, map, "who", holder->who);
	value_set_text(&arena, map, "host", holder->host);
	value_set_text(&arena, map, "what", holder->what);
	value_set_number(&arena, map, "pid", holder->pid);
	value_set_number(&arena, map, "since_ms", holder->since_ms);
	value_set_number(&arena, map, "epoch", holder->epoch);
	json_write(map, NULL, &text);
	text_add(&text, "\n");
	/* It only informs: the lock itself is the kernel's. */
	if (ftruncate(descriptor, 0) == 0)
		(void)!pwrite(descriptor, text.data, text.length, 0);
	text_free(&text);
	arena_free(&arena);
}

/* A holder that was killed leaves its steps a moment longer with the lock: they are ending. */
static bool outlives_its_holder(int descriptor)
{
	struct holder other;
	char host[sizeof other.host] = "";

	gethostname(host, sizeof host - 1);
	return read_holder(descriptor, &other) && strcmp(other.host, host) == 0 && other.pid > 0 &&
	       kill((pid_t)other.pid, 0) < 0 && errno == ESRCH;
}

static bool lock_patiently(int descriptor)
{
	for (int i = 0; i < 500; i++) {
		if (try_lock(descriptor))
			return true;
		if (!outlives_its_holder(descriptor))
			return false;
		usleep(10000);
	}
	return false;
}

int lock_take(const char *path, const struct holder *holder, struct error *err)
{
	struct arena arena = {0};
	struct holder other;
	int descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (descriptor < 0) {
		fail(err, ERROR_REFUSED, "open lock file %s: %s", path, strerror(errno));
		return -1;
	}
	if (lock_patiently(descriptor)) {
		write_holder(descriptor, holder);
		return descriptor;
	}
	/* The winner may not have written its name yet. */
	for (int i = 0; i < 20 && !read_holder(descriptor, &other); i++)
		usleep(10000);
	fail(err, ERROR_REFUSED,
	     "another `plan %s` holds this plan: %s on %s, process %lld, since %s; `plan status` "
	     "shows "
	     "what it does",
	     other.what, other.who, other.host, (long long)other.pid,
	     clock_text(&arena, other.since_ms));
	arena_free(&arena);
	close(descriptor);
	return -1;
}

bool lock_holder(const char *path, struct holder *holder)
{
	int descriptor = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (descriptor < 0)
		return false;
	/* Asked, not tried: who only looks must not be in the way of who takes it. */
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	bool held = fcntl(descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	if (held)
		read_holder(descriptor, holder);
	close(descriptor);
	return held;
}
