/* SPDX-License-Identifier: MIT */
/* Time: wall clock, monotonic clock, and the jump with which a rehearsal passes over long waits. */
#ifndef PLAN_CLOCK_H
#define PLAN_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct arena;

/* Milliseconds since 1970 UTC, plus the jumps of a rehearsal. */
int64_t clock_now_ms(void);

/* Milliseconds on a clock that never goes back, plus the jumps. Only differences mean something. */
int64_t clock_monotonic_ms(void);

/* The same without jumps, for timeouts on things that take real time. */
int64_t clock_real_ms(void);

/* Lets this process and all it forks later share one jump; call once, before the first fork. */
void clock_share_jumps(void);

/* Moves both clocks forward, for every process that shares them. Does nothing unless shared. */
void clock_jump_ms(int64_t forward_ms);

/* True between clock_share_jumps() and the end: a rehearsal. */
bool clock_can_jump(void);

/* "2026-01-02T03:04:05.678Z". */
char *clock_text(struct arena *arena, int64_t wall_ms);

/* "1 h 4 min", "12.3 s", "340 ms": for people. */
char *clock_duration_text(struct arena *arena, int64_t duration_ms);

#endif
