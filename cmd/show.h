/* SPDX-License-Identifier: MIT */
/* How things look to people: the only file that knows colours and widths. */
#ifndef PLAN_SHOW_H
#define PLAN_SHOW_H

#include "engine/base/value.h"

#include <stdio.h>

enum tone { TONE_PLAIN, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_DIM, TONE_STRONG };

/* Whether colours are wanted: when is "auto", "always", "never" or NULL (auto). */
bool show_wants_color(const char *when, FILE *stream);

/* Prints text in a tone, control characters escaped. */
void show_text(FILE *stream, bool color, enum tone tone, const char *text);

/* The same, formatted, with a newline. */
void show_line(FILE *stream, bool color, enum tone tone, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A word as a shell takes it: in quotes when it must be. */
const char *show_word(struct arena *arena, const char *word);

/* One line of JSON. */
void show_json(FILE *stream, const struct value *value);

/* Changes as `looked` and intents give them: LIST of MAPs path, from, to, note. */
void show_changes(FILE *stream, bool color, const struct value *changes);

/* False when stdout could not take all that was written: the disk is full, the reader is gone. */
bool show_flush(void);

#endif
