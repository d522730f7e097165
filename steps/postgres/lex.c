/* SPDX-License-Identifier: MIT */
/* SQL taken apart, as far as the server and pg_dump write it. */
#include "steps/postgres/lex.h"
#include "engine/base/arena.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- Tokens ---- */

static bool begins_word(char c)
{
	return isalpha((unsigned char)c) || c == '_' || (c & 0x80);
}

static bool goes_on_word(char c)
{
	return begins_word(c) || isdigit((unsigned char)c) || c == '$';
}

/* Past a quoted thing whose quote is doubled inside; with backslashes also past what they escape.
 */
static const char *past_quotes(const char *at, char quote, bool backslashes)
{
	for (at++; *at; at++) {
		if ((backslashes && *at == '\\' && at[1]) || (*at == quote && at[1] == quote))
			at++;
		else if (*at == quote)
			return at + 1;
	}
	return at;
}

/* Past $tag$...$tag$; at itself when none begins here. */
static const char *past_dollars(const char *at)
{
	const char *tag_end = at + 1;

	if (begins_word(*tag_end))
		while (goes_on_word(*tag_end) && *tag_end != '$')
			tag_end++;
	if (*tag_end != '$')
		return at;
	size_t length = (size_t)(tag_end - at) + 1;
	for (const char *end = tag_end + 1; *end; end++)
		if (*end == '$' && strncmp(end, at, length) == 0)
			return end + length;
	return at + strlen(at);
}

/* Blocks may be nested. */
static const char *past_block(const char *at)
{
	int depth = 0;

	do {
		if (at[0] == '/' && at[1] == '*')
			depth++, at += 2;
		else if (at[0] == '*' && at[1] == '/')
			depth--, at += 2;
		else
			at++;
	} while (*at && depth > 0);
	return at;
}

static const char *past_word(const char *at)
{
	while (goes_on_word(*at) ||
	       (*at == '.' && isdigit((unsigned char)at[-1]) && isdigit((unsigned char)at[1])))
		at++;
	return at;
}

static enum lex_kind scan(const char *at, const char **end)
{
	*end = at + 1;
	if (*at == '\0')
		return *end = at, LEX_END;
	if (isspace((unsigned char)*at))
		return *end = at + strspn(at, " \t\r\n\f\v"), LEX_SPACE;
	if (at[0] == '-' && at[1] == '-')
		return *end = at + strcspn(at, "\n"), LEX_COMMENT;
	if (at[0] == '/' && at[1] == '*')
		return *end = past_block(at), LEX_COMMENT;
	if (*at == '\\') /* nothing else of SQL begins so */
		return *end = at + strcspn(at, "\n"), LEX_META;
	if (*at == '\'')
		return *end = past_quotes(at, '\'', false), LEX_STRING;
	if ((*at == 'E' || *at == 'e') && at[1] == '\'')
		return *end = past_quotes(at + 1, '\'', true), LEX_STRING;
	if (*at == '"')
		return *end = past_quotes(at, '"', false), LEX_NAME;
	if (*at == '$' && past_dollars(at) != at)
		return *end = past_dollars(at), LEX_STRING;
	if (goes_on_word(*at))
		return *end = past_word(at), LEX_WORD;
	return LEX_SYMBOL;
}

struct lex_token lex_next(const char **at)
{
	struct lex_token token = {.text = *at};
	const char *end;

	token.kind = scan(*at, &end);
	token.length = (size_t)(end - *at);
	*at = end;
	return token;
}

struct lex_token lex_next_word(const char **at)
{
	struct lex_token token;

	do
		token = lex_next(at);
	while (token.kind == LEX_SPACE || token.kind == LEX_COMMENT || token.kind == LEX_META);
	return token;
}

bool lex_is(struct lex_token token, const char *word)
{
	return (token.kind == LEX_WORD || token.kind == LEX_SYMBOL) &&
	       token.length == strlen(word) && strncasecmp(token.text, word, token.length) == 0;
}

/* ---- What comes next ---- */

bool lex_skip(const char **at, const char *words)
{
	const char *here = *at;
	char word[64];

	while (*words) {
		size_t length = strcspn(words, " ");
		if (length >= sizeof word)
			return false;
		memcpy(word, words, length);
		word[length] = '\0';
		if (!lex_is(lex_next_word(&here), word))
			return false;
		words += length + strspn(words + length, " ");
	}
	*at = here;
	return true;
}

bool lex_find(const char **at, const char *word)
{
	const char *here = *at;
	int depth = 0;

	for (;;) {
		struct lex_token token = lex_next_word(&here);
		if (token.kind == LEX_END)
			return false;
		if (depth == 0 && lex_is(token, word)) {
			*at = here;
			return true;
		}
		depth += lex_is(token, "(") - lex_is(token, ")");
	}
}

static const char *unquoted(struct lex_token token, struct arena *arena)
{
	char *out = arena_alloc(arena, token.length + 1), *end = out;

	for (size_t i = 1; i + 1 < token.length; i++) {
		*end++ = token.text[i];
		if (token.text[i] == '"')
			i++;
	}
	return out;
}

const char *lex_name(const char **at, struct arena *arena)
{
	const char *here = *at;
	struct lex_token token = lex_next_word(&here);

	if (token.kind != LEX_NAME && token.kind != LEX_WORD)
		return NULL;
	*at = here;
	return token.kind == LEX_NAME ? unquoted(token, arena)
	                              : arena_text_n(arena, token.text, token.length);
}

bool lex_qualified_name(const char **at, struct arena *arena, const char **schema,
                        const char **name)
{
	*schema = "";
	*name = lex_name(at, arena);
	if (!*name)
		return false;
	if (!lex_skip(at, "."))
		return true;
	*schema = *name;
	*name = lex_name(at, arena);
	return *name != NULL;
}

const char *lex_statement(const char **at, struct arena *arena)
{
	const char *here = *at, *from = NULL;
	struct lex_token token;

	do {
		token = lex_next_word(&here);
		if (!from)
			from = token.text;
	} while (token.kind != LEX_END && !lex_is(token, ";"));
	*at = here;
	return from == token.text ? NULL : arena_text_n(arena, from, (size_t)(here - from));
}

/* ---- Comparing ---- */

/* The next token that counts: no parenthesis, and of a qualified name its last part. */
static struct lex_token next_meaning(const char **at)
{
	struct lex_token token;

	do {
		token = lex_next_word(at);
		for (const char *here = *at;
		     (token.kind == LEX_WORD || token.kind == LEX_NAME) && lex_skip(&here, ".");
		     here = *at) {
			struct lex_token part = lex_next_word(&here);
			if (part.kind != LEX_WORD && part.kind != LEX_NAME)
				break;
			token = part;
			*at = here;
		}
	} while (lex_is(token, "(") || lex_is(token, ")"));
	return token;
}

bool lex_is_alike(const char *one, const char *other)
{
	for (;;) {
		struct lex_token left = next_meaning(&one), right = next_meaning(&other);
		if (left.kind != right.kind || left.length != right.length ||
		    memcmp(left.text, right.text, left.length) != 0)
			return false;
		if (left.kind == LEX_END)
			return true;
	}
}
