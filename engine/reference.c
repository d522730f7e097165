/* SPDX-License-Identifier: MIT */
/* Finds references inside texts. */
#include "engine/reference.h"
#include "engine/base/error.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *prefix;
	enum reference_kind kind;
} kinds[] = {
	{"inputs.", REFERENCE_INPUT},
	{"secrets.", REFERENCE_SECRET},
	{"steps.", REFERENCE_STEP},
};

static bool take(char *into, size_t size, const char *from, size_t length)
{
	if (length == 0 || length >= size)
		return false;
	memcpy(into, from, length);
	into[length] = '\0';
	return true;
}

static bool read_inside(const char *inside, size_t length, struct reference *reference)
{
	if (length == 4 && strncmp(inside, "each", 4) == 0) {
		reference->kind = REFERENCE_EACH;
		return true;
	}
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t skip = strlen(kinds[i].prefix);
		if (length <= skip || strncmp(inside, kinds[i].prefix, skip) != 0)
			continue;
		reference->kind = kinds[i].kind;
		inside += skip;
		length -= skip;
		const char *dot = memchr(inside, '.', length);
		if (kinds[i].kind != REFERENCE_STEP)
			return !dot &&
			       take(reference->name, sizeof reference->name, inside, length);
		return dot &&
		       take(reference->name, sizeof reference->name, inside,
		            (size_t)(dot - inside)) &&
		       take(reference->member, sizeof reference->member, dot + 1,
		            length - (size_t)(dot + 1 - inside));
	}
	return false;
}

bool reference_next(const char *from, struct reference *reference, struct error *err)
{
	const char *begin = strstr(from, "${");

	*reference = (struct reference){0};
	err->kind = ERROR_NONE;
	if (!begin)
		return false;
	const char *end = strchr(begin, '}');
	if (!end || !read_inside(begin + 2, (size_t)(end - begin - 2), reference))
		return fail(err, ERROR_PLAN,
		            "`%.*s` is no reference; there are ${inputs.NAME} ${secrets.NAME} "
		            "${steps.STEP.OUTPUT} and ${each}",
		            end ? (int)(end - begin + 1) : 20, begin);
	reference->begin = begin;
	reference->end = end + 1;
	return true;
}

bool reference_is_whole(const char *text, const struct reference *reference)
{
	return reference->begin == text && *reference->end == '\0';
}
