/* SPDX-License-Identifier: MIT */
/* A stream: one replication from a database to another. */
#include "steps/postgres/stream.h"
#include "engine/step.h"

#include <libpq-fe.h>
#include <string.h>

bool stream_find(struct step *step, const struct value *name, struct stream *stream,
                 struct error *err)
{
	const char *source = value_get_text(step->with, "source", NULL);
	const char *target = value_get_text(step->with, "target", NULL);
	const char *text = name && name->kind == VALUE_TEXT
	                           ? name->as.text
	                           : value_get_text(step->with, "of", NULL);

	if (text) {
		const char *colon = strchr(text, ':');
		if (!colon)
			return fail(err, ERROR_PLAN,
			            "`%s` is no replication: write ${steps.STEP.stream}, of the "
			            "step with "
			            "postgres.replicate",
			            text);
		source = arena_text_n(step->arena, text, (size_t)(colon - text));
		target = colon + 1;
	}
	if (!source || !target)
		return fail(err, ERROR_PLAN,
		            "write `of: ${steps.STEP.stream}`, of the step with "
		            "postgres.replicate");
	return database_find(step, source, &stream->source, err) &&
	       database_find(step, target, &stream->target, err);
}

PGconn *stream_open_state(struct step *step, const struct stream *stream, struct stream_row *row,
                          struct error *err)
{
	PGconn *connection = database_open(&stream->target, NULL, err);
	bool exists = false;

	if (!connection)
		return NULL;
	if (state_read(connection, step->arena, row, &exists, err) && exists)
		return connection;
	if (err->kind == ERROR_NONE)
		fail(err, ERROR_REFUSED, "no replication writes to %s", stream->target.name);
	PQfinish(connection);
	return NULL;
}

const char *stream_name(struct step *step, const struct stream *stream)
{
	return arena_printf(step->arena, "%s:%s", stream->source.name, stream->target.name);
}
