/* SPDX-License-Identifier: MIT */
/* Colours, widths, and text that cannot steer the terminal. */
#include "cmd/show.h"
#include "engine/base/arena.h"
#include "engine/base/json.h"
#include "engine/base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const tones[] = {
	[TONE_PLAIN] = "",       [TONE_GOOD] = "\033[32m", [TONE_WARN] = "\033[33m",
	[TONE_BAD] = "\033[31m", [TONE_DIM] = "\033[2m",   [TONE_STRONG] = "\033[1m",
};

bool show_wants_color(const char *when, FILE *stream)
{
	const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");

	if (when && strcmp(when, "always") == 0)
		return true;
	if ((when && strcmp(when, "never") == 0) || (no_color && no_color[0]))
		return false;
	return isatty(fileno(stream)) && terminal && strcmp(terminal, "dumb") != 0;
}

void show_text(FILE *stream, bool color, enum tone tone, const char *text)
{
	struct arena arena = {0};
	struct text safe = {0};

	value_print(value_text(&arena, text), &safe);
	fprintf(stream, "%s%s%s", color ? tones[tone] : "", text_string(&safe),
	        color && tone != TONE_PLAIN ? "\033[0m" : "");
	text_free(&safe);
	arena_free(&arena);
}

void show_line(FILE *stream, bool color, enum tone tone, const char *format, ...)
{
	struct arena arena = {0};
	va_list arguments;

	va_start(arguments, format);
	show_text(stream, color, tone, arena_vprintf(&arena, format, arguments));
	va_end(arguments);
	fputc('\n', stream);
	arena_free(&arena);
}

const char *show_word(struct arena *arena, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./:@%+=,-";

	if (word[0] && !word[strspn(word, plain)])
		return word;
	return arena_printf(arena, "'%s'", text_replace(arena, word, "'", "'\\''"));
}

void show_json(FILE *stream, const struct value *value)
{
	struct text out = {0};

	json_write(value, NULL, &out);
	fprintf(stream, "%s\n", text_string(&out));
	text_free(&out);
}

static const char *printed(const struct value *value, struct arena *arena)
{
	struct text out = {.limit = 200};

	value_print(value, &out);
	char *copy = arena_printf(arena, "%s%s", text_string(&out), out.full ? "..." : "");
	text_free(&out);
	return copy;
}

void show_changes(FILE *stream, bool color, const struct value *changes)
{
	struct arena arena = {0};

	for (const struct value *one = changes ? changes->as.items.first : NULL; one;
	     one = one->next) {
		const struct value *from = value_get(one, "from"), *to = value_get(one, "to");
		const char *path = value_get_text(one, "path", ""),
			   *note = value_get_text(one, "note", NULL);
		const char *line = arena_printf(
			&arena, "      %c %-24s %s%s%s%s%s%s", from ? to ? '~' : '-' : '+', path,
			from ? printed(from, &arena) : "", from && to ? " -> " : "",
			to ? printed(to, &arena) : "", note ? "  (" : "", note ? note : "",
			note ? ")" : "");
		show_line(stream, color, from ? to ? TONE_WARN : TONE_BAD : TONE_GOOD, "%s", line);
	}
	arena_free(&arena);
}

bool show_flush(void)
{
	return fflush(stdout) == 0 && !ferror(stdout);
}
