/* SPDX-License-Identifier: MIT */
/* SQL taken apart, as far as the server and pg_dump write it: with standard_conforming_strings. */
#ifndef PLAN_POSTGRES_LEX_H
#define PLAN_POSTGRES_LEX_H

#include <stdbool.h>
#include <stddef.h>

struct arena;

enum lex_kind {
	LEX_END,
	LEX_SPACE,
	LEX_COMMENT, /* a line with --, without its end, or a block */
	LEX_META,    /* a line for psql, beginning with a backslash */
	LEX_WORD,    /* a keyword, an unquoted name, a number */
	LEX_NAME,    /* a name in double quotes */
	LEX_STRING,  /* '...', E'...', $tag$...$tag$ */
	LEX_SYMBOL,  /* one character */
};

struct lex_token {
	enum lex_kind kind;
	const char *text; /* in the SQL, not ended by a NUL */
	size_t length;
};

/* The next token at *at, which moves behind it. What is not closed goes on to the end. */
struct lex_token lex_next(const char **at);

/* The next that is neither space nor comment. */
struct lex_token lex_next_word(const char **at);

/* True for that unquoted word, in any case, or that symbol. */
bool lex_is(struct lex_token token, const char *word);

/* Moves *at past each of the words, which are separated by single spaces; false, and *at stays,
 * when they do not come next. */
bool lex_skip(const char **at, const char *words);

/* Moves *at behind the next such word outside of parentheses; false when there is none. */
bool lex_find(const char **at, const char *word);

/* Reads a name; in the arena, without its quotes. NULL, and *at stays, when none comes next. */
const char *lex_name(const char **at, struct arena *arena);

/* Reads schema.name; *schema is "" for a name alone. */
bool lex_qualified_name(const char **at, struct arena *arena, const char **schema,
                        const char **name);

/* The statement that begins at *at with its semicolon, in the arena; NULL at the end. */
const char *lex_statement(const char **at, struct arena *arena);

/* True when two texts differ in nothing but layout, parentheses and the qualification of names:
 * what the server writes differently from one major version to the next. */
bool lex_is_alike(const char *one, const char *other);

#endif
