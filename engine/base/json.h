/* SPDX-License-Identifier: MIT */
/* Value trees to JSON and back (jansson does the work). */
#ifndef PLAN_JSON_H
#define PLAN_JSON_H

#include "engine/base/value.h"

/* How secrets are written. seal gives text that is safe to store, open gives the secret back or
 * NULL; both results live in the arena. Without a sealer a secret is written as {"$secret": shown}
 * and read back as such, without content. */
struct sealer {
	const char *(*seal)(void *context, struct arena *arena, const char *secret);
	const char *(*open)(void *context, struct arena *arena, const char *sealed);
	void *context;
};

/* One line, keys in the order of the map. UNKNOWN becomes {"$unknown": shown}. sealer may be NULL.
 */
void json_write(const struct value *value, const struct sealer *sealer, struct text *out);

/* BLAKE2b of the same with keys sorted, so that equal values give equal digests; newlines between
 * the values. size: of the hexadecimal text with its NUL, as many bytes as the hash shall have. */
void json_digest(const struct value *const *values, size_t count, char *hexadecimal, size_t size);

/* Indented, for files that people read; ends with a newline. */
void json_write_pretty(const struct value *value, struct text *out);

/* Duplicate keys, NUL and nesting beyond 64 are errors (ERROR_FAILED, with the position).
 * limit: the most bytes it may have; 0 means 16 MiB. sealer may be NULL. */
struct value *json_read(struct arena *arena, const char *data, size_t length, size_t limit,
                        const struct sealer *sealer, struct error *err);

#endif
