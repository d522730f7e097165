/* SPDX-License-Identifier: MIT */
/* Two plans of any bytes, read as written, with problems or without: what comparing them gives can
 * be printed, and a plan without problems is like itself. The second one stands behind a line
 * `---8<---`, or is the first half of the first. */
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "engine/compare.h"
#include "steps/registry.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char cut[] = "\n---8<---\n";

static bool parse(struct plan *plan, const char *data, size_t size)
{
	struct problems problems = {0};
	struct plan_source source = {"fuzz.yaml", data, size};
	struct plan_options options = {.directory = "/nonexistent", .as_written = true};
	bool good = plan_parse(plan, &source, &steps_registry, &options, &problems);

	if (good != (problems.count == 0))
		abort();
	problems_free(&problems);
	return good;
}

static size_t count_differences(const struct plan *old, const struct plan *new)
{
	struct arena arena = {0};
	struct text out = {0};
	struct comparison comparison;

	compare_plans(&comparison, &arena, old, new);
	json_write(compare_json(&comparison, &arena), NULL, &out);
	size_t count = comparison.count;
	text_free(&out);
	arena_free(&arena);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *middle = memmem(data, size, cut, sizeof cut - 1);
	size_t first = middle ? (size_t)(middle - text) + 1 : size;
	size_t begin = middle ? first + sizeof cut - 2 : 0;
	struct plan old = {0}, new = {0};

	bool good = parse(&old, text, first);
	parse(&new, text + begin, middle ? size - begin : size / 2);
	count_differences(&old, &new);
	count_differences(&new, &old);
	count_differences(NULL, &old);
	count_differences(&old, NULL);
	/* With a key written twice a plan may well be. */
	if (count_differences(&old, &old) > 0 && good)
		abort(); /* unlike itself */
	plan_free(&old);
	plan_free(&new);
	return 0;
}
