/* SPDX-License-Identifier: MIT */
/* Time, and the jump of a rehearsal. */
#include "engine/base/clock.h"
#include "engine/base/arena.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

/* Shared by all processes of a rehearsal; NULL outside of one. Set once, before the first fork. */
static _Atomic int64_t *jumped_ms;

static int64_t read_clock_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t jumps_ms(void)
{
	return jumped_ms ? atomic_load(jumped_ms) : 0;
}

int64_t clock_now_ms(void)
{
	return read_clock_ms(CLOCK_REALTIME) + jumps_ms();
}

int64_t clock_monotonic_ms(void)
{
	return read_clock_ms(CLOCK_BOOTTIME) + jumps_ms();
}

int64_t clock_real_ms(void)
{
	return read_clock_ms(CLOCK_BOOTTIME);
}

void clock_share_jumps(void)
{
	void *page = mmap(NULL, sizeof *jumped_ms, PROT_READ | PROT_WRITE,
	                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page != MAP_FAILED)
		jumped_ms = page;
}

void clock_jump_ms(int64_t forward_ms)
{
	if (jumped_ms && forward_ms > 0)
		atomic_fetch_add(jumped_ms, forward_ms);
}

bool clock_can_jump(void)
{
	return jumped_ms != NULL;
}

char *clock_text(struct arena *arena, int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm utc;
	char text[32];

	gmtime_r(&seconds, &utc);
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
	return arena_printf(arena, "%s.%03dZ", text, (int)(wall_ms % 1000));
}

char *clock_duration_text(struct arena *arena, int64_t duration_ms)
{
	long long s = duration_ms / 1000;

	if (duration_ms < 1000)
		return arena_printf(arena, "%lld ms", (long long)duration_ms);
	if (s < 60)
		return arena_printf(arena, "%lld.%lld s", s, (long long)(duration_ms % 1000 / 100));
	if (s < 3600)
		return s % 60 ? arena_printf(arena, "%lld min %lld s", s / 60, s % 60)
		              : arena_printf(arena, "%lld min", s / 60);
	if (s < 86400)
		return s / 60 % 60 ? arena_printf(arena, "%lld h %lld min", s / 3600, s / 60 % 60)
		                   : arena_printf(arena, "%lld h", s / 3600);
	return s / 3600 % 24 ? arena_printf(arena, "%lld d %lld h", s / 86400, s / 3600 % 24)
	                     : arena_printf(arena, "%lld d", s / 86400);
}
