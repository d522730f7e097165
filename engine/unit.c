/* SPDX-License-Identifier: MIT */
/* Numbers with units. */
#include "engine/unit.h"
#include "engine/base/error.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct unit {
	const char *name, *base;
	double factor;
} units[] = {
	{"ms", "ms", 1},
	{"s", "ms", 1000},
	{"m", "ms", 60e3},
	{"min", "ms", 60e3},
	{"h", "ms", 3600e3},
	{"d", "ms", 86400e3},
	{"w", "ms", 7 * 86400e3},
	{"B", "bytes", 1},
	{"kB", "bytes", 1e3},
	{"MB", "bytes", 1e6},
	{"GB", "bytes", 1e9},
	{"TB", "bytes", 1e12},
	{"KiB", "bytes", 1024},
	{"MiB", "bytes", 1048576.0},
	{"GiB", "bytes", 1073741824.0},
	{"TiB", "bytes", 1099511627776.0},
	{"B/s", "bytes/s", 1},
	{"kB/s", "bytes/s", 1e3},
	{"MB/s", "bytes/s", 1e6},
	{"GB/s", "bytes/s", 1e9},
	{"KiB/s", "bytes/s", 1024},
	{"MiB/s", "bytes/s", 1048576.0},
	{"GiB/s", "bytes/s", 1073741824.0},
	{"x", "x", 1},
	{"%", "%", 1},
};

static const struct unit *find_unit(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if (strlen(units[i].name) == length && strncmp(units[i].name, name, length) == 0)
			return &units[i];
	return NULL;
}

/* A count of things: "200 commits", "1 row" and "1 rows" mean the same. */
static bool take_count(const char *word, size_t length, struct quantity *quantity)
{
	if (length < 2 || length + 3 > sizeof quantity->unit)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!islower((unsigned char)word[i]))
			return false;
	const char *ending = strncmp(word, "process", length) == 0 && length == 7 ? "es"
	                     : word[length - 1] == 's'                            ? ""
	                                                                          : "s";
	snprintf(quantity->unit, sizeof quantity->unit, "%.*s%s", (int)length, word, ending);
	return true;
}

static bool read_part(const char **text, double *number, const char **word, size_t *length)
{
	char *end;

	*text += strspn(*text, " ");
	if (!isdigit((unsigned char)**text) && **text != '-' && **text != '.')
		return false;
	*number = strtod(*text, &end);
	end += strspn(end, " ");
	*word = end;
	*length = strcspn(end, " 0123456789");
	*text = end + *length;
	*text += strspn(*text, " ");
	return isfinite(*number);
}

bool unit_parse(const char *text, struct quantity *quantity, struct error *err)
{
	const char *at = text, *word;
	size_t length;
	double number;

	*quantity = (struct quantity){0};
	do {
		if (!read_part(&at, &number, &word, &length))
			return fail(err, ERROR_PLAN,
			            "`%s` is no number with a unit such as 200 commits, 5s, 2 GiB",
			            text);
		const struct unit *unit = find_unit(word, length);
		bool first = at - text > 0 && quantity->unit[0] == '\0';
		if (unit) {
			if (!first && strcmp(quantity->unit, unit->base) != 0)
				return fail(err, ERROR_PLAN, "`%s` mixes units", text);
			snprintf(quantity->unit, sizeof quantity->unit, "%s", unit->base);
			quantity->number += number * unit->factor;
		} else if (first && *at == '\0' &&
		           (length == 0 || take_count(word, length, quantity))) {
			quantity->number = number;
		} else {
			return fail(err, ERROR_PLAN,
			            "`%s` has no known unit: durations take ms s m h d w, sizes B "
			            "KiB MiB GiB TiB kB MB GB TB, rates the same with /s, counts a "
			            "word such as commits or rows",
			            text);
		}
	} while (*at);
	if (isfinite(quantity->number))
		return true;
	return fail(err, ERROR_PLAN, "`%s` is larger than any number can be", text);
}

bool unit_parse_duration(const char *text, int64_t *duration_ms, struct error *err)
{
	struct quantity quantity;

	if (!unit_parse(text, &quantity, err))
		return false;
	if (strcmp(quantity.unit, "ms") != 0 || !(quantity.number >= 0 && quantity.number <= 1e14))
		return fail(err, ERROR_PLAN,
		            "`%s` is no duration; write it as 500ms, 5s, 10m, 24h or 7d", text);
	*duration_ms = (int64_t)quantity.number;
	return true;
}
