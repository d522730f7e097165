/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over the files of a corpus, and over each file cut short at some lengths. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOST ((size_t)4 * 1024 * 1024)
#define CUTS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int files;

static void replay(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = malloc(MOST);
	size_t size = file && data ? fread(data, 1, MOST, file) : 0;

	if (!file || !data) {
		fprintf(stderr, "%s cannot be read\n", path);
		exit(1);
	}
	fclose(file);
	for (size_t cut = 0; cut <= CUTS; cut++) {
		/* A block of its own size, so that a read beyond the end is seen. */
		size_t length = size * cut / CUTS;
		uint8_t *copy = malloc(length + 1);
		if (!copy)
			abort();
		memcpy(copy, data, length);
		LLVMFuzzerTestOneInput(copy, length);
		free(copy);
	}
	free(data);
	files++;
}

static void replay_all(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	struct stat status;
	char inside[4096];

	if (!directory) {
		fprintf(stderr, "%s cannot be opened\n", path);
		exit(1);
	}
	while ((entry = readdir(directory))) {
		snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
		if (stat(inside, &status) == 0 && S_ISREG(status.st_mode))
			replay(inside);
	}
	closedir(directory);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		replay_all(argv[i]);
	printf("%d files\n", files);
	return files > 0 ? 0 : 1;
}
