/* SPDX-License-Identifier: MIT */
/* Fields: what a module, a connection or the language itself takes. One table feeds the checks, the
 * JSON schema, `plan steps explain`, the reference and completion, so that nothing drifts. */
#ifndef PLAN_FIELD_H
#define PLAN_FIELD_H

#include "engine/base/value.h"

enum field_type {
	FIELD_ANY,
	FIELD_STRING,
	FIELD_BOOL,
	FIELD_INT,
	FIELD_DURATION, /* "60s", "1h 30m": milliseconds as INT once resolved */
	FIELD_RATE,     /* "80 MiB/s" or "unlimited": bytes per second as INT, 0 is unlimited */
	FIELD_APP,      /* a Heroku app: ^[a-z][a-z0-9-]{1,28}[a-z0-9]$ */
	FIELD_DOMAIN,   /* a host name, no trailing dot */
	FIELD_URL,      /* http:// or https:// */
	FIELD_PATH,     /* beneath the directory of the plan */
	FIELD_SECRET,   /* only a ${secrets.x} reference */
	FIELD_CONTENT,  /* a text, or {file: PATH} beneath the plan's directory, read when resolved
	                 */
	FIELD_CHOICE,   /* one of `choices` */
	FIELD_STEP,     /* the name of another step */
	FIELD_CONNECTION,
	FIELD_TYPES /* how many there are */
};

enum {
	FIELD_REQUIRED = 1 << 0,
	FIELD_LIST = 1 << 1,       /* a list of the type */
	FIELD_MAP = 1 << 2,        /* a map from any name to the type */
	FIELD_OR_MAP = 1 << 3,     /* the type, or a map of texts instead */
	FIELD_MAY_SECRET = 1 << 4, /* ${secrets.x} is allowed inside */
	FIELD_EXISTS =
		1 << 5, /* names something that was there before the plan: a rehearsal makes it */
};

struct field {
	const char *name;
	enum field_type type;
	unsigned flags;
	const char *fallback;       /* the default as it would be written in a plan, or NULL */
	const char *const *choices; /* NULL-ended; of FIELD_CHOICE */
	const char *text;           /* one sentence */
};

/* The word for the type in plans and in the reference: "app", "list of domain", "map of string". */
void field_type_name(const struct field *field, struct text *out);

/* The inverse, for the types of inputs: fills type and flags; false when it is no type. */
bool field_type_from_name(const char *name, struct field *field);

/* The entry of that name in a table that ends with {0}, or NULL. */
const struct field *field_find(const struct field *fields, const char *name);

/* The entry whose name is nearest to a misspelt one (edit distance, at most a third of its length),
 * or NULL. */
const struct field *field_nearest(const struct field *fields, const char *name);

/* Checks one resolved value against the field and gives it in its final form (durations as
 * milliseconds, defaults filled in). NULL on error; the error is about the value, without place. */
struct value *field_accept(const struct field *field, const struct value *value,
                           struct arena *arena, struct error *err);

/* The item of a list or map that field_accept() refuses, else the value itself. */
const struct value *field_refused(const struct field *field, const struct value *value,
                                  struct arena *arena);

#endif
