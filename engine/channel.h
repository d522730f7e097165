/* SPDX-License-Identifier: MIT */
/* Events between a step's process and the engine: one JSON line each over a socket pair. */
#ifndef PLAN_CHANNEL_H
#define PLAN_CHANNEL_H

#include "engine/base/text.h"
#include "engine/base/value.h"

struct channel {
	int descriptor;    /* -1: closed */
	struct text input; /* received, not yet taken */
	size_t taken;      /* bytes of input already given out */
};

/* Blocks until all is written; false when the other side is gone. */
bool channel_send(struct channel *channel, const struct value *message);

/* Reads what is there; false at the end of the stream. Never blocks. */
bool channel_fill(struct channel *channel);

/* The next whole message, or NULL when there is none yet. Secrets arrive as secrets. */
struct value *channel_next(struct channel *channel, struct arena *arena);

void channel_close(struct channel *channel);

#endif
