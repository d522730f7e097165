/* SPDX-License-Identifier: MIT */
/* Wraps journal_append() at link time: kills the whole process group at a chosen record. */
#include "engine/journal.h"

#include <signal.h>

extern int crash_at_append;
int crash_at_append; /* odd: before it is durable; even: after; 0: never */

static int appended;

bool __real_journal_append(struct journal *journal, struct record *record, struct error *err);
bool __wrap_journal_append(struct journal *journal, struct record *record, struct error *err);

bool __wrap_journal_append(struct journal *journal, struct record *record, struct error *err)
{
	if (crash_at_append && ++appended == crash_at_append)
		kill(0, SIGKILL);
	bool fine = __real_journal_append(journal, record, err);
	if (crash_at_append && ++appended == crash_at_append)
		kill(0, SIGKILL);
	return fine;
}
