/* SPDX-License-Identifier: MIT */
/* Processes that stand for other people in a rehearsal: they know nothing of the plan, note what
 * they see in a log, and end with the process that started them. */
#ifndef PLAN_REHEARSAL_HELPER_H
#define PLAN_REHEARSAL_HELPER_H

#include <sys/types.h>

struct arena;
struct error;

/* As fork(): 0 in the new process, which a ^C at the terminal does not meet; -1 with errno. */
pid_t helper_fork(void);

/* Ends it, waits, and makes *pid 0. Harmless when there is none. */
void helper_stop(pid_t *pid);

void helper_nap_ms(long ms);

/* A log as far as it is written now: whoever writes it may go on. NULL on failure. */
char *helper_read_log(const char *path, struct arena *arena, struct error *err);

#endif
