/* SPDX-License-Identifier: MIT */
/* heroku.run: a command in a one-off dyno, once. A marker behind the command tells ours from all
 * others; what became of it, its dyno and the log of the app say. */
#include "engine/unit.h"
#include "steps/heroku/lookup.h"
#include "steps/heroku/modules.h"
#include "steps/heroku/one_off.h"

#include <sodium.h>
#include <string.h>

#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

static const char *const unknown_choices[] = {"fail", "accept", NULL};

static const struct field fields[] = {
	{"app", FIELD_APP, FIELD_REQUIRED, NULL, NULL, "The app."},
	{"command", FIELD_STRING, FIELD_REQUIRED, NULL, NULL,
         "What to run, on one line, as `heroku run` takes it: the shell of the dyno reads it. A "
         "comment behind it marks the dyno as this step's."},
	{"undo", FIELD_STRING, 0, NULL, NULL,
         "What to run on the way back. Without it the step cannot be undone by itself."},
	{"env", FIELD_STRING, FIELD_MAP | FIELD_MAY_SECRET, NULL, NULL,
         "Added to the config vars, for this dyno only."},
	{"size", FIELD_STRING, 0, NULL, NULL, "The dyno size, such as `standard-2x`."},
	{"time_to_live", FIELD_DURATION, 0, "1h", NULL,
         "Heroku ends the dyno after this time, at most 24h."},
	{"unknown_status", FIELD_CHOICE, 0, "fail", unknown_choices,
         "Heroku tells how a one-off dyno ended only in its log. Where that does not say it: "
         "fail, or accept that it ended."},
	{"key", FIELD_STRING, 0, NULL, NULL,
         "Part of the marker: another key has the command run once more."},
	HEROKU_CONNECTION_FIELD,
	{0},
};

static const struct field outputs[] = {
	{"dyno", FIELD_STRING, 0, NULL, NULL, "The dyno that ran it, such as `run.1234`."},
	{"status", FIELD_INT, 0, NULL, NULL, "Its exit status; -1 where the log does not say it."},
	{0},
};

static bool check_command(const struct value *with, const char *field, struct error *err)
{
	const char *command = value_get_text(with, field, NULL);
	size_t length = command ? strlen(command) : 1;

	if (length == 0 || (command && strchr(command, '\n')) ||
	    (command && command[length - 1] == '\\'))
		return fail(err, ERROR_PLAN,
		            "`%s:` must be one line that does not end in a backslash", field);
	return true;
}

static bool check(const struct value *with, struct error *err)
{
	const char *written = value_get_text(with, "time_to_live", "1h");
	int64_t live_ms = 0;

	if (!unit_parse_duration(written, &live_ms, err))
		return false;
	if (live_ms > DAY_MS || live_ms < 1000)
		return fail(err, ERROR_PLAN, "`time_to_live:` is between 1s and 24h at Heroku");
	return check_command(with, "command", err) && check_command(with, "undo", err);
}

/* The same for every try; another command or key is another run. */
static const char *make_marker(const struct step *step, const char *word, const char *command)
{
	const char *parts[] = {command, value_get_text(step->with, "key", "")};
	unsigned char hash[crypto_generichash_BYTES_MIN];
	crypto_generichash_state state;
	char hex[9];

	crypto_generichash_init(&state, NULL, 0, sizeof hash);
	for (size_t i = 0; i < 2; i++)
		crypto_generichash_update(&state, (const unsigned char *)parts[i],
		                          strlen(parts[i]) + 1);
	crypto_generichash_final(&state, hash, sizeof hash);
	sodium_bin2hex(hex, sizeof hex, hash, 4);
	return arena_printf(step->arena, "%s:%s-%s", word, step_token(step), hex);
}

static struct one_off make_one_off(const struct step *step, const char *field)
{
	const char *command = value_get_text(step->with, field, "");
	const char *word = strcmp(field, "undo") == 0 ? "plan-undo" : "plan-run";

