/* SPDX-License-Identifier: MIT */
/* A comparison on its way: table by table, range by range, in pairs of snapshots that are short. */
#ifndef PLAN_POSTGRES_COMPARE_RUN_H
#define PLAN_POSTGRES_COMPARE_RUN_H

#include "steps/postgres/discrepancy.h"
#include "steps/postgres/pair.h"
#include "steps/postgres/range.h"
#include "steps/postgres/twin.h"

struct comparison {
	struct step *step;
	struct pair pair; /* with databases and mode */
	struct twin_choice choice;
	struct pace pace;
	struct discrepancies discrepancies;
	struct twins twins;
	const struct twin *at;           /* the table now; NULL at the end */
	const char *done[RANGE_COLUMNS]; /* of it, the key up to which it was compared; [0] NULL */
	int64_t rows;                    /* compared, all together */
	int64_t began_ms, shown_ms;      /* clock_real_ms() */
	int64_t failing_ms, failed_at; /* since when nothing came of it, and after how many rows */
};

/* Goes through all tables; a lost connection is made again, and what was compared stays so. */
bool compare_run(struct comparison *comparison, struct error *err);

#endif
