/* SPDX-License-Identifier: MIT */
/* An answer of any bytes: what is read, written and read again is the same. */
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/base/text.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct error err = {0};
	struct text text = {0};
	struct value *value = json_read(&arena, (const char *)data, size, 0, NULL, &err);

	if (!value && err.kind == ERROR_NONE)
		abort();
	if (value) {
		json_write(value, NULL, &text);
		struct value *again =
			json_read(&arena, text_string(&text), text.length, 0, NULL, &err);
		if (!again || (!value_has_unknown(value) && !value_equal(value, again)))
			abort();
	}
	text_free(&text);
	arena_free(&arena);
	return 0;
}
