/* SPDX-License-Identifier: MIT */
/* A tree of values: what YAML and JSON hold, plus secrets and things not known yet. */
#ifndef PLAN_VALUE_H
#define PLAN_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct error;
struct text;

enum value_kind {
	VALUE_NULL,
	VALUE_BOOL,
	VALUE_INT,
	VALUE_REAL,
	VALUE_TEXT,
	VALUE_LIST,
	VALUE_MAP,
	VALUE_SECRET,  /* text that no printer shows: see value_reveal() */
	VALUE_UNKNOWN, /* an output of a step that has not run (only while looking) */
};

/* Where something stands in a plan file; 1-based, {0} when it came from elsewhere. */
struct place {
	int line, column;
};

struct value {
	enum value_kind kind;
	const char *key;    /* its name in the map that holds it, else NULL */
	struct value *next; /* the next one in the same list or map, in the order written */
	struct place at;    /* where the value begins */
	struct place key_at;
	union {
		bool truth;
		int64_t number;
		double real;
		const char *text; /* of TEXT and SECRET; UTF-8, no NUL inside */
		struct {
			const char *text;  /* the same as above */
			const char *shown; /* what may be printed, such as "${secrets.key}" */
		} hidden;                  /* of SECRET and UNKNOWN */
		struct {
			struct value *first, *last;
			size_t count;
		} items; /* of LIST and MAP */
	} as;
};

/* Makers. Texts are copied into the arena. */
struct value *value_null(struct arena *arena);
struct value *value_bool(struct arena *arena, bool truth);
struct value *value_number(struct arena *arena, int64_t number);
struct value *value_real(struct arena *arena, double real);
struct value *value_text(struct arena *arena, const char *text);
/* The text itself, which must live as long as the arena. */
struct value *value_text_shared(struct arena *arena, const char *text);
struct value *value_secret(struct arena *arena, const char *text, const char *shown);
struct value *value_unknown(struct arena *arena, const char *shown);
struct value *value_list(struct arena *arena);
struct value *value_map(struct arena *arena);

/* A deep copy; places are kept, key is not. */
struct value *value_copy(struct arena *arena, const struct value *value);

/* Appends item itself (not a copy) to a list. */
void value_add(struct value *list, struct value *item);

/* Puts item itself under key, in place of what stood there, else at the end. The key is copied. */
void value_set(struct arena *arena, struct value *map, const char *key, struct value *item);
void value_set_text(struct arena *arena, struct value *map, const char *key, const char *text);
void value_set_number(struct arena *arena, struct value *map, const char *key, int64_t number);
void value_set_bool(struct arena *arena, struct value *map, const char *key, bool truth);

/* Takes the entry out of the map; false when there was none. */
bool value_remove(struct value *map, const char *key);

/* The entry, or NULL: also when map is NULL or no map. */
struct value *value_get(const struct value *map, const char *key);

/* The entry as plain text / number / truth, or the fallback when absent or of another kind.
 * value_get_text() never gives the content of a secret. */
const char *value_get_text(const struct value *map, const char *key, const char *fallback);
int64_t value_get_number(const struct value *map, const char *key, int64_t fallback);
bool value_get_bool(const struct value *map, const char *key, bool fallback);

/* Follows a path such as "app.region.name" through maps; NULL when it ends early. */
struct value *value_find(const struct value *map, const char *path);

/* The text of a TEXT or SECRET, else NULL. The one door to a secret: never print what it gives. */
const char *value_reveal(const struct value *value);

/* How many values it is made of, itself included. */
size_t value_count(const struct value *value);

/* True when anything inside is not known yet. NULL is known. */
bool value_has_unknown(const struct value *value);

/* True when anything inside is a secret. */
bool value_has_secret(const struct value *value);

/* Deep equality. Maps are equal whatever their order; a secret equals a text with the same bytes;
 * nothing equals UNKNOWN; 1 equals 1.0. */
bool value_equal(const struct value *a, const struct value *b);

/* "map", "text", ...: for messages. */
const char *value_kind_name(enum value_kind kind);

/* For people, on one line: text plain, secrets and unknowns as `shown`, maps as {a: 1, b: x}.
 * Control characters are escaped. */
void value_print(const struct value *value, struct text *out);

#endif
