/* SPDX-License-Identifier: MIT */
/* What is made after the rows, as the catalogs have it. */
#include "steps/postgres/relation.h"
#include "steps/postgres/schema_kinds.h"

#include <stddef.h>

static const char index_definition[] =
	"concat_ws(' ', pg_get_indexdef(x.oid),"
	" CASE WHEN i.indisclustered THEN 'CLUSTER' END,"
	" CASE WHEN i.indisreplident THEN 'REPLICA IDENTITY' END,"
	" CASE WHEN NOT i.indisvalid THEN 'INVALID' END,"
	" (SELECT 'PARTITION OF ' || h.inhparent::regclass FROM pg_inherits h"
	"   WHERE h.inhrelid = x.oid),"
	" (SELECT 'STATISTICS ' || string_agg(a.attnum || ' ' || a.attstattarget, ', '"
	"   ORDER BY a.attnum) FROM pg_attribute a"
	"   WHERE a.attrelid = x.oid AND a.attstattarget >= 0))";

static const char policy_definition[] =
	"concat_ws(' ', CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,"
	" p.polcmd, 'TO ' || (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC'"
	"   ELSE r::regrole::text END, ', ' ORDER BY r::regrole::text COLLATE \"C\")"
	"   FROM unnest(p.polroles) r),"
	" 'USING ' || pg_get_expr(p.polqual, p.polrelid),"
	" 'WITH CHECK ' || pg_get_expr(p.polwithcheck, p.polrelid))";

#define OF_TABLE \
	.schema = "c.relnamespace", .class = "pg_class", .oid = "c.oid", .of = "c.oid::regclass"

const struct schema_kind schema_late[] = {
	{
		/* One that is not valid is in no dump, but for those that wait for their
                 * partitions. */
		.name = "index",
		.flags = KIND_WRITTEN | KIND_CLOSED,
		.from = "pg_index i JOIN pg_class x ON x.oid = i.indexrelid"
			" JOIN pg_class c ON c.oid = i.indrelid",
		.where = "c.relkind IN ('r', 'p', 'm') AND (i.indisvalid OR c.relkind = 'p')",
		OF_TABLE,
		.identity = "x.oid::regclass",
		.definition = index_definition,
	},
	{
		/* Foreign keys of partitions come with those of their parents, under names that
                 * vary. */
		.name = "constraint",
		.flags = KIND_WRITTEN | KIND_CLOSED,
		.from = "pg_constraint k JOIN pg_class c ON c.oid = k.conrelid",
		.where =
			"(k.contype IN ('p', 'u', 'x') OR (k.contype = 'f' AND k.conparentid = 0))",
		OF_TABLE,
		.identity = "c.oid::regclass || '.' || quote_ident(k.conname)",
		.definition = "pg_get_constraintdef(k.oid)",
	},
	{
		/* Those that partitions have from their parents count where they are switched
                 * otherwise. */
		.name = "trigger",
		.flags = KIND_WRITTEN | KIND_CLOSED,
		.from = "pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
			" LEFT JOIN pg_trigger u ON u.oid = t.tgparentid",
		.where = "NOT starts_with(t.tgname, '" OUR_PREFIX "') AND CASE t.tgparentid"
			 " WHEN 0 THEN NOT t.tgisinternal ELSE NOT u.tgisinternal"
			 " AND u.tgparentid = 0 AND t.tgenabled <> u.tgenabled END",
		OF_TABLE,
		.identity = "c.oid::regclass || '.' || quote_ident(t.tgname)",
		.definition = "concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled)",
	},
	{
		.name = "rule",
		.flags = KIND_WRITTEN | KIND_CLOSED,
		.from = "pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class",
		.where = "r.rulename <> '_RETURN'",
		OF_TABLE,
		.identity = "c.oid::regclass || '.' || quote_ident(r.rulename)",
		.definition = "concat_ws(' ', pg_get_ruledef(r.oid), r.ev_enabled)",
	},
	{
		.name = "policy",
		.flags = KIND_WRITTEN | KIND_CLOSED,
		.from = "pg_policy p JOIN pg_class c ON c.oid = p.polrelid",
		OF_TABLE,
		.identity = "c.oid::regclass || '.' || quote_ident(p.polname)",
		.definition = policy_definition,
	},
	{
		.name = "row security",
		.flags = KIND_CLOSED,
		.from = "pg_class c",
		.where = "c.relrowsecurity",
		OF_TABLE,
		.identity = "c.oid::regclass",
	},
	{
		.name = "statistics",
		.flags = KIND_WRITTEN,
		.from = "pg_statistic_ext s",
		.schema = "s.stxnamespace",
		.class = "pg_statistic_ext",
		.oid = "s.oid",
		.identity = "format('%I.%I', n.nspname, s.stxname)",
		.definition = "concat_ws(' ', pg_get_statisticsobjdef(s.oid), 'STATISTICS ' ||"
			      " NULLIF(to_jsonb(s)->>'stxstattarget', '-1'))",
		.of = "s.stxrelid::regclass",
	},
	{
		.name = "rows of a materialized view",
		.from = "pg_class c",
		.where = "c.relkind = 'm'",
		OF_TABLE,
		.identity = "c.oid::regclass",
		.definition = "c.relispopulated::text",
	},
	{0},
};
