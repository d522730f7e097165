/* SPDX-License-Identifier: MIT */
/* plan completion: scripts for shells, made from the tables of commands and options. */
#include "cmd/command.h"
#include "cmd/completion_scripts.h"
#include "engine/base/text.h"
#include "steps/registry.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Words of a usage that stand for something, and what finds it in the scripts. */
static const struct {
	const char *word, *function;
} kinds[] = {
	{"FILE", "plans"},
	{"STEP", "steps"},
	{"MODULE", "modules"},
};

#define KINDS (sizeof kinds / sizeof *kinds)

/* ---- What the tables say ---- */

static const struct option_entry *find_option(const char *name, size_t length)
{
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (option_table[i].name && strlen(option_table[i].name) == length &&
		    strncmp(option_table[i].name, name, length) == 0)
			return &option_table[i];
	return NULL;
}

/* Calls visit for each word of the usage that stands for an argument beside the options. */
static void each_argument(const struct command *command, struct text *out,
                          void (*visit)(struct text *out, const char *word, size_t length))
{
	bool of_option = false;

	for (const char *at = command->usage; *at;) {
		at += strspn(at, " []|");
		size_t length = strcspn(at, " []|");
		const struct option_entry *option =
			strncmp(at, "--", 2) == 0 ? find_option(at + 2, length - 2) : NULL;
		if (length > 0 && !option && !of_option)
			visit(out, at, length);
		of_option = option && option->argument;
		at += length;
	}
}

static const char *function_of(const char *word, size_t length)
{
	for (size_t i = 0; i < KINDS; i++)
		if (strlen(kinds[i].word) == length && strncmp(kinds[i].word, word, length) == 0)
			return kinds[i].function;
	return NULL;
}

/* Adds " plans", " steps", " modules", or the word itself where it stands for itself. */
static void add_argument(struct text *out, const char *word, size_t length)
{
	const char *function = function_of(word, length);

	if (function && !strstr(text_string(out), function))
		text_format(out, " %s", function);
	else if (islower((unsigned char)*word))
		text_format(out, " %.*s", (int)length, word);
}

static const char *choices_of(const struct command *command, const struct option_entry *option)
{
	if (option->choices)
		return option->choices;
	return strcmp(option->name, "format") == 0 ? command->formats : NULL;
}

/* In single quotes, for all three shells. */
static void quote(struct text *out, const char *text)
{
	text_add(out, "'");
	for (; *text; text++) {
		if (*text == '\'')
			text_add(out, "'\\''");
		else
			text_put(out, text, 1);
	}
	text_add(out, "'");
}

/* ---- bash ---- */

static void bash_option(struct text *out, const struct command *command,
                        const struct option_entry *option)
{
	const char *choices = choices_of(command, option);
	const char *function =
		option->argument ? function_of(option->argument, strlen(option->argument)) : NULL;

	if (!option->argument)
		return;
	text_format(out, "\t%s:--%s) ", command->name, option->name);
	if (choices)
		text_format(out, "_plan_words %s", choices);
	else if (function && strcmp(function, "plans") == 0)
		text_add(out, "_plan_files");
	else if (function)
		text_format(out, "_plan_%s", function);
	else
		text_add(out, ":");
	text_add(out, " ;;\n");
}

static void each_option(struct text *out, const struct command *command,
                        void (*write)(struct text *out, const struct command *command,
                                      const struct option_entry *option))
{
	for (size_t i = 0; command->options[i]; i++)
		write(out, command, &option_table[command->options[i]]);
	write(out, command, &option_table[OPTION_HELP]);
}

static void bash_name(struct text *out, const struct command *command,
                      const struct option_entry *option)
{
	(void)command;
	text_format(out, " --%s%s", option->name, option->argument ? "=" : "");
}

static void write_bash(struct text *out)
{
	text_add(out, "# bash completion, written by `plan completion bash`; source it.\n");
	text_add(out, "_plan_commands() {\n\t_plan_words");
	for (size_t i = 0; commands[i]; i++)
		text_format(out, " %s", commands[i]->name);
	text_add(out, " help --help --version\n}\n_plan_options() {\n\tcase $1 in\n");
	for (size_t i = 0; commands[i]; i++) {
		text_format(out, "\t%s) _plan_words", commands[i]->name);
		each_option(out, commands[i], bash_name);
		text_add(out, " ;;\n");
	}
	text_add(out, "\tesac\n}\n_plan_after_option() {\n\tcase $1:$2 in\n");
	for (size_t i = 0; commands[i]; i++)
		each_option(out, commands[i], bash_option);
	text_add(out, "\t*) return 1 ;;\n\tesac\n}\n_plan_arguments() {\n\tcase $1 in\n");
	for (size_t i = 0; commands[i]; i++) {
		text_format(out, "\t%s) _plan_any", commands[i]->name);
		struct text arguments = {0};
		each_argument(commands[i], &arguments, add_argument);
		text_format(out, "%s ;;\n", text_string(&arguments));
		text_free(&arguments);
	}
	text_format(out, "\tesac\n}\n%s", completion_bash);
}

/* ---- zsh ---- */

/* Brackets and colons end a description of _arguments. */
static void zsh_description(struct text *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("[]:\\", *text))
			text_add(out, "\\");
		text_put(out, text, 1);
	}
}

