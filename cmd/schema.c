/* SPDX-License-Identifier: MIT */
/* plan schema and plan steps: what may stand in a plan, from the tables of the code. */
#include "engine/schema.h"
#include "cmd/command.h"
#include "cmd/show.h"
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "engine/compare.h"
#include "engine/record.h"
#include "steps/registry.h"

static int print_schema(struct invocation *invocation)
{
	struct text out = {0};

	if (invocation->given[OPTION_STEPS])
		schema_reference(&steps_registry, &out);
	else if (invocation->given[OPTION_JOURNAL])
		json_write_pretty(record_schema(&invocation->arena), &out);
	else if (invocation->given[OPTION_DIFF])
		json_write_pretty(compare_schema(&invocation->arena), &out);
	else
		json_write_pretty(schema_plan(&invocation->arena, &steps_registry), &out);
	fputs(text_string(&out), stdout);
	text_free(&out);
	return EXIT_DONE;
}

const struct command command_schema = {
	.name = "schema",
	.usage = "[--steps | --journal | --diff]",
	.text = "Print the JSON schema of plans",
	.options = {OPTION_STEPS, OPTION_JOURNAL, OPTION_DIFF},
	.run = print_schema,
};

static void list_modules(const struct invocation *invocation)
{
	for (size_t i = 0; steps_registry.modules[i]; i++)
		show_line(stdout, invocation->color, TONE_PLAIN, "%-28s %s",
		          steps_registry.modules[i]->name, steps_registry.modules[i]->text);
}

static int explain_module(const struct invocation *invocation, const char *name)
{
	const struct step_module *module = registry_module(&steps_registry, name);
	struct text out = {0};

	if (!module) {
		const char *near = registry_nearest_module(&steps_registry, name);
		show_line(stderr, false, TONE_PLAIN, "plan: there is no module %s%s%s%s", name,
		          near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
		return EXIT_BAD_USAGE;
	}
	(void)invocation;
	schema_module(module, &out);
	fputs(text_string(&out), stdout);
	text_free(&out);
	return EXIT_DONE;
}

static int steps(struct invocation *invocation)
{
	if (invocation->argument_count == 0) {
		list_modules(invocation);
		return EXIT_DONE;
	}
	/* `plan steps explain MODULE` and `plan steps MODULE` mean the same. */
	return explain_module(invocation, invocation->arguments[invocation->argument_count - 1]);
}

const struct command command_steps = {
	.name = "steps",
	.usage = "[explain MODULE]",
	.text = "List the modules, or explain one",
	.most = 2,
	.options = {OPTION_COLOR},
	.run = steps,
};
