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
#define ENDING 400         /* kept free for the line that says what was left out */
#define PLAN_LEAST 1200    /* with less room than this a plan is left out whole */
#define PROBLEMS_MOST 20

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

static void difference_line(struct text *out, const struct difference *difference)
{
	static const char *const words[] = {"added", "removed", "changed"};
	static const char *const effects[] = {"", "**loosened** ", "tightened "};
	struct arena arena = {0};
	const char *from = difference->from, *to = difference->to;

	compared_shorten(&arena, &from, &to);
	text_format(out, "- %s", effects[difference->effect]);
	if (difference->kind != DIFFERENCE_CHANGED)
		text_format(out, "%s ", words[difference->kind]);
	if (difference->subject)
		code(out, difference->subject);
	if (difference->what)
		words_or_code(out, difference->subject ? ", " : "", difference->what);
	text_add(out, ": ");
	if (from)
		code(out, from);
	if (from && to)
		text_add(out, " → ");
	if (to)
		code(out, to);
	if (difference->note)
		text_format(out, "%s%s", from || to ? " (" : "", difference->note);
	if (difference->note && difference->names) {
		text_add(out, " ");
		code(out, difference->names);
	}
	text_add(out, difference->note && (from || to) ? ")\n" : "\n");
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
	text_format(&line, "\nNothing can be compared. The %s version:\n\n", side ? "new" : "old");
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

static bool is_comparable(const struct comparison *comparison)
{
	for (int side = 0; side < 2; side++)
		if (comparison->overview[side].present && !comparison->overview[side].readable)
			return false;
	return true;
}

static void put_hint(const struct compared *compared, const struct compared_plan *plan,
                     struct text *out)
{
	struct arena arena = {0};

	code(out, arena_printf(&arena, "plan diff %.80s %.160s", compared->range, plan->path[1]));
	arena_free(&arena);
}

static void put_plan(const struct compared *compared, const struct compared_plan *plan,
                     struct text *out, size_t most)
{
	const struct comparison *comparison = &plan->comparison;
	bool comparable = is_comparable(comparison);
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

static void summary_line(const struct compared *compared, const struct compared_plan *plan,
                         struct text *line)
{
	const struct overview *old = &plan->comparison.overview[0],
			      *new = &plan->comparison.overview[1];

	text_add(line, "- ");
	code(line, compared_path(compared, plan));
	text_format(line, " (%s): ", plan->status);
	put_counts(line, plan->comparison.count, plan->comparison.effects);
	if (old->points_of_no_return != new->points_of_no_return)
		text_format(line, ", **points of no return %zu → %zu**", old->points_of_no_return,
		            new->points_of_no_return);
	if (old->reached[REACH_DESTROYED] != new->reached[REACH_DESTROYED])
		text_format(line, ", **things destroyed %zu → %zu**", old->reached[REACH_DESTROYED],
		            new->reached[REACH_DESTROYED]);
	for (int side = 0; side < 2; side++)
		if (plan->problems[side].count)
			text_format(line, ", **the %s version is not valid**",
			            side ? "new" : "old");
	text_add(line, "\n");
}

static void put_summary(const struct compared *compared, struct text *out)
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
	text_add(out, ".\n\n");
	for (const struct compared_plan *one = compared->first; one; one = one->next) {
		text_clear(&line);
		summary_line(compared, one, &line);
		left += left || !put_line(out, &line, SUMMARY_MOST);
	}
	if (left)
		text_format(out, "- and %zu more plans\n", left);
	text_free(&line);
}

void compared_markdown(const struct compared *compared)
{
	struct text out = {.limit = BYTES_MOST};
	size_t plans = compared->plans, left = 0;

	put_summary(compared, &out);
	for (const struct compared_plan *one = compared->first; one; one = one->next, plans--) {
		/* What a short plan does not need is there for those after it. */
		size_t room = (BYTES_MOST - ENDING - out.length) / plans;
		if (room < PLAN_LEAST || left)
			left++;
		else if (one->comparison.count || one->problems[0].count || one->problems[1].count)
			put_plan(compared, one, &out, out.length + room);
	}
	if (left)
		text_format(&out, "\n**%zu plan%s left out here**, for want of room.\n", left,
		            left == 1 ? "" : "s");
	fputs(text_string(&out), stdout);
	text_free(&out);
}
