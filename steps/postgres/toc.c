/* SPDX-License-Identifier: MIT */
/* What pg_restore prints, split into the entries of the archive. */
#include "steps/postgres/toc.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "steps/postgres/lex.h"

#include <string.h>

#define BEGINS "-- Name: "

/* Where `what` begins for the last time in the first `length` bytes; NULL when it does not. */
static char *find_last(char *text, size_t length, const char *what)
{
	size_t size = strlen(what);

	for (size_t at = length >= size ? length - size + 1 : 0; at-- > 0;)
		if (strncmp(text + at, what, size) == 0)
			return text + at;
	return NULL;
}

/* Cut from the right: a name may hold any of the words, a type and "-" cannot. */
static bool read_head(struct lex_token comment, struct arena *arena, struct toc_entry *entry,
                      struct error *err)
{
	static const char *const words[] = {"; Owner: ", "; Schema: ", "; Type: "};
	char *line = arena_text_n(arena, comment.text, comment.length), *value[3];
	size_t length = comment.length;

	for (size_t i = 0; i < 3; i++) {
		char *found = find_last(line, length, words[i]);
		if (!found)
			return fail(err, ERROR_FAILED,
			            "pg_restore printed a comment of an unknown shape: %s", line);
		value[i] = found + strlen(words[i]);
		length = (size_t)(found - line);
		*found = '\0';
	}
	entry->schema = strcmp(value[1], "-") == 0 ? "" : value[1];
	entry->type = value[2];
	entry->name = line + strlen(BEGINS);
	return true;
}

static bool is_head(struct lex_token token)
{
	return token.kind == LEX_COMMENT && strncmp(token.text, BEGINS, strlen(BEGINS)) == 0;
}

/* Trimmed. */
static const char *sql_of(const struct text *gathered, struct arena *arena)
{
	const char *from = text_string(gathered);
	size_t length;

	from += strspn(from, " \n");
	length = strlen(from);
	while (length && (from[length - 1] == '\n' || from[length - 1] == ' '))
		length--;
	return arena_text_n(arena, from, length);
}

bool toc_read(const char *text, struct arena *arena, struct toc_entry **first, struct error *err)
{
	struct toc_entry *entry = NULL, *before;
	struct text gathered = {.limit = strlen(text) + 1};
	struct lex_token token;
	bool good = true;

	*first = NULL;
	do {
		token = lex_next(&text);
		bool head = is_head(token);
		if ((head || token.kind == LEX_END) && entry)
			entry->sql = sql_of(&gathered, arena);
		if (head) {
			text_clear(&gathered);
			before = entry;
			entry = arena_alloc(arena, sizeof *entry);
			*(before ? &before->next : first) = entry;
			good = read_head(token, arena, entry, err);
		} else if (token.kind != LEX_COMMENT && token.kind != LEX_META) {
			text_put(&gathered, token.text, token.length);
		}
	} while (good && token.kind != LEX_END);
	text_free(&gathered);
	return good;
}

const char *toc_title(const struct toc_entry *entry, struct arena *arena)
{
	return arena_printf(arena, "%s %s%s%s", entry->type, entry->schema,
	                    entry->schema[0] ? "." : "", entry->name);
}
