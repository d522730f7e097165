/* SPDX-License-Identifier: MIT */
/* plan graph: the steps and what they need, as text, DOT, Mermaid or JSON. */
#include "cmd/command.h"
#include "cmd/mermaid.h"
#include "cmd/show.h"

#include <string.h>

static void print_text(struct invocation *invocation, const struct plan *plan)
{
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		show_line(stdout, invocation->color, TONE_STRONG, "%s (%s)", step->id,
		          step->module->name);
		for (size_t n = 0; n < step->need_count; n++)
			show_line(stdout, false, TONE_PLAIN, "  needs %s", step->needs[n]->id);
	}
}

/* A quoted string of DOT knows two escapes, and none for what is not seen. */
static void print_dot_label(const char *text)
{
	putchar('"');
	for (const char *c = text; *c; c++) {
		if (*c == '"' || *c == '\\')
			putchar('\\');
		putchar((unsigned char)*c < ' ' ? ' ' : *c);
	}
	putchar('"');
}

static void print_dot(struct invocation *invocation, const struct plan *plan)
{
	(void)invocation;
	puts("digraph plan {\n  rankdir=LR;");
	for (size_t i = 0; i < plan->step_count; i++) {
		printf("  s%zu [label=", i);
		print_dot_label(plan->steps[i].id);
		puts("];");
		for (size_t n = 0; n < plan->steps[i].need_count; n++)
			printf("  s%zu -> s%zu;\n", plan->steps[i].needs[n]->order, i);
	}
	puts("}");
}

static void print_mermaid(struct invocation *invocation, const struct plan *plan)
{
	struct text out = {0};
	size_t left_out = mermaid_write(plan, &out);

	(void)invocation;
	fputs(text_string(&out), stdout);
	text_free(&out);
	if (left_out)
		fprintf(stderr,
		        "plan graph: %zu of %zu steps are left out: GitHub draws %d edges and "
		        "50,000 characters at most; --format dot shows all\n",
		        left_out, plan->step_count, MERMAID_EDGES);
}

static void print_json(struct invocation *invocation, const struct plan *plan)
{
	struct arena *arena = &invocation->arena;
	struct value *top = value_map(arena), *steps = value_list(arena);

	for (size_t i = 0; i < plan->step_count; i++) {
		const struct plan_step *step = &plan->steps[i];
		struct value *one = value_map(arena), *needs = value_list(arena);
		for (size_t n = 0; n < step->need_count; n++)
			value_add(needs, value_text(arena, step->needs[n]->id));
		value_set_text(arena, one, "step", step->id);
		value_set_text(arena, one, "uses", step->module->name);
		value_set(arena, one, "needs", needs);
		value_add(steps, one);
	}
	value_set_number(arena, top, "format", 1);
	value_set(arena, top, "steps", steps);
	show_json(stdout, top);
}

static const struct {
	const char *name;
	void (*print)(struct invocation *invocation, const struct plan *plan);
} formats[] = {
	{"text", print_text}, {"dot", print_dot}, {"mermaid", print_mermaid}, {"json", print_json}};

static int run(struct invocation *invocation)
{
	const char *format = invocation->given[OPTION_JSON]    ? "json"
	                     : invocation->text[OPTION_FORMAT] ? invocation->text[OPTION_FORMAT]
	                                                       : "text";
	struct plan plan;

	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		if (strcmp(formats[i].name, format) != 0)
			continue;
		if (!command_load_plan(invocation, invocation->arguments[0], &plan))
			return EXIT_BAD_USAGE;
		formats[i].print(invocation, &plan);
		plan_free(&plan);
		return EXIT_DONE;
	}
	fprintf(stderr, "plan graph: formats are text, dot, mermaid and json\n");
	return EXIT_BAD_USAGE;
}

const struct command command_graph = {
	.name = "graph",
	.usage = "FILE [--format FORMAT] [--json]",
	.text = "Show the steps and what they need",
	.formats = "text dot mermaid json",
	.least = 1,
	.most = 1,
	.details = "mermaid is for pull requests, between ```mermaid and ```: hexagons wait for\n"
		   "conditions, round steps for people, steps with a double border cannot be "
		   "undone.\n",
	.options = {OPTION_FORMAT, OPTION_JSON, OPTION_SET, OPTION_INPUTS, OPTION_COLOR},
	.run = run,
};
