/* SPDX-License-Identifier: MIT */
/* Schemas, types, and what few databases have, as the catalogs have them. */
#include "steps/postgres/schema_kinds.h"

#include <stddef.h>

const struct schema_kind schema_types[] = {
	{
		.name = "schema",
		.drop = "SCHEMA",
		.from = "pg_namespace s",
		.where = "s.nspname <> 'public'", /* it is there before anybody */
		.schema = "s.oid",
		.class = "pg_namespace",
		.oid = "s.oid",
		.identity = "quote_ident(n.nspname)",
	},
	{
		.name = "enum",
		.drop = "TYPE",
		.from = "pg_type t",
		.where = "t.typtype = 'e'",
		.schema = "t.typnamespace",
		.class = "pg_type",
		.oid = "t.oid",
		.identity = "t.oid::regtype",
		.definition = "(SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY"
			      " e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)",
	},
	{
		.name = "domain",
		.drop = "DOMAIN",
		.flags = KIND_WRITTEN,
		.from = "pg_type t JOIN pg_type b ON b.oid = t.typbasetype",
		.where = "t.typtype = 'd'",
		.schema = "t.typnamespace",
		.class = "pg_type",
		.oid = "t.oid",
		.identity = "t.oid::regtype",
		.definition = "concat_ws(' ', format_type(t.typbasetype, t.typtypmod),"
			      " CASE WHEN t.typcollation <> b.typcollation THEN"
			      "  'COLLATE ' || t.typcollation::regcollation END,"
			      " CASE WHEN t.typnotnull THEN 'NOT NULL' END,"
			      " 'DEFAULT ' || pg_get_expr(t.typdefaultbin, 0))",
	},
	{
		/* Whether it may be null is said above; an object since 17. */
		.name = "domain constraint",
		.flags = KIND_WRITTEN | KIND_CLOSED,
		.from = "pg_constraint k JOIN pg_type t ON t.oid = k.contypid",
		.where = "k.contype = 'c'",
		.schema = "t.typnamespace",
		.class = "pg_type",
		.oid = "t.oid",
		.identity = "t.oid::regtype || '.' || quote_ident(k.conname)",
		.definition = "pg_get_constraintdef(k.oid)",
		.of = "t.oid::regtype",
	},
	{
		.name = "composite type",
		.drop = "TYPE",
		.from = "pg_class c",
		.where = "c.relkind = 'c'",
		.schema = "c.relnamespace",
		.class = "pg_type",
		.oid = "c.reltype",
		.identity = "c.oid::regclass",
	},
	{
		.name = "range",
		.drop = "TYPE",
		.from = "pg_type t JOIN pg_range r ON r.rngtypid = t.oid"
			" JOIN pg_opclass o ON o.oid = r.rngsubopc",
		.schema = "t.typnamespace",
		.class = "pg_type",
		.oid = "t.oid",
		.identity = "t.oid::regtype",
		.definition = "concat_ws(' ', r.rngsubtype::regtype, o.opcname,"
			      " NULLIF(r.rngcollation, 0)::regcollation, r.rngcanonical,"
			      " r.rngsubdiff)",
	},
	{
		.name = "type",
		.drop = "TYPE",
		.from = "pg_type t",
		.where = "t.typtype = 'b' AND t.typcategory <> 'A'",
		.schema = "t.typnamespace",
		.class = "pg_type",
		.oid = "t.oid",
		.identity = "t.oid::regtype",
		.definition = "concat_ws(' ', t.typlen, t.typalign, t.typstorage, t.typinput,"
			      " t.typoutput)",
	},
	{
		.name = "collation",
		.drop = "COLLATION",
		.from = "pg_collation l",
		.schema = "l.collnamespace",
		.class = "pg_collation",
		.oid = "l.oid",
		.identity = "l.oid::regcollation",
		.definition = "concat_ws(' ', l.collprovider, l.collisdeterministic)",
	},
	{
		.name = "conversion",
		.drop = "CONVERSION",
		.from = "pg_conversion v",
		.schema = "v.connamespace",
		.class = "pg_conversion",
		.oid = "v.oid",
		.identity = "format('%I.%I', n.nspname, v.conname)",
		.definition = "concat_ws(' ', v.conproc, v.condefault)",
	},
	{
		.name = "text search dictionary",
		.drop = "TEXT SEARCH DICTIONARY",
		.from = "pg_ts_dict d JOIN pg_ts_template m ON m.oid = d.dicttemplate",
		.schema = "d.dictnamespace",
		.class = "pg_ts_dict",
		.oid = "d.oid",
		.identity = "d.oid::regdictionary",
		.definition = "concat_ws(' ', m.tmplname, d.dictinitoption)",
	},
	{
		.name = "text search configuration",
		.drop = "TEXT SEARCH CONFIGURATION",
		.from = "pg_ts_config f JOIN pg_ts_parser p ON p.oid = f.cfgparser",
		.schema = "f.cfgnamespace",
		.class = "pg_ts_config",
		.oid = "f.oid",
		.identity = "f.oid::regconfig",
		.definition = "concat_ws(' ', p.prsname, (SELECT string_agg(concat_ws(' ',"
			      " m.maptokentype, m.mapdict::regdictionary), ', '"
			      " ORDER BY m.maptokentype, m.mapseqno)"
			      " FROM pg_ts_config_map m WHERE m.mapcfg = f.oid))",
	},
	{
		.name = "server",
		.drop = "SERVER",
		.from = "pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw",
		.class = "pg_foreign_server",
		.oid = "s.oid",
		.identity = "quote_ident(s.srvname)",
		.definition = "concat_ws(' ', w.fdwname, s.srvtype, s.srvversion,"
			      " array_to_string(s.srvoptions, ', '))",
	},
	{0},
};
