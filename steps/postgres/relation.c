/* SPDX-License-Identifier: MIT */
/* The tables of a database as replication sees them: ordinary tables and leaves of partitioned
 * ones, each with the columns that are copied and the key by which its rows are told apart. */
#include "steps/postgres/relation.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "engine/base/value.h"
#include "steps/postgres/query.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

/* A table; %s: the condition on the schema. */
static const char tables_sql[] =
	"SELECT c.oid, n.nspname, c.relname, pg_catalog.format('%%I.%%I', n.nspname, c.relname),"
	" pg_catalog.format('%%L', pg_catalog.format('%%I.%%I', n.nspname, c.relname)),"
	" c.relpersistence = 'u', c.relispartition,"
	" pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8,"
	" pg_catalog.pg_table_size(c.oid), c.reltuples::int8"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND %s"
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid ="
	" 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')"
	" ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\"";

/* What stands behind a type: domains down to their base, elements of arrays, subtypes of ranges and
 * columns of composites. Binary COPY is safe where every one of them is written without an oid of
 * this database: not so the reg* types and what extensions make. Enums, arrays and composites of
 * them are fine. The index of the key: the primary key before others, then the one with the fewest
 * columns. */
static const char columns_sql[] =
	"WITH RECURSIVE wanted AS (SELECT c.oid FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND %s),"
	" inside (root, oid) AS ("
	" SELECT DISTINCT a.atttypid, a.atttypid FROM pg_catalog.pg_attribute a"
	" JOIN wanted w ON w.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped"
	" UNION SELECT i.root, x.oid FROM inside i JOIN pg_catalog.pg_type t ON t.oid = i.oid"
	" CROSS JOIN LATERAL (SELECT t.typbasetype WHERE t.typtype = 'd'"
	"  UNION ALL SELECT t.typelem WHERE t.typelem <> 0 AND t.typlen = -1"
	"  UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid"
	"  UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE t.typtype = 'c'"
	"   AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) x (oid)),"
	" unsafe AS (SELECT DISTINCT i.root FROM inside i JOIN pg_catalog.pg_type t ON t.oid = "
	"i.oid"
	" WHERE (t.typname ~ '^_?reg' AND t.oid < 16384) OR t.typsend = 0 OR t.typname = 'aclitem'"
	" OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid ="
	"  'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e')),"
	" base (root, oid, typmod) AS (SELECT DISTINCT a.atttypid, a.atttypid, -1"
	"  FROM pg_catalog.pg_attribute a JOIN wanted w ON w.oid = a.attrelid WHERE a.attnum > 0"
	"  AND NOT a.attisdropped"
	" UNION SELECT b.root, t.typbasetype, t.typtypmod FROM base b"
	"  JOIN pg_catalog.pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'),"
	" keys AS (SELECT DISTINCT ON (i.indrelid) i.indrelid, i.indclass, i.indnkeyatts, "
	"x.relname,"
	"  (SELECT pg_catalog.array_agg(u.n ORDER BY u.at) FROM"
	"   pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY u (n, at)) AS columns"
	"  FROM pg_catalog.pg_index i JOIN wanted w ON w.oid = i.indrelid"
	"  JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid"
	"  WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL"
	"  AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid"
	"   AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND NOT a.attnotnull)"
	"  ORDER BY i.indrelid, i.indisprimary DESC, i.indnkeyatts, x.relname COLLATE \"C\")"
	" SELECT a.attrelid, a.attname, pg_catalog.quote_ident(a.attname),"
	" pg_catalog.format_type(b.oid, CASE WHEN b.oid = a.atttypid THEN a.atttypmod ELSE "
	"b.typmod END)"
	"  || CASE WHEN a.attcollation <> bt.typcollation AND a.attcollation <> 0 THEN"
	"   (SELECT pg_catalog.format(' COLLATE %%I.%%I', n.nspname, l.collname)"
	"    FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace n ON n.oid = "
	"l.collnamespace"
	"    WHERE l.oid = a.attcollation) ELSE '' END,"
	" b.oid IN (20, 21, 23), u.root IS NOT NULL, a.attgenerated <> '', k.relname,"
	" p.at <= k.indnkeyatts AS is_key, p.at,"
	/* Not looked for where there is none: that would be once for every column. */
	" CASE WHEN p.at <= k.indnkeyatts THEN"
	" (SELECT pg_catalog.format('OPERATOR(%%I.%%s)', n.nspname, o.oprname)"
	"  FROM pg_catalog.pg_opclass oc JOIN pg_catalog.pg_amop m ON m.amopfamily = oc.opcfamily"
	"  AND m.amopstrategy = 3 AND m.amoplefttype = oc.opcintype AND m.amoprighttype = "
	"oc.opcintype"
	"  JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr"
	"  JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace"
	"  WHERE oc.oid = k.indclass[p.at - 1]) END"
	" FROM pg_catalog.pg_attribute a JOIN wanted w ON w.oid = a.attrelid"
	" JOIN base b ON b.root = a.atttypid JOIN pg_catalog.pg_type bt ON bt.oid = b.oid"
	"  AND bt.typtype <> 'd'"
	" LEFT JOIN unsafe u ON u.root = a.atttypid LEFT JOIN keys k ON k.indrelid = a.attrelid"
	" CROSS JOIN LATERAL (SELECT pg_catalog.array_position(k.columns, a.attnum)) p (at)"
	" WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum";

