/* SPDX-License-Identifier: MIT */
/* The inside of a journal in SQLite; only journal.c and journal_request.c. */
#ifndef PLAN_JOURNAL_STORE_H
#define PLAN_JOURNAL_STORE_H

#include "engine/base/arena.h"
#include "engine/journal.h"
#include "engine/seal.h"

#include <sqlite3.h>
#include <sys/types.h>

struct journal {
	struct arena arena;
	sqlite3 *database;
	char *path, *lock_path, *key_path;
	struct seal_key key;
	struct sealer sealer;
	int lock;      /* descriptor that holds the lock; -1 */
	int64_t epoch; /* with which the lock was taken; 0: not locked */
	pid_t owner;   /* the process that opened it; children must not touch the database */
};

/* False, with an error that says what it was for. */
bool store_failed(struct journal *journal, const char *doing, struct error *err);
bool store_run(struct journal *journal, const char *sql, const char *doing, struct error *err);

/* NULL when it is not valid. */
sqlite3_stmt *store_prepare(struct journal *journal, const char *sql);

void store_bind_text(sqlite3_stmt *statement, int index, const char *text);
const char *store_column_text(struct arena *arena, sqlite3_stmt *statement, int index);

/* The index of a name, or -1. */
int store_kind(const char *const *names, int count, const char *name);

#endif
