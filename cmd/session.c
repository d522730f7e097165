/* SPDX-License-Identifier: MIT */
/* Opens plan, journal and run for a command; begins runs and takes them up again. */
#include "cmd/session.h"
#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/text.h"
#include "engine/record.h"
#include "engine/resolve.h"

#include <assert.h>
#include <pwd.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *session_who(struct arena *arena)
{
	const struct passwd *entry = getpwuid(getuid());
	char host[128] = "localhost";

	gethostname(host, sizeof host - 1);
	if (entry)
		return arena_printf(arena, "%s@%s", entry->pw_name, host);
	return arena_printf(arena, "uid-%u@%s", (unsigned)getuid(), host);
}

char *session_state_directory(struct arena *arena, const struct plan *plan)
{
	const char *named = getenv("PLAN_STATE_DIR");

	if (named && named[0])
		return arena_text(arena, named);
	return file_join(arena, file_directory(arena, plan->file), ".plan");
}

bool session_open(struct session *session, const struct plan *plan, bool make, struct error *err)
{
	char *directory = session_state_directory(&session->arena, plan);
	const char *name = session->rehearsal
	                           ? arena_printf(&session->arena, "%s.rehearsal", plan->name)
	                           : plan->name;

	session->plan = plan;
	err->kind = ERROR_NONE;
	session->journal = journal_open(directory, name, make, err);
	if (!session->journal)
		return err->kind == ERROR_NONE && !make;
	return run_load(&session->run, session->journal, err);
}

void session_close(struct session *session)
{
	if (session->journal)
		journal_close(session->journal);
	run_free(&session->run);
	arena_free(&session->arena);
	*session = (struct session){0};
}

static const struct value *no_outputs(const struct scope *scope, const struct plan_step *step)
{
	(void)scope;
	(void)step;
	return NULL;
}

bool session_resolve(struct session *session, struct error *err)
{
	session->secrets = resolve_secrets(session->plan, &session->arena, err);
	if (!session->secrets)
		return false;
	struct scope scope = {
		.plan = session->plan,
		.secrets = session->secrets,
		.outputs = no_outputs,
	};
	session->connections = resolve_connections(&scope, &session->arena, err);
	return session->connections != NULL;
}

/* ---- What a run is pinned to ---- */

static const char *digest_of(struct arena *arena, const struct value *value)
{
	char hexadecimal[33];

	json_digest(&value, 1, hexadecimal, sizeof hexadecimal);
	return arena_text(arena, hexadecimal);
}

static struct value *digests_of_steps(struct session *session)
{
	struct value *digests = value_map(&session->arena);
	const struct value *steps = value_get(session->plan->root, "steps");

	for (const struct value *step = steps ? steps->as.items.first : NULL; step;
	     step = step->next) {
		struct value *digest =
			value_text(&session->arena, digest_of(&session->arena, step));
		digest->key = step->key;
		value_add(digests, digest);
	}
	return digests;
}

static struct value *inputs_in_force(struct session *session)
{
	struct value *inputs = value_map(&session->arena);

	for (size_t i = 0; i < session->plan->input_count; i++)
		if (session->plan->inputs[i].value)
			value_set(&session->arena, inputs, session->plan->inputs[i].name,
			          value_copy(&session->arena, session->plan->inputs[i].value));
	return inputs;
}

static struct value *describe_run(struct session *session, const char *identity)
{
	struct value *body = value_map(&session->arena);

	value_set_text(&session->arena, body, "plan", session->plan->name);
	value_set_text(&session->arena, body, "file", session->plan->file);
	value_set_text(&session->arena, body, "digest", session->plan->digest);
	value_set_text(&session->arena, body, "identity", identity);
	value_set_text(&session->arena, body, "tool", PLAN_VERSION);
	value_set(&session->arena, body, "inputs", inputs_in_force(session));
	value_set(&session->arena, body, "steps", digests_of_steps(session));
	return body;
}

static bool append(struct session *session, enum record_kind kind, struct value *body,
                   struct error *err)
{
	const char *why = NULL;
	struct record record = {.run = session->run.number, .kind = kind, .step = "", .body = body};

