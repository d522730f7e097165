/* SPDX-License-Identifier: MIT */
/* Checks of time: how long ago a step was done, and whether a window is open. */
#include "engine/base/clock.h"
#include "steps/local/local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool since(struct step *step, const struct value *of, struct reading *reading,
                  struct error *err)
{
	const char *name = value_reveal(of);
	int64_t done_ms = step_finished_at_ms(step, name);

	if (!done_ms)
		return fail(err, ERROR_RETRY, "step %s is not done", name);
	reading->value = value_number(step->arena, clock_now_ms() - done_ms);
	return true;
}

/* ---- window ---- */

static int minute_of_day(const char *text)
{
	int hour = 0, minute = 0;

	sscanf(text, "%d:%d", &hour, &minute);
	return hour * 60 + minute;
}

static bool has_day(const struct value *window, int day)
{
	static const char *const days[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
	const struct value *list = value_get(window, "days");

	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next)
		if (strcmp(value_reveal(one) ? value_reveal(one) : "", days[day]) == 0)
			return true;
	return false;
}

static bool zone_exists(struct step *step, const char *zone)
{
	const char *path = arena_printf(step->arena, "/usr/share/zoneinfo/%s", zone);

	return !strstr(zone, "..") && (strcmp(zone, "UTC") == 0 || access(path, R_OK) == 0);
}

/* A window that ends before it begins goes past midnight and belongs to the day it began on. */
static bool is_open(const struct value *window, const struct tm *now)
{
	int from = minute_of_day(value_get_text(window, "from", "00:00"));
	int to = minute_of_day(value_get_text(window, "to", "00:00"));
	int minute = now->tm_hour * 60 + now->tm_min;

	if (from < to)
		return has_day(window, now->tm_wday) && minute >= from && minute < to;
	return (has_day(window, now->tm_wday) && minute >= from) ||
	       (has_day(window, (now->tm_wday + 6) % 7) && minute < to);
}

/* Minute by minute, because clocks are put forward and back. 0: not within the next eight days. */
static int64_t opens_at_ms(const struct value *window, time_t now)
{
	time_t last = now + (time_t)8 * 24 * 60 * 60;
	struct tm then;

	for (time_t minute = now - now % 60 + 60; minute < last; minute += 60)
		if (is_open(window, localtime_r(&minute, &then)))
			return (int64_t)minute * 1000;
	return 0;
}

static bool open_now(struct step *step, const struct value *of, struct reading *reading,
                     struct error *err)
{
	const struct value *window = step_window(step, value_reveal(of));
	const char *zone = value_get_text(window, "zone", "UTC");
	time_t seconds = (time_t)(clock_now_ms() / 1000);
	struct tm now;

	if (!window)
		return fail(err, ERROR_PLAN, "there is no window %s", value_reveal(of));
	if (!zone_exists(step, zone))
		return fail(err, ERROR_PLAN, "this machine knows no time zone %s (package tzdata)",
		            zone);
	setenv("TZ", zone, 1); /* this process is the step's own, and single-threaded */
	tzset();
	localtime_r(&seconds, &now);
	reading->value = value_bool(step->arena, is_open(window, &now));
	reading->text = reading->value->as.truth ? "open" : "closed";
	if (!reading->value->as.truth)
		reading->holds_at_ms = opens_at_ms(window, seconds);
	reading->again_ms = 30000;
	return true;
}

const struct metric local_time[] = {
	{"time.since", METRIC_DURATION, "", OF_STEP, "How long ago that step was done.", since},
	{"window", METRIC_BOOL, "", OF_WINDOW, "Whether that window is open.", open_now},
	{0},
};
