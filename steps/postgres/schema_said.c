/* SPDX-License-Identifier: MIT */
/* What is said about objects: comments and privileges, as the catalogs have them. */
#include "steps/postgres/schema_kinds.h"

#include <stddef.h>

/* Of what stands before the rows: catalog, oid, schema, and what it is a part of. */
static const char early_comments[] =
	"(SELECT 'pg_class'::regclass, oid, relnamespace, oid::regclass::text FROM pg_class"
	"  WHERE relkind NOT IN ('i', 'I')"
	" UNION ALL SELECT 'pg_constraint'::regclass, oid, connamespace,"
	"  CASE conrelid WHEN 0 THEN contypid::regtype::text ELSE conrelid::regclass::text END"
	"  || '.' || quote_ident(conname) FROM pg_constraint WHERE contype = 'c'"
	" UNION ALL SELECT 'pg_namespace'::regclass, oid, oid, NULL FROM pg_namespace"
	"  WHERE nspname <> 'public'"
	" UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace, NULL FROM pg_type"
	" UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace,"
	"  oid::regprocedure::text FROM pg_proc"
	" UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace,"
	"  oid::regoperator::text FROM pg_operator"
	" UNION ALL SELECT 'pg_opclass'::regclass, oid, opcnamespace, NULL FROM pg_opclass"
	" UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfnamespace, NULL FROM pg_opfamily"
	" UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace, NULL FROM pg_collation"
	" UNION ALL SELECT 'pg_conversion'::regclass, oid, connamespace, NULL FROM pg_conversion"
	" UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictnamespace, NULL FROM pg_ts_dict"
	" UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace, NULL FROM pg_ts_config"
	") o (class, oid, schema, of) JOIN pg_description d ON d.classoid = o.class"
	" AND d.objoid = o.oid CROSS JOIN LATERAL"
	" pg_identify_object(d.classoid, d.objoid, d.objsubid) i";

static const char late_comments[] =
	"(SELECT 'pg_class'::regclass, oid, relnamespace, oid::regclass::text FROM pg_class"
	"  WHERE relkind IN ('i', 'I')"
	" UNION ALL SELECT 'pg_constraint'::regclass, oid, connamespace,"
	"  conrelid::regclass || '.' || quote_ident(conname) FROM pg_constraint"
	"  WHERE contype IN ('p', 'u', 'x', 'f')"
	" UNION ALL SELECT 'pg_trigger'::regclass, t.oid, c.relnamespace,"
	"  c.oid::regclass || '.' || quote_ident(t.tgname) FROM pg_trigger t"
	"  JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal"
	" UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, c.relnamespace,"
	"  c.oid::regclass || '.' || quote_ident(r.rulename) FROM pg_rewrite r"
	"  JOIN pg_class c ON c.oid = r.ev_class WHERE r.rulename <> '_RETURN'"
	" UNION ALL SELECT 'pg_policy'::regclass, p.oid, c.relnamespace,"
	"  c.oid::regclass || '.' || quote_ident(p.polname) FROM pg_policy p"
	"  JOIN pg_class c ON c.oid = p.polrelid"
	" UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxnamespace, NULL"
	"  FROM pg_statistic_ext"
	") o (class, oid, schema, of) JOIN pg_description d ON d.classoid = o.class"
	" AND d.objoid = o.oid CROSS JOIN LATERAL"
	" pg_identify_object(d.classoid, d.objoid, d.objsubid) i";

/* What has privileges: catalog, oid, schema, identity, owner, privileges. */
static const char privileges[] =
	"(SELECT 'pg_class'::regclass, oid, relnamespace, oid::regclass::text, relowner,"
	"  COALESCE(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r' END,"
	"   relowner)) FROM pg_class WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'S')"
	" UNION ALL SELECT 'pg_class'::regclass, c.oid, c.relnamespace,"
	"  c.oid::regclass || '.' || quote_ident(a.attname), c.relowner, a.attacl"
	"  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
	"  WHERE a.attacl IS NOT NULL AND NOT a.attisdropped"
	" UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace, oid::regprocedure::text,"
	"  proowner, COALESCE(proacl, acldefault('f', proowner)) FROM pg_proc WHERE NOT EXISTS"
	"  (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass"
	"   AND d.objid = pg_proc.oid AND d.deptype = 'i')" /* those of ranges */
	" UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace, oid::regtype::text, typowner,"
	"  COALESCE(typacl, acldefault('T', typowner)) FROM pg_type"
	"  WHERE typtype IN ('e', 'd', 'r')"
	" UNION ALL SELECT 'pg_namespace'::regclass, oid, oid, quote_ident(nspname), nspowner,"
	"  COALESCE(nspacl, acldefault('n', nspowner)) FROM pg_namespace WHERE nspname <> 'public'"
	") o (class, oid, schema, of, owner, acl) CROSS JOIN LATERAL aclexplode(o.acl) e"
	" CROSS JOIN LATERAL (SELECT CASE e.grantee WHEN 0 THEN 'PUBLIC'"
	"  ELSE pg_get_userbyid(e.grantee)::text END) g (name)";

const struct schema_kind schema_said[] = {
	{
		.name = "comment",
		.from = early_comments,
		.schema = "o.schema",
		.class = "o.class",
		.oid = "o.oid",
		.identity = "i.type || ' ' || i.identity",
		.definition = "d.description",
		.of = "COALESCE(o.of, i.identity)",
	},
	{
		/* Of others than the owner; what only some versions know is left out. */
		.name = "privilege",
		.from = privileges,
		.where = "e.grantee <> o.owner AND e.privilege_type <> 'MAINTAIN'",
		.schema = "o.schema",
		.class = "o.class",
		.oid = "o.oid",
		.identity = "concat_ws(' ', e.privilege_type, 'on', o.of, 'to', g.name)",
		.definition = "CASE WHEN e.is_grantable THEN 'WITH GRANT OPTION' END",
		.of = "o.of",
		.role = "NULLIF(g.name, 'PUBLIC')",
	},
	{0},
};

const struct schema_kind schema_said_late[] = {
	{
		.name = "comment on what is late",
		.from = late_comments,
		.schema = "o.schema",
		.class = "o.class",
		.oid = "o.oid",
		.identity = "i.type || ' ' || i.identity",
		.definition = "d.description",
		.of = "COALESCE(o.of, i.identity)",
	},
	{0},
};
