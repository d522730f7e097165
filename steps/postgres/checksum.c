/* SPDX-License-Identifier: MIT */
/* Sums that tell whether a part of a table is the same on both sides, whatever the order of rows.
 */
#include "steps/postgres/checksum.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "steps/postgres/pair.h"
#include "steps/postgres/query.h"
#include "steps/postgres/range.h"
#include "steps/postgres/twin.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#define FEW_ROWS 2000
#define BUCKET_ROWS 500
#define MOST_DIGITS 4

#define SUM_OF(half)                                                                             \
	"coalesce(pg_catalog.sum(('x' || pg_catalog." half "(r, 16))::pg_catalog.bit(64)::int8)" \
	", 0)"
#define SUMS "pg_catalog.count(*), " SUM_OF("left") ", " SUM_OF("right")

/* ---- SQL ---- */

/* md5 is one of bytes: of texts in two encodings it is one of their UTF-8. */
static void put_hash(struct text *out, const struct twin *twin, const char *row)
{
	if (twin->convert)
		text_format(out, "pg_catalog.md5(pg_catalog.convert_to(%s, 'UTF8'))", row);
	else
		text_format(out, "pg_catalog.md5(%s)", row);
}

static const char *taken(struct text *text, struct arena *arena)
{
	const char *copy = arena_text(arena, text_string(text));

	text_free(text);
	return copy;
}

/* Columns in the order of the source, where the other side may have another one. */
static const char *row_sql(const struct twin *twin, struct arena *arena)
{
	const struct relation *relation = twin->sides[HERE];
	struct text out = {0};

	for (size_t i = 0; i < relation->column_count; i++)
		text_format(&out, "%st.%s", i ? ", " : "ROW(", relation->columns[i].quoted);
	text_add(&out, out.length ? ")::text" : "''::text");
	return taken(&out, arena);
}

static const char *key_sql(const struct twin *twin, struct arena *arena)
{
	const struct relation *relation = twin->sides[HERE];
	struct text out = {0};

	for (size_t i = 0; i < relation->key_count; i++)
		text_format(&out, "%st.%s", i ? ", " : "ROW(", relation->key[i]->quoted);
	text_add(&out, ")::text");
	return taken(&out, arena);
}

/* OFFSET 0 keeps the planner from computing a hash once for each place where it is used. */
const char *checksum_rows_sql(const struct twin *twin, int side, const struct range *range,
                              const char *more, struct arena *arena)
{
	struct text out = {0};

	text_add(&out, "(SELECT ");
	put_hash(&out, twin,
	         twin->sides[HERE]->key_count ? key_sql(twin, arena) : row_sql(twin, arena));
	text_add(&out, " AS k, ");
	put_hash(&out, twin, row_sql(twin, arena));
	text_format(&out, " AS r%s FROM ONLY %s t WHERE %s OFFSET 0) x", more,
	            twin->sides[side]->quoted,
	            range_condition_sql(range, twin->sides[side], arena));
	return taken(&out, arena);
}

/* Without the hash of the key, which nobody asks for here. */
static const char *sums_sql(const struct twin *twin, int side, const struct range *range,
                            struct arena *arena)
{
	struct text out = {0};

	text_add(&out, "SELECT " SUMS " FROM (SELECT ");
	put_hash(&out, twin, row_sql(twin, arena));
	text_format(&out, " AS r FROM ONLY %s t WHERE %s OFFSET 0) x", twin->sides[side]->quoted,
	            range_condition_sql(range, twin->sides[side], arena));
	return taken(&out, arena);
}

/* ---- Sums ---- */

static void take(const PGresult *answer, int row, int column, struct checksum *checksum)
{
	checksum->rows = query_field_number(answer, row, column);
	for (int i = 0; i < 2; i++)
		snprintf(checksum->sums[i], sizeof checksum->sums[i], "%s",
		         query_field(answer, row, column + 1 + i));
}

bool checksum_is_equal(const struct checksum *one, const struct checksum *other)
{
	return one->rows == other->rows && strcmp(one->sums[0], other->sums[0]) == 0 &&
	       strcmp(one->sums[1], other->sums[1]) == 0;
}

