/* SPDX-License-Identifier: MIT */
/* A journal file of any bytes, as a disk or somebody else may have left it: it is refused with a
 * reason, or what it says is read. */
#include "engine/base/error.h"
#include "engine/run.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[64];

static void remove_directory(void)
{
	static const char *const names[] = {"j.db", "j.key", "j.db-journal", "j.lock"};
	char path[96];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, names[i]);
		unlink(path);
	}
	rmdir(directory);
}

static void put(const uint8_t *data, size_t size)
{
	char path[96];

	if (!directory[0]) {
		snprintf(directory, sizeof directory, "/tmp/plan-fuzz-XXXXXX");
		if (!mkdtemp(directory) || atexit(remove_directory) != 0)
			abort();
	}
	snprintf(path, sizeof path, "%s/j.db", directory);
	int handle = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (handle < 0 || write(handle, data, size) != (ssize_t)size)
		abort();
	close(handle);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = {0};
	struct run run = {0};
	int64_t count = 0;

	put(data, size);
	struct journal *journal = journal_open(directory, "j", false, &err);
	if (!journal)
		return 0;
	if (!journal_verify(journal, &count, &err) && err.kind == ERROR_NONE)
		abort();
	err.kind = ERROR_NONE;
	if (!run_load(&run, journal, &err) && err.kind == ERROR_NONE)
		abort();
	run_free(&run);
	journal_close(journal);
	return 0;
}
