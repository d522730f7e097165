/* SPDX-License-Identifier: MIT */
/* Compared plans for the terminal. */
#include "cmd/compared.h"
#include "cmd/show.h"
#include "engine/base/text.h"

#include <string.h>

static const char *effect_text(enum effect effect)
{
	switch (effect) {
	case EFFECT_LOOSENED:
		return "loosened: ";
	case EFFECT_TIGHTENED:
		return "tightened: ";
	case EFFECT_NONE:
	case EFFECT_COUNT:
		return "";
	}
	return "";
}

static enum tone tone_of(const struct difference *difference)
{
	if (difference->effect == EFFECT_LOOSENED || difference->destroys ||
	    (difference->topic == TOPIC_NO_RETURN && difference->kind == DIFFERENCE_ADDED))
		return TONE_BAD;
	return difference->effect == EFFECT_TIGHTENED ? TONE_GOOD : TONE_PLAIN;
}

static void show_difference(const struct difference *whole, bool color)
{
	static const char signs[] = {'+', '-', '~'};
	struct arena arena = {0};
	const struct difference one = compared_shortened(&arena, whole);
	bool values = one.from || one.to;
	const char *note = "";

	if (one.note)
		note = arena_printf(&arena, "%s%s%s%s%s", values ? "  (" : "", one.note,
		                    one.names ? " " : "", one.names ? one.names : "",
		                    values ? ")" : "");
	show_line(stdout, color, tone_of(&one), "    %c %s%s%s%s: %s%s%s%s", signs[one.kind],
	          one.destroys ? "now destroyed: " : effect_text(one.effect),
	          one.subject ? one.subject : "", one.subject && one.what ? ", " : "",
	          one.what ? one.what : "", one.from ? one.from : "",
	          one.from && one.to ? " -> " : "", one.to ? one.to : "", note);
	arena_free(&arena);
}

static void show_differences(const struct comparison *comparison, bool color)
{
	enum topic topic = TOPIC_COUNT;

	for (size_t i = 0; i < comparison->count; i++) {
		const struct difference *difference = &comparison->list[i];
		if (difference->topic != topic)
			show_line(stdout, color, TONE_STRONG, "  %s",
			          compare_topics[difference->topic].title);
		topic = difference->topic;
		show_difference(difference, color);
	}
}

static void show_problems(const struct compared *compared, const struct compared_plan *plan,
                          bool color)
{
	for (int side = 0; side < 2; side++) {
		const struct problems *problems = &plan->problems[side];
		if (!problems->count)
			continue;
		show_line(stdout, color, TONE_BAD,
		          "  in %s it is not a valid plan:", compared_revision(compared, side));
		for (size_t i = 0; i < problems->count; i++) {
			const struct problem *problem = &problems->list[i];
			show_line(stdout, color, TONE_PLAIN, "    %s:%d:%d: %s", plan->path[side],
			          problem->at.line, problem->at.column,
			          compare_clean(compared->arena, problem->text));
		}
	}
}

static void show_overview(const struct compared *compared, const struct compared_plan *plan)
{
	struct compared_row rows[COMPARED_ROWS];

	compared_rows(compared, plan, rows);
	for (size_t i = 0; i < COMPARED_ROWS; i++) {
		bool same = strcmp(rows[i].text[0], rows[i].text[1]) == 0;
		show_line(stdout, false, TONE_PLAIN, "    %-32s %s%s%s", rows[i].title,
		          rows[i].text[0], same ? "" : " -> ", same ? "" : rows[i].text[1]);
	}
}

/* One side cannot be read: what the other one does is still worth knowing. */
static void show_other_side(const struct comparison *comparison, bool color)
{
	int side = comparison->overview[1].readable;
	const struct overview *overview = &comparison->overview[side];

	if (!overview->readable)
		return;
	show_line(stdout, color, TONE_STRONG, "  What the %s version does:", side ? "new" : "old");
	if (overview->point_names[0])
		show_line(stdout, color, TONE_PLAIN, "    points of no return: %s",
		          overview->point_names);
	for (size_t i = 0; i < comparison->reach_count; i++) {
		const struct reach *reach = &comparison->reaches[i];
		show_line(stdout, color, TONE_PLAIN, "    %s %s: %s  (by %s)", reach->kind,
		          reach->name, reach->text[side], reach->steps[side]);
	}
}

static void show_plan(const struct compared *compared, const struct compared_plan *plan, bool color)
{
	const struct comparison *comparison = &plan->comparison;
	bool comparable = compared_is_readable(plan);

	if (comparable)
		show_line(stdout, color, TONE_STRONG,
		          "%s: %s, %zu difference%s, %zu loosened, %zu tightened",
		          compared_path(compared, plan), plan->status, comparison->count,
		          comparison->count == 1 ? "" : "s", comparison->effects[EFFECT_LOOSENED],
		          comparison->effects[EFFECT_TIGHTENED]);
	else
		show_line(stdout, color, TONE_STRONG, "%s: %s, cannot be compared",
		          compared_path(compared, plan), plan->status);
	show_problems(compared, plan, color);
	if (comparison->count || !comparable)
		show_overview(compared, plan);
	show_differences(comparison, color);
	if (!comparable)
		show_other_side(comparison, color);
}

/* The first plan that is still there, or the first that is wrong. */
static void show_next(const struct compared *compared, bool color)
{
	const struct compared_plan *one = compared->first;

	while (one && (compared->invalid[1] ? one->problems[1].count == 0 : !one->present[1]))
		one = one->next;
	if (one)
		show_line(stdout, color, TONE_PLAIN, "Next: plan %s %s",
		          compared->invalid[1] ? "check" : "rehearse", one->path[1]);
}

void compared_text(const struct compared *compared, bool color)
{
	const char *old = compared_revision(compared, 0), *new = compared_revision(compared, 1);
	bool invalid = compared->invalid[0] || compared->invalid[1];

	for (const struct compared_plan *one = compared->first; one; one = one->next)
		show_plan(compared, one, color);
	if (compared->differences == 0 && !invalid) {
		show_line(stdout, color, TONE_GOOD, "%s to %s: no difference in any plan", old,
		          new);
		return;
	}
	show_line(stdout, color, TONE_STRONG,
	          "%s to %s: %zu plan%s, %zu difference%s, %zu loosened, %zu tightened", old, new,
	          compared->plans, compared->plans == 1 ? "" : "s", compared->differences,
	          compared->differences == 1 ? "" : "s", compared->effects[EFFECT_LOOSENED],
	          compared->effects[EFFECT_TIGHTENED]);
	show_next(compared, color);
}
