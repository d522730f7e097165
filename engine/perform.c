/* SPDX-License-Identifier: MIT */
/* The process of one step: look; wait for conditions and the go-ahead; act; verify. Or go back. */
#include "engine/perform.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/condition.h"
#include "engine/host.h"
#include "engine/look.h"
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
	const char *parts[] = {job->plan->name, job->step->id};
	for (size_t i = 0; i < 2; i++)
		crypto_generichash_update(&state, (const unsigned char *)parts[i],
		                          strlen(parts[i]) + 1);
	crypto_generichash_final(&state, hash, sizeof hash);
	for (size_t i = 0; i < 6; i++)
		snprintf(token + 2 * i, 3, "%02x", hash[i]);
}

/* ---- Acting ---- */

/* Offers what it is about to do until the engine says go; conditions are measured each time anew.
 */
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
	if (!look_at(step, &seen, &left, err))
		return fail_while(err, "verify");
	if (left.count == 0)
		return true;
	return fail(err, ERROR_FAILED,
	            "it acted, but %zu differences are left; the first is %s%s%s", left.count,
	            left.first->path, left.first->note ? ": " : "",
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
	value_set(step->arena, message, "subjects", look_subjects(step));
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
	value_set(step->arena, ready, "changes", look_describe(step->arena, changes));
	value_set(step->arena, ready, "subjects", look_subjects(step));
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

	if (!look_at(step, &seen, &changes, err))
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
	step->last_error = arena_text(step->arena, err->text);
	const struct plan_step *plan_step = step->host->plan_step;
	int64_t pause_ms = plan_step->backoff_from_ms ? plan_step->backoff_from_ms : 1000;
	struct value *message = host_message(step, "retrying");

	for (int64_t i = 1; i < attempt->number && pause_ms < plan_step->backoff_to_ms; i++)
		pause_ms *= 2;
	if (plan_step->backoff_to_ms && pause_ms > plan_step->backoff_to_ms)
		pause_ms = plan_step->backoff_to_ms;
	value_set_text(step->arena, message, "error", err->text);
	value_set_number(step->arena, message, "tries", attempt->number);
	value_set_number(step->arena, message, "tries_most", plan_step->retry_attempts);
	value_set_number(step->arena, message, "next_at_ms", clock_now_ms() + pause_ms);
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
	if (step->module->traits & STEP_COMMANDS && !step->host->allow_commands)
		return fail(err, ERROR_REFUSED,
		            "it starts programs on this machine; --allow-commands lets it");
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
	step->last_error = known->error_text;
	if (!prepare(step, job->step, err))
		return false;
	switch (job->mode) {
	case WALK_LOOK:
		return look_only(step, err);
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
		.allow_commands = job->allow_commands,
	};
	struct step step = {.arena = &arena, .host = &host};

	host_listen();
	make_token(job, host.token);
	bool fine = carry_out(job, &step, &err);
	if (!fine)
		send_failed(&step, &err);
	_exit(fine ? 0 : 1);
}
