/* SPDX-License-Identifier: MIT */
/* Wraps journal_append() at link time: kills the whole process group at a chosen record, which
 * crash_at_append says, or at first the environment's PLAN_CRASH_AT_APPEND; and before the first of
 * the kind that PLAN_CRASH_BEFORE names ("undone") is durable. */
#include "engine/journal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

extern int crash_at_append;
int crash_at_append; /* odd: before it is durable; even: after; 0: never */

static int appended;
static const char *crash_before;

__attribute__((constructor)) static void read_environment(void)
{
	const char *text = getenv("PLAN_CRASH_AT_APPEND");

	if (text)
		crash_at_append = atoi(text);
	crash_before = getenv("PLAN_CRASH_BEFORE");
}

bool __real_journal_append(struct journal *journal, struct record *record, struct error *err);
bool __wrap_journal_append(struct journal *journal, struct record *record, struct error *err);

bool __wrap_journal_append(struct journal *journal, struct record *record, struct error *err)
{
	if (crash_at_append && ++appended == crash_at_append)
		kill(0, SIGKILL);
	if (crash_before && strcmp(record_kind_name(record->kind), crash_before) == 0)
		kill(0, SIGKILL);
	bool fine = __real_journal_append(journal, record, err);
	if (crash_at_append && ++appended == crash_at_append)
		kill(0, SIGKILL);
	return fine;
}
