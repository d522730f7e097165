/* SPDX-License-Identifier: MIT */
/* What people say: approvals, pause, resume, stop; and whether a step may act now. */
#include "engine/base/clock.h"
#include "engine/walking.h"

#include <stdio.h>
#include <string.h>

bool walk_may_approve(const struct plan_step *step, const char *who)
{
	const struct plan_approval *approval = &step->approval;
	size_t name_length = strcspn(who, "@");

	if (!approval->from)
		return true;
	for (const struct value *one = approval->from->as.items.first; one; one = one->next) {
		const char *name = value_reveal(one);
		if (name && (strcmp(name, who) == 0 ||
		             (strlen(name) == name_length && strncmp(name, who, name_length) == 0)))
			return true;
	}
	return false;
}

int64_t walk_approvals_needed(const struct plan_step *step)
{
	int64_t person = step->module->traits & STEP_PERSON ? 1 : 0;

	return step->approval.by > person ? step->approval.by : person;
}

static bool record_approval(struct walking *walking, const struct plan_step *step, const char *who,
                            const char *text)
{
	struct value *body = value_map(&walking->arena);

	value_set_text(&walking->arena, body, "who", who);
	value_set_text(&walking->arena, body, "digest", walking->options->plan->digest);
	value_set_text(&walking->arena, body, "text", text ? text : "");
	return walking_append(walking, RECORD_APPROVAL, step->id, body);
}

static bool is_approved(struct walking *walking, const struct plan_step *step, int64_t needed)
{
	const struct walk_options *options = walking->options;
	struct run *run = options->run;

	while (options->approve_as && run_approvals(run, step->id) < needed) {
		char who[160];
		snprintf(who, sizeof who, "%s-%lld", options->approve_as,
		         (long long)run_approvals(run, step->id) + 1);
		if (!record_approval(walking, step, who, "given by the rehearsal"))
			return false;
	}
	return run_approvals(run, step->id) >= needed;
}

bool gate_opens(struct walking *walking, struct task *task)
{
	const struct plan_step *step = task->step;
	int64_t needed = task->mode == WALK_APPLY ? walk_approvals_needed(step) : 0;

	if (walking->ending && !walking->going_back) {
		task->offered_word = "end";
		snprintf(task->offered_for, sizeof task->offered_for, "the run is ending");
		return false;
	}
	if (walking->paused && task->mode == WALK_APPLY) {
		task->offered_word = "pause";
		snprintf(task->offered_for, sizeof task->offered_for,
		         "the run is paused; `plan resume` lets it go on");
		return false;
	}
	if (is_approved(walking, step, needed))
		return true;
	task->offered_word = "approval";
	const char *text =
		step->approval.text ? step->approval.text : value_get_text(step->with, "text", "");
	snprintf(task->offered_for, sizeof task->offered_for,
	         "%lld of %lld approvals%s%s; `plan approve %s`",
	         (long long)run_approvals(walking->options->run, step->id), (long long)needed,
	         text[0] ? ": " : "", text, step->id);
	return false;
}

static bool take_approval(struct walking *walking, const struct request *request)
{
	const struct plan *plan = walking->options->plan;
	bool fine = true;

	if (strcmp(request->digest, plan->digest) != 0) {
		walking_tell(
			walking, NEWS_NOTE, NULL,
			"an approval is void: it was given for another version of plan and inputs",
			NULL);
		return true;
	}
	for (size_t i = 0; i < plan->step_count && fine; i++) {
		const struct plan_step *step = &plan->steps[i];
		if (strcmp(step->id, request->step) != 0 && strcmp(step->name, request->step) != 0)
			continue;
		if (walk_may_approve(step, request->who))
			fine = record_approval(walking, step, request->who, request->text);
		else
			walking_tell(
				walking, NEWS_NOTE, step,
				"an approval does not count: the plan does not name that person",
				NULL);
	}
	return fine;
}

static void set_paused(struct walking *walking, bool paused)
{
	walking->paused = paused;
	for (size_t i = 0; i < walking->task_count; i++)
		task_tell_pause(walking, &walking->tasks[i]);
	walking_tell(walking, NEWS_NOTE, NULL,
	             paused ? "paused; `plan resume` lets it go on" : "going on", NULL);
}

static bool take_request(struct walking *walking, const struct request *request)
{
	switch (request->kind) {
	case REQUEST_APPROVE:
		return take_approval(walking, request);
	case REQUEST_PAUSE:
		set_paused(walking, true);
		return true;
	case REQUEST_RESUME:
		set_paused(walking, false);
		return true;
	case REQUEST_STOP:
		walking->ending = true;
		walking->result->outcome = WALK_PARKED;
		fail(&walking->result->error, ERROR_CANCELLED, "%s asked to stop", request->who);
		return true;
	case REQUEST_KINDS:
		break;
	}
	return true;
}

/* A pause holds until somebody says resume, also when the run is taken up by another process. */
static void recall_pause(struct walking *walking)
{
	struct journal *journal = walking->options->journal;
	struct arena arena = {0};
	struct request *request;

	for (int64_t id = 0; (request = journal_next_request(journal, id, true, &arena));
	     id = request->id)
		if (request->kind == REQUEST_PAUSE || request->kind == REQUEST_RESUME)
			walking->paused = request->kind == REQUEST_PAUSE;
	arena_free(&arena);
}

bool gate_read_requests(struct walking *walking)
{
	struct journal *journal = walking->options->journal;
	struct arena arena = {0};
	struct request *request;
	bool fine = true;

	if (!journal || walking->options->mode == WALK_LOOK ||
	    clock_real_ms() < walking->requests_at_ms)
		return true;
	if (!walking->requests_at_ms)
		recall_pause(walking);
	walking->requests_at_ms = clock_real_ms() + 300;
	while (fine &&
	       (request = journal_next_request(journal, walking->last_request, false, &arena))) {
		walking->last_request = request->id;
		fine = take_request(walking, request) &&
		       journal_request_handled(journal, request->id, &walking->result->error);
	}
	arena_free(&arena);
	return fine;
}
