/* SPDX-License-Identifier: MIT */
/* Functions and what is made of them, as the catalogs have them. */
#include "steps/postgres/schema_kinds.h"

#include <stddef.h>

/* Ranges come with some. */
#define NOT_INTERNAL(class, oid)                                                                 \
	" AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '" class "'::regclass AND "  \
									     "d.objid = " oid    \
									     " AND d.deptype = " \
									     "'i')"

const struct schema_kind schema_functions[] = {
	{
		.name = "function",
		.drop = "ROUTINE",
		.flags = KIND_WRITTEN,
		.from = "pg_proc p",
		.where = "p.prokind <> 'a'" NOT_INTERNAL("pg_proc", "p.oid"),
		.schema = "p.pronamespace",
		.class = "pg_proc",
		.oid = "p.oid",
		.identity = "p.oid::regprocedure",
		.definition = "pg_get_functiondef(p.oid)",
	},
	{
		.name = "aggregate",
		.drop = "ROUTINE",
		.from = "pg_proc p JOIN pg_aggregate a ON a.aggfnoid = p.oid",
		.schema = "p.pronamespace",
		.class = "pg_proc",
		.oid = "p.oid",
		.identity = "p.oid::regprocedure",
		.definition = "concat_ws(' ', a.aggkind, a.aggnumdirectargs, a.aggtransfn,"
			      " a.aggtranstype::regtype, a.aggfinalfn, a.aggcombinefn,"
			      " a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn,"
			      " a.aggmfinalfn, a.aggfinalextra, a.aggfinalmodify,"
			      " a.aggsortop::regoperator, a.agginitval, a.aggminitval,"
			      " p.proparallel)",
	},
	{
		.name = "operator",
		.drop = "OPERATOR",
		.from = "pg_operator o",
		.schema = "o.oprnamespace",
		.class = "pg_operator",
		.oid = "o.oid",
		.identity = "o.oid::regoperator",
		.definition = "concat_ws(' ', o.oprcode, o.oprresult::regtype,"
			      " o.oprcom::regoperator, o.oprnegate::regoperator, o.oprrest,"
			      " o.oprjoin, o.oprcanmerge, o.oprcanhash)",
	},
	{
		.name = "operator family",
		.drop = "OPERATOR FAMILY",
		.from = "pg_opfamily f JOIN pg_am m ON m.oid = f.opfmethod",
		.schema = "f.opfnamespace",
		.class = "pg_opfamily",
		.oid = "f.oid",
		.identity = "format('%I.%I USING %I', n.nspname, f.opfname, m.amname)",
		.definition = "concat_ws('; ', (SELECT string_agg(concat_ws(' ', a.amopstrategy,"
			      "  a.amopopr::regoperator, a.amoppurpose), ', ' ORDER BY"
			      "  a.amopstrategy, a.amopopr::regoperator::text COLLATE \"C\")"
			      "  FROM pg_amop a WHERE a.amopfamily = f.oid),"
			      " (SELECT string_agg(concat_ws(' ', p.amprocnum,"
			      "  p.amproc::regprocedure), ', ' ORDER BY p.amprocnum,"
			      "  p.amproc::regprocedure::text COLLATE \"C\")"
			      "  FROM pg_amproc p WHERE p.amprocfamily = f.oid))",
	},
	{
		.name = "operator class",
		.drop = "OPERATOR CLASS",
		.from = "pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod"
			" JOIN pg_opfamily f ON f.oid = o.opcfamily",
		.schema = "o.opcnamespace",
		.class = "pg_opclass",
		.oid = "o.oid",
		.identity = "format('%I.%I USING %I', n.nspname, o.opcname, m.amname)",
		.definition = "concat_ws(' ', o.opcintype::regtype, f.opfname, o.opcdefault,"
			      " NULLIF(o.opckeytype, 0)::regtype)",
	},
	{
		.name = "cast",
		.drop = "CAST",
		.from = "pg_cast k",
		.where = "k.oid >= 16384" /* FirstNormalObjectId */
		NOT_INTERNAL("pg_cast", "k.oid"),
		.class = "pg_cast",
		.oid = "k.oid",
		.identity =
			"'(' || k.castsource::regtype || ' AS ' || k.casttarget::regtype || ')'",
		.definition = "concat_ws(' ', NULLIF(k.castfunc, 0)::regprocedure, k.castcontext,"
			      " k.castmethod)",
	},
	{0},
};
