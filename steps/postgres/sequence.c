/* SPDX-License-Identifier: MIT */
/* Sequences: read on one side, set on the other. */
#include "steps/postgres/sequence.h"
#include "engine/base/arena.h"
#include "engine/base/text.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"
#include "steps/postgres/table.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

enum { AT_ONCE = 200 };

struct sequence {
	const char *quoted; /* "schema"."name", in quotes */
	const char *text;   /* for people */
	int64_t last, increment, least, most;
	bool called; /* last was given out */
	bool cycles;
	struct sequence *next;
};

/* Those that belong to an extension come and go with it. */
static const char list_sql[] =
	"SELECT n.nspname, c.relname, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle "
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid "
	"WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname <> '" OUR_SCHEMA "'"
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'"
	"   AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid)"
	" AND (%s) ORDER BY 1, 2";

static bool is_true(const PGresult *result, int row, int column)
{
	return strcmp(PQgetvalue(result, row, column), "t") == 0;
}

/* ---- Reading ---- */

static struct sequence *from_row(const PGresult *result, int row, struct arena *arena)
{
	struct sequence *one = arena_alloc(arena, sizeof *one);
	const char *schema = PQgetvalue(result, row, 0), *name = PQgetvalue(result, row, 1);

	one->quoted = table_quote(arena, schema, name);
	one->text = arena_printf(arena, "%s.%s", schema, name);
	one->increment = query_field_number(result, row, 2);
	one->least = query_field_number(result, row, 3);
	one->most = query_field_number(result, row, 4);
	one->cycles = is_true(result, row, 5);
	return one;
}

static bool list(PGconn *connection, const struct sequence_options *options,
                 struct sequence **first, struct error *err)
{
	const char *namespaces = options->namespaces ? options->namespaces : table_every_schema;
	PGresult *result =
		query(connection, arena_printf(options->arena, list_sql, namespaces), err);
	struct sequence **last = first;

	*first = NULL;
	if (!result)
		return fail_while(err, "list the sequences");
	for (int row = 0; row < PQntuples(result); row++, last = &(*last)->next)
		*last = from_row(result, row, options->arena);
	PQclear(result);
	return true;
}

/* Many in one statement, but not all: it nests as deep as it is long. The catalogue does not tell
 * whether a sequence was never called, so each is read itself. Gives the last one read. */
static const struct sequence *read_some(PGconn *connection, struct sequence *first,
                                        struct error *err)
{
	struct text sql = {0};
	struct sequence *one = first;
	PGresult *result = NULL;
	int rows = 0;

	for (; one && rows < AT_ONCE; one = one->next, rows++)
		text_format(&sql, "%sSELECT %d, last_value, is_called FROM %s",
		            rows ? " UNION ALL " : "", rows, one->quoted);
	text_add(&sql, " ORDER BY 1");
	result = query(connection, text_string(&sql), err);
	text_free(&sql);
	if (!result)
		return NULL;
	struct sequence *last = first;
	for (int row = 0; row < rows; row++, first = first->next) {
		last = first;
		last->last = query_field_number(result, row, 1);
		last->called = is_true(result, row, 2);
	}
	PQclear(result);
	return last;
}

static bool read_values(PGconn *connection, struct sequence *first, struct error *err)
{
	while (first) {
		const struct sequence *last = read_some(connection, first, err);
		if (!last)
			return fail_while(err, "read the sequences");
		first = last->next;
	}
	return true;
}

static struct sequence *find(struct sequence *first, const char *quoted)
{
	for (struct sequence *one = first; one; one = one->next)
		if (strcmp(one->quoted, quoted) == 0)
			return one;
	return NULL;
}

/* ---- What the other side shall have ---- */

struct wanted {
	int64_t last;
	bool called;
	bool short_of_margin; /* its range ends before */
};

static struct wanted wanted_of(const struct sequence *source, int64_t margin)
{
	struct wanted wanted = {source->last, source->called, false};
	int64_t step, last;

	if (margin <= 0)
		return wanted;
	if (__builtin_mul_overflow(margin, source->increment, &step) ||
	    __builtin_add_overflow(source->last, step, &last) || last > source->most ||
	    last < source->least) {
		wanted.short_of_margin = true;
		return wanted;
	}
	return (struct wanted){last, true, false};
}

/* Its next value comes before the one that is wanted. */
static bool is_behind(const struct sequence *seen, const struct wanted *wanted)
{
	if (seen->last == wanted->last)
		return !seen->called && wanted->called;
	return seen->increment > 0 ? seen->last < wanted->last : seen->last > wanted->last;
}

static bool is_equal(const struct sequence *seen, const struct wanted *wanted)
{
	return seen->last == wanted->last && seen->called == wanted->called;
}