enum {
	ATT_TABLE,
	ATT_NAME,
	ATT_QUOTED,
	ATT_TYPE,
	ATT_INTEGER,
	ATT_UNSAFE,
	ATT_GENERATED,
	ATT_INDEX,
	ATT_IS_KEY,
	ATT_KEY_AT,
	ATT_EQUALS
};

/* ---- Which schemas ---- */

static bool names_all(const struct value *schemas)
{
	if (!schemas || schemas->as.items.count == 0)
		return true;
	for (const struct value *one = schemas->as.items.first; one; one = one->next)
		if (value_reveal(one) && strcmp(value_reveal(one), "all") == 0)
			return true;
	return false;
}

const char *relation_schemas_sql(PGconn *connection, const struct value *schemas,
                                 struct arena *arena)
{
	struct text out = {0};

	if (names_all(schemas))
		/* _heroku is the provider's, and closed to its customers. */
		return "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', '_heroku', "
		       "'" OUR_SCHEMA "')";
	for (const struct value *one = schemas->as.items.first; one; one = one->next) {
		char *literal =
			PQescapeLiteral(connection, value_reveal(one), strlen(value_reveal(one)));
		text_format(&out, "%s%s", out.length ? ", " : "n.nspname IN (", literal);
		PQfreemem(literal);
	}
	text_add(&out, ")");
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}

static bool check_schemas(PGconn *connection, const struct value *schemas, struct error *err)
{
	if (names_all(schemas))
		return true;
	for (const struct value *one = schemas->as.items.first; one; one = one->next) {
		const char *name = value_reveal(one);
		PGresult *result = query_with(
			connection, "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", 1,
			&name, err);
		bool there = result && PQntuples(result) == 1;
		PQclear(result);
		if (!there)
			return result && fail(err, ERROR_PLAN, "there is no schema %s", name);
	}
	return true;
}

/* ---- Reading ---- */

static bool is_true(const PGresult *result, int row, int column)
{
	const char *text = query_field(result, row, column);

	return text && text[0] == 't';
}

static void add_table(const PGresult *result, int row, struct arena *arena,
                      struct relations *relations)
{
	struct relation *one = arena_alloc(arena, sizeof *one);

	one->oid = (unsigned)query_field_number(result, row, 0);
	one->schema = arena_text(arena, query_field(result, row, 1));
	one->name = arena_text(arena, query_field(result, row, 2));
	one->quoted = arena_text(arena, query_field(result, row, 3));
	one->literal = arena_text(arena, query_field(result, row, 4));
	one->unlogged = is_true(result, row, 5);
	one->partition = is_true(result, row, 6);
	one->pages = query_field_number(result, row, 7);
	one->bytes = query_field_number(result, row, 8);
	one->rows = query_field_number(result, row, 9);
	one->binary = true;
	if (relations->last)
		relations->last->next = one;
	else
		relations->first = one;
	relations->last = one;
	relations->count++;
}

