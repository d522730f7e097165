/* SPDX-License-Identifier: MIT */
/* The words for compared plans that all formats share. */
#include "cmd/compared.h"
#include "engine/base/clock.h"

#include <string.h>

#define SHORT ((size_t)300) /* bytes of one value that people are shown */

const char *compared_revision(const struct compared *compared, int side)
{
	return compared->commit[side][0]
	               ? arena_printf(compared->arena, "%s (%.7s)", compared->revision[side],
	                              compared->commit[side])
	               : compared->revision[side];
}

const char *compared_path(const struct compared *compared, const struct compared_plan *plan)
{
	return strcmp(plan->path[0], plan->path[1]) == 0
	               ? plan->path[1]
	               : arena_printf(compared->arena, "%s -> %s", plan->path[0], plan->path[1]);
}

bool compared_is_readable(const struct compared_plan *plan)
{
	for (int side = 0; side < 2; side++)
		if (plan->present[side] && !plan->comparison.overview[side].readable)
			return false;
	return true;
}

/* Bytes from begin to end, not cutting a character in two. */
static const char *cut(struct arena *arena, const char *text, size_t begin, size_t end)
{
	size_t length = strlen(text);

	while (begin > 0 && ((unsigned char)text[begin] & 0xc0) == 0x80)
		begin--;
	end = end < length ? end : length;
	while (end > begin && end < length && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	return arena_printf(arena, "%s%.*s%s", begin ? "..." : "", (int)(end - begin), text + begin,
	                    end < length ? arena_printf(arena, "... (%zu bytes)", length) : "");
}

const char *compared_shorten(struct arena *arena, const char *text)
{
	return text && strlen(text) > SHORT ? cut(arena, text, 0, SHORT) : text;
}

struct difference compared_shortened(struct arena *arena, const struct difference *difference)
{
	struct difference out = *difference;
	const size_t before = 40;
	size_t same = 0;

	out.subject = compared_shorten(arena, out.subject);
	out.what = compared_shorten(arena, out.what);
	out.names = compared_shorten(arena, out.names);
	if (out.from && out.to && (strlen(out.from) > SHORT || strlen(out.to) > SHORT))
		while (out.from[same] && out.from[same] == out.to[same])
			same++;
	size_t begin = same > before ? same - before : 0;
	if (out.from && (begin || strlen(out.from) > SHORT))
		out.from = cut(arena, out.from, begin, begin + SHORT);
	if (out.to && (begin || strlen(out.to) > SHORT))
		out.to = cut(arena, out.to, begin, begin + SHORT);
	return out;
}

static const char *number(struct arena *arena, size_t count)
{
	return arena_printf(arena, "%zu", count);
}

void compared_rows(const struct compared *compared, const struct compared_plan *plan,
                   struct compared_row *rows)
{
	static const char *const titles[COMPARED_ROWS] = {
		"steps",           "gates",
		"approvals",       "points of no return",
		"downtime budget", "steps while users are shut out",
		"things read",     "things changed",
		"things destroyed"};
	struct arena *arena = compared->arena;

	for (int side = 0; side < 2; side++) {
		const struct overview *overview = &plan->comparison.overview[side];
		const char *texts[COMPARED_ROWS] = {
			number(arena, overview->steps),
			number(arena, overview->gates),
			number(arena, overview->approvals),
			number(arena, overview->points_of_no_return),
			overview->budget_ms ? clock_duration_text(arena, overview->budget_ms)
					    : "none",
			number(arena, overview->shut_out),
			number(arena, overview->reached[REACH_READ]),
			number(arena, overview->reached[REACH_CHANGED]),
			number(arena, overview->reached[REACH_DESTROYED]),
		};
		for (size_t i = 0; i < COMPARED_ROWS; i++) {
			rows[i].title = titles[i];
			rows[i].text[side] = !overview->present    ? "-"
			                     : !overview->readable ? "?"
			                                           : texts[i];
		}
	}
}
