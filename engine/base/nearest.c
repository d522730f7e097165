/* SPDX-License-Identifier: MIT */
/* Edit distance between short words. */
#include "engine/base/nearest.h"

#include <string.h>

#define LONGEST 64

static size_t least(size_t a, size_t b, size_t c)
{
	size_t smaller = a < b ? a : b;

	return smaller < c ? smaller : c;
}

/* Or `enough`, when it is not less. */
static size_t distance_between(const char *a, const char *b, size_t enough)
{
	size_t row[LONGEST + 1], b_length = strlen(b);

	for (size_t j = 0; j <= b_length; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0], smallest = i;
		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			size_t above = row[j];
			row[j] = least(row[j] + 1, row[j - 1] + 1,
			               diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
			smallest = row[j] < smallest ? row[j] : smallest;
		}
		if (smallest >= enough)
			return enough;
	}
	return row[b_length];
}

struct nearest nearest_to(const char *word)
{
	/* A third of the letters may be wrong, but always one. */
	return (struct nearest){.word = word, .distance = strlen(word) / 3 + 2};
}

void nearest_try(struct nearest *nearest, const char *candidate)
{
	if (strlen(nearest->word) > LONGEST || strlen(candidate) > LONGEST)
		return;
	size_t distance = distance_between(nearest->word, candidate, nearest->distance);
	if (distance < nearest->distance) {
		nearest->distance = distance;
		nearest->best = candidate;
	}
}