	assert(record_is_described(kind, body, &session->arena, &why));
	(void)why;
	if (kind == RECORD_BEGIN)
		record.run++;
	if (!journal_append(session->journal, &record, err))
		return false;
	run_apply(&session->run, &record);
	return true;
}

static bool begin_run(struct session *session, struct error *err)
{
	unsigned char random[16];
	char identity[33];

	randombytes_buf(random, sizeof random);
	sodium_bin2hex(identity, sizeof identity, random, sizeof random);
	return append(session, RECORD_BEGIN, describe_run(session, identity), err);
}

/* Where the plan differs from the one the run began with. done: a step that cannot change any more.
 */
static void compare_steps(struct session *session, struct text *changed, struct text *done)
{
	const struct value *then = value_get(session->run.begin, "steps");
	struct value *now = digests_of_steps(session);

	for (const struct value *step = now->as.items.first; step; step = step->next) {
		const struct value *old = value_get(then, step->key);
		if (value_equal(old, step))
			continue;
		text_format(changed, "%s%s (%s)", changed->length ? ", " : "", step->key,
		            old ? "changed" : "new");
		if (run_any_done(&session->run, step->key))
			text_format(done, "%s%s", done->length ? ", " : "", step->key);
	}
	for (const struct value *old = then ? then->as.items.first : NULL; old; old = old->next) {
		if (value_get(now, old->key))
			continue;
		text_format(changed, "%s%s (removed)", changed->length ? ", " : "", old->key);
		if (run_any_done(&session->run, old->key))
			text_format(done, "%s%s", done->length ? ", " : "", old->key);
	}
	if (!value_equal(value_get(session->run.begin, "inputs"), inputs_in_force(session)))
		text_format(changed, "%sinputs", changed->length ? ", " : "");
}

static bool take_changed_plan(struct session *session, enum session_take how, struct error *err)
{
	struct text changed = {0}, done = {0};
	bool fine = false;

	compare_steps(session, &changed, &done);
	if (!changed.length)
		text_add(&changed, "other parts");
	if (done.length)
		fail(err, ERROR_REFUSED,
		     "the plan was changed while a run of it is open, in steps that are already "
		     "done: "
		     "%s; undo the change, or go back first with `plan rollback --to STEP`",
		     text_string(&done));
	else if (how != TAKE_AMEND)
		fail(err, ERROR_REFUSED,
		     "the plan was changed while a run of it is open: %s; `plan apply --amend` "
		     "takes "
		     "the run up with the changed plan (approvals given so far are void)",
		     text_string(&changed));
	else
		fine = append(session, RECORD_AMEND, describe_run(session, session->run.identity),
		              err);
	text_free(&changed);
	text_free(&done);
	return fine;
}

static bool record_start(struct session *session, const char *mode, struct error *err)
{
	struct value *body = value_map(&session->arena);

	value_set_text(&session->arena, body, "who", session_who(&session->arena));
	value_set_number(&session->arena, body, "pid", getpid());
	value_set_text(&session->arena, body, "mode", mode);
	return append(session, RECORD_START, body, err);
}

bool session_take(struct session *session, enum session_take how, const char *mode,
                  struct error *err)
{
	if (!journal_lock(session->journal, mode, err))
		return false;
	/* What another process appended before we had the lock counts too. */
	run_free(&session->run);
	if (!run_load(&session->run, session->journal, err))
		return false;
	bool fresh = session->run.number == 0 || how == TAKE_NEW ||
	             (!session->run.open && how == TAKE_AGAIN);
	bool same = !fresh && session->run.digest &&
	            strcmp(session->run.digest, session->plan->digest) == 0;
	if (fresh ? !begin_run(session, err) : !same && !take_changed_plan(session, how, err))
		return false;
	return record_start(session, mode, err);
}

bool session_end(struct session *session, const char *outcome, int exit_code, int64_t downtime_ms,
                 struct error *err)
{
	struct value *body = value_map(&session->arena);

	value_set_text(&session->arena, body, "outcome", outcome);
	value_set_number(&session->arena, body, "exit", exit_code);
	if (downtime_ms >= 0)
		value_set_number(&session->arena, body, "downtime_ms", downtime_ms);
	return append(session, RECORD_END, body, err);
}
