/* SPDX-License-Identifier: MIT */
/* A plan file of any bytes: it is refused with problems, or it is a plan that can be resolved. */
#include "engine/plan.h"
#include "engine/resolve.h"
#include "steps/registry.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct value *no_outputs(const struct scope *scope, const struct plan_step *step)
{
	(void)scope, (void)step;
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct plan plan = {0};
	struct problems problems = {0};
	struct plan_source source = {"fuzz.yaml", (const char *)data, size};
	struct plan_options options = {.directory = "/nonexistent"};
	bool good = plan_parse(&plan, &source, &steps_registry, &options, &problems);

	if (good != (problems.count == 0))
		abort(); /* refused without a reason, or taken in spite of one */
	for (size_t i = 0; good && i < plan.step_count && i < 50; i++) {
		struct arena arena = {0};
		struct error err = {0};
		struct scope scope = {.plan = &plan, .step = &plan.steps[i], .outputs = no_outputs};
		resolve_with(&scope, &plan.steps[i], &arena, &err);
		arena_free(&arena);
	}
	plan_free(&plan);
	problems_free(&problems);
	return 0;
}