/* The rows [from, to) of the result are the columns of one table. */
static void add_columns(const PGresult *result, int from, int to, struct arena *arena,
                        struct relation *relation)
{
	relation->columns = arena_array(arena, (size_t)(to - from), sizeof *relation->columns);
	relation->key = arena_array(arena, (size_t)(to - from), sizeof(struct column *));
	for (int row = from; row < to; row++) {
		struct column *column = &relation->columns[relation->column_count];
		bool key = is_true(result, row, ATT_IS_KEY);
		column->name = arena_text(arena, query_field(result, row, ATT_NAME));
		column->quoted = arena_text(arena, query_field(result, row, ATT_QUOTED));
		column->type = arena_text(arena, query_field(result, row, ATT_TYPE));
		column->log_type = is_true(result, row, ATT_INTEGER) ? "bigint" : column->type;
		column->key = key;
		column->generated = is_true(result, row, ATT_GENERATED);
		if (is_true(result, row, ATT_UNSAFE))
			relation->binary = false;
		if (key) {
			size_t at = (size_t)query_field_number(result, row, ATT_KEY_AT) - 1;
			column->equals = arena_text(arena, query_field(result, row, ATT_EQUALS));
			relation->key[at] = column;
			relation->key_count++;
			relation->key_index =
				arena_text(arena, query_field(result, row, ATT_INDEX));
		}
		relation->column_count++;
	}
}

static int compare_oids(const void *a, const void *b)
{
	const struct relation *const *left = a, *const *right = b;

	return (*left)->oid < (*right)->oid ? -1 : (*left)->oid > (*right)->oid;
}

/* Both are in the order of oids then. */
static void spread_columns(const PGresult *result, struct arena *arena, struct relations *relations)
{
	struct relation **by_oid = arena_array(arena, relations->count, sizeof *by_oid);
	size_t count = 0;
	int row = 0, rows = PQntuples(result);

	for (struct relation *one = relations->first; one; one = one->next)
		by_oid[count++] = one;
	qsort(by_oid, count, sizeof *by_oid, compare_oids);
	for (size_t i = 0; i < count; i++) {
		while (row < rows &&
		       (unsigned)query_field_number(result, row, ATT_TABLE) < by_oid[i]->oid)
			row++;
		int from = row;
		while (row < rows &&
		       (unsigned)query_field_number(result, row, ATT_TABLE) == by_oid[i]->oid)
			row++;
		add_columns(result, from, row, arena, by_oid[i]);
	}
}

bool relation_list(PGconn *connection, const struct value *schemas, struct arena *arena,
                   struct relations *relations, struct error *err)
{
	if (!check_schemas(connection, schemas, err))
		return false;
	const char *condition = relation_schemas_sql(connection, schemas, arena);
	PGresult *tables = query(connection, arena_printf(arena, tables_sql, condition), err);
	PGresult *columns =
		tables ? query(connection, arena_printf(arena, columns_sql, condition), err) : NULL;

	*relations = (struct relations){0};
	for (int row = 0; columns && row < PQntuples(tables); row++)
		add_table(tables, row, arena, relations);
	if (columns)
		spread_columns(columns, arena, relations);
	PQclear(tables);
	PQclear(columns);
	return columns || fail_while(err, "list tables");
}

struct relation *relation_find(const struct relations *relations, const char *schema,
                               const char *name)
{
	for (struct relation *one = relations->first; one; one = one->next)
		if (strcmp(one->name, name) == 0 && strcmp(one->schema, schema) == 0)
			return one;
	return NULL;
}

/* ---- SQL ---- */

const char *relation_columns_sql(const struct relation *relation, const char *prefix,
                                 struct arena *arena)
{
	struct text out = {0};

	for (size_t i = 0; i < relation->column_count; i++)
		if (!relation->columns[i].generated)
			text_format(&out, "%s%s%s", out.length ? ", " : "", prefix,
			            relation->columns[i].quoted);
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}

const char *relation_class_sql(const struct relation *relation, const char *prefix,
                               struct arena *arena)
{
	return arena_printf(arena, "pg_catalog.md5(ROW(%s)::text)",
	                    relation_columns_sql(relation, prefix, arena));
}
