/* SPDX-License-Identifier: MIT */
/* Two plans of any bytes, read as written, with problems or without: what comparing them gives can
 * be printed in every format, and a plan without problems is like itself. The second one stands
 * behind a line `---8<---`, or is the first half of the first. */
#include "cmd/compared.h"
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "steps/registry.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MARKDOWN_MOST 60000

static const char cut[] = "\n---8<---\n";

static bool parse(struct plan *plan, struct problems *problems, const char *data, size_t size)
{
	struct plan_source source = {"fuzz.yaml", data, size};
	struct plan_options options = {.directory = "/nonexistent", .as_written = true};
	bool good = plan_parse(plan, &source, &steps_registry, &options, problems);

	if (good != (problems->count == 0))
		abort();
	return good;
}

/* ---- What is printed ---- */

/* Nothing but lines: no character that steers a terminal. */
static void check_lines(const char *text)
{
	for (const char *c = text; *c; c++)
		if ((*c > 0 && *c < ' ' && *c != '\n') || *c == 0x7f)
			abort();
}

/* Behind the marker, what could be a link, a mention or HTML stands in code spans alone. */
static void check_markdown(const char *text)
{
	static const char marker[] = "<!-- plan-diff -->\n";

	check_lines(text);
	if (strlen(text) > MARKDOWN_MOST || strncmp(text, marker, strlen(marker)) != 0)
		abort();
	for (text += strlen(marker); *text; text++) {
		size_t fence = strspn(text, "`"), run = 0;
		if (!fence && strchr("@[]<>&\\~$", *text))
			abort();
		if (!fence)
			continue;
		for (text += fence; run != fence; text += run) {
			text += strcspn(text, "`\n");
			run = strspn(text, "`");
			if (!run)
				abort(); /* a span that is not closed in its line */
		}
		text--;
	}
}

static void check_json(const char *text)
{
	struct arena arena = {0};
	struct error err = {0};
	const struct value *read = json_read(&arena, text, strlen(text), 0, NULL, &err);

	if (!value_get(read, "plans"))
		abort();
	arena_free(&arena);
}

/* stdout is a variable of the C library: what is written there goes into memory meanwhile. */
static void print(const struct compared *compared, void (*write)(const struct compared *compared),
                  void (*check)(const char *text))
{
	FILE *real = stdout;
	char *text = NULL;
	size_t length = 0;

	stdout = open_memstream(&text, &length);
	if (!stdout)
		abort();
	write(compared);
	fclose(stdout);
	stdout = real;
	if (strlen(text) != length)
		abort();
	check(text);
	free(text);
}

static void write_text(const struct compared *compared)
{
	compared_text(compared, false);
}

/* ---- Comparing ---- */

struct side {
	struct plan plan;
	struct problems problems;
};

/* A side that is NULL: there is no such file. */
static size_t compare(const struct side *old, const struct side *new, bool in_every_format)
{
	struct arena arena = {0};
	const struct side *sides[2] = {old, new};
	struct compared_plan one = {.path = {"old.yaml", "new.yaml"}, .status = "changed"};
	struct compared compared = {.arena = &arena,
	                            .range = "main..HEAD",
	                            .revision = {"main", "HEAD"},
	                            .commit = {"", "6dd3e1b0"},
	                            .first = &one,
	                            .plans = 1};

	for (int i = 0; i < 2; i++) {
		one.present[i] = sides[i] != NULL;
		if (!sides[i])
			continue;
		one.plan[i] = sides[i]->plan;
		one.problems[i] = sides[i]->problems;
		compared.invalid[i] = sides[i]->problems.count > 0;
	}
	compare_plans(&one.comparison, &arena, old ? &old->plan : NULL, new ? &new->plan : NULL);
	compared.differences = one.comparison.count;
	memcpy(compared.effects, one.comparison.effects, sizeof compared.effects);
	print(&compared, compared_json, check_json);
	if (in_every_format) {
		print(&compared, write_text, check_lines);
		print(&compared, compared_markdown, check_markdown);
	}
	arena_free(&arena);
	return compared.differences;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *middle = memmem(data, size, cut, sizeof cut - 1);
	size_t first = middle ? (size_t)(middle - text) + 1 : size;
	size_t begin = middle ? first + sizeof cut - 2 : 0;
	struct side old = {0}, new = {0};

	bool good = parse(&old.plan, &old.problems, text, first);
	parse(&new.plan, &new.problems, text + begin, middle ? size - begin : size / 2);
	compare(&old, &new, true);
	compare(&new, &old, false);
	compare(NULL, &old, true);
	compare(&old, NULL, false);
	/* With a key written twice a plan may well be. */
	if (compare(&old, &old, false) > 0 && good)
		abort(); /* unlike itself */
	plan_free(&old.plan);
	problems_free(&old.problems);
	plan_free(&new.plan);
	problems_free(&new.problems);
	return 0;
}
