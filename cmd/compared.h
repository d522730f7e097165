/* SPDX-License-Identifier: MIT */
/* plan diff REV..REV: plans of two git revisions compared, and how that is shown. */
#ifndef PLAN_COMPARED_H
#define PLAN_COMPARED_H

#include "cmd/command.h"
#include "engine/compare.h"

/* One plan file; index 0 is the old side, 1 the new one. */
struct compared_plan {
	const char *path[2]; /* safe to show */
	bool present[2];
	const char *status; /* added, removed, renamed, changed, unchanged */
	struct problems problems[2];
	struct plan plan[2];
	struct comparison comparison;
	struct compared_plan *next;
};

struct compared {
	struct arena *arena;
	const char *range;       /* "main..HEAD", as on the command line, safe to show */
	const char *file;        /* the one that was asked for, or NULL */
	const char *revision[2]; /* safe to show */
	const char *commit[2];   /* "" for the index and the working tree */
	struct compared_plan *first;
	size_t plans, differences, effects[EFFECT_COUNT];
	size_t invalid[2]; /* plans with problems on a side */
};

/* The command, for the arguments of `plan diff` that name revisions. */
int compared_run(struct invocation *invocation);

void compared_text(const struct compared *compared, bool color);
void compared_markdown(const struct compared *compared);
void compared_json(const struct compared *compared);

/* The same difference with nothing in it too long to read; long values are cut where they are the
 * same. */
struct difference compared_shortened(struct arena *arena, const struct difference *difference);

/* A text of at most 300 bytes and a few words; NULL stays NULL. */
const char *compared_shorten(struct arena *arena, const char *text);

/* "main (1a2b3c4)". */
const char *compared_revision(const struct compared *compared, int side);

/* The path for people: "old.yaml -> new.yaml" when it was renamed. */
const char *compared_path(const struct compared *compared, const struct compared_plan *plan);

/* Whether the parts of both sides could be made out, or there is no such file on one. */
bool compared_is_readable(const struct compared_plan *plan);

/* The row of an overview: what it counts, in words. */
struct compared_row {
	const char *title;
	const char *text[2];
};

enum { COMPARED_ROWS = 9 };

/* Fills COMPARED_ROWS rows. */
void compared_rows(const struct compared *compared, const struct compared_plan *plan,
                   struct compared_row *rows);

#endif
