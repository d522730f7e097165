/* SPDX-License-Identifier: MIT */
/* The statements of a batch for one table. */
#ifndef PLAN_POSTGRES_BATCH_SQL_H
#define PLAN_POSTGRES_BATCH_SQL_H

struct arena;
struct followed;

/* Fills the statements of the table; they live in the arena. */
void batch_sql_make(struct followed *table, struct arena *arena);

#endif
