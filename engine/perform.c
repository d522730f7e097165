/* SPDX-License-Identifier: MIT */
/* The process of one step: look; wait for conditions and the go-ahead; act; verify. Or go back. */
#include "engine/perform.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/condition.h"
#include "engine/host.h"
#include "engine/resolve.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How often a step that was told to wait offers itself again. */
#define OFFER_AGAIN_MS 300

/* ---- What it knows ---- */

static const struct value *outputs_of(const struct scope *scope, const struct plan_step *other)
{
	const struct job *job = scope->context;
	const struct run_step *known = run_step(job->run, other->id);
	const struct value *predicted = value_get(job->predicted, other->id);

	if (predicted)
		return predicted;
	return known->state == RUN_DONE || job->mode == WALK_REVERT ? known->outputs : NULL;
}

static void make_token(const struct job *job, char token[13])
{
	unsigned char hash[crypto_generichash_BYTES_MIN];
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, sizeof hash);
	const char *parts[] = {run_identity(job->run), job->step->id};
	for (size_t i = 0; i < 2; i++)
		crypto_generichash_update(&state, (const unsigned char *)parts[i],
		                          strlen(parts[i]) + 1);
	crypto_generichash_final(&state, hash, sizeof hash);
	for (size_t i = 0; i < 6; i++)
		snprintf(token + 2 * i, 3, "%02x", hash[i]);
}

static struct value *describe_changes(struct arena *arena, const struct changes *changes)
{
	struct value *list = value_list(arena);

	for (const struct change *change = changes->first; change; change = change->next) {
		struct value *map = value_map(arena);
		value_set_text(arena, map, "path", change->path);
		if (change->from)
			value_set(arena, map, "from", value_copy(arena, change->from));
		if (change->to)
			value_set(arena, map, "to", value_copy(arena, change->to));
		if (change->note)
			value_set_text(arena, map, "note", change->note);
		value_add(list, map);
	}
	return list;
}

/* "dns/${names}/ttl" over a list gives a subject for each item. */
static const struct value *list_in(const char *template, const struct value *with)
{
	for (const struct value *item = with->as.items.first; item; item = item->next) {
		const char *at = strstr(template, item->key);
		if (item->kind == VALUE_LIST && at && at >= template + 2 &&
		    strncmp(at - 2, "${", 2) == 0 && at[strlen(item->key)] == '}')
			return item;
	}
	return NULL;
}

static void add_subject(struct step *step, const char *template, const struct value *with,
                        struct value *list)
{
	char *subject = resolve_template(template, with, step->outputs, step->arena);

	if (subject)
		value_add(list, value_text(step->arena, subject));
}

static struct value *subjects_of(struct step *step)
{
	struct value *list = value_list(step->arena);
	const char *const *templates = step->module->subjects;

	for (size_t i = 0; templates && templates[i]; i++) {
		const struct value *many = list_in(templates[i], step->with);
		if (!many) {
			add_subject(step, templates[i], step->with, list);
			continue;
		}
		for (const struct value *one = many->as.items.first; one; one = one->next) {
			struct value *with = value_copy(step->arena, step->with);
			value_set(step->arena, with, many->key, value_copy(step->arena, one));
			add_subject(step, templates[i], with, list);
		}
	}
	return list;
}

/* ---- Looking ---- */

static bool compare_by_table(struct step *step, const struct value *seen, struct changes *changes)
{
	struct value *wanted = value_map(step->arena);

	for (const struct value *item = step->with->as.items.first; item; item = item->next)
		if (value_get(seen, item->key))
			value_set(step->arena, wanted, item->key, value_copy(step->arena, item));
	changes_compare(changes, "", seen, wanted);
	return true;
}

static bool look(struct step *step, struct value **seen, struct changes *changes, struct error *err)
{
	*seen = value_map(step->arena);
	*changes = (struct changes){.arena = step->arena};
	step->outputs = value_map(step->arena);
	if (!step->module->observe(step, *seen, err))
		return fail_while(err, "look");
	if (step->module->plan)
		return step->module->plan(step, *seen, changes, err) || fail_while(err, "compare");
	return compare_by_table(step, *seen, changes);
}

static bool send_looked(struct step *step, const struct changes *changes, struct error *err)
{
	struct value *message = host_message(step, "looked");

	value_set(step->arena, message, "changes", describe_changes(step->arena, changes));
	value_set(step->arena, message, "outputs", step->outputs);
	value_set(step->arena, message, "subjects", subjects_of(step));
	return host_send(step, message, err);
}

/* A field that must be there but is not known yet: there is nothing to look at. */
static const struct value *unknown_field(const struct step *step)
{
	const struct field *field = step->module->fields;

	for (; field && field->name; field++) {
		const struct value *given = value_get(step->with, field->name);
		if ((field->flags & FIELD_REQUIRED) && given && value_has_unknown(given))
			return given;
	}
	return NULL;
}

