/* SPDX-License-Identifier: MIT */
/* plan explain: why a step is where it is, what it waits for, and what to type next. */
#include "cmd/command.h"
#include "cmd/explained.h"
#include "cmd/show.h"
#include "engine/base/nearest.h"
#include "engine/base/text.h"

#include <string.h>

/* The inputs that were set: the digest that an approval is for holds them too. */
static const char *options_text(struct invocation *invocation)
{
	struct arena *arena = &invocation->arena;
	struct text out = {0};

	if (invocation->given[OPTION_INPUTS])
		text_format(&out, " --inputs %s",
		            show_word(arena, invocation->text[OPTION_INPUTS]));
	for (const struct value *one = invocation->inputs->as.items.first;
	     invocation->given[OPTION_SET] && one; one = one->next)
		if (one->kind == VALUE_TEXT)
			text_format(&out, " --set %s",
			            show_word(arena, arena_printf(arena, "%s=%s", one->key,
			                                          one->as.text)));
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}

/* ---- Which step ---- */

/* Of a for_each that is named as a whole: the first that is not done. */
static const struct plan_step *find_step(const struct plan *plan, struct run *run, const char *name)
{
	const struct plan_step *found = plan_find(plan, name);

	if (!found || strcmp(found->id, name) == 0)
		return found;
	for (size_t i = 0; i < plan->step_count; i++)
		if (strcmp(plan->steps[i].name, name) == 0 &&
		    run_step(run, plan->steps[i].id)->state != RUN_DONE)
			return &plan->steps[i];
	return found;
}

static void count_instances(struct explained *explained, const char *name)
{
	const struct plan *plan = explained->situation->session->plan;
	struct arena *arena = explained->situation->arena;
	int64_t count = 0, done = 0;

	if (!explained->step->each || strcmp(explained->step->id, name) == 0)
		return;
	for (size_t i = 0; i < plan->step_count; i++) {
		if (strcmp(plan->steps[i].name, name) != 0)
			continue;
		count++;
		done += run_step(&explained->situation->session->run, plan->steps[i].id)->state ==
		        RUN_DONE;
	}
	struct value *reason = explained_add(explained, "for_each",
	                                     "it is one of %lld of %s, of which %lld are done",
	                                     (long long)count, name, (long long)done);
	value_set_number(arena, reason, "count", count);
	value_set_number(arena, reason, "done", done);
}

static void name_nearest(const struct plan *plan, const char *name)
{
	struct nearest nearest = nearest_to(name);

	for (size_t i = 0; i < plan->step_count; i++)
		nearest_try(&nearest, plan->steps[i].id);
	fprintf(stderr, "plan: there is no such step in %s", plan->name);
	if (nearest.best)
		fprintf(stderr, "; did you mean %s?", nearest.best);
	fputc('\n', stderr);
}

/* ---- Printing ---- */

static const char *state_word(const struct explained *explained)
{
	return explained->step ? situation_phase_word(explained->phase) : "left out";
}

static const char *way_back_text(struct arena *arena, const struct plan_step *step)
{
	if (!step || (step->rollback != ROLLBACK_NEVER && step->rollback != ROLLBACK_NOTHING))
		return NULL;
	return arena_printf(arena, "%s: %s",
	                    step->rollback == ROLLBACK_NEVER ? "no way back"
	                                                     : "the way back passes over it",
	                    step->rollback_why);
}

static void print_json(const struct explained *explained, const char *id)
{
	const struct situation *situation = explained->situation;
	const struct plan_step *step = explained->step;
	struct arena *arena = situation->arena;
	struct value *top = value_map(arena);
	const char *way_back = way_back_text(arena, step);

	value_set_number(arena, top, "format", 1);
	value_set_text(arena, top, "plan", situation->session->plan->name);
	value_set_number(arena, top, "run", situation->session->run.number);
	value_set_text(arena, top, "run_state", situation_word(situation));
	value_set_text(arena, top, "step", step ? step->id : id);
	value_set_text(arena, top, "state", state_word(explained));
	if (step && step->title)
		value_set_text(arena, top, "title", step->title);
	if (step)
		value_set_text(arena, top, "uses", step->module->name);
	value_set(arena, top, "because", explained->because);
	if (way_back)
		value_set_text(arena, top, "way_back", way_back);
	value_set(arena, top, "next", explained->next);
	show_json(stdout, top);
}

static void print_text(const struct explained *explained, const char *id, bool color)
{
	const struct plan_step *step = explained->step;
	const char *way_back = way_back_text(explained->situation->arena, step);
	struct text next = {0};

	show_line(stdout, color, TONE_STRONG, "%s is %s", step ? step->id : id,
	          state_word(explained));
	if (step && step->title)
		show_line(stdout, false, TONE_PLAIN, "  %s", step->title);
	if (step)
		show_line(stdout, false, TONE_PLAIN, "  %s: %s", step->module->name,
		          step->module->text);
	for (const struct value *one = explained->because->as.items.first; one; one = one->next)
		show_line(stdout, false, TONE_PLAIN, "  %s", value_get_text(one, "text", ""));
	if (way_back)
		show_line(stdout, false, TONE_PLAIN, "  %s", way_back);
	for (const struct value *one = explained->next->as.items.first; one; one = one->next)
		text_format(&next, "%s%s", next.length ? ", then " : "", one->as.text);
	show_line(stdout, false, TONE_PLAIN, "Next: %s", text_string(&next));
	text_free(&next);
}

/* ---- The whole ---- */

static bool print_explanation(struct invocation *invocation, struct session *session)
{
	const char *id = invocation->arguments[invocation->argument_count - 1];
	const char *options = options_text(invocation);
	struct situation situation;
	struct explained explained;

	situation_read(&situation, session);
	const struct plan_step *step = find_step(session->plan, &session->run, id);
	if (step) {
		explained_step(&explained, &situation, step, options);
		count_instances(&explained, id);
	} else if (!explained_left_out(&explained, &situation, id, options)) {
		name_nearest(session->plan, id);
		return false;
	}
	if (invocation->given[OPTION_JSON])
		print_json(&explained, id);
	else
		print_text(&explained, id, invocation->color);
	return true;
}

static int run(struct invocation *invocation)
{
	struct plan plan;
	struct session session = {.rehearsal = invocation->given[OPTION_REHEARSAL]};
	struct error err = {0};
	const char *file = invocation->argument_count > 1 ? invocation->arguments[0] : NULL;
	int code;

	if (!command_load_plan(invocation, file, &plan))
		return EXIT_BAD_USAGE;
	if (!session_open(&session, &plan, false, &err))
		code = command_fail(&err);
	else
		code = print_explanation(invocation, &session) ? EXIT_DONE : EXIT_BAD_USAGE;
	session_close(&session);
	plan_free(&plan);
	return code;
}

const struct command command_explain = {
	.name = "explain",
	.usage = "[FILE] STEP [--json]",
	.text = "Say why a step waits, and for what",
	.least = 1,
	.most = 2,
	.options = {OPTION_REHEARSAL, OPTION_SET, OPTION_INPUTS, OPTION_JSON, OPTION_COLOR},
	.run = run,
};
