/* SPDX-License-Identifier: MIT */
/* A subcommand: a file of its own that ends in its entry; main.c lists the entries. */
#ifndef PLAN_COMMAND_H
#define PLAN_COMMAND_H

#include "cmd/exit.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/plan.h"

/* Every option there is; a command names those it takes. */
enum option_id {
	OPTION_NONE,
	OPTION_AGAIN,
	OPTION_ALLOW_COMMANDS,
	OPTION_AMEND,
	OPTION_CERT,
	OPTION_COLOR,
	OPTION_DETAILED_EXITCODE,
	OPTION_DIFF,
	OPTION_FORMAT,
	OPTION_HELP,
	OPTION_INPUTS,
	OPTION_JOBS,
	OPTION_JOURNAL,
	OPTION_JSON,
	OPTION_KEY,
	OPTION_PREVIEW,
	OPTION_REHEARSAL,
	OPTION_SET,
	OPTION_STEPS,
	OPTION_THROUGH,
	OPTION_TO,
	OPTION_VERIFY,
	OPTION_WAIT,
	OPTION_WATCH,
	OPTION_YES,
	OPTION_COUNT
};

struct option_entry {
	const char *name;
	const char *argument; /* what it takes, for people; NULL when nothing */
	const char *text;
	const char *choices; /* the words it takes, with blanks between; NULL: any, or as the
	                        command says */
};

extern const struct option_entry option_table[OPTION_COUNT];

struct command;

/* A command line, read. */
struct invocation {
	const struct command *command;
	const char *const *arguments; /* what stands beside the options */
	int argument_count;
	bool given[OPTION_COUNT];
	const char *text[OPTION_COUNT]; /* the last argument of each option */
	struct value *inputs;           /* MAP: --inputs and --set */
	struct arena arena;
	bool color; /* on stdout */
};

struct command {
	const char *name;
	const char *usage;                    /* "FILE [--json]" */
	const char *text;                     /* one sentence */
	const char *details;                  /* more for --help, lines; NULL */
	const char *formats;                  /* what --format takes, with blanks between; NULL */
	int least, most;                      /* arguments beside the options */
	enum option_id options[OPTION_COUNT]; /* ends with OPTION_NONE */
	int (*run)(struct invocation *invocation);
};

extern const struct command *const commands[]; /* NULL-ended, in main.c */

extern const struct command command_apply, command_approve, command_check, command_completion,
	command_diff, command_explain, command_graph, command_journal, command_pause,
	command_rehearse, command_resume, command_rollback, command_sandbox, command_schema,
	command_status, command_steps, command_stop;

/* Loads the plan the command line names (or the only one whose journal is at hand); prints what is
 * wrong with it. False: the command ends with EXIT_BAD_USAGE. */
bool command_load_plan(struct invocation *invocation, const char *file, struct plan *plan);

/* The same; paths in the plan are relative to directory (NULL: where the plan lies). */
bool command_load_plan_in(struct invocation *invocation, const char *file, const char *directory,
                          struct plan *plan);

/* Prints an error as `plan: ...` and gives the exit code that its kind stands for. */
int command_fail(const struct error *err);

#endif
