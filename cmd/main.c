/* SPDX-License-Identifier: MIT */
/* The plan command: finds the subcommand and reads its options.
 *
 * A map of the source
 *   cmd/            one file a subcommand, each ending in its entry; show.c alone knows colours;
 *                   session.c ties plan, journal and run together; situation.c says how a run
 *                   stands, explained*.c why
 *   engine/         knows no provider
 *     base/         error, arena, text, value, json, file, clock
 *     plan.c        a plan is data: yaml.c -> decode*.c -> graph.c; resolve.c fills references in
 *     compare.c     two versions of a plan; compare_*.c its parts
 *     step.h        THE interface of modules; host.c is the engine's side of it
 *     walk.c        the one walk: task.c processes, message.c events, gate.c approvals, back.c the
 *                   way back, budget.c the downtime, live.c what is shown meanwhile
 *     perform.c     the process of a step; condition.c runs there too
 *     journal.c     durable records, described by record.c; run.c folds them into a state
 *   steps/          the only code that knows the outside world; registry.c lists all modules
 */
#include "cmd/command.h"
#include "cmd/show.h"
#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/nearest.h"

#include <getopt.h>
#include <sodium.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define INPUTS_LIMIT ((size_t)1024 * 1024)

const struct option_entry option_table[OPTION_COUNT] = {
	[OPTION_AGAIN] = {"again", NULL, "begin a new run although the last one is complete"},
	[OPTION_ALLOW_COMMANDS] = {"allow-commands", NULL,
                                   "let the plan start the programs that it names"},
	[OPTION_AMEND] = {"amend", NULL, "take the open run up with the changed plan"},
	[OPTION_CERT] = {"cert", "FILE", "serve custom domains over HTTPS with this certificate"},
	[OPTION_COLOR] = {"color", "WHEN", "auto, always or never", "auto always never"},
	[OPTION_DETAILED_EXITCODE] = {"detailed-exitcode", NULL, "exit 2 when there are changes"},
	[OPTION_DIFF] = {"diff", NULL, "the schema of `plan diff REV..REV --json` instead"},
	[OPTION_FORMAT] = {"format", "FORMAT", "how it is printed"},
	[OPTION_HELP] = {"help", NULL, "show this help"},
	[OPTION_INPUTS] = {"inputs", "FILE", "a JSON file of inputs"},
	[OPTION_JOBS] = {"jobs", "N", "how many steps run at once (8)"},
	[OPTION_JOURNAL] = {"journal", NULL, "the JSON schema of `plan journal --json` instead"},
	[OPTION_JSON] = {"json", NULL, "print JSON, for programs"},
	[OPTION_KEY] = {"key", "FILE", "its private key"},
	[OPTION_PREVIEW] = {"preview", NULL, "only show what would be done"},
	[OPTION_REHEARSAL] = {"rehearsal", NULL,
                              "of the last `plan rehearse`, not of `plan apply`"},
	[OPTION_SET] = {"set", "NAME=VALUE", "set an input; may be repeated"},
	[OPTION_STEPS] = {"steps", NULL, "the reference of all modules instead"},
	[OPTION_THROUGH] = {"through", "STEP", "this step and what it needs, no more"},
	[OPTION_TO] = {"to", "STEP", "back to before this step"},
	[OPTION_VERIFY] = {"verify", NULL, "check the chain of records"},
	[OPTION_WAIT] = {"wait", NULL, "keep waiting when only people are waited for"},
	[OPTION_WATCH] = {"watch", NULL, "show it again each second until the run ends"},
	[OPTION_YES] = {"yes", NULL, "do not ask"},
};

const struct command *const commands[] = {
	&command_check,    &command_diff,       &command_apply,
	&command_status,   &command_explain,    &command_approve,
	&command_pause,    &command_resume,     &command_stop,
	&command_rollback, &command_journal,    &command_graph,
	&command_steps,    &command_schema,     &command_rehearse,
	&command_sandbox,  &command_completion, NULL,
};

static void print_help(FILE *stream)
{
	fputs("usage: plan COMMAND ...\n\n", stream);
	for (size_t i = 0; commands[i]; i++)
		fprintf(stream, "  plan %-10s %-36s %s\n", commands[i]->name, commands[i]->usage,
		        commands[i]->text);
	fputs("\n`plan COMMAND --help` shows the options of one.\n", stream);
}

static void print_command_help(const struct command *command, FILE *stream)
{
	fprintf(stream, "usage: plan %s %s\n%s\n", command->name, command->usage, command->text);
	for (size_t i = 0; command->options[i]; i++) {
		const struct option_entry *option = &option_table[command->options[i]];
		fprintf(stream, "  --%s%s%-*s %s\n", option->name, option->argument ? "=" : "",
		        24 - (int)strlen(option->name), option->argument ? option->argument : "",
		        option->text);
	}
	if (command->formats)
		fprintf(stream, "\nFormats: %s\n", command->formats);
	if (command->details)
		fprintf(stream, "\n%s", command->details);
}

static const struct command *find_command(const char *name)
{
	struct nearest nearest = nearest_to(name);

	for (size_t i = 0; commands[i]; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
		nearest_try(&nearest, commands[i]->name);
	}
	fprintf(stderr, "plan: there is no command ");
	show_text(stderr, false, TONE_PLAIN, name);
	if (nearest.best)
		fprintf(stderr, "; did you mean `plan %s`?\n", nearest.best);
	else
		fprintf(stderr, "; `plan help` lists them\n");
	return NULL;
}

