/* SPDX-License-Identifier: MIT */
/* Numbers with units, as conditions and durations write them: "200 commits", "5s", "80 MiB/s". */
#ifndef PLAN_UNIT_H
#define PLAN_UNIT_H

#include <stdbool.h>
#include <stdint.h>

struct error;

struct quantity {
	double number;
	char unit[24]; /* base unit: durations become "ms", sizes "bytes", rates "bytes/s"; counts
	                * keep their word in the plural ("commits"); "" when none was written */
};

/* ERROR_PLAN when it is no quantity; the error names the units there are. */
bool unit_parse(const char *text, struct quantity *quantity, struct error *err);

/* "90s", "1h 30m", "2d" to milliseconds; false when it is no duration. */
bool unit_parse_duration(const char *text, int64_t *duration_ms, struct error *err);

#endif