static bool only_look(struct step *step, struct error *err)
{
	struct value *seen;
	struct changes changes = {.arena = step->arena};
	const struct value *unknown = unknown_field(step);

	if (!unknown)
		return look(step, &seen, &changes, err) && send_looked(step, &changes, err);
	const char *note = arena_printf(step->arena, "%s is known only later", unknown->key);
	changes_add(&changes, unknown->key, NULL, unknown, note);
	return send_looked(step, &changes, err);
}

/* ---- Acting ---- */

/* Offers what it is about to do until the engine says go; conditions are measured each time anew. */
static bool get_go_ahead(struct step *step, struct value *ready, struct error *err)
{
	const struct plan_step *plan_step = step->host->plan_step;
	struct watch watch = watch_begin(step, &plan_step->preconditions, "precondition",
	                                 step->host->waiting_since_ms);
	struct value *evidence = NULL;
	char answer = 'w';

	for (;;) {
		if (!watch_wait(step, &watch, &evidence, err))
			return false;
		value_set(step->arena, ready, "conditions", evidence);
		if (!host_send(step, ready, err) || !host_answer(step, &answer, err))
			return false;
		if (answer == 'g')
			return true;
		if (!step_sleep(step, OFFER_AGAIN_MS, err))
			return false;
	}
}

static bool verify(struct step *step, struct error *err)
{
	struct value *seen;
	struct changes left;

	if (step->module->verify)
		return step->module->verify(step, err) || fail_while(err, "verify");
	if (!look(step, &seen, &left, err))
		return fail_while(err, "verify");
	if (left.count == 0)
		return true;
	return fail(err, ERROR_FAILED, "it acted, but %zu differences are left; the first is %s%s%s",
	            left.count, left.first->path, left.first->note ? ": " : "",
	            left.first->note ? left.first->note : "");
}

static bool check_postconditions(struct step *step, struct error *err)
{
	const struct plan_conditions *conditions = &step->host->plan_step->postconditions;
	struct watch watch = watch_begin(step, conditions, "postcondition", clock_now_ms());
	struct value *evidence = NULL;

	return conditions->count == 0 || watch_wait(step, &watch, &evidence, err);
}

static bool send_done(struct step *step, bool changed, struct error *err)
{
	struct value *message = host_message(step, "done");

	value_set(step->arena, message, "outputs", step->outputs);
	value_set(step->arena, message, "subjects", subjects_of(step));
	value_set_bool(step->arena, message, "changed", changed);
	return host_send(step, message, err);
}

struct attempt {
	bool may_act;   /* the go-ahead was given */
	int64_t number; /* 1, 2, ... */
};

static bool announce(struct step *step, const struct value *seen, const struct changes *changes,
                     struct attempt *attempt, struct error *err)
{
	struct value *ready = host_message(step, "ready");

	if (attempt->may_act)
		return true;
	const struct value *before = step->before ? step->before : seen;
	value_set(step->arena, ready, "before", value_copy(step->arena, before));
	value_set(step->arena, ready, "changes", describe_changes(step->arena, changes));
	value_set(step->arena, ready, "subjects", subjects_of(step));
	if (!get_go_ahead(step, ready, err))
		return false;
	attempt->may_act = true;
	step->attempted = true;
	if (!step->before)
		step->before = before;
	if (!step->attempted_at_ms)
		step->attempted_at_ms = clock_now_ms();
	return true;
}

static bool try_once(struct step *step, struct attempt *attempt, struct error *err)
{
	struct value *seen;
	struct changes changes;

	if (!look(step, &seen, &changes, err))
		return false;
	if (changes.count > 0) {
		if (!announce(step, seen, &changes, attempt, err) ||
		    !step->module->apply(step, &changes, err) || !verify(step, err))
			return false;
	}
	return check_postconditions(step, err);
}

static bool back_off(struct step *step, const struct attempt *attempt, struct error *err)
{
	const struct plan_step *plan_step = step->host->plan_step;
	int64_t pause_ms = plan_step->backoff_from_ms ? plan_step->backoff_from_ms : 1000;
	struct value *message = host_message(step, "retrying");

	for (int64_t i = 1; i < attempt->number && pause_ms < plan_step->backoff_to_ms; i++)
		pause_ms *= 2;
	if (plan_step->backoff_to_ms && pause_ms > plan_step->backoff_to_ms)
		pause_ms = plan_step->backoff_to_ms;
	value_set_text(step->arena, message, "text",
	               arena_printf(step->arena, "%s; try %lld of %lld in %s", err->text,
	                            (long long)attempt->number + 1,
	                            (long long)plan_step->retry_attempts,
	                            clock_duration_text(step->arena, pause_ms)));
	return host_send(step, message, err) && step_sleep(step, pause_ms, err);
}

