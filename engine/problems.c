/* SPDX-License-Identifier: MIT */
/* Collects all that is wrong with a file, in the order of the file. */
#include "engine/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* More than this nobody reads; a hostile file should not fill the memory with complaints. */
#define MOST_PROBLEMS 200

static bool comes_before(struct place a, struct place b)
{
	return a.line != b.line ? a.line < b.line : a.column < b.column;
}

static bool grow(struct problems *problems)
{
	if (problems->count < problems->capacity)
		return true;
	if (problems_full(problems))
		return false;
	size_t capacity = problems->capacity ? problems->capacity * 2 : 8;
	struct problem *list = arena_array(&problems->arena, capacity, sizeof *list);
	if (problems->count)
		memcpy(list, problems->list, problems->count * sizeof *list);
	problems->list = list;
	problems->capacity = capacity;
	return true;
}

static bool stands_already(const struct problems *problems, const struct problem *one)
{
	for (size_t i = 0; i < problems->count; i++)
		if (problems->list[i].at.line == one->at.line &&
		    problems->list[i].at.column == one->at.column &&
		    strcmp(problems->list[i].text, one->text) == 0)
			return true;
	return false;
}

bool problems_full(const struct problems *problems)
{
	return problems->count >= MOST_PROBLEMS;
}

void problems_add(struct problems *problems, struct place at, const char *format, ...)
{
	struct problem one = {.at = at};
	va_list arguments;

	if (problems_full(problems))
		return;
	va_start(arguments, format);
	vsnprintf(one.text, sizeof one.text, format, arguments);
	va_end(arguments);
	if (stands_already(problems, &one) || !grow(problems))
		return;
	size_t i = problems->count++;
	for (; i > 0 && comes_before(at, problems->list[i - 1].at); i--)
		problems->list[i] = problems->list[i - 1];
	problems->list[i] = one;
}

void problems_free(struct problems *problems)
{
	arena_free(&problems->arena);
	*problems = (struct problems){0};
}