	return (struct one_off){
		.app = value_get_text(step->with, "app", ""),
		.command = command,
		.marker = make_marker(step, word, command),
		.size = value_get_text(step->with, "size", NULL),
		.env = value_get(step->with, "env"),
		.time_to_live_ms = value_get_number(step->with, "time_to_live", DAY_MS / 24),
	};
}

/* ---- Looking ---- */

/* This run announced this very command before. */
static bool was_announced(const struct step *step, const char *marker)
{
	const char *then = value_get_text(step->before, "marker", marker);

	return step->attempted && strcmp(then, marker) == 0;
}

/* What was undone since is as if it had never been. */
static bool forget_undone(struct heroku *heroku, struct one_off_trace *trace, struct error *err)
{
	struct one_off undo = make_one_off(heroku->step, "undo");
	struct one_off_trace undone;

	if (trace->state != ONE_OFF_ENDED || !undo.command[0])
		return true;
	if (!one_off_find(heroku, &undo, &undone, err))
		return false;
	if (undone.state == ONE_OFF_ENDED && undone.status == 0 && undone.line > trace->line)
		trace->state = ONE_OFF_NONE;
	return true;
}

static bool find(struct heroku *heroku, const struct one_off *one_off, struct one_off_trace *trace,
                 bool *proven, struct error *err)
{
	const struct step *step = heroku->step;

	*proven = true;
	if (!step->looking && was_announced(step, one_off->marker)) {
		if (!one_off_find_late(heroku, one_off, step->attempted_at_ms, trace, proven, err))
			return false;
	} else if (!one_off_find(heroku, one_off, trace, err)) {
		return false;
	}
	return forget_undone(heroku, trace, err);
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct heroku heroku;
	struct value *app;
	struct one_off one_off = make_one_off(step, "command");
	struct one_off_trace trace = {.status = -1};
	bool proven = true;

	if (!heroku_open(&heroku, step, err) || !lookup_app_needed(&heroku, one_off.app, &app, err))
		return false;
	value_set_text(step->arena, seen, "marker", one_off.marker);
	value_set_bool(step->arena, seen, "running", false);
	if (step->was_done || !app)
		return true;
	if (!find(&heroku, &one_off, &trace, &proven, err))
		return false;
	value_set_bool(step->arena, seen, "running", trace.state == ONE_OFF_RUNNING);
	value_set_bool(step->arena, seen, "unclear", trace.state == ONE_OFF_NONE && !proven);
	if (trace.state == ONE_OFF_NONE)
		return true;
	value_set_text(step->arena, seen, "dyno", trace.dyno);
	value_set_number(step->arena, seen, "status", trace.status);
	step_output_text(step, "dyno", trace.dyno);
	step_output(step, "status", value_number(step->arena, trace.status));
	return true;
}

static bool accepts_unknown(const struct step *step)
{
	return strcmp(value_get_text(step->with, "unknown_status", "fail"), "accept") == 0;
}

static bool judge(const struct step *step, const char *dyno, int64_t status, struct error *err)
{
	const char *app = value_get_text(step->with, "app", "");

	if (status == 0 || (status < 0 && accepts_unknown(step)))
		return true;
	if (status > 0)
		return fail(err, ERROR_FAILED,
		            "%s ended with exit status %lld; `heroku logs -a %s -d %s` shows why. "
		            "The next apply runs it again",
		            dyno, (long long)status, app, dyno);
	return fail(err, ERROR_FAILED,
	            "%s has ended, and the log of %s does not say how. It is not run again: find "
	            "out, then write `unknown_status: accept`, or another `key:` to have it run "
	            "once more",
	            dyno, app);
}

/* A failure that people have been told of may be tried again; one that a crash of ours swallowed
 * they must be told of first. */