static bool act(struct step *step, struct error *err)
{
	struct attempt attempt = {.number = 1};

	step->host->guarded = true;
	while (!try_once(step, &attempt, err)) {
		bool again = err->kind == ERROR_RETRY &&
			     attempt.number < step->host->plan_step->retry_attempts;
		if (!again || !back_off(step, &attempt, err))
			return false;
		attempt.number++;
	}
	if (!send_done(step, attempt.may_act || step->attempted, err))
		return false;
	if (step->module->traits & STEP_SERVICE && step->module->serve)
		return step->module->serve(step, err);
	return true;
}

/* ---- Going back ---- */

static bool ask_to_go_back(struct step *step, const struct value *before, struct error *err)
{
	struct value *ready = host_message(step, "ready");
	char answer;

	value_set(step->arena, ready, "before", value_copy(step->arena, before));
	do {
		if (!host_send(step, ready, err) || !host_answer(step, &answer, err))
			return false;
		if (answer != 'g' && !step_sleep(step, OFFER_AGAIN_MS, err))
			return false;
	} while (answer != 'g');
	return true;
}

static bool revert_with_retries(struct step *step, struct error *err)
{
	const struct plan_step *plan_step = step->host->plan_step;
	struct attempt attempt = {.number = 1};
	struct value *seen = value_map(step->arena);

	while (!step->module->observe(step, seen, err) ||
	       !step->module->revert(step, step->before, err)) {
		int64_t most = plan_step->retry_attempts > 3 ? plan_step->retry_attempts : 3;
		if (err->kind != ERROR_RETRY || attempt.number >= most ||
		    !back_off(step, &attempt, err))
			return false;
		attempt.number++;
		seen = value_map(step->arena);
		step->outputs = value_map(step->arena);
	}
	return true;
}

static bool prepare(struct step *step, const struct plan_step *plan_step, struct error *err);

/* `rollback:` is a list of steps: they are applied, in order, instead of the module's inverse. */
static bool apply_rollback_steps(struct step *step, struct error *err)
{
	const struct plan_step *outer = step->host->plan_step;

	for (size_t i = 0; i < outer->rollback_step_count; i++) {
		struct step inner = {.arena = step->arena, .host = step->host};
		struct attempt attempt = {.may_act = true, .number = 1};
		step->host->plan_step = &outer->rollback_steps[i];
		if (!prepare(&inner, &outer->rollback_steps[i], err) ||
		    !try_once(&inner, &attempt, err))
			return fail_while(err, "rollback step %zu", i + 1);
	}
	step->host->plan_step = outer;
	return true;
}

static bool go_back(struct step *step, struct error *err)
{
	const struct plan_step *plan_step = step->host->plan_step;
	bool gone_back;

	if (!step->before)
		step->before = value_map(step->arena);
	if (!ask_to_go_back(step, step->before, err))
		return false;
	if (plan_step->rollback == ROLLBACK_STEPS)
		gone_back = apply_rollback_steps(step, err);
	else
		gone_back = revert_with_retries(step, err);
	return gone_back && host_send(step, host_message(step, "undone"), err);
}

/* ---- The whole ---- */

static bool prepare(struct step *step, const struct plan_step *plan_step, struct error *err)
{
	step->id = plan_step->id;
	step->module = plan_step->module;
	step->outputs = value_map(step->arena);
	step->with = resolve_with(step->host->scope, plan_step, step->arena, err);
	return step->with != NULL;
}

static bool carry_out(const struct job *job, struct step *step, struct error *err)
{
	const struct run_step *known = run_step(job->run, job->step->id);

	step->looking = job->mode == WALK_LOOK;
	step->attempted = known->intent_seq != 0;
	step->attempted_at_ms = known->intent_at_ms;
	step->was_done = known->state == RUN_DONE || known->was_done;
	step->before = known->before;
	if (!prepare(step, job->step, err))
		return false;
	switch (job->mode) {
	case WALK_LOOK:
		return only_look(step, err);
	case WALK_APPLY:
		return act(step, err);
	case WALK_REVERT:
		return go_back(step, err);
	}
	return false;
}

static void send_failed(struct step *step, const struct error *err)
{
	struct error ignored;
	struct value *message = host_message(step, "failed");

	value_set_text(step->arena, message, "kind", error_kind_name(err->kind));
	value_set_text(step->arena, message, "text", err->text);
	host_send(step, message, &ignored);
}

_Noreturn void perform(const struct job *job)
{
	struct arena arena = {0};
	struct error err = {0};
	struct scope scope = {
		.plan = job->plan,
		.step = job->step,
		.secrets = job->secrets,
		.outputs = outputs_of,
		.context = job,
	};
	struct step_host host = {
		.channel = {.descriptor = job->descriptor},
		.plan = job->plan,
		.plan_step = job->step,
		.run = job->run,
		.scope = &scope,
		.connections = job->connections,
		.waiting_since_ms = job->waiting_since_ms,
		.looking = job->mode == WALK_LOOK,
	};
	struct step step = {.arena = &arena, .host = &host};

	host_listen();
	make_token(job, host.token);
	bool fine = carry_out(job, &step, &err);
	if (!fine)
		send_failed(&step, &err);
	_exit(fine ? 0 : 1);
}