/* ---- Options ---- */

static bool set_input(struct invocation *invocation, const char *text)
{
	const char *equals = strchr(text, '=');

	if (!equals || equals == text) {
		fprintf(stderr, "plan: --set takes NAME=VALUE\n");
		return false;
	}
	value_set_text(&invocation->arena, invocation->inputs,
	               arena_text_n(&invocation->arena, text, (size_t)(equals - text)), equals + 1);
	return true;
}

static bool read_inputs(struct invocation *invocation, const char *path)
{
	struct error err = {0};
	size_t length = 0;
	char *data = file_read(&invocation->arena, path, INPUTS_LIMIT, &length, &err);
	struct value *map =
		data ? json_read(&invocation->arena, data, length, 0, NULL, &err) : NULL;

	if (map && map->kind != VALUE_MAP)
		fail(&err, ERROR_PLAN, "it must be a map of inputs");
	if (!map || map->kind != VALUE_MAP) {
		fprintf(stderr, "plan: --inputs %s: %s\n", path, err.text);
		return false;
	}
	for (struct value *one = map->as.items.first, *next; one; one = next) {
		next = one->next;
		value_set(&invocation->arena, invocation->inputs, one->key, one);
	}
	return true;
}

static bool take_option(struct invocation *invocation, enum option_id id, const char *argument)
{
	invocation->given[id] = true;
	invocation->text[id] = argument;
	if (id == OPTION_SET)
		return set_input(invocation, argument);
	if (id == OPTION_INPUTS)
		return read_inputs(invocation, argument);
	return true;
}

static void unknown_option(const struct command *command, const char *word)
{
	struct nearest nearest = nearest_to(word + strspn(word, "-"));

	for (size_t i = 0; command->options[i]; i++)
		nearest_try(&nearest, option_table[command->options[i]].name);
	fprintf(stderr, "plan %s: ", command->name);
	show_text(stderr, false, TONE_PLAIN, word);
	if (nearest.best)
		fprintf(stderr, " is no option of it or lacks its argument; did you mean --%s?\n",
		        nearest.best);
	else
		fprintf(stderr, " is no option of it; `plan %s --help` lists them\n",
		        command->name);
}

static bool read_options(struct invocation *invocation, int argc, char **argv)
{
	const struct command *command = invocation->command;
	struct option options[OPTION_COUNT + 1] = {0};
	size_t count = 0;
	int found;

	for (; command->options[count]; count++) {
		enum option_id id = command->options[count];
		options[count] = (struct option){
			option_table[id].name,
			option_table[id].argument ? required_argument : no_argument, NULL, (int)id};
	}
	options[count] = (struct option){"help", no_argument, NULL, OPTION_HELP};
	opterr = 0;
	optind = 1;
	while ((found = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (found == '?' || found == ':') {
			unknown_option(command, argv[optind - 1]);
			return false;
		}
		if (!take_option(invocation, (enum option_id)found, optarg))
			return false;
	}
	invocation->arguments = (const char *const *)(argv + optind);
	invocation->argument_count = argc - optind;
	return true;
}

static bool count_arguments(const struct invocation *invocation)
{
	const struct command *command = invocation->command;

	if (invocation->argument_count >= command->least &&
	    invocation->argument_count <= command->most)
		return true;
	fprintf(stderr, "plan %s: usage: plan %s %s\n", command->name, command->name,
	        command->usage);
	return false;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct invocation invocation = {.command = command};
	int code = EXIT_BAD_USAGE;

	invocation.inputs = value_map(&invocation.arena);
	if (!read_options(&invocation, argc, argv)) {
		arena_free(&invocation.arena);
		return EXIT_BAD_USAGE;
	}
	invocation.color = show_wants_color(invocation.text[OPTION_COLOR], stdout);
	if (invocation.given[OPTION_HELP]) {
		print_command_help(command, stdout);
		code = EXIT_DONE;
	} else if (count_arguments(&invocation)) {
		code = command->run(&invocation);
	}
	arena_free(&invocation.arena);
	if (show_flush())
		return code;
	fprintf(stderr, "plan: the output could not be written whole\n");
	return EXIT_FAILED;
}

/* No core file, no debugger and no look into /proc/PID/environ of another process of the same
 * account: it may hold secrets. Its children are like it; what they execute is not. */
static void close_memory(void)
{
	const struct rlimit none = {0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

int main(int argc, char **argv)
{
	close_memory();
	if (sodium_init() < 0) {
		fprintf(stderr, "plan: no source of random numbers\n");
		return EXIT_FAILED;
	}
	if (argc < 2) {
		print_help(stderr);
		return EXIT_BAD_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("plan %s\n", PLAN_VERSION);
		return show_flush() ? EXIT_DONE : EXIT_FAILED;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
		print_help(stdout);
		return show_flush() ? EXIT_DONE : EXIT_FAILED;
	}
	const struct command *command = find_command(argv[1]);
	return command ? run_command(command, argc - 1, argv + 1) : EXIT_BAD_USAGE;
}
