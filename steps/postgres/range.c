/* SPDX-License-Identifier: MIT */
/* A part of a table: the rows whose key lies behind one and not behind another. */
#include "steps/postgres/range.h"
#include "engine/base/arena.h"
#include "engine/base/text.h"
#include "steps/postgres/relation.h"

#define LEAST_ROWS 500
#define MOST_ROWS 2000000
#define MOST_GROWTH 4

/* "(t."a", t."b")" */
static void put_columns(struct text *out, const struct range *range,
                        const struct relation *relation)
{
	text_add(out, "(");
	for (size_t i = 0; i < range->columns; i++)
		text_format(out, "%st.%s", i ? ", " : "", relation->key[i]->quoted);
	text_add(out, ")");
}

/* "($3::int, $4::text)" */
static void put_values(struct text *out, const struct range *range, const struct relation *relation,
                       size_t first)
{
	text_add(out, "(");
	for (size_t i = 0; i < range->columns; i++)
		text_format(out, "%s$%zu::%s", i ? ", " : "", first + i, relation->key[i]->type);
	text_add(out, ")");
}

static void put_condition(struct text *out, const struct range *range,
                          const struct relation *relation)
{
	bool after = range->columns && range->after[0], upto = range->columns && range->upto[0];

	if (after) {
		put_columns(out, range, relation);
		text_add(out, " > ");
		put_values(out, range, relation, 1);
	}
	if (upto) {
		text_add(out, after ? " AND " : "");
		put_columns(out, range, relation);
		text_add(out, " <= ");
		put_values(out, range, relation, after ? range->columns + 1 : 1);
	}
	if (!after && !upto)
		text_add(out, "true");
}

const char *range_condition_sql(const struct range *range, const struct relation *relation,
                                struct arena *arena)
{
	struct text out = {0};

	put_condition(&out, range, relation);
	const char *sql = arena_text(arena, text_string(&out));
	text_free(&out);
	return sql;
}

size_t range_values(const struct range *range, const char **values)
{
	size_t count = 0;

	for (size_t i = 0; i < range->columns && range->after[0]; i++)
		values[count++] = range->after[i];
	for (size_t i = 0; i < range->columns && range->upto[0]; i++)
		values[count++] = range->upto[i];
	return count;
}

const char *range_boundary_sql(const struct range *range, const struct relation *relation,
                               int64_t rows, struct arena *arena)
{
	struct range behind = *range;
	struct text out = {0};

	behind.upto[0] = NULL;
	text_add(&out, "SELECT ");
	for (size_t i = 0; i < range->columns; i++)
		text_format(&out, "%st.%s::text", i ? ", " : "", relation->key[i]->quoted);
	text_format(&out, " FROM ONLY %s t WHERE ", relation->quoted);
	put_condition(&out, &behind, relation);
	text_add(&out, " ORDER BY ");
	for (size_t i = 0; i < range->columns; i++)
		text_format(&out, "%st.%s", i ? ", " : "", relation->key[i]->quoted);
	text_format(&out, " OFFSET %lld LIMIT 1", (long long)(rows > 0 ? rows - 1 : 0));
	const char *sql = arena_text(arena, text_string(&out));
	text_free(&out);
	return sql;
}

void pace_adapt(struct pace *pace, int64_t rows, int64_t took_ms)
{
	if (pace->fixed) {
		pace->rows = pace->fixed;
		return;
	}
	int64_t wanted = rows * PACE_GOAL_MS / (took_ms > 0 ? took_ms : 1);
	/* The last part of a table is small and says little. */
	if (rows < pace->rows / 2 && took_ms < PACE_GOAL_MS)
		return;
	if (wanted > pace->rows * MOST_GROWTH)
		wanted = pace->rows * MOST_GROWTH;
	pace->rows = wanted < LEAST_ROWS ? LEAST_ROWS : wanted > MOST_ROWS ? MOST_ROWS : wanted;
}
