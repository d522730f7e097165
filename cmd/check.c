/* SPDX-License-Identifier: MIT */
/* plan check: everything that can be known offline. */
#include "cmd/command.h"
#include "cmd/show.h"

static struct value *summary(struct arena *arena, const struct plan *plan)
{
	struct value *map = value_map(arena);

	value_set_number(arena, map, "format", 1);
	value_set_text(arena, map, "plan", plan->name);
	value_set_text(arena, map, "digest", plan->digest);
	value_set_number(arena, map, "steps", (int64_t)plan->step_count);
	return map;
}

static int run(struct invocation *invocation)
{
	struct plan plan;

	if (!command_load_plan(invocation, invocation->arguments[0], &plan))
		return EXIT_BAD_USAGE;
	if (invocation->given[OPTION_JSON])
		show_json(stdout, summary(&invocation->arena, &plan));
	else
		show_line(stdout, invocation->color, TONE_GOOD,
		          "%s: valid, %zu steps. Next: plan diff %s", plan.name, plan.step_count,
		          plan.file);
	plan_free(&plan);
	return EXIT_DONE;
}

const struct command command_check = {
	.name = "check",
	.usage = "FILE [--set NAME=VALUE] [--json]",
	.text = "Check a plan, offline and without secrets",
	.least = 1,
	.most = 1,
	.options = {OPTION_SET, OPTION_INPUTS, OPTION_JSON, OPTION_COLOR},
	.run = run,
};
