/* SPDX-License-Identifier: MIT */
/* Writes a plan as a Mermaid flowchart: what shapes mean, and labels that cannot leave their node.
 */
#include "cmd/mermaid.h"
#include "engine/base/arena.h"

#include <ctype.h>
#include <string.h>

#define ID_CHARACTERS ((size_t)120)
#define TITLE_CHARACTERS ((size_t)60)

/* What a step can be besides a plain box; a step may be several, its shape shows the first. */
static const struct mark {
	const char *class, *open, *close, *style, *text;
} marks[] = {
	{"irreversible", "[[", "]]", "stroke:#c00,stroke-width:3px",
         "double border, red: there is no way back"},
	{"approval", "([", "])", "fill:#ffd,color:#000", "round, yellow: people must say yes"},
	{"gate", "{{", "}}", "stroke-dasharray:5 5", "hexagon, dashed: it waits for conditions"},
};

#define MARKS (sizeof marks / sizeof *marks)

static bool has_mark(const struct plan_step *step, size_t mark)
{
	switch (mark) {
	case 0:
		return step->rollback == ROLLBACK_NEVER;
	case 1:
		return step->approval.by || step->module->traits & STEP_PERSON;
	case 2:
		return step->preconditions.count > 0;
	}
	return false;
}

/* ---- Labels ---- */

static bool continues(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Marks that no one sees but that turn the text around them about. */
static bool is_invisible(const char *c)
{
	static const char *const invisible[] = {
		"\xc2\x85",     "\xe2\x80\x8b", "\xe2\x80\x8c", "\xe2\x80\x8d", "\xe2\x80\x8e",
		"\xe2\x80\x8f", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaa", "\xe2\x80\xab",
		"\xe2\x80\xac", "\xe2\x80\xad", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa7",
		"\xe2\x81\xa8", "\xe2\x81\xa9", "\xef\xbb\xbf"};

	for (size_t i = 0; i < sizeof invisible / sizeof *invisible; i++)
		if (strncmp(c, invisible[i], strlen(invisible[i])) == 0)
			return true;
	return false;
}

/* Quotes, brackets, `%%{`, HTML and Markdown all mean something to Mermaid, and a colon before an
 * entity takes away its semicolon; so every sign that is not plain is written as its number. */
static void put_character(struct text *out, const char *c, bool after_word)
{
	unsigned char byte = (unsigned char)*c;

	if (byte < ' ' || byte == 0x7f)
		text_add(out, " ");
	else if (byte >= 0x80 || isalnum(byte) || byte == ' ' || byte == ',' ||
	         (byte == '-' && after_word))
		text_put(out, c, 1);
	else
		text_format(out, "#%d;", byte);
}

static void put_label(struct text *out, const char *text, size_t most)
{
	size_t shown = 0;

	for (const char *c = text; *c; c++) {
		if (!continues((unsigned char)*c) && is_invisible(c)) {
			for (c++; continues((unsigned char)*c); c++)
				;
			c--;
			continue;
		}
		if (!continues((unsigned char)*c) && ++shown > most) {
			text_add(out, "…");
			return;
		}
		put_character(out, c, c > text && isalnum((unsigned char)c[-1]));
	}
}

static void put_remark(struct text *out, const char *text)
{
	text_add(out, "<br/>");
	put_label(out, text, TITLE_CHARACTERS);
}

/* The same in words, for those who do not see colours and shapes. */
static void put_remarks(struct text *out, const struct plan_step *step)
{
	struct arena arena = {0};

	for (size_t i = 0; i < step->preconditions.count; i++)
		put_remark(out,
		           arena_printf(&arena, "waits for %s", step->preconditions.list[i].check));
	if (step->approval.by)
		put_remark(out,
		           arena_printf(&arena, "%lld must approve", (long long)step->approval.by));
	else if (step->module->traits & STEP_PERSON)
		put_remark(out, "a person does it");
	if (step->rollback == ROLLBACK_NEVER)
		put_remark(out, "no way back");
	arena_free(&arena);
}

static void put_node(struct text *out, const struct plan_step *step, bool titles)
{
	size_t mark = 0;

	while (mark < MARKS && !has_mark(step, mark))
		mark++;
	text_format(out, "  s%zu%s\"", step->order, mark < MARKS ? marks[mark].open : "[");
	put_label(out, step->id, ID_CHARACTERS);
	if (step->title && titles)
		put_remark(out, step->title);
	put_remarks(out, step);
	text_format(out, "\"%s\n", mark < MARKS ? marks[mark].close : "]");
}

/* ---- The chart ---- */

/* The first `count` steps; the number of edges. */
static size_t write_chart(const struct plan *plan, size_t count, bool titles, struct text *out)
{
	size_t edges = 0;

	text_clear(out);
	text_add(out, "flowchart LR\n");
	for (size_t m = 0; m < MARKS; m++)
		text_format(out, "  %%%% %s\n", marks[m].text);
	for (size_t i = 0; i < count; i++)
		put_node(out, &plan->steps[i], titles);
	if (count < plan->step_count)
		text_format(out, "  rest[\"and %zu more steps that do not fit here\"]\n",
		            plan->step_count - count);
	for (size_t i = 0; i < count; i++)
		for (size_t n = 0; n < plan->steps[i].need_count; n++, edges++)
			text_format(out, "  s%zu --> s%zu\n", plan->steps[i].needs[n]->order, i);
	for (size_t m = 0; m < MARKS; m++) {
		size_t found = 0;
		for (size_t i = 0; i < count; i++)
			if (has_mark(&plan->steps[i], m))
				text_format(out, "%ss%zu", found++ ? "," : "  class ", i);
		if (found)
			text_format(out, " %s\n  classDef %s %s\n", marks[m].class, marks[m].class,
			            marks[m].style);
	}
	return edges;
}

static bool fits(const struct plan *plan, size_t count, bool titles, struct text *out)
{
	return write_chart(plan, count, titles, out) <= MERMAID_EDGES &&
	       out->length <= MERMAID_BYTES;
}

size_t mermaid_write(const struct plan *plan, struct text *out)
{
	size_t low = 0, high = plan->step_count;

	if (fits(plan, high, true, out) || fits(plan, high, false, out))
		return 0;
	while (low + 1 < high) {
		size_t middle = (low + high) / 2;
		if (fits(plan, middle, false, out))
			low = middle;
		else
			high = middle;
	}
	write_chart(plan, low, false, out);
	return plan->step_count - low;
}
