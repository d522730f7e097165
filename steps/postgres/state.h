/* SPDX-License-Identifier: MIT */
/* What replication remembers, in the database that it writes to: committed together with the rows
 * it speaks of, so that it can be neither ahead of them nor behind.
 *
 *   stream    one row: which stream, from which database, in which mode, its mark and when it was
 * last applied relation  a row for each table: its generation and phase chunk     a row for each
 * part of a table's initial copy; its row lock is the lease of who copies it held      objects that
 * wait until the data is there: keys, indexes, foreign keys, triggers
 *
 * Every table is in OUR_SCHEMA. A database has at most one stream. */
#ifndef PLAN_POSTGRES_STATE_H
#define PLAN_POSTGRES_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct error;
typedef struct pg_conn PGconn;

/* Where a table is on its way; the words are stored. */
#define PHASE_NEW "new"             /* known, nothing done */
#define PHASE_COPYING "copying"     /* captured, its chunks are planned */
#define PHASE_COPIED "copied"       /* every chunk is there; what changed meanwhile is not */
#define PHASE_FINALISED "finalised" /* rows are right; its keys and indexes are being built */
#define PHASE_FOLLOWING "following" /* part of every batch */

/* Who writes where; the words are stored. */
#define MODE_FORWARD "forward"     /* the source is written, the target follows */
#define MODE_SWITCHING "switching" /* the source is fenced; batches are run by the switch alone */
#define MODE_SWITCHED "switched"   /* the target is written, the source follows */
#define MODE_RETURNING "returning" /* the target is fenced, on the way back */
#define MODE_RETURNED "returned"   /* of the source's row: it has all that the target had */
#define MODE_ENDED "ended"         /* nothing runs any more; what is ours is being removed */

struct stream_row {
	const char *id;     /* of the stream: step_token() of the step that made it */
	const char *source; /* identity of the database it comes from: identity_of() */
	const char *mode;
	int64_t mark;          /* grows by one with each batch */
	int64_t applied_at_ms; /* the clock of the source when the last batch was read; 0: none yet
	                        */
	int64_t rows_applied;  /* all batches together */
	bool paused;
};

/* Makes schema and tables where they are not; harmless when they are. */
bool state_prepare(PGconn *connection, struct error *err);

/* *exists says whether there is a stream; ERROR_REFUSED when the schema is there and not ours. */
bool state_read(PGconn *connection, struct arena *arena, struct stream_row *row, bool *exists,
                struct error *err);

/* Makes the stream, or refuses (ERROR_REFUSED) where there is another one. */
bool state_create_stream(PGconn *connection, const char *id, const char *source, struct error *err);

bool state_set_mode(PGconn *connection, const char *from, const char *to, struct error *err);

/* Which database this is, wherever it is reached: "SYSTEM-IDENTIFIER/DATABASE-OID". */
bool state_identity(PGconn *connection, struct arena *arena, const char **identity,
                    struct error *err);

#endif
