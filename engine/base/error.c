/* SPDX-License-Identifier: MIT */
/* Errors as values. */
#include "engine/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {
	[ERROR_NONE] = "none",       [ERROR_PLAN] = "plan",   [ERROR_RETRY] = "retry",
	[ERROR_REFUSED] = "refused", [ERROR_DRIFT] = "drift", [ERROR_CANCELLED] = "cancelled",
	[ERROR_FAILED] = "failed",
};

bool fail(struct error *err, enum error_kind kind, const char *format, ...)
{
	char text[sizeof err->text]; /* the arguments may point into err->text */
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	err->kind = kind;
	memcpy(err->text, text, sizeof text);
	return false;
}

bool fail_while(struct error *err, const char *format, ...)
{
	char text[sizeof err->text];
	va_list arguments;

	va_start(arguments, format);
	int written = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	size_t used = written < 0 ? 0 : (size_t)written;
	size_t length = strlen(err->text);
	if (used + 2 < sizeof text) {
		size_t room = sizeof text - used - 3;
		memcpy(text + used, ": ", 2);
		memcpy(text + used + 2, err->text, length < room ? length : room);
		text[used + 2 + (length < room ? length : room)] = '\0';
	}
	memcpy(err->text, text, sizeof text);
	return false;
}

const char *error_kind_name(enum error_kind kind)
{
	return kind_names[kind];
}

enum error_kind error_kind_from_name(const char *name)
{
	for (size_t i = 0; i < sizeof kind_names / sizeof *kind_names; i++)
		if (strcmp(kind_names[i], name) == 0)
			return (enum error_kind)i;
	return ERROR_FAILED;
}