static void note(struct sequence_report *report, struct arena *arena, const char *sequence,
                 const char *text, bool behind)
{
	struct sequence_difference **last = &report->first;
	struct sequence_difference *one = arena_alloc(arena, sizeof *one);

	while (*last)
		last = &(*last)->next;
	*one = (struct sequence_difference){sequence, text, behind, NULL};
	*last = one;
	report->differences++;
}

/* ---- Both sides ---- */

struct sides {
	struct sequence *from, *to;
};

static bool read_both(PGconn *from, PGconn *to, const struct sequence_options *options,
                      struct sides *sides, struct sequence_report *report, struct error *err)
{
	*report = (struct sequence_report){0};
	if (!list(from, options, &sides->from, err) || !list(to, options, &sides->to, err) ||
	    !read_values(from, sides->from, err) || !read_values(to, sides->to, err))
		return false;
	for (const struct sequence *one = sides->from; one; one = one->next)
		report->count++;
	return true;
}

static bool all_are_there(const struct sides *sides, struct error *err)
{
	struct text missing = {.limit = 1000};

	for (const struct sequence *one = sides->from; one; one = one->next)
		if (!find(sides->to, one->quoted))
			text_format(&missing, "%s%s", missing.length ? ", " : "", one->text);
	if (missing.length)
		fail(err, ERROR_FAILED, "sequences that are missing on the other side: %s",
		     text_string(&missing));
	bool fine = missing.length == 0;
	text_free(&missing);
	return fine;
}

static bool stays(const struct sequence *seen, const struct wanted *wanted,
                  const struct sequence_options *options)
{
	return is_equal(seen, wanted) ||
	       (options->forward_only && !seen->cycles && !is_behind(seen, wanted));
}

bool sequence_copy(PGconn *from, PGconn *to, const struct sequence_options *options,
                   struct sequence_report *report, struct error *err)
{
	struct sides sides;
	struct text sql = {0};

	if (!read_both(from, to, options, &sides, report, err) || !all_are_there(&sides, err))
		return false;
	for (const struct sequence *one = sides.from; one; one = one->next) {
		struct wanted wanted = wanted_of(one, options->margin);
		if (wanted.short_of_margin)
			note(report, options->arena, one->text,
			     "its range ends before the margin: set exactly", false);
		if (stays(find(sides.to, one->quoted), &wanted, options))
			continue;
		char *literal = PQescapeLiteral(to, one->quoted, strlen(one->quoted));
		text_format(&sql, "%spg_catalog.setval(%s, %lld, %s)",
		            sql.length ? ", " : "SELECT ", literal ? literal : "''",
		            (long long)wanted.last, wanted.called ? "true" : "false");
		PQfreemem(literal);
		report->set++;
		/* A list of results has at most 1,664 columns. */
		if (report->set % 1000 == 0)
			text_add(&sql, "; SELECT true");
	}
	bool fine = !sql.length || query_run(to, text_string(&sql), err) ||
	            fail_while(err, "set the sequences");
	text_free(&sql);
	return fine;
}

static const char *definition(const struct sequence *one, struct arena *arena)
{
	return arena_printf(arena, "increment %lld, from %lld to %lld%s", (long long)one->increment,
	                    (long long)one->least, (long long)one->most,
	                    one->cycles ? ", cycles" : "");
}

static void compare_one(const struct sequence *source, const struct sequence *seen,
                        const struct sequence_options *options, struct sequence_report *report)
{
	struct arena *arena = options->arena;
	struct wanted wanted = wanted_of(source, options->margin);

	if (!seen) {
		note(report, arena, source->text, "is missing", true);
		return;
	}
	const char *is = definition(seen, arena), *should = definition(source, arena);
	if (strcmp(is, should) != 0)
		note(report, arena, source->text,
		     arena_printf(arena, "%s instead of %s", is, should), false);
	if (!is_equal(seen, &wanted))
		note(report, arena, source->text,
		     arena_printf(arena, "%lld (%s) instead of %lld (%s)", (long long)seen->last,
		                  seen->called ? "given out" : "comes next", (long long)wanted.last,
		                  wanted.called ? "given out" : "comes next"),
		     is_behind(seen, &wanted));
}

bool sequence_compare(PGconn *from, PGconn *to, const struct sequence_options *options,
                      struct sequence_report *report, struct error *err)
{
	struct sides sides;

	if (!read_both(from, to, options, &sides, report, err))
		return false;
	for (const struct sequence *one = sides.from; one; one = one->next)
		compare_one(one, find(sides.to, one->quoted), options, report);
	for (const struct sequence *one = sides.to; one; one = one->next)
		if (!find(sides.from, one->quoted))
			note(report, options->arena, one->text, "is not on the first side", false);
	return true;
}
