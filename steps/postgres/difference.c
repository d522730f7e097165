/* SPDX-License-Identifier: MIT */
/* Which rows of a part of a table differ, told by their keys.
 *
 * First the part is cut into buckets by a hash of the key, and each is summed up; then both sides
 * give the rows of the buckets that differ, in the order of the hash, and the two rows of hashes
 * are merged. */
#include "steps/postgres/difference.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "steps/postgres/checksum.h"
#include "steps/postgres/database.h"
#include "steps/postgres/discrepancy.h"
#include "steps/postgres/pair.h"
#include "steps/postgres/query.h"
#include "steps/postgres/range.h"
#include "steps/postgres/twin.h"

#include <libpq-fe.h>
#include <string.h>

/* Both servers sort so many rows at most; what differs beyond is counted as "at least". */
#define MOST_ROWS 1000000
#define SHOWN_BYTES 100 /* of one value of a key */

enum { ROW_KEY, ROW_HASH, ROW_NAMES };

/* A key that is on both sides, whose rows differ; in which columns is asked later. */
struct changed {
	const char **key;
	struct changed *next;
};

struct search {
	struct pair *pair;
	const struct twin *twin;
	struct discrepancies *discrepancies;
	struct arena arena;
	struct changed *first, **end;
	size_t kept; /* in that list */
};

/* ---- Names of rows ---- */

static size_t name_count(const struct twin *twin)
{
	return twin->sides[HERE]->key_count ? twin->sides[HERE]->key_count : 1;
}

/* ", t."id"::text AS n0" */
static const char *names_sql(struct search *search)
{
	const struct relation *relation = search->twin->sides[HERE];
	const char *sql = "";

	if (relation->key_count == 0)
		return ", t.ctid::text AS n0";
	for (size_t i = 0; i < relation->key_count; i++)
		sql = arena_printf(&search->arena, "%s, t.%s::text AS n%zu", sql,
		                   relation->key[i]->quoted, i);
	return sql;
}

static void put_value(struct text *out, const char *value)
{
	size_t length = strlen(value), shown = length < SHOWN_BYTES ? length : SHOWN_BYTES;

	while (shown < length && (value[shown] & 0xC0) == 0x80)
		shown--;
	for (size_t i = 0; i < shown; i++)
		text_put(out, (unsigned char)value[i] < ' ' ? " " : &value[i], 1);
	text_add(out, shown < length ? "..." : "");
}

/* `tenant = 3, name = x`, or "the row at (0,5)". */
static void put_name(struct text *out, const struct twin *twin, const char *const *names)
{
	const struct relation *relation = twin->sides[HERE];

	if (relation->key_count == 0)
		text_format(out, "the row at %s", names[0]);
	for (size_t i = 0; i < relation->key_count; i++) {
		text_format(out, "%s%s = ", i ? ", " : "", relation->key[i]->name);
		put_value(out, names[i]);
	}
}

static const char **names_of(struct search *search, const PGresult *row)
{
	size_t count = name_count(search->twin);
	const char **names = arena_array(&search->arena, count, sizeof *names);

	for (size_t i = 0; i < count; i++) {
		const char *name = query_field(row, 0, ROW_NAMES + (int)i);
		names[i] = arena_text(&search->arena, name ? name : "NULL");
	}
	return names;
}

/* ---- What is found ---- */

static void find_alone(struct search *search, const PGresult *row, int side)
{
	const char *table = search->twin->sides[HERE]->quoted;
	struct text out = {0};

	if (discrepancy_is_wanted(search->discrepancies)) {
		put_name(&out, search->twin, names_of(search, row));
		text_format(&out, " is only in %s", search->pair->databases[side]->name);
	}
	discrepancy_add(search->discrepancies, table, 1, out.length ? text_string(&out) : NULL);
	text_free(&out);
}

static void find_changed(struct search *search, const PGresult *row)
{
	if (search->discrepancies->count + search->kept >= search->discrepancies->limit) {
		discrepancy_add(search->discrepancies, search->twin->sides[HERE]->quoted, 1, NULL);
		return;
	}
	struct changed *changed = arena_alloc(&search->arena, sizeof *changed);
	changed->key = names_of(search, row);
	*search->end = changed;
	search->end = &changed->next;
	search->kept++;
}

/* ---- Merging ---- */

static bool advance(struct search *search, PGresult *rows[2], int side, struct error *err)
{
	return pair_next_row(search->pair, side, &rows[side], err);
}

/* Below 0: only HERE has that key, above: only THERE. The end is behind every key. */
static int compare_keys(PGresult *const rows[2])
{
	if (!rows[HERE] || !rows[THERE])
		return rows[HERE] ? -1 : 1;
	return strcmp(query_field(rows[HERE], 0, ROW_KEY), query_field(rows[THERE], 0, ROW_KEY));
}

