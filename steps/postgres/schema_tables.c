/* SPDX-License-Identifier: MIT */
/* Tables, sequences and views, as the catalogs have them. */
#include "steps/postgres/schema_kinds.h"

#include <stddef.h>

static const char table_definition[] =
	"concat_ws(' ', c.relkind, c.relpersistence,"
	" 'PARTITION BY ' || pg_get_partkeydef(c.oid),"
	" pg_get_expr(c.relpartbound, c.oid),"
	" 'INHERITS ' || (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)"
	"   FROM pg_inherits i WHERE i.inhrelid = c.oid),"
	" 'OF ' || NULLIF(c.reloftype, 0)::regtype,"
	" 'WITH ' || array_to_string(c.reloptions, ', '),"
	" 'TOAST ' || (SELECT array_to_string(t.reloptions, ', ') FROM pg_class t"
	"   WHERE t.oid = c.reltoastrelid),"
	" (SELECT 'USING ' || m.amname FROM pg_am m"
	"   WHERE m.oid = c.relam AND m.amname <> 'heap' AND c.relkind = 'r'),"
	" CASE WHEN c.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END,"
	" CASE c.relreplident WHEN 'n' THEN 'REPLICA IDENTITY NOTHING'"
	"   WHEN 'f' THEN 'REPLICA IDENTITY FULL' END,"
	" (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0"
	"   AND NOT a.attisdropped) || ' columns')";

/* Columns of a child by INHERITS come in another order than they were added in; partitions have no
 * identity of their own before 17. What not every version has is read through JSON. Servers since
 * 15.20 number the versions of a column among its options, each in its own way: pg_attver. */
static const char column_definition[] =
	"concat_ws(' ', CASE WHEN c.relispartition OR NOT EXISTS"
	"   (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)"
	"   THEN (SELECT count(*) FROM pg_attribute b WHERE b.attrelid = c.oid AND b.attnum > 0"
	"     AND b.attnum <= a.attnum AND NOT b.attisdropped) END,"
	" format_type(a.atttypid, a.atttypmod),"
	" CASE WHEN a.attcollation <> t.typcollation THEN"
	"   'COLLATE ' || a.attcollation::regcollation END,"
	" CASE WHEN a.attnotnull THEN 'NOT NULL' END,"
	" CASE WHEN NOT c.relispartition THEN CASE a.attidentity"
	"   WHEN 'a' THEN 'IDENTITY ALWAYS' WHEN 'd' THEN 'IDENTITY BY DEFAULT' END END,"
	" CASE a.attgenerated WHEN '' THEN 'DEFAULT ' WHEN 's' THEN 'STORED '"
	"   ELSE 'VIRTUAL ' END || pg_get_expr(d.adbin, d.adrelid),"
	" CASE WHEN a.attstorage <> t.typstorage THEN concat('STORAGE ', a.attstorage) END,"
	" 'COMPRESSION ' || NULLIF(to_jsonb(a)->>'attcompression', ''),"
	" 'STATISTICS ' || NULLIF(to_jsonb(a)->>'attstattarget', '-1'),"
	" 'WITH ' || (SELECT string_agg(o, ', ') FROM unnest(a.attoptions) o"
	"   WHERE NOT starts_with(o, 'pg_attver=')),"
	" 'FOREIGN ' || array_to_string(a.attfdwoptions, ', '))";

static const char sequence_definition[] =
	"concat_ws(' ', format_type(s.seqtypid, NULL), 'START', s.seqstart, 'INCREMENT',"
	" s.seqincrement, 'MIN', s.seqmin, 'MAX', s.seqmax, 'CACHE', s.seqcache,"
	" CASE WHEN s.seqcycle THEN 'CYCLE' END, (SELECT"
	"   'OF ' || d.refobjid::regclass || '.' || quote_ident(a.attname) FROM pg_depend d"
	"   JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
	"   WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid"
	"   AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))";

static const char view_definition[] =
	"concat_ws(' ', pg_get_viewdef(c.oid), 'WITH ' || array_to_string(c.reloptions, ', '))";

#define RELATION(kinds)                                                                        \
	.from = "pg_class c", .where = "c.relkind IN (" kinds ")", .schema = "c.relnamespace", \
	.class = "pg_class", .oid = "c.oid", .identity = "c.oid::regclass"

const struct schema_kind schema_tables[] = {
	{
		.name = "table",
		.drop = "TABLE",
		.flags = KIND_WRITTEN,
		RELATION("'r', 'p'"),
		.definition = table_definition,
	},
	{
		.name = "foreign table",
		.drop = "FOREIGN TABLE",
		.from = "pg_class c JOIN pg_foreign_table f ON f.ftrelid = c.oid"
			" JOIN pg_foreign_server s ON s.oid = f.ftserver",
		.schema = "c.relnamespace",
		.class = "pg_class",
		.oid = "c.oid",
		.identity = "c.oid::regclass",
		.definition = "concat_ws(' ', s.srvname, array_to_string(f.ftoptions, ', '))",
	},
	{
		.name = "sequence",
		.drop = "SEQUENCE",
		.from = "pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid",
		.schema = "c.relnamespace",
		.class = "pg_class",
		.oid = "c.oid",
		.identity = "c.oid::regclass",
		.definition = sequence_definition,
	},
	{
		.name = "view",
		.drop = "VIEW",
		.flags = KIND_WRITTEN,
		RELATION("'v'"),
		.definition = view_definition,
	},
	{
		.name = "materialized view",
		.drop = "MATERIALIZED VIEW",
		.flags = KIND_WRITTEN,
		RELATION("'m'"),
		.definition = view_definition,
	},
	{
		.name = "column",
		.flags = KIND_WRITTEN,
		.from = "pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
			" JOIN pg_type t ON t.oid = a.atttypid"
			" LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum",
		.where = "c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c') AND a.attnum > 0"
			 " AND NOT a.attisdropped",
		.schema = "c.relnamespace",
		.class = "pg_class",
		.oid = "c.oid",
		.identity = "c.oid::regclass || '.' || quote_ident(a.attname)",
		.definition = column_definition,
		.of = "c.oid::regclass",
	},
	{
		/* Not-null constraints are objects since 18; columns say the same. */
		.name = "check constraint",
		.flags = KIND_WRITTEN | KIND_CLOSED,
		.from = "pg_constraint k JOIN pg_class c ON c.oid = k.conrelid",
		.where = "k.contype = 'c'",
		.schema = "c.relnamespace",
		.class = "pg_class",
		.oid = "c.oid",
		.identity = "c.oid::regclass || '.' || quote_ident(k.conname)",
		.definition = "pg_get_constraintdef(k.oid)",
		.of = "c.oid::regclass",
	},
	{0},
};
