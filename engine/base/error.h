/* SPDX-License-Identifier: MIT */
/* Errors are values: a kind that says what the engine does next, and a story for people. */
#ifndef PLAN_ERROR_H
#define PLAN_ERROR_H

#include <stdbool.h>

enum error_kind {
	ERROR_NONE,
	ERROR_PLAN,      /* the plan is wrong: nothing was tried */
	ERROR_RETRY,     /* may go away by itself and is safe to try again */
	ERROR_REFUSED,   /* a rule of ours says no: locked, foreign object, missing permission */
	ERROR_DRIFT,     /* the world is not what the journal or the plan says it was */
	ERROR_CANCELLED, /* a person or a signal asked us to stop */
	ERROR_FAILED,    /* tried, did not work, trying again would not help */
};

struct error {
	enum error_kind kind;
	char text[4096]; /* one line, cause last: "move www.example.com: add to targetapp: HTTP 422
	                    ..." */
};

/* Fills err (kind and text) and returns false, so that `return fail(err, ...)` reads well.
 * Says what was tried, why it failed, and what a person can do about it. */
bool fail(struct error *err, enum error_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "what we were doing: " in front of the text; the kind stays. Returns false. */
bool fail_while(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "retry", "refused", ...: the word that journal and --json use. */
const char *error_kind_name(enum error_kind kind);

/* The inverse; an unknown word is ERROR_FAILED. */
enum error_kind error_kind_from_name(const char *name);

#endif
