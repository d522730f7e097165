/* SPDX-License-Identifier: MIT */
/* Events between a step's process and the engine. */
#include "engine/channel.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/json.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MESSAGE_LIMIT ((size_t)32 * 1024 * 1024)

/* Both ends are this program: secrets go through as they are and never touch a disk. */
static const char *in_clear(void *context, struct arena *arena, const char *secret)
{
	(void)context;
	return arena_text(arena, secret);
}

static const struct sealer clear_sealer = {.seal = in_clear, .open = in_clear};

bool channel_send(struct channel *channel, const struct value *message)
{
	struct text line = {.limit = MESSAGE_LIMIT};
	size_t sent = 0;

	json_write(message, &clear_sealer, &line);
	text_add(&line, "\n");
	while (sent < line.length) {
		ssize_t count = send(channel->descriptor, line.data + sent, line.length - sent,
		                     MSG_NOSIGNAL);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && errno == EAGAIN) {
			poll(&(struct pollfd){channel->descriptor, POLLOUT, 0}, 1, 1000);
			continue;
		}
		if (count < 0)
			break;
		sent += (size_t)count;
	}
	bool whole = sent == line.length && !line.full;
	text_free(&line);
	return whole;
}

static void drop_taken(struct channel *channel)
{
	size_t rest = channel->input.length - channel->taken;

	if (channel->taken == 0)
		return;
	memmove(channel->input.data, channel->input.data + channel->taken, rest + 1);
	channel->input.length = rest;
	channel->taken = 0;
}

bool channel_fill(struct channel *channel)
{
	char piece[16384];

	drop_taken(channel);
	for (;;) {
		ssize_t count = recv(channel->descriptor, piece, sizeof piece, MSG_DONTWAIT);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return errno == EAGAIN;
		if (count == 0)
			return false;
		channel->input.limit = MESSAGE_LIMIT;
		if (!text_put(&channel->input, piece, (size_t)count))
			return false;
	}
}

struct value *channel_next(struct channel *channel, struct arena *arena)
{
	struct error err;

	while (channel->taken < channel->input.length) {
		const char *line = channel->input.data + channel->taken;
		const char *end = memchr(line, '\n', channel->input.length - channel->taken);
		if (!end)
			return NULL;
		channel->taken += (size_t)(end - line) + 1;
		struct value *message = json_read(arena, line, (size_t)(end - line), MESSAGE_LIMIT,
		                                  &clear_sealer, &err);
		if (message)
			return message;
	}
	return NULL;
}

void channel_close(struct channel *channel)
{
	if (channel->descriptor >= 0)
		close(channel->descriptor);
	text_free(&channel->input);
	*channel = (struct channel){.descriptor = -1};
}
