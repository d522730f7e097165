/* SPDX-License-Identifier: MIT */
/* Compared plans as the comment on a pull request: a marker line by which a bot finds it again, the
 * summary first, never too long for the forges, and nothing of a plan outside of code spans, where
 * it could become markup, a link or a mention. */
#include "cmd/compared.h"
#include "engine/base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define BYTES_MOST 60000   /* a byte is at most a character; GitHub takes 65,536 characters */
#define SUMMARY_MOST 16000 /* of it for the list of plans */
#define ENDING 900         /* kept free for the line that says what was left out */
#define PLAN_LEAST 2500    /* with less room than this a plan is left out whole */
#define PROBLEMS_MOST 20
#define SUBJECTS_MOST 5

/* ---- Code spans ---- */

static size_t longest_run(const char *text)
{
	size_t longest = 0, run = 0;

	for (; *text; text++) {
		run = *text == '`' ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	return longest;
}

/* Inside a code span nothing means anything but a run of backticks as long as the fence. */
static void code(struct text *out, const char *content)
{
	size_t fence = longest_run(content) + 1, length = strlen(content);
	bool pad = !length || content[0] == '`' || content[length - 1] == '`' ||
	           (content[0] == ' ' && content[length - 1] == ' ');

	for (size_t i = 0; i < fence; i++)
		text_add(out, "`");
	text_format(out, "%s%s%s", pad ? " " : "", content, pad ? " " : "");
	for (size_t i = 0; i < fence; i++)
		text_add(out, "`");
}

/* Small letters and spaces cannot be markup. */
static void words_or_code(struct text *out, const char *before, const char *words)
{
	text_add(out, before);
	if (strspn(words, "abcdefghijklmnopqrstuvwxyz ") == strlen(words))
		text_add(out, words);
	else
		code(out, words);
}

/* ---- Lines ---- */

static void difference_line(struct text *out, const struct difference *whole)
{
	static const char *const words[] = {"added", "removed", "changed"};
	static const char *const effects[] = {"", "**loosened** ", "tightened "};
	struct arena arena = {0};
	const struct difference one = compared_shortened(&arena, whole);
	bool values = one.from || one.to;

	text_format(out, "- %s%s", effects[one.effect], one.destroys ? "**now destroyed** " : "");
	if (one.kind != DIFFERENCE_CHANGED)
		text_format(out, "%s ", words[one.kind]);
	if (one.subject)
		code(out, one.subject);
	if (one.what)
		words_or_code(out, one.subject ? ", " : "", one.what);
	text_add(out, ": ");
	if (one.from)
		code(out, one.from);
	if (one.from && one.to)
		text_add(out, " → ");
	if (one.to)
		code(out, one.to);
	if (one.note)
		text_format(out, "%s%s", values ? " (" : "", one.note);
	if (one.note && one.names) {
		text_add(out, " ");
		code(out, one.names);
	}
	text_add(out, one.note && values ? ")\n" : "\n");
	arena_free(&arena);
}

static void overview_table(const struct compared *compared, const struct compared_plan *plan,
                           struct text *out)
{
	struct compared_row rows[COMPARED_ROWS];

	compared_rows(compared, plan, rows);
	text_add(out, "\n| | old | new |\n| --- | ---: | ---: |\n");
	for (size_t i = 0; i < COMPARED_ROWS; i++) {
		bool same = strcmp(rows[i].text[0], rows[i].text[1]) == 0;
		const char *bold = same ? "" : "**";
		text_format(out, "| %s | %s | %s%s%s |\n", rows[i].title, rows[i].text[0], bold,
		            rows[i].text[1], bold);
	}
}

static void problem_list(const struct compared *compared, const struct compared_plan *plan,
                         struct text *out)
{
	for (int side = 0; side < 2; side++) {
		const struct problems *problems = &plan->problems[side];
		if (!problems->count)
			continue;
		text_format(out, "\n**The %s version is not a valid plan:**\n\n",
		            side ? "new" : "old");
		for (size_t i = 0; i < problems->count && i < PROBLEMS_MOST; i++) {
			const struct problem *problem = &problems->list[i];
			text_format(out, "- line %d, column %d: ", problem->at.line,
			            problem->at.column);
			code(out, compare_clean(compared->arena, problem->text));
			text_add(out, "\n");
		}
		if (problems->count > PROBLEMS_MOST)
			text_format(out, "- and %zu more\n", problems->count - PROBLEMS_MOST);
	}
}

/* ---- A plan ---- */

/* Adds a line unless the text would become longer than `most`. */
static bool put_line(struct text *out, const struct text *line, size_t most)
{
	return out->length + line->length <= most && text_add(out, text_string(line));
}

static size_t put_differences(const struct comparison *comparison, struct text *out, size_t most)
{
	enum topic topic = TOPIC_COUNT;
	struct text line = {0};
	size_t i = 0;

	for (; i < comparison->count; i++) {
		const struct difference *difference = &comparison->list[i];
		text_clear(&line);
		if (difference->topic != topic)
			text_format(&line, "\n#### %s\n\n",
			            compare_topics[difference->topic].title);
		topic = difference->topic;
		difference_line(&line, difference);
		if (!put_line(out, &line, most))
			break;
	}
	text_free(&line);
	return comparison->count - i;
}

/* One side cannot be read: what the other one does is still worth knowing. */
static void put_other_side(const struct comparison *comparison, struct text *out, size_t most)
{
	int side = comparison->overview[1].readable;
	const struct overview *overview = &comparison->overview[side];
	struct text line = {0};

	if (!overview->readable)
		return;
	text_format(&line, "\nNothing can be compared. What the %s version does:\n\n",
	            side ? "new" : "old");
	if (overview->point_names[0]) {
		text_add(&line, "- points of no return: ");
		code(&line, overview->point_names);
		text_add(&line, "\n");
	}
	bool fits = put_line(out, &line, most);
	for (size_t i = 0; fits && i < comparison->reach_count; i++) {
		const struct reach *reach = &comparison->reaches[i];
		text_clear(&line);
		text_add(&line, "- ");
		code(&line, reach->kind);
		text_add(&line, " ");
		code(&line, reach->name);
		text_add(&line, ": ");
		code(&line, reach->text[side]);
		text_add(&line, "\n");
		fits = put_line(out, &line, most);
	}
	text_free(&line);
}

static void put_hint(const struct compared *compared, const struct compared_plan *plan,
                     struct text *out)
{
	struct arena arena = {0};

	code(out, arena_printf(&arena, "plan diff %s %s", compared_shorten(&arena, compared->range),
	                       compared_shorten(&arena, plan->path[1])));
	arena_free(&arena);
}

static void put_plan(const struct compared *compared, const struct compared_plan *plan,
                     struct text *out, size_t most)
{
	const struct comparison *comparison = &plan->comparison;
	bool comparable = compared_is_readable(plan);
	struct text head = {0};

	text_add(&head, "\n### ");
	code(&head, compared_path(compared, plan));
	text_add(&head, "\n");
	problem_list(compared, plan, &head);
	if (comparison->count || !comparable)
		overview_table(compared, plan, &head);
	else
		text_add(&head, "\nNo difference in what it does.\n");
	bool fits = put_line(out, &head, most - ENDING);
	text_free(&head);
	size_t left = fits ? put_differences(comparison, out, most - ENDING) : comparison->count;
	if (fits && !comparable)
		put_other_side(comparison, out, most - ENDING);
	if (fits && left == 0)
		return;
	text_format(out,
	            "\n**%zu difference%s of this plan left out here**, for want of room: ", left,
	            left == 1 ? "" : "s");
	put_hint(compared, plan, out);
	text_add(out, " shows all.\n");
}

/* ---- The whole ---- */

/* `<!-- plan-diff: plans/x.yaml -->`: one comment for each file that is asked for by name. */
static void put_marker(const struct compared *compared, struct text *out)
{
	text_add(out, "<!-- plan-diff");
	if (compared->file)
		text_add(out, ": ");
	for (const char *c = compared->file; c && *c && c - compared->file < 500; c++) {
		bool plain = isalnum((unsigned char)*c) || strchr("._/", *c) ||
		             (*c == '-' && c[1] != '-');
		if (plain)
			text_put(out, c, 1);
		else
			text_format(out, "%%%02X", (unsigned char)*c);
	}
	text_add(out, " -->\n");
}

static void put_counts(struct text *out, size_t differences, const size_t *effects)
{
	text_format(out, "%zu difference%s", differences, differences == 1 ? "" : "s");
	if (effects[EFFECT_LOOSENED])
		text_format(out, ", **%zu loosened**", effects[EFFECT_LOOSENED]);
	if (effects[EFFECT_TIGHTENED])
		text_format(out, ", %zu tightened", effects[EFFECT_TIGHTENED]);
}

/* The subjects of one topic and kind: what nobody should overlook. */
static void put_subjects(const struct comparison *comparison, enum topic topic,
                         enum difference_kind kind, const char *words, struct text *line)
{
	size_t count = 0;

	for (size_t i = 0; i < comparison->count; i++) {
		const struct difference *one = &comparison->list[i];
		bool wanted = one->topic == topic &&
		              (topic == TOPIC_REACH ? one->destroys : one->kind == kind);
		if (!wanted || count++ >= SUBJECTS_MOST)
			continue;
		text_add(line, count == 1 ? words : ", ");
		code(line, compared_shorten(comparison->arena, one->subject));
	}
	if (count > SUBJECTS_MOST)
		text_format(line, " and %zu more", count - SUBJECTS_MOST);
}

static void summary_line(const struct compared *compared, const struct compared_plan *plan,
                         struct text *line)
{
	const struct comparison *comparison = &plan->comparison;

	text_add(line, "- ");
	code(line, compared_path(compared, plan));
	text_format(line, " (%s): ", plan->status);
	if (compared_is_readable(plan))
		put_counts(line, comparison->count, comparison->effects);
	else
		text_add(line, "cannot be compared");
	put_subjects(comparison, TOPIC_REACH, DIFFERENCE_ADDED, "; **now destroyed:** ", line);
	put_subjects(comparison, TOPIC_NO_RETURN, DIFFERENCE_ADDED,
	             "; **new point of no return:** ", line);
	put_subjects(comparison, TOPIC_NO_RETURN, DIFFERENCE_REMOVED,
	             "; **no longer a point of no return:** ", line);
	for (int side = 0; side < 2; side++)
		if (plan->problems[side].count)
			text_format(line, "; **the %s version is not valid**",
			            side ? "new" : "old");
	text_add(line, "\n");
}

static void put_summary(const struct compared *compared, const struct compared_plan **order,
                        struct text *out)
{
	struct text line = {0};
	size_t left = 0;

	put_marker(compared, out);
	text_add(out, "## Plans compared: ");
	code(out, compared_revision(compared, 0));
	text_add(out, " → ");
	code(out, compared_revision(compared, 1));
	if (compared->differences == 0 && !compared->invalid[0] && !compared->invalid[1]) {
		text_add(out, "\n\nNo difference in any plan.\n");
		return;
	}
	text_format(out, "\n\n%zu plan%s: ", compared->plans, compared->plans == 1 ? "" : "s");
	put_counts(out, compared->differences, compared->effects);
	if (compared->invalid[1])
		text_format(out, ", **%zu not valid**", compared->invalid[1]);
	text_add(out, ".\n\n");
	for (size_t i = 0; order[i]; i++) {
		text_clear(&line);
		summary_line(compared, order[i], &line);
		left += left || !put_line(out, &line, SUMMARY_MOST);
	}
	if (left)
		text_format(out, "- and %zu more plans\n", left);
	text_free(&line);
}

/* A plan that was there before and now demands less, destroys more or is no longer valid is shown
 * first: many new plans must not push it out. */
static bool comes_first(const struct compared_plan *plan)
{
	const struct comparison *comparison = &plan->comparison;
	bool grave = comparison->effects[EFFECT_LOOSENED] || plan->problems[1].count;

	for (size_t i = 0; i < comparison->count && !grave; i++)
		grave = comparison->list[i].topic == TOPIC_NO_RETURN ||
		        comparison->list[i].destroys;
	return grave && plan->present[0];
}

static const struct compared_plan **in_order(const struct compared *compared)
{
	const struct compared_plan **order =
		arena_array(compared->arena, compared->plans + 1, sizeof(void *));
	size_t count = 0;

	for (int first = 1; first >= 0; first--)
		for (const struct compared_plan *one = compared->first; one; one = one->next)
			if (comes_first(one) == first)
				order[count++] = one;
	return order;
}

void compared_markdown(const struct compared *compared)
{
	struct text out = {.limit = BYTES_MOST};
	const struct compared_plan **order = in_order(compared);
	size_t left = 0;

	put_summary(compared, order, &out);
	for (size_t i = 0; order[i]; i++) {
		const struct compared_plan *one = order[i];
		bool differs =
			one->comparison.count || one->problems[0].count || one->problems[1].count;
		/* What a short plan does not need is there for those after it. */
		size_t all = BYTES_MOST - ENDING - out.length;
		size_t room = all / (compared->plans - i);
		if (all < PLAN_LEAST || left)
			left++;
		else if (differs)
			put_plan(compared, one, &out,
			         out.length + (room > PLAN_LEAST ? room : PLAN_LEAST));
	}
	if (left)
		text_format(&out, "\n**%zu plan%s left out here**, for want of room.\n", left,
		            left == 1 ? "" : "s");
	fputs(text_string(&out), stdout);
	text_free(&out);
}
