/* SPDX-License-Identifier: MIT */
/* The statements of a batch for one table.
 *
 * On the source one statement empties the log and joins its keys with the current rows: a key,
 * whether there is a row, the row. Within one snapshot that is the state of those keys. The target
 * keeps it in a temporary table. */
#include "steps/postgres/batch_sql.h"
#include "engine/base/arena.h"
#include "engine/base/text.h"
#include "steps/postgres/link.h"

static const char *taken(struct text *text, struct arena *arena)
{
	const char *copy = arena_text(arena, text_string(text));

	text_free(text);
	return copy;
}

static size_t key_count(const struct relation *relation)
{
	return relation->key_count ? relation->key_count : 1;
}

/* "k.k0, k.k1" */
static const char *keys(const struct relation *relation, const char *prefix, struct arena *arena)
{
	struct text out = {0};

	for (size_t i = 0; i < key_count(relation); i++)
		text_format(&out, "%s%sk%zu", i ? ", " : "", prefix, i);
	return taken(&out, arena);
}

/* `t."a" OPERATOR(pg_catalog.=) k.k0 AND ...`: the very equality of the key's index. */
static const char *matches(const struct relation *relation, const char *alias, struct arena *arena)
{
	struct text out = {0};

	if (relation->key_count == 0)
		return arena_printf(arena, "%s = %s.k0", relation_class_sql(relation, "t.", arena),
		                    alias);
	for (size_t i = 0; i < relation->key_count; i++)
		text_format(&out, "%st.%s %s %s.k%zu", i ? " AND " : "", relation->key[i]->quoted,
		            relation->key[i]->equals, alias, i);
	return taken(&out, arena);
}

static const char *stage_columns(const struct relation *relation, const char *prefix,
                                 struct arena *arena)
{
	struct text out = {0};
	size_t count = 0;

	for (size_t i = 0; i < relation->column_count; i++)
		if (!relation->columns[i].generated)
			text_format(&out, "%s%sc%zu", out.length ? ", " : "", prefix, count++);
	return taken(&out, arena);
}

static const char *make_stage(const struct followed *table, const char *name, struct arena *arena)
{
	const struct relation *relation = table->relation;
	struct text out = {0};
	size_t count = 0;

	text_format(&out, "CREATE TEMP TABLE %s (", name);
	for (size_t i = 0; i < key_count(relation); i++)
		text_format(&out, "k%zu %s, ", i,
		            relation->key_count ? relation->key[i]->log_type
		                                : "text COLLATE \"C\"");
	text_add(&out, "present boolean");
	for (size_t i = 0; i < relation->column_count; i++)
		if (!relation->columns[i].generated)
			text_format(&out, ", c%zu %s", count++, relation->columns[i].type);
	text_add(&out, ") ON COMMIT DELETE ROWS");
	return taken(&out, arena);
}

/* Which rows of t are to go. A class comes with each of its rows: joined with those, a class of a
 * thousand rows would be gone through a million times. */
static const char *staged_sql(const struct relation *relation, const char *stage,
                              struct arena *arena)
{
	if (relation->key_count == 0)
		return arena_printf(arena, "WHERE %s IN (SELECT k0 FROM %s)",
		                    relation_class_sql(relation, "t.", arena), stage);
	return arena_printf(arena, "USING %s s WHERE %s", stage, matches(relation, "s", arena));
}

void batch_sql_make(struct followed *table, struct arena *arena)
{
	const struct relation *relation = table->relation;
	const char *format = relation->binary ? "binary" : "text";
	const char *stage = arena_printf(arena, "pg_temp.zz_plan_stage_%lld", (long long)table->id);
	const char *columns = relation_columns_sql(relation, "", arena);
	const char *k = keys(relation, "k.", arena), *plain = keys(relation, "", arena);

	table->stage = make_stage(table, stage, arena);
	table->analyze = arena_printf(arena, "ANALYZE %s (%s)", stage, plain);
	table->read = arena_printf(
		arena,
		"COPY (WITH d AS (DELETE FROM ONLY %s RETURNING %s), k AS (SELECT DISTINCT %s FROM "
		"d)"
		" SELECT %s, t.ctid IS NOT NULL, %s FROM k LEFT JOIN ONLY %s t ON %s)"
		" TO STDOUT (FORMAT %s)",
		table->log, plain, plain, k, relation_columns_sql(relation, "t.", arena),
		relation->quoted, matches(relation, "k", arena), format);
	table->stage_in = arena_printf(arena, "COPY %s FROM STDIN (FORMAT %s)", stage, format);
	/* A key of NULL stands for TRUNCATE: every row that is there after it is logged, too. */
	table->apply = arena_printf(
		arena,
		"DELETE FROM ONLY %s WHERE EXISTS (SELECT FROM %s WHERE k0 IS NULL);"
		"DELETE FROM ONLY %s t %s;"
		"INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s WHERE present",
		table->there->quoted, stage, table->there->quoted,
		staged_sql(relation, stage, arena), table->there->quoted, columns,
		stage_columns(relation, "", arena), stage);
}
