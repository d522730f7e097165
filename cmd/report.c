/* SPDX-License-Identifier: MIT */
/* Prints the news of a walk. */
#include "cmd/report.h"
#include "cmd/exit.h"
#include "cmd/show.h"
#include "engine/base/clock.h"

#include <string.h>

/* A wait is printed when it begins and then seldom; status shows it live. */
#define WAITING_EVERY_MS 10000

static const struct {
	const char *word;
	enum tone tone;
} news_words[] = {
	[NEWS_START] = {"start", TONE_DIM},      [NEWS_LOOKED] = {"looked", TONE_DIM},
	[NEWS_WAITING] = {"waiting", TONE_WARN}, [NEWS_PROGRESS] = {"progress", TONE_DIM},
	[NEWS_ACTING] = {"acting", TONE_STRONG}, [NEWS_RETRY] = {"retry", TONE_WARN},
	[NEWS_DONE] = {"done", TONE_GOOD},       [NEWS_FAILED] = {"failed", TONE_BAD},
	[NEWS_UNDONE] = {"undone", TONE_WARN},   [NEWS_PASSED] = {"passed over", TONE_WARN},
	[NEWS_NOTE] = {"note", TONE_PLAIN},      [NEWS_JUMP] = {"time", TONE_DIM},
};

static const char *const outcome_words[] = {
	[WALK_DONE] = "done",
	[WALK_FAILED] = "failed",
	[WALK_REFUSED] = "refused",
	[WALK_PARKED] = "parked",
	[WALK_ROLLED_BACK] = "rolled back",
	[WALK_PERSON_NEEDED] = "a person is needed",
	[WALK_INTERRUPTED] = "interrupted",
};

const char *report_outcome(enum walk_outcome outcome)
{
	return outcome_words[outcome];
}

static void report_json(const struct report *report, const struct walk_event *event)
{
	struct arena arena = {0};
	struct value *line = value_map(&arena);

	value_set_text(&arena, line, "news", news_words[event->news].word);
	if (event->step)
		value_set_text(&arena, line, "step", event->step->id);
	if (event->text)
		value_set_text(&arena, line, "text", event->text);
	const struct value *changes = value_get(event->body, "changes");
	if (changes)
		value_set(&arena, line, "changes", value_copy(&arena, changes));
	show_json(report->stream, line);
	arena_free(&arena);
}

static bool too_soon(struct report *report, const struct walk_event *event)
{
	int64_t now = clock_real_ms();

	if (event->news == NEWS_START)
		return true;
	if (event->news != NEWS_WAITING && event->news != NEWS_PROGRESS)
		return false;
	if (now - report->waiting_at_ms < WAITING_EVERY_MS)
		return true;
	report->waiting_at_ms = now;
	return false;
}

void report_event(void *context, const struct walk_event *event)
{
	struct report *report = context;

	if (report->json) {
		report_json(report, event);
		return;
	}
	if (too_soon(report, event))
		return;
	fputs("  ", report->stream);
	struct arena arena = {0};
	show_text(report->stream, report->color, news_words[event->news].tone,
	          arena_printf(&arena, "%-12s", news_words[event->news].word));
	show_line(report->stream, false, TONE_PLAIN, "%s%s%s", event->step ? event->step->id : "",
	          event->step && event->text ? ": " : "", event->text ? event->text : "");
	if (event->news == NEWS_ACTING)
		show_changes(report->stream, report->color, value_get(event->body, "changes"));
	arena_free(&arena);
}

int report_exit_code(const struct walk_result *result)
{
	switch (result->outcome) {
	case WALK_DONE:
		return EXIT_DONE;
	case WALK_FAILED:
		return result->error.kind == ERROR_PLAN ? EXIT_BAD_USAGE : EXIT_FAILED;
	case WALK_REFUSED:
		return EXIT_REFUSED;
	case WALK_PARKED:
		return EXIT_PARKED;
	case WALK_ROLLED_BACK:
		return EXIT_ROLLED_BACK;
	case WALK_PERSON_NEEDED:
		return EXIT_PERSON_NEEDED;
	case WALK_INTERRUPTED:
		return EXIT_INTERRUPTED + result->signal;
	}
	return EXIT_FAILED;
}

static const char *next_command(const struct report *report, const struct walk_result *result,
                                struct arena *arena)
{
	switch (result->outcome) {
	case WALK_DONE:
		return report->back_to ? "plan apply" : "plan diff";
	case WALK_PARKED:
	case WALK_INTERRUPTED:
	case WALK_FAILED:
	case WALK_ROLLED_BACK:
		return report->back_to
		               ? arena_printf(arena, "plan rollback --to %s", report->back_to)
		               : "plan apply";
	case WALK_REFUSED:
	case WALK_PERSON_NEEDED:
		return "plan status";
	}
	return "plan status";
}

static void report_json_result(const struct report *report, const struct plan *plan,
                               const struct walk_result *result)
{
	struct arena arena = {0};
	struct value *line = value_map(&arena);

	value_set_number(&arena, line, "format", 1);
	value_set_text(&arena, line, "plan", plan->name);
	value_set_text(&arena, line, "outcome", outcome_words[result->outcome]);
	value_set_number(&arena, line, "exit", report_exit_code(result));
	value_set_number(&arena, line, "done", (int64_t)result->done);
	value_set_number(&arena, line, "changed", (int64_t)result->changed);
	value_set_number(&arena, line, "failed", (int64_t)result->failed);
	value_set_number(&arena, line, "undone", (int64_t)result->undone);
	if (result->step[0])
		value_set_text(&arena, line, "step", result->step);
	if (result->error.kind != ERROR_NONE)
		value_set_text(&arena, line, "error", result->error.text);
	if (result->downtime_ms >= 0)
		value_set(&arena, line, "downtime_s",
		          value_real(&arena, (double)result->downtime_ms / 1000));
	show_json(report->stream, line);
	arena_free(&arena);
}

static void print_outcome(const struct report *report, const struct plan *plan,
                          const struct walk_result *result)
{
	bool good = result->outcome == WALK_DONE;
	enum tone tone = good ? TONE_GOOD : TONE_WARN;
	const char *word = outcome_words[result->outcome];

	if (good && report->back_to)
		show_line(report->stream, report->color, tone,
		          "%s: back to before %s (%zu steps undone)", plan->name, report->back_to,
		          result->undone);
	else if (report->back_to)
		show_line(report->stream, report->color, tone,
		          "%s: %s on the way back (%zu steps undone)", plan->name, word,
		          result->undone);
	else
		show_line(report->stream, report->color, tone,
		          "%s: %s (%zu steps done, %zu changed, %zu failed)", plan->name, word,
		          result->done, result->changed, result->failed);
}

int report_result(const struct report *report, const struct plan *plan,
                  const struct walk_result *result)
{
	struct arena arena = {0};
	FILE *stream = report->stream;

	if (report->json) {
		report_json_result(report, plan, result);
		return report_exit_code(result);
	}
	print_outcome(report, plan, result);
	if (result->error.kind != ERROR_NONE)
		show_line(stream, report->color, TONE_BAD, "  %s%s%s", result->step,
		          result->step[0] ? ": " : "", result->error.text);
	if (result->downtime_ms >= 0)
		show_line(stream, false, TONE_PLAIN, "  downtime %s of a budget of %s",
		          clock_duration_text(&arena, result->downtime_ms),
		          clock_duration_text(&arena, plan->downtime_budget_ms));
	show_line(stream, false, TONE_PLAIN, "Next: %s %s", next_command(report, result, &arena),
	          plan->file);
	arena_free(&arena);
	return report_exit_code(result);
}