static bool merge(struct search *search, PGresult *rows[2], struct error *err)
{
	if (!advance(search, rows, HERE, err) || !advance(search, rows, THERE, err))
		return false;
	while (rows[HERE] || rows[THERE]) {
		int order = compare_keys(rows);
		if (order < 0)
			find_alone(search, rows[HERE], HERE);
		else if (order > 0)
			find_alone(search, rows[THERE], THERE);
		else if (strcmp(query_field(rows[HERE], 0, ROW_HASH),
		                query_field(rows[THERE], 0, ROW_HASH)) != 0)
			find_changed(search, rows[HERE]);
		if ((order <= 0 && !advance(search, rows, HERE, err)) ||
		    (order >= 0 && !advance(search, rows, THERE, err)))
			return false;
	}
	return true;
}

static bool read_rows(struct search *search, const struct range *range,
                      const struct buckets *buckets, struct error *err)
{
	const char *sql[2], *values[2 * RANGE_COLUMNS + 1];
	size_t count = range_values(range, values);
	PGresult *rows[2] = {NULL, NULL};

	for (int side = HERE; side <= THERE; side++) {
		const char *from = checksum_rows_sql(search->twin, side, range, names_sql(search),
		                                     &search->arena);
		const char *where = buckets->digits
		                            ? arena_printf(&search->arena,
		                                           " WHERE pg_catalog.left(k, %zu) = ANY "
		                                           "($%zu::text[])",
		                                           buckets->digits, count + 1)
		                            : "";
		sql[side] = arena_printf(&search->arena,
		                         "SELECT x.* FROM %s%s ORDER BY k COLLATE \"C\", r COLLATE "
		                         "\"C\"",
		                         from, where);
	}
	if (buckets->digits)
		values[count++] = buckets->differing;
	bool fine =
		pair_begin_rows(search->pair, sql, count, values, err) && merge(search, rows, err);
	PQclear(rows[HERE]);
	PQclear(rows[THERE]);
	return fine;
}

/* ---- Which columns ---- */

/* As that side declares it: a collation may have another name there. */
static const char *type_of(const struct relation *relation, const struct column *column)
{
	for (size_t i = 0; i < relation->column_count; i++)
		if (strcmp(relation->columns[i].name, column->name) == 0)
			return relation->columns[i].type;
	return column->type;
}

static const char *columns_sql(struct search *search, int side)
{
	const struct relation *here = search->twin->sides[HERE],
			      *relation = search->twin->sides[side];
	struct text out = {0};

	for (size_t i = 0; i < here->column_count; i++)
		text_format(&out, "%spg_catalog.md5(t.%s::text)", i ? ", " : "SELECT ",
		            here->columns[i].quoted);
	text_format(&out, " FROM ONLY %s t WHERE ", relation->quoted);
	for (size_t i = 0; i < here->key_count; i++)
		text_format(&out, "%st.%s %s $%zu::%s", i ? " AND " : "", here->key[i]->quoted,
		            here->key[i]->equals, i + 1, type_of(relation, here->key[i]));
	const char *sql = arena_text(&search->arena, text_string(&out));
	text_free(&out);
	return sql;
}

static bool is_same(const char *one, const char *other)
{
	return one && other ? strcmp(one, other) == 0 : one == other;
}

static void put_columns(struct text *out, const struct relation *relation,
                        PGresult *const answers[2])
{
	size_t count = 0;

	if (PQntuples(answers[HERE]) == 0 || PQntuples(answers[THERE]) == 0)
		return;
	for (size_t i = 0; i < relation->column_count; i++)
		if (!is_same(query_field(answers[HERE], 0, (int)i),
		             query_field(answers[THERE], 0, (int)i)))
			text_format(out, "%s%s", count++ ? ", " : " in ",
			            relation->columns[i].name);
}

static bool tell_changed(struct search *search, struct error *err)
{
	const struct relation *relation = search->twin->sides[HERE];
	const char *sql[2] = {columns_sql(search, HERE), columns_sql(search, THERE)};

	for (const struct changed *one = search->first; one; one = one->next) {
		struct text out = {0};
		PGresult *answers[2];
		if (!pair_ask(search->pair, sql, relation->key_count, one->key, answers, err))
			return false;
		put_name(&out, search->twin, one->key);
		text_add(&out, " differs");
		put_columns(&out, relation, answers);
		discrepancy_add(search->discrepancies, relation->quoted, 1, text_string(&out));
		text_free(&out);
		PQclear(answers[HERE]);
		PQclear(answers[THERE]);
	}
	return true;
}

/* ---- The whole ---- */

bool difference_find(struct pair *pair, const struct twin *twin, const struct range *range,
                     int64_t rows, struct discrepancies *discrepancies, struct error *err)
{
	struct search search = {.pair = pair, .twin = twin, .discrepancies = discrepancies};
	struct buckets buckets = {.digits = checksum_digits(rows), .most = MOST_ROWS};

	search.end = &search.first;
	bool fine = (buckets.digits == 0 ||
	             checksum_buckets(pair, twin, range, &buckets, &search.arena, err)) &&
	            read_rows(&search, range, &buckets, err) && tell_changed(&search, err);
	if (fine && buckets.left_out > 0) {
		discrepancy_add(discrepancies, twin->sides[HERE]->quoted, buckets.left_out, NULL);
		discrepancies->more = true;
	}
	arena_free(&search.arena);
	return fine || fail_while(err, "look for what differs in %s", twin->sides[HERE]->quoted);
}
