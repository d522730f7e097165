/* SPDX-License-Identifier: MIT */
/* What a program writes, made fit to be shown: without secrets, on one line, of bounded length. */
#ifndef PLAN_LOCAL_REDACT_H
#define PLAN_LOCAL_REDACT_H

#include "engine/step.h"

/* Every secret inside value as LIST of TEXT; of one with several lines each longer line too. */
void redact_collect(const struct value *value, struct value *secrets, struct arena *arena);

/* The line without them; `whole` is false when its end was cut off, where part of a secret may be
 * left. Control characters and what is no UTF-8 become `?`. */
const char *redact_line(const char *line, bool whole, const struct value *secrets,
                        struct arena *arena);

#endif