static void zsh_option(struct text *out, const struct command *command,
                       const struct option_entry *option)
{
	struct text spec = {0};
	const char *choices = choices_of(command, option);
	const char *function =
		option->argument ? function_of(option->argument, strlen(option->argument)) : NULL;

	text_format(&spec, "--%s%s[", option->name, option->argument ? "=" : "");
	zsh_description(&spec, option->text);
	text_add(&spec, "]");
	if (choices)
		text_format(&spec, ":%s:(%s)", option->argument, choices);
	else if (option->argument && function && strcmp(function, "plans") != 0)
		text_format(&spec, ":%s: _plan_%s", option->argument, function);
	else if (option->argument)
		text_format(&spec, ":%s:%s", option->argument, function ? "_files" : "( )");
	text_add(out, " \\\n\t\t");
	quote(out, text_string(&spec));
	text_free(&spec);
}

static void write_zsh(struct text *out)
{
	text_add(out, "#compdef plan\n# zsh completion, written by `plan completion zsh`; source "
	              "it, or name it _plan in $fpath.\n_plan_commands() {\n\tlocal -a list\n"
	              "\tlist=(");
	for (size_t i = 0; commands[i]; i++) {
		struct text entry = {0};
		text_format(&entry, "%s:%s", commands[i]->name, commands[i]->text);
		text_add(out, "\n\t\t");
		quote(out, text_string(&entry));
		text_free(&entry);
	}
	text_add(out, ")\n\t_describe -t commands command list\n}\n_plan_command() {\n\tcase "
	              "$words[1] in\n");
	for (size_t i = 0; commands[i]; i++) {
		struct text arguments = {0};
		text_format(out, "\t%s) _arguments -S", commands[i]->name);
		each_option(out, commands[i], zsh_option);
		each_argument(commands[i], &arguments, add_argument);
		if (arguments.length)
			text_format(out, " \\\n\t\t'*:argument: _plan_any%s'",
			            text_string(&arguments));
		text_add(out, " ;;\n");
		text_free(&arguments);
	}
	text_format(out, "\tesac\n}\n%s", completion_zsh);
}

/* ---- fish ---- */

static void fish_option(struct text *out, const struct command *command,
                        const struct option_entry *option)
{
	const char *choices = choices_of(command, option);
	const char *function =
		option->argument ? function_of(option->argument, strlen(option->argument)) : NULL;

	text_format(out, "complete -c plan -n '__plan_command %s' -l %s", command->name,
	            option->name);
	if (choices)
		text_format(out, " -x -a '%s'", choices);
	else if (function && strcmp(function, "plans") == 0)
		text_add(out, " -r -F");
	else if (function)
		text_format(out, " -x -a '(__plan_%s)'", function);
	else if (option->argument)
		text_add(out, " -x");
	text_add(out, " -d ");
	quote(out, option->text);
	text_add(out, "\n");
}

static void write_fish(struct text *out)
{
	text_format(out,
	            "# fish completion, written by `plan completion fish`; source it, or put it "
	            "into ~/.config/fish/completions/plan.fish.\n%scomplete -c plan -f\n",
	            completion_fish);
	for (size_t i = 0; commands[i]; i++) {
		struct text arguments = {0};
		text_format(out, "complete -c plan -n __plan_no_command -a %s -d ",
		            commands[i]->name);
		quote(out, commands[i]->text);
		text_add(out, "\n");
		each_option(out, commands[i], fish_option);
		each_argument(commands[i], &arguments, add_argument);
		if (arguments.length)
			text_format(
				out,
				"complete -c plan -n '__plan_command %s' -a \"(__plan_any%s)\"\n",
				commands[i]->name, text_string(&arguments));
		text_free(&arguments);
	}
}

/* ---- What the scripts ask for ---- */

static int print_steps(struct invocation *invocation)
{
	struct plan plan;
	const char *file = invocation->argument_count > 1 ? invocation->arguments[1] : NULL;

	if (!command_load_plan(invocation, file, &plan))
		return EXIT_BAD_USAGE;
	for (size_t i = 0; i < plan.step_count; i++) {
		/* A line a step: what no line can hold is not offered. */
		if (!strpbrk(plan.steps[i].id, "\n\r\t"))
			puts(plan.steps[i].id);
	}
	plan_free(&plan);
	return EXIT_DONE;
}

static int print_modules(struct invocation *invocation)
{
	(void)invocation;
	for (size_t i = 0; steps_registry.modules[i]; i++)
		puts(steps_registry.modules[i]->name);
	return EXIT_DONE;
}

static const struct {
	const char *name;
	void (*write)(struct text *out);
} shells[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};

static int run(struct invocation *invocation)
{
	const char *what = invocation->arguments[0];
	struct text out = {0};

	if (strcmp(what, "steps") == 0)
		return print_steps(invocation);
	if (strcmp(what, "modules") == 0)
		return print_modules(invocation);
	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
		if (strcmp(shells[i].name, what) != 0)
			continue;
		shells[i].write(&out);
		fputs(text_string(&out), stdout);
		text_free(&out);
		return EXIT_DONE;
	}
	fprintf(stderr, "plan completion: the shells are bash, zsh and fish\n");
	return EXIT_BAD_USAGE;
}

const struct command command_completion = {
	.name = "completion",
	.usage = "bash | zsh | fish",
	.text = "Print a script that completes commands, files and steps",
	.details = "  bash: source <(plan completion bash)\n"
		   "  zsh:  source <(plan completion zsh)      after compinit\n"
		   "  fish: plan completion fish | source\n"
		   "The scripts ask `plan completion steps [FILE]` for the steps of a plan, and\n"
		   "`plan completion modules` for the modules: one a line.\n",
	.least = 1,
	.most = 2,
	.options = {OPTION_SET, OPTION_INPUTS},
	.run = run,
};
