/* SPDX-License-Identifier: MIT */
/* command: a program of the operator's does what no module can. It is an argument vector, never a
 * line for a shell; a second vector tells whether it is done, a third undoes it. */
#include "steps/local/local.h"
#include "steps/local/redact.h"
#include "steps/local/supervise.h"

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TAIL_LINES = 20, TELL_EVERY_MS = 500, NOT_DONE = 1 };

static const struct field fields[] = {
	{"run", FIELD_STRING, FIELD_REQUIRED | FIELD_LIST, NULL, NULL,
         "The program and its arguments: [bin/load, --all]. No shell reads them, and no secret may "
         "be among them. A program with a / is looked for beneath `directory`, others in PATH."},
	{"check", FIELD_STRING, FIELD_REQUIRED | FIELD_LIST, NULL, NULL,
         "Tells whether it is done, and changes nothing: exit code 0 is yes, 1 is no, anything "
         "else fails."},
	{"undo", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "Takes it back, after which `check` says no. Without it the step cannot be undone by "
         "itself."},
	{"directory", FIELD_PATH, 0, ".", NULL, "Where they run, beneath the plan's directory."},
	{"env", FIELD_STRING, FIELD_MAP | FIELD_MAY_SECRET, NULL, NULL,
         "Their environment; besides it they get PATH, HOME, USER, LOGNAME, LANG, LC_ALL, TZ and "
         "TMPDIR as they are, and nothing else."},
	{"stdin", FIELD_CONTENT, FIELD_MAY_SECRET, NULL, NULL, "What `run` reads."},
	{"limit", FIELD_DURATION, 0, "10m", NULL,
         "Each of them is ended after this time, with all that it has started."},
	{"touches", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "What it changes, in words, for those who review the plan."},
	{0},
};

static const char *const inherited[] = {"PATH", "HOME",   "USER", "LOGNAME",
                                        "LANG", "LC_ALL", "TZ",   "TMPDIR"};

static bool is_name(const char *name)
{
	if (!isalpha((unsigned char)*name) && *name != '_')
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '_')
			return false;
	return true;
}

static bool check_vector(const struct value *with, const char *field, struct error *err)
{
	const struct value *vector = value_get(with, field);
	const struct value *first =
		vector && vector->kind == VALUE_LIST ? vector->as.items.first : NULL;

	if (vector && vector->kind == VALUE_LIST && !first)
		return fail(err, ERROR_PLAN, "`%s:` names no program", field);
	if (first && value_reveal(first) && !*value_reveal(first))
		return fail(err, ERROR_PLAN, "`%s:` begins with an empty text, not a program",
		            field);
	return true;
}

static bool check(const struct value *with, struct error *err)
{
	const struct value *env = value_get(with, "env");

	for (const struct value *one = env && env->kind == VALUE_MAP ? env->as.items.first : NULL;
	     one; one = one->next)
		if (!is_name(one->key))
			return fail(err, ERROR_PLAN, "`env:`: %s is no name of a variable",
			            one->key);
	return check_vector(with, "run", err) && check_vector(with, "check", err) &&
	       check_vector(with, "undo", err);
}

/* ---- What a program gets ---- */

static const char **make_environment(const struct step *step)
{
	const struct value *env = value_get(step->with, "env");
	size_t room = sizeof inherited / sizeof *inherited + (env ? env->as.items.count : 0) + 1;
	const char **list = arena_array(step->arena, room, sizeof *list);
	size_t count = 0;

	for (size_t i = 0; i < sizeof inherited / sizeof *inherited; i++) {
		const char *value = getenv(inherited[i]);
		if (value && !value_get(env, inherited[i]))
			list[count++] = arena_printf(step->arena, "%s=%s", inherited[i], value);
	}
	for (const struct value *one = env ? env->as.items.first : NULL; one; one = one->next)
		if (value_reveal(one))
			list[count++] =
				arena_printf(step->arena, "%s=%s", one->key, value_reveal(one));
	return list;
}

static const char **make_vector(const struct step *step, const char *field)
{
	const struct value *vector = value_get(step->with, field);
	const char **argv = arena_array(step->arena, vector->as.items.count + 1, sizeof *argv);
	size_t count = 0;

	for (const struct value *one = vector->as.items.first; one; one = one->next)
		argv[count++] = one->as.text;
	return argv;
}

static const char *path_in(const char **environment)
{
	for (; *environment; environment++)
		if (strncmp(*environment, "PATH=", 5) == 0)
			return *environment + 5;
	return "/usr/local/bin:/usr/bin:/bin";
}

/* Only absolute directories of PATH count. */
static bool find_program(const struct step *step, struct process *process, const char **environment,
                         struct error *err)
{
	const char *name = process->argv[0];

	process->path = name;
	if (strchr(name, '/'))
		return faccessat(process->directory, name, X_OK, 0) == 0 ||
		       fail(err, ERROR_PLAN, "%s is not there, or may not be executed", name);
	for (const char *at = path_in(environment); *at;) {
		size_t length = strcspn(at, ":");
		process->path = arena_printf(step->arena, "%.*s/%s", (int)length, at, name);
		if (*at == '/' && access(process->path, X_OK) == 0)
			return true;
		at += length + (at[length] == ':');
	}
	return fail(err, ERROR_PLAN, "there is no program %s in PATH", name);
}

/* ---- What it says ---- */