bool checksum_take(struct pair *pair, const struct twin *twin, const struct range *range,
                   struct checksum sides[2], struct error *err)
{
	struct arena arena = {0};
	const char *sql[2], *values[2 * RANGE_COLUMNS];
	PGresult *answers[2];

	for (int side = HERE; side <= THERE; side++)
		sql[side] = sums_sql(twin, side, range, &arena);
	bool fine = pair_ask(pair, sql, range_values(range, values), values, answers, err);
	for (int side = HERE; fine && side <= THERE; side++) {
		take(answers[side], 0, 0, &sides[side]);
		PQclear(answers[side]);
	}
	arena_free(&arena);
	return fine;
}

/* ---- Buckets ---- */

size_t checksum_digits(int64_t rows)
{
	size_t digits = 0;

	if (rows <= FEW_ROWS)
		return 0;
	for (; digits < MOST_DIGITS && rows > BUCKET_ROWS; digits++)
		rows /= 16;
	return digits;
}

struct reading {
	struct buckets *buckets;
	struct text *list;
};

static void take_bucket(const struct reading *reading, const char *prefix,
                        const struct checksum sides[2])
{
	struct buckets *buckets = reading->buckets;
	int64_t rows = sides[HERE].rows > sides[THERE].rows ? sides[HERE].rows : sides[THERE].rows;
	int64_t apart = 2 * rows - sides[HERE].rows - sides[THERE].rows;

	if (checksum_is_equal(&sides[HERE], &sides[THERE]))
		return;
	if (buckets->rows > 0 && buckets->rows + rows > buckets->most) {
		buckets->left_out += apart ? apart : 1;
		return;
	}
	buckets->rows += rows;
	text_format(reading->list, "%s%s", reading->list->length > 1 ? "," : "", prefix);
}

/* Both answers are in the order of prefixes; a bucket may be on one side only. */
static void merge_buckets(const struct reading *reading, PGresult *const answers[2])
{
	int rows[2] = {0, 0}, counts[2] = {PQntuples(answers[HERE]), PQntuples(answers[THERE])};

	while (rows[HERE] < counts[HERE] || rows[THERE] < counts[THERE]) {
		struct checksum sums[2] = {{.sums = {"0", "0"}}, {.sums = {"0", "0"}}};
		const char *prefix[2] = {"g", "g"}; /* behind every digit */
		for (int side = HERE; side <= THERE; side++)
			if (rows[side] < counts[side])
				prefix[side] = query_field(answers[side], rows[side], 0);
		int order = strcmp(prefix[HERE], prefix[THERE]);
		if (order <= 0)
			take(answers[HERE], rows[HERE]++, 1, &sums[HERE]);
		if (order >= 0)
			take(answers[THERE], rows[THERE]++, 1, &sums[THERE]);
		take_bucket(reading, order <= 0 ? prefix[HERE] : prefix[THERE], sums);
	}
}

bool checksum_buckets(struct pair *pair, const struct twin *twin, const struct range *range,
                      struct buckets *buckets, struct arena *arena, struct error *err)
{
	const char *sql[2], *values[2 * RANGE_COLUMNS];
	PGresult *answers[2];
	struct text list = {0};
	struct reading reading = {.buckets = buckets, .list = &list};

	for (int side = HERE; side <= THERE; side++)
		sql[side] = arena_printf(arena,
		                         "SELECT pg_catalog.left(k, %zu), " SUMS
		                         " FROM %s GROUP BY 1 ORDER BY pg_catalog.left(k, %zu)"
		                         " COLLATE \"C\"",
		                         buckets->digits,
		                         checksum_rows_sql(twin, side, range, "", arena),
		                         buckets->digits);
	if (!pair_ask(pair, sql, range_values(range, values), values, answers, err))
		return false;
	text_add(&list, "{");
	merge_buckets(&reading, answers);
	text_add(&list, "}");
	buckets->differing = taken(&list, arena);
	PQclear(answers[HERE]);
	PQclear(answers[THERE]);
	return true;
}