static bool was_told(const struct step *step, const char *dyno)
{
	const char *told = arena_printf(step->arena, "%s ended with exit status", dyno);

	return !step->attempted || (step->last_error && strstr(step->last_error, told));
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const char *dyno = value_get_text(seen, "dyno", NULL);
	int64_t status = value_get_number(seen, "status", -1);
	const struct value *command = value_get(step->with, "command");

	if (step->was_done)
		return true;
	if (value_get_bool(seen, "running", false)) {
		changes_add(changes, "await", NULL, command,
		            arena_printf(step->arena, "%s runs it", dyno));
		return true;
	}
	if (value_get_bool(seen, "unclear", false))
		return fail(
			err, ERROR_REFUSED,
			"an earlier try asked for a dyno and did not learn what became of it, "
			"and the log of %s does not tell. It is not run again: find "
			"out, then take the step out of the plan, or write another `key:` to have "
			"it run once more",
			value_get_text(step->with, "app", ""));
	if (dyno && (status <= 0 || !was_told(step, dyno)))
		return judge(step, dyno, status, err);
	changes_add(changes, "run", NULL, command, NULL);
	return true;
}

/* ---- Acting ---- */

static bool run_once(struct heroku *heroku, const struct one_off *one_off,
                     struct one_off_trace *trace, struct error *err)
{
	struct step *step = heroku->step;

	if (trace->state != ONE_OFF_RUNNING && !one_off_start(heroku, one_off, trace, err))
		return false;
	step_note(step, "%s runs %s", trace->dyno, one_off->command);
	if (!one_off_await(heroku, one_off, trace, err))
		return false;
	step_note(step, "%s has ended with %s%s", trace->dyno,
	          trace->status < 0 ? "a status that the log does not say" : "exit status ",
	          trace->status < 0 ? ""
	                            : arena_printf(step->arena, "%lld", (long long)trace->status));
	return judge(step, trace->dyno, trace->status, err);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct heroku heroku;
	struct one_off one_off = make_one_off(step, "command");
	struct one_off_trace trace = {.status = -1};

	if (!heroku_open(&heroku, step, err))
		return false;
	if (strcmp(changes->first->path, "await") == 0 &&
	    !one_off_find(&heroku, &one_off, &trace, err))
		return false;
	if (trace.state == ONE_OFF_ENDED && !one_off_await(&heroku, &one_off, &trace, err))
		return false;
	bool fine = trace.state == ONE_OFF_ENDED ? judge(step, trace.dyno, trace.status, err)
	                                         : run_once(&heroku, &one_off, &trace, err);
	if (fine) {
		step_output_text(step, "dyno", trace.dyno);
		step_output(step, "status", value_number(step->arena, trace.status));
	}
	return fine;
}

/* apply has awaited the end and its status. */
static bool verify(struct step *step, struct error *err)
{
	(void)step, (void)err;
	return true;
}

/* ---- Going back ---- */

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	struct heroku heroku;
	struct value *app;
	struct one_off run = make_one_off(step, "command"), undo = make_one_off(step, "undo");
	struct one_off_trace ran, undone;
	bool proven;

	(void)before;
	if (!heroku_open(&heroku, step, err) || !lookup_app(&heroku, run.app, &app, err))
		return false;
	if (!app)
		return true;
	if (!one_off_find_late(&heroku, &run, step->attempted_at_ms, &ran, &proven, err) ||
	    !one_off_find(&heroku, &undo, &undone, err))
		return false;
	if (ran.state == ONE_OFF_RUNNING && !one_off_stop(&heroku, &run, &ran, err))
		return false;
	if (ran.state == ONE_OFF_NONE && proven)
		return true;
	if (undone.state == ONE_OFF_ENDED && undone.line < ran.line)
		undone.state = ONE_OFF_NONE;
	if (undone.state == ONE_OFF_ENDED && undone.status <= 0)
		return judge(step, undone.dyno, undone.status, err);
	return run_once(&heroku, &undo, &undone, err);
}

const struct step_module heroku_run = {
	.name = "heroku.run",
	.text = "Runs a command in a one-off dyno, once, and waits for its end.",
	.fields = fields,
	.outputs = outputs,
	.undo = "undo",
	.touches = (const char *const[]){"heroku/app/${app}/dynos", NULL},
	.check = check,
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.verify = verify,
	.revert = revert,
};
