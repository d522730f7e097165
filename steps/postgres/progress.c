/* SPDX-License-Identifier: MIT */
/* How far a replication is, for people. */
#include "steps/postgres/progress.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/step.h"
#include "steps/postgres/chunk.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"

#include <libpq-fe.h>

#define SHOW_MS 1000
#define PAGE_BYTES 8192

static const char sql[] =
	"SELECT count(*), count(*) FILTER (WHERE phase = 'following'),"
	" count(*) FILTER (WHERE phase = 'finalised'), coalesce(sum(pages), 0)::int8,"
	" coalesce(sum(CASE WHEN phase = 'copying' THEN (SELECT sum(c.end_page - c.first_page) "
	"FROM " OUR_SCHEMA
	".chunk c WHERE c.relation = r.id AND c.generation = r.generation AND c.done)"
	" WHEN phase = 'new' THEN 0 ELSE pages END), 0)::int8,"
	" (SELECT count(*) FROM pg_catalog.pg_locks l WHERE l.locktype = 'relation' AND l.granted"
	"  AND l.mode = 'RowExclusiveLock' AND l.relation = '" OUR_SCHEMA
	".chunk'::pg_catalog.regclass),"
	" (SELECT rows_applied FROM " OUR_SCHEMA ".stream),"
	" (SELECT (extract(epoch FROM pg_catalog.clock_timestamp() - applied_at) * 1000)::int8 "
	"FROM " OUR_SCHEMA ".stream),"
	" (SELECT (extract(epoch FROM applied_at) * 1000)::int8 FROM " OUR_SCHEMA ".stream)"
	" FROM " OUR_SCHEMA ".relation r";

enum { TABLES, FOLLOWING, INDEXING, PAGES, DONE, COPYING, APPLIED, BEHIND, APPLIED_AT };

/* Pages a second over the samples; and between neighbours the slowest and the quickest, which give
 * the spread. */
static void rates(const struct progress *progress, double *mean, double *least, double *most)
{
	int64_t kept = progress->count < PROGRESS_SAMPLES ? progress->count : PROGRESS_SAMPLES;
	int64_t newest = progress->count - 1, oldest = progress->count - kept;

	*mean = *least = *most = 0;
	for (int64_t i = oldest + 10; i <= newest; i += 10) {
		const int64_t now = i % PROGRESS_SAMPLES, then = (i - 10) % PROGRESS_SAMPLES;
		double rate = (double)(progress->pages[now] - progress->pages[then]) * 1000.0 /
		              (double)(progress->at_ms[now] - progress->at_ms[then] + 1);
		*least = *least > 0 && *least < rate ? *least : rate;
		*most = *most > rate ? *most : rate;
	}
	if (newest > oldest)
		*mean = (double)(progress->pages[newest % PROGRESS_SAMPLES] -
		                 progress->pages[oldest % PROGRESS_SAMPLES]) *
		        1000.0 /
		        (double)(progress->at_ms[newest % PROGRESS_SAMPLES] -
		                 progress->at_ms[oldest % PROGRESS_SAMPLES] + 1);
}

static const char *mebibytes(struct arena *arena, double pages)
{
	double mib = pages * PAGE_BYTES / (1024.0 * 1024.0);

	return mib < 10240 ? arena_printf(arena, "%.0f MiB", mib)
	                   : arena_printf(arena, "%.1f GiB", mib / 1024);
}

/* "; 82 MiB/s, 1 min 20 s to 2 min left" */
static void put_forecast(struct progress *progress, struct arena *arena, int64_t left,
                         struct text *out)
{
	double mean, least, most;

	rates(progress, &mean, &least, &most);
	if (mean <= 0)
		return;
	text_format(out, "; %s/s", mebibytes(arena, mean));
	const char *soon = clock_duration_text(
		arena, (int64_t)((double)left / (most > 0 ? most : mean)) * 1000);
	const char *late = clock_duration_text(
		arena, (int64_t)((double)left / (least > 0 ? least : mean)) * 1000);
	text_format(out, ", %s to %s left", soon, late);
}

static void put_copy(struct progress *progress, struct arena *arena, const PGresult *row,
                     struct text *out)
{
	int64_t pages = query_field_number(row, 0, PAGES), done = query_field_number(row, 0, DONE);
	int64_t copying = query_field_number(row, 0, COPYING);

	text_format(out, "%s of %s copied", mebibytes(arena, (double)done),
	            mebibytes(arena, (double)pages));
	if (pages > done)
		put_forecast(progress, arena, pages - done, out);
	text_format(out, "; %lld of %lld tables follow",
	            (long long)query_field_number(row, 0, FOLLOWING),
	            (long long)query_field_number(row, 0, TABLES));
	if (query_field_number(row, 0, INDEXING))
		text_format(out, ", indexes of %lld are being built",
		            (long long)query_field_number(row, 0, INDEXING));
	if (copying)
		text_format(out, "; a restart now repeats at most %s",
		            mebibytes(arena, (double)(copying * CHUNK_PAGES)));
}

static void put_following(struct arena *arena, const PGresult *row, struct text *out)
{
	text_format(out, "%lld tables follow, %lld rows applied, %s behind",
	            (long long)query_field_number(row, 0, TABLES),
	            (long long)query_field_number(row, 0, APPLIED),
	            clock_duration_text(arena, query_field_number(row, 0, BEHIND)));
}

/* A reason is noted when it is found, and not again while there is one. */
static bool watch_stall(struct progress *progress, struct step *step,
                        const struct stall_sides *sides, int64_t done, struct arena *arena,
                        struct error *err)
{
	struct stall *stall = &progress->stall;
	bool was = stall->why[0] != '\0';

	if (!stall_watch(stall, sides, done, arena, err))
		return false;
	if (stall->why[0] && !was)
		step_note(step, "%s", stall->why);
	return true;
}

/* Whatever changes with the work. While tables are copied, those that follow do not count. */
static int64_t done_of(const PGresult *row, bool follows)
{
	int64_t steps =
		query_field_number(row, 0, FOLLOWING) + query_field_number(row, 0, INDEXING);

	return follows ? query_field_number(row, 0, APPLIED_AT)
	               : query_field_number(row, 0, DONE) + steps;
}

bool progress_show(struct progress *progress, struct step *step, PGconn *source, PGconn *target,
                   struct error *err)
{
	struct arena arena = {0};
	struct text out = {0};
	struct stall_sides sides = {.source = source, .target = target};

	if (clock_real_ms() - progress->shown_ms < SHOW_MS)
		return true;
	PGresult *row = query(target, sql, err);
	if (!row)
		return fail_while(err, "read the progress");
	progress->shown_ms = clock_real_ms();
	progress->pages[progress->count % PROGRESS_SAMPLES] = query_field_number(row, 0, DONE);
	progress->at_ms[progress->count % PROGRESS_SAMPLES] = progress->shown_ms;
	progress->count++;
	sides.follows = query_field_number(row, 0, FOLLOWING) == query_field_number(row, 0, TABLES);
	sides.behind_ms = query_field_number(row, 0, BEHIND);
	if (sides.follows)
		put_following(&arena, row, &out);
	else
		put_copy(progress, &arena, row, &out);
	bool fine = watch_stall(progress, step, &sides, done_of(row, sides.follows), &arena, err);
	if (progress->stall.why[0])
		text_format(&out, "; %s", progress->stall.why);
	step_progress(step, "%s", text_string(&out));
	PQclear(row);
	text_free(&out);
	arena_free(&arena);
	return fine;
}
