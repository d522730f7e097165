/* SPDX-License-Identifier: MIT */
/* XML replies as value trees (expat does the work). */
#ifndef PLAN_HTTP_XML_H
#define PLAN_HTTP_XML_H

#include "engine/base/value.h"

/* An element with elements inside is a MAP of them in their order, where names may repeat; any
 * other is its TEXT. Attributes and namespaces are left out. The result is a MAP of the root alone.
 * A document type, nesting beyond 64 and more than 100,000 elements are errors (ERROR_FAILED). */
struct value *xml_read(struct arena *arena, const char *data, size_t length, struct error *err);

/* The text as it may stand between tags. */
const char *xml_escape(struct arena *arena, const char *text);

#endif
