/* SPDX-License-Identifier: MIT */
/* In which columns of their keys two databases agree about the order. */
#include "steps/postgres/twin_order.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "steps/postgres/pair.h"
#include "steps/postgres/query.h"
#include "steps/postgres/range.h"
#include "steps/postgres/relation.h"
#include "steps/postgres/twin.h"

#include <libpq-fe.h>
#include <string.h>

/* A word for the order of every column of an index that has one order everywhere or a deterministic
 * collation; 'bytes' goes for every encoding that is the same on both sides. Columns of the catalog
 * that are not in every version are read through jsonb. A collation with the database's own locale
 * stands for it, so that its version is known before 15, too. %s: oids of tables. */
static const char orders_sql[] =
	"WITH d AS (SELECT coalesce(pg_catalog.to_jsonb(x) ->> 'datlocprovider', 'c') AS provider,"
	"  CASE coalesce(pg_catalog.to_jsonb(x) ->> 'datlocprovider', 'c') WHEN 'c' THEN"
	"  x.datcollate::text ELSE coalesce(pg_catalog.to_jsonb(x) ->> 'datlocale',"
	"  pg_catalog.to_jsonb(x) ->> 'daticulocale') END AS locale,"
	"  coalesce(pg_catalog.to_jsonb(x) ->> 'daticurules', '') AS rules"
	"  FROM pg_catalog.pg_database x WHERE x.datname = pg_catalog.current_database()),"
	" l AS (SELECT c.oid, c.collprovider::text AS provider,"
	"  coalesce(pg_catalog.to_jsonb(c) ->> 'colllocale',"
	"  pg_catalog.to_jsonb(c) ->> 'colliculocale', c.collcollate::text) AS locale,"
	"  coalesce(pg_catalog.to_jsonb(c) ->> 'collicurules', '') AS rules, c.collisdeterministic"
	"  FROM pg_catalog.pg_collation c),"
	" a AS (SELECT DISTINCT a.attrelid, a.attname, a.atttypid, a.attcollation"
	"  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid"
	"  AND i.indisunique AND a.attnum = ANY (i.indkey)"
	"  WHERE a.attrelid = ANY ($1::oid[])),"
	" o AS (SELECT a.*, CASE WHEN l.provider = 'd' THEN d.provider ELSE l.provider END AS "
	"provider,"
	"  CASE WHEN l.provider = 'd' THEN d.locale ELSE l.locale END AS locale,"
	"  CASE WHEN l.provider = 'd' THEN d.rules ELSE l.rules END AS rules"
	"  FROM a CROSS JOIN d LEFT JOIN l ON l.oid = a.attcollation AND l.collisdeterministic)"
	" SELECT o.attrelid, o.attname, CASE"
	" WHEN o.atttypid IN (16, 17, 20, 21, 23, 26, 700, 701, 1082, 1083, 1114, 1184, 1700, 2950)"
	"  THEN 'plain'"
	" WHEN o.atttypid NOT IN (19, 25, 1042, 1043) OR o.provider IS NULL THEN NULL"
	" WHEN o.provider IN ('c', 'b') AND o.locale IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8',"
	"  'C.UTF8') THEN 'bytes'"
	" ELSE (SELECT pg_catalog.concat_ws(':', o.provider, o.locale, x.version, o.rules)"
	"  FROM (SELECT pg_catalog.min(pg_catalog.pg_collation_actual_version(l.oid)) AS version"
	"   FROM l WHERE l.provider = o.provider AND l.locale = o.locale) x"
	"  WHERE x.version IS NOT NULL) END"
	" FROM o ORDER BY o.attrelid";

static const char encoding_sql[] = "SELECT pg_catalog.current_setting('server_encoding')";

static const char *oids_of(const struct twins *twins, int side, struct arena *arena)
{
	struct text out = {0};

	for (const struct twin *one = twins->first; one; one = one->next)
		text_format(&out, "%s%u", out.length ? "," : "", one->sides[side]->oid);
	const char *list = arena_printf(arena, "{%s}", text_string(&out));
	text_free(&out);
	return list;
}

/* The word for a column of the table; NULL: nobody knows. */
static const char *order_of(const PGresult *orders, unsigned oid, const char *column)
{
	int first = 0, count = PQntuples(orders);

	for (int end = count; first < end;) {
		int middle = first + (end - first) / 2;
		if (query_field_number(orders, middle, 0) < (int64_t)oid)
			first = middle + 1;
		else
			end = middle;
	}
	for (int row = first; row < count && query_field_number(orders, row, 0) == oid; row++)
		if (strcmp(query_field(orders, row, 1), column) == 0)
			return query_field(orders, row, 2);
	return NULL;
}

/* Both must have the columns at the head of their keys, else a range would read the whole table. */
static size_t agreed(const struct twin *twin, PGresult *const orders[2])
{
	const struct relation *here = twin->sides[HERE], *there = twin->sides[THERE];
	size_t count = 0;

	while (count < here->key_count && count < there->key_count && count < RANGE_COLUMNS) {
		const char *name = here->key[count]->name;
		const char *order = order_of(orders[HERE], here->oid, name);
		const char *other = order_of(orders[THERE], there->oid, name);
		if (strcmp(there->key[count]->name, name) != 0 || !order || !other ||
		    strcmp(order, other) != 0 || (twin->convert && strcmp(order, "plain") != 0))
			break;
		count++;
	}
	return count;
}

bool twin_order_find(struct twins *twins, PGconn *const sides[2], struct arena *arena,
                     struct error *err)
{
	PGresult *orders[2] = {NULL, NULL};
	const char *encodings[2];
	bool fine = true;

	for (int side = HERE; fine && side <= THERE; side++) {
		const char *oids = oids_of(twins, side, arena);
		orders[side] = query_with(sides[side], orders_sql, 1, &oids, err);
		fine = orders[side] &&
		       query_text(sides[side], encoding_sql, arena, &encodings[side], err);
	}
	for (struct twin *one = fine ? twins->first : NULL; one; one = one->next) {
		one->convert = strcmp(encodings[HERE], encodings[THERE]) != 0;
		one->ordered = agreed(one, orders);
	}
	PQclear(orders[HERE]);
	PQclear(orders[THERE]);
	return fine || fail_while(err, "compare the order of keys");
}
