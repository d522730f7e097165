/* SPDX-License-Identifier: MIT */
/* What one process of a crew does: copy chunks, put copied tables right and build their indexes, or
 * follow. */
#include "steps/postgres/crew_member.h"
#include "engine/base/clock.h"
#include "engine/step.h"
#include "steps/postgres/batch.h"
#include "steps/postgres/chunk.h"
#include "steps/postgres/crew.h"
#include "steps/postgres/held.h"
#include "steps/postgres/link.h"
#include "steps/postgres/query.h"
#include "steps/postgres/state.h"

#include <libpq-fe.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define IDLE_MS 100   /* of one that copies, while others are at what is left */
#define FOLLOW_MS 15  /* between two looks at the log */
#define REFUSED_MS 50 /* while the stream is paused, or somebody else runs the batches */

/* Advisory locks of ours have this first key; the second is the table's id. */
#define INDEX_LOCK "1886151022"

static void pause_ms(int64_t ms)
{
	struct timespec pause = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

/* ---- What it says ---- */

static void say(const struct crew *crew, char kind, const char *text)
{
	char line[PIPE_BUF];
	int length = snprintf(line, sizeof line - 1, "%c%s", kind, text);

	if (length >= (int)sizeof line - 1)
		length = sizeof line - 2;
	for (char *at = line; *at; at++)
		if (*at == '\n')
			*at = ' ';
	line[length++] = '\n';
	/* A full pipe means that nobody listens any more. */
	ssize_t ignored = write(crew->pipe[1], line, (size_t)length);
	(void)ignored;
}

static void tell(void *context, const char *text)
{
	say(context, 'N', text);
}

/* Once in its life: that it could do something. */
static void say_it_worked(const struct crew *crew, struct member *member)
{
	char index[24];

	if (member->worked)
		return;
	member->worked = true; /* of this process only */
	snprintf(index, sizeof index, "%zu", (size_t)(member - crew->members));
	say(crew, 'W', index);
}

/* ---- Copying ---- */

static bool mark_following(struct link *link, int64_t id, struct error *err)
{
	return query_run(link->target,
	                 arena_printf(link->arena,
	                              "UPDATE " OUR_SCHEMA
	                              ".relation SET phase = 'following' WHERE id = %lld"
	                              " AND phase = 'finalised'",
	                              (long long)id),
	                 err);
}

static bool build_indexes(struct link *link, const struct followed *table, struct error *err)
{
	const struct relation *there = table->there;
	bool fine =
		held_build(link->target, HELD_KEY, there->schema, there->name, link->arena, err) &&
		held_build(link->target, HELD_INDEX, there->schema, there->name, link->arena,
	                   err) &&
		query_run(link->target, arena_printf(link->arena, "ANALYZE %s", there->quoted),
	                  err) &&
		mark_following(link, table->id, err);

	return fine || fail_while(err, "build the indexes of %s", there->quoted);
}

/* Of a table that is right, and that nobody else is at. */
static bool build_next(struct link *link, bool *found, struct error *err)
{
	PGresult *rows = query(link->target,
	                       "SELECT id FROM " OUR_SCHEMA ".relation WHERE phase = 'finalised'"
	                       " ORDER BY pages DESC",
	                       err);
	bool fine = rows != NULL;

	*found = false;
	for (int row = 0; fine && !*found && row < PQntuples(rows); row++) {
		int64_t id = query_field_number(rows, row, 0), ours = 0;
		fine = query_number(
			link->target,
			arena_printf(link->arena,
		                     "SELECT pg_catalog.pg_try_advisory_lock(" INDEX_LOCK
		                     ", %lld)::int",
		                     (long long)id),
			&ours, err);
		*found = ours != 0;
		for (size_t i = 0; fine && ours && i < link->table_count; i++)
			if (link->tables[i].id == id)
				fine = build_indexes(link, &link->tables[i], err);
		if (fine && ours)
			fine = query_run(link->target, "SELECT pg_catalog.pg_advisory_unlock_all()",
			                 err);
	}
	PQclear(rows);
	return fine;
}

static bool is_all_following(struct link *link, bool *all, struct error *err)
{
	int64_t left;

	if (!query_number(link->target,
	                  "SELECT count(*) FROM " OUR_SCHEMA ".relation WHERE phase <> 'following'",
	                  &left, err))
		return false;
	*all = left == 0;
	return true;
}

/* A table changed since it was looked at: what is logged is kept, its rows are copied anew. */
static bool begin_anew(struct link *link, struct followed *table, struct error *err)
{
	int64_t generation;

	return query_number(link->target,
	                    arena_printf(link->arena,
	                                 "SELECT generation FROM " OUR_SCHEMA
	                                 ".relation WHERE id = %lld",
	                                 (long long)table->id),
	                    &generation, err) &&
	       chunk_begin_anew(link, table, generation, "its columns or triggers were altered",
	                        err);
}

static bool copy(const struct crew *crew, struct member *member, struct link *link,
                 struct error *err)
{
	struct batch_report report = {0};
	bool found = false, all = false;

	while (!step_stopping(NULL)) {
		struct arena arena = {0}, *outer = link->arena;
		link->arena = &arena;
		bool fine = build_next(link, &found, err) &&
		            (found || batch_finalise_next(link, &found, &report, err)) &&
		            (!report.changed || begin_anew(link, report.changed, err)) &&
		            (found || chunk_copy_next(link, &found, err)) &&
		            (found || is_all_following(link, &all, err));
		link->arena = outer;
		arena_free(&arena);
		if (!fine || all)
			return fine;
		if (found)
			say_it_worked(crew, member);
		else
			pause_ms(IDLE_MS);
	}
	return true;
}

/* ---- Following ---- */

static bool follow(const struct crew *crew, struct member *member, struct link *link,
                   struct error *err)
{
	int64_t last_ms = 0;

	while (!step_stopping(NULL)) {
		struct batch_report report = {0};
		bool due;
		if (!batch_is_due(link, last_ms, &due, err))
			return false;
		if (due && !batch_run(link, crew->mode, &report, err))
			return false;
		if (due)
			last_ms = clock_real_ms();
		if (due && !report.refused && !report.changed)
			say_it_worked(crew, member);
		if (report.changed && !begin_anew(link, report.changed, err))
			return false;
		pause_ms(report.refused ? REFUSED_MS : FOLLOW_MS);
	}
	return true;
}

/* ---- The whole ---- */

/* The process was forked with what its parent had read: a copy of its own. */
static bool know_tables(const struct crew *crew, const struct member *member, struct link *link,
                        struct error *err)
{
	if (!crew->read || member->began_ms)
		return link_read_tables(link, err);
	link->tables = crew->read->tables;
	link->table_count = crew->read->table_count;
	return true;
}

static bool carry_out(const struct crew *crew, struct member *member, struct link *link,
                      struct error *err)
{
	switch (member->role) {
	case CREW_COPIES:
		return link_open(link, "copy", err) && know_tables(crew, member, link, err) &&
		       copy(crew, member, link, err);
	case CREW_FOLLOWS:
		return link_open(link, "follow", err) && know_tables(crew, member, link, err) &&
		       follow(crew, member, link, err);
	}
	return false;
}

_Noreturn void crew_member_run(const struct crew *crew, struct member *member)
{
	struct arena arena = {0};
	struct error err = {0};
	struct link link = {
		.arena = &arena,
		.tell = tell,
		.context = (void *)(uintptr_t)crew,
		.from = crew->from,
		.to = crew->to,
		.pump.bytes_per_second =
			crew->bytes_per_second / (int64_t)(crew->count > 1 ? crew->count - 1 : 1),
	};

	bool fine = carry_out(crew, member, &link, &err);
	if (!fine)
		say(crew, (char)('a' + (int)err.kind), err.text);
	_exit(fine ? 0 : 1);
}
