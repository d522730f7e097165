/* SPDX-License-Identifier: MIT */
/* Finds and loads the plan of a command; prints what is wrong with it. */
#include "cmd/command.h"
#include "cmd/show.h"
#include "steps/registry.h"

#include <glob.h>
#include <string.h>

static void print_problems(const struct problems *problems, const char *file)
{
	bool color = show_wants_color(NULL, stderr);

	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *problem = &problems->list[i];
		if (problem->at.line)
			fprintf(stderr, "%s:%d:%d: ", file, problem->at.line, problem->at.column);
		show_line(stderr, color, TONE_PLAIN, "%s", problem->text);
	}
	fprintf(stderr, "plan: %s: %zu problem%s, nothing was done\n", file, problems->count,
	        problems->count == 1 ? "" : "s");
}

/* Without a name: the one plan file here or in plans/ that has been run. */
static const char *only_plan(struct invocation *invocation)
{
	static const char *const patterns[] = {"*.yaml", "plans/*.yaml"};
	glob_t found = {0};
	const char *file = NULL;

	for (size_t i = 0; i < 2; i++)
		glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &found);
	if (found.gl_pathc == 1)
		file = arena_text(&invocation->arena, found.gl_pathv[0]);
	else
		fprintf(stderr, "plan %s: name the plan's file; there are %zu here\n",
		        invocation->command->name, (size_t)found.gl_pathc);
	globfree(&found);
	return file;
}

bool command_load_plan(struct invocation *invocation, const char *file, struct plan *plan)
{
	return command_load_plan_in(invocation, file, NULL, plan);
}

bool command_load_plan_in(struct invocation *invocation, const char *file, const char *directory,
                          struct plan *plan)
{
	struct problems problems = {0};
	struct plan_options options = {.inputs = invocation->inputs, .directory = directory};

	if (!file && !(file = only_plan(invocation)))
		return false;
	bool fine = plan_load(plan, file, &steps_registry, &options, &problems);
	if (!fine) {
		print_problems(&problems, file);
		plan_free(plan);
	}
	problems_free(&problems);
	return fine;
}

int command_fail(const struct error *err)
{
	fputs("plan: ", stderr);
	show_line(stderr, show_wants_color(NULL, stderr), TONE_BAD, "%s", err->text);
	switch (err->kind) {
	case ERROR_PLAN:
		return EXIT_BAD_USAGE;
	case ERROR_REFUSED:
	case ERROR_DRIFT:
		return EXIT_REFUSED;
	case ERROR_NONE:
	case ERROR_RETRY:
	case ERROR_CANCELLED:
	case ERROR_FAILED:
		return EXIT_FAILED;
	}
	return EXIT_FAILED;
}
