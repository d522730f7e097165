/* SPDX-License-Identifier: MIT */
/* A small real world for tests of the engine: files in a directory, and a ledger of effects. */
#ifndef PLAN_TEST_WORLD_H
#define PLAN_TEST_WORLD_H

#include "engine/journal.h"
#include "engine/plan.h"
#include "engine/run.h"
#include "engine/walk.h"

/* Modules test.file {path, content}, test.fail {kind, times}, test.look {path}, test.hang;
 * metric test.number (the number in a file). Files lie beneath the plan's directory; each effect
 * adds a line to the file `ledger` there. */
extern const struct registry world_registry;

struct world {
	struct arena arena;
	char directory[64];
	struct plan plan;
	struct journal *journal;
	struct run run;
	struct walk_result result;
};

/* A fresh directory with the plan in it, parsed, and a run begun. */
void world_begin(struct world *world, const char *yaml);
void world_end(struct world *world);

/* Walks in this process. */
void world_walk(struct world *world, enum walk_mode mode, const char *back_to);

/* Closes the journal and reads everything again, as a new process would. */
void world_reopen(struct world *world);

void world_write(const struct world *world, const char *name, const char *content);

/* The content of a file, "" when there is none. */
const char *world_read(struct world *world, const char *name);

/* What another process sees live, as `plan explain` is one: the step has that state, in time. */
bool world_shows(struct world *world, const char *step, const char *state);

/* Another process asks for that, as `plan pause` does. */
bool world_ask(struct world *world, enum request_kind kind);

/* The same as world_effects(), once it is as many, or in the end. */
int world_awaits(struct world *world, const char *line, int count);

/* How many lines of the ledger equal the text. */
int world_effects(struct world *world, const char *line);

#endif
