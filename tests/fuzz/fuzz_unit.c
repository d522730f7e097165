/* SPDX-License-Identifier: MIT */
/* Limits of conditions: "200 commits", "1h 30m", "80 MiB/s", anything. */
#include "engine/base/error.h"
#include "engine/unit.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = {0};
	struct quantity quantity;
	int64_t number = 0;
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	bool good = unit_parse(text, &quantity, &err);
	if (good ? !isfinite(quantity.number) : err.kind == ERROR_NONE)
		abort();
	if (unit_parse_duration(text, &number, &err) && number < 0)
		abort();
	free(text);
	return 0;
}