struct talk {
	struct step *step;
	const char *field;
	const struct value *secrets;
	const char *tail[TAIL_LINES];
	size_t lines;
	struct arena arena; /* of the lines kept; begun anew now and then */
	int64_t told_at_ms;
};

static void take_line(void *context, const char *line, bool whole)
{
	struct talk *talk = context;
	struct arena fresh = {0};
	size_t slot = talk->lines % TAIL_LINES;

	if (talk->lines && slot == 0) { /* only the tail is kept */
		for (size_t i = 0; i < TAIL_LINES; i++)
			talk->tail[i] = arena_text(&fresh, talk->tail[i]);
		arena_free(&talk->arena);
		talk->arena = fresh;
	}
	talk->tail[slot] = redact_line(line, whole, talk->secrets, &talk->arena);
	talk->lines++;
	if (clock_real_ms() < talk->told_at_ms + TELL_EVERY_MS || talk->step->looking)
		return;
	talk->told_at_ms = clock_real_ms();
	step_progress(talk->step, "%s: %s", talk->field, talk->tail[slot]);
}

static const char *tail_text(const struct talk *talk, const char *between)
{
	size_t count = talk->lines < TAIL_LINES ? talk->lines : TAIL_LINES;
	struct text out = {.limit = 3000};

	for (size_t i = talk->lines - count; i < talk->lines; i++)
		text_format(&out, "%s%s", out.length ? between : "", talk->tail[i % TAIL_LINES]);
	const char *copy = arena_text(talk->step->arena, text_string(&out));
	text_free(&out);
	return copy;
}

/* ---- One program ---- */

static bool judge(const struct talk *talk, int status, bool may_say_no, struct error *err)
{
	bool exited = WIFEXITED(status);
	int code = exited ? WEXITSTATUS(status) : WTERMSIG(status);

	if (exited && (code == 0 || (code == NOT_DONE && may_say_no)))
		return true;
	return fail(err, ERROR_FAILED, "`%s` ended with %s %d%s%s%s", talk->field,
	            exited ? "exit code" : "signal", code,
	            exited && code == 127 ? " (perhaps it could not be executed)" : "",
	            talk->lines ? ": " : "", tail_text(talk, " / "));
}

static bool start(const struct step *step, const char *field, struct talk *talk, int *status,
                  struct error *err)
{
	const char **environment = make_environment(step);
	struct supervise what = {
		.process = process_plain(),
		.input = strcmp(field, "run") == 0 ? value_reveal(value_get(step->with, "stdin"))
	                                           : NULL,
		.limit_ms = value_get_number(step->with, "limit", 0),
		.step = talk->step,
		.line = take_line,
		.context = talk,
	};

	what.process.argv = make_vector(step, field);
	what.process.environment = environment;
	what.process.directory = file_open_directory_beneath(
		step_directory(step), value_get_text(step->with, "directory", "."), err);
	if (what.process.directory < 0)
		return fail_while(err, "directory");
	bool fine = find_program(step, &what.process, environment, err) &&
	            supervise(&what, status, err);
	close(what.process.directory);
	return fine || fail_while(err, "`%s`", field);
}

/* *said_no: exit code 1 of a check. */
static bool perform_vector(struct step *step, const char *field, bool *said_no, struct error *err)
{
	struct value *secrets = value_list(step->arena);
	struct talk talk = {.step = step, .field = field, .secrets = secrets};
	int status = -1;

	redact_collect(step->with, secrets, step->arena);
	redact_collect(step_connections(step, ""), secrets, step->arena);
	bool fine = start(step, field, &talk, &status, err) &&
	            judge(&talk, status, said_no != NULL, err);
	if (said_no)
		*said_no = fine && WEXITSTATUS(status) == NOT_DONE;
	else if (fine && talk.lines)
		step_note(step, "%s said: %s", field, tail_text(&talk, " / "));
	arena_free(&talk.arena);
	return fine;
}

/* ---- The module ---- */

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	bool said_no;

	if (!perform_vector(step, "check", &said_no, err))
		return false;
	value_set_bool(step->arena, seen, "done", !said_no);
	return true;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)err;
	if (!value_get_bool(seen, "done", false))
		changes_add(changes, "run", NULL, value_get(step->with, "run"), NULL);
	return true;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	(void)changes;
	return perform_vector(step, "run", NULL, err);
}

static bool verify(struct step *step, struct error *err)
{
	bool said_no;

	return perform_vector(step, "check", &said_no, err) &&
	       (!said_no || fail(err, ERROR_FAILED,
	                         "`run` ended with exit code 0, but `check` says that it is not "
	                         "done"));
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	bool said_no;

	if (value_get_bool(before, "done", false))
		return true;
	if (!perform_vector(step, "check", &said_no, err))
		return false;
	if (said_no)
		return true;
	return perform_vector(step, "undo", NULL, err) &&
	       perform_vector(step, "check", &said_no, err) &&
	       (said_no || fail(err, ERROR_FAILED,
	                        "`undo` ended with exit code 0, but `check` says that it is still "
	                        "done"));
}

const struct step_module local_command = {
	.name = "command",
	.text = "Starts a program on this machine, where a check says that it is not done.",
	.traits = STEP_COMMANDS,
	.fields = fields,
	.undo = "undo",
	.touches = (const char *const[]){"command/${touches}", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.verify = verify,
	.revert = revert,
};
