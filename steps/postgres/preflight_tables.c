/* SPDX-License-Identifier: MIT */
/* What is asked of schemas, tables and what belongs to them before a migration. */
#include "steps/postgres/preflight.h"
#include "steps/postgres/relation.h"

#define NAME "format('%I.%I', n.nspname, c.relname)"

/* Tables that are carried over, c in schema n; to be gone on with AND. */
#define OURS                                                                                       \
	"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY "     \
	"($1) AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND " \
	"d.objid = c.oid AND d.deptype = 'e')"

#define OWNED "pg_has_role(c.relowner, 'USAGE')"

/* The columns of index i that make up its key. */
#define KEY_COLUMNS                                                        \
	"pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY " \
	"((i.indkey::int2[])[0:i.indnkeyatts - 1])"

/* Index i tells rows of table c apart. */
#define IS_KEY                                                                              \
	"i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND "     \
	"i.indpred IS NULL AND i.indexprs IS NULL AND NOT EXISTS (SELECT FROM " KEY_COLUMNS \
	" AND NOT a.attnotnull)"

/* A table without a key, why the nearest index is none, and what would make it one. */
#define KEYLESS(MORE)                                                                             \
	"SELECT " NAME ", coalesce(w.why, 'it has no unique index'), "                            \
	"pg_size_pretty(pg_relation_size(c.oid)), coalesce(w.remedy, format('ALTER TABLE %I.%I "  \
	"ADD PRIMARY KEY (...)', n.nspname, c.relname)) FROM (SELECT c.*, n.nspname " OURS        \
	" AND c.relkind = 'r') c CROSS JOIN LATERAL (SELECT c.nspname) n LEFT JOIN LATERAL ("     \
	"SELECT CASE WHEN NOT i.indisvalid THEN x.relname || ' is not valid' "                    \
	"WHEN i.indpred IS NOT NULL THEN x.relname || ' is partial' "                             \
	"WHEN i.indexprs IS NOT NULL THEN x.relname || ' is over an expression' "                 \
	"WHEN NOT i.indimmediate THEN x.relname || ' is deferrable' "                             \
	"ELSE 'columns of ' || x.relname || ' may be null' END AS why, "                          \
	"CASE WHEN NOT i.indisvalid THEN format('REINDEX INDEX CONCURRENTLY %I.%I', c.nspname, "  \
	"x.relname) WHEN i.indpred IS NULL AND i.indexprs IS NULL AND i.indimmediate THEN "       \
	"(SELECT format('ALTER TABLE %I.%I %s', c.nspname, c.relname, "                           \
	"string_agg(format('ALTER COLUMN %I SET NOT NULL', a.attname), ', ')) FROM " KEY_COLUMNS  \
	" AND NOT a.attnotnull) WHEN i.indexprs IS NULL THEN "                                    \
	"(SELECT format('CREATE UNIQUE INDEX CONCURRENTLY ON %I.%I (%s)', c.nspname, c.relname, " \
	"string_agg(quote_ident(a.attname), ', ')) FROM " KEY_COLUMNS ") END AS remedy "          \
	"FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND "   \
	"i.indisunique ORDER BY i.indpred IS NOT NULL, i.indexprs IS NOT NULL, i.indisvalid "     \
	"DESC, "                                                                                  \
	"i.indimmediate DESC LIMIT 1) w ON true WHERE NOT EXISTS (SELECT FROM pg_index i "        \
	"WHERE " IS_KEY ") AND pg_relation_size(c.oid) " MORE " 8388608 ORDER BY 1"

const struct check preflight_tables[] = {
	{
		.id = "no_schema",
		.level = FINDING_BLOCKER,
		.where = ON_SOURCE,
		.sql = "SELECT quote_ident(s) FROM unnest($1) s WHERE NOT EXISTS (SELECT FROM "
		       "pg_namespace WHERE nspname = s)",
		.text = "there is no schema {0}",
		.remedy = "correct `schemas`",
	},
	{
		.id = "schema_usage",
		.level = FINDING_BLOCKER,
		.where = ON_SOURCE,
		.sql = "SELECT quote_ident(nspname), quote_ident(current_user) FROM pg_namespace "
		       "WHERE nspname = ANY ($1) AND NOT has_schema_privilege(oid, 'USAGE') AND "
		       "EXISTS "
		       "(SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid AND relkind IN "
		       "('r', 'p', 'S'))",
		.text = "{1} may not look into the schema {0}",
		.remedy = "GRANT USAGE ON SCHEMA {0} TO {1}, or leave it out of `schemas`",
	},
	{
		.id = "not_owner",
		.level = FINDING_BLOCKER,
		.where = ON_SOURCE,
		.sql = "SELECT " NAME ", quote_ident(current_user), quote_ident(pg_get_userbyid("
		       "c.relowner)) " OURS " AND c.relkind IN ('r', 'p', 'S') AND NOT " OWNED
		       " ORDER BY 1",
		.text = "{0} belongs to {2}, and only its owner can capture and fence it",
		.remedy = "GRANT {2} TO {1}, or connect as {2}",
	},
	{
		.id = "table_rights",
		.level = FINDING_BLOCKER,
		.where = ON_SOURCE,
		.sql = "SELECT * FROM (SELECT " NAME ", (SELECT string_agg(p, ', ') FROM unnest("
		       "ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRIGGER']) p WHERE "
		       "NOT has_table_privilege(c.oid, p)) AS lacks, "
		       "quote_ident(current_user) " OURS " AND c.relkind IN ('r', 'p') AND " OWNED
		       ") t WHERE lacks IS NOT NULL ORDER BY 1",
		.text = "{2} owns {0}, but its right to {1} was taken away",
		.remedy = "GRANT {1} ON {0} TO {2}",
	},
	{
		.id = "no_columns",
		.level = FINDING_BLOCKER,
		.where = ON_SOURCE,
		.sql = "SELECT " NAME " " OURS
		       " AND c.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_attribute a WHERE "
		       "a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND "
		       "a.attgenerated = '') ORDER BY 1",
		.text = "{0} has no column that could be copied",
		.remedy = "ALTER TABLE {0} ADD COLUMN ..., or DROP TABLE {0}, or leave its schema "
			  "out of `schemas`",
	},
	{
		.id = "row_security",
		.level = FINDING_BLOCKER,
		.where = ON_SOURCE,
		.sql = "SELECT " NAME
		       ", quote_ident(current_user), CASE WHEN c.relforcerowsecurity "
		       "THEN format('ALTER TABLE %I.%I NO FORCE ROW LEVEL SECURITY', n.nspname, "
		       "c.relname) ELSE 'connect as its owner' END " OURS
		       " AND c.relkind IN ('r', 'p') AND row_security_active(c.oid) ORDER BY 1",
		.text = "row security hides rows of {0} from {1}, so they cannot be copied",
		.remedy = "{2}, or connect as a role with BYPASSRLS",
	},
	{
		.id = "row_policies",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT " NAME " " OURS " AND c.relkind IN ('r', 'p') AND c.relrowsecurity "
		       "AND NOT row_security_active(c.oid) ORDER BY 1",
		.text = "{0} has row security, which is switched on at the target with the switch",
	},
	{
		.id = "no_key",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = KEYLESS("<"),
		.text = "{0} has no key ({1}); its rows are told apart by their whole content",
		.remedy = "{3}",
	},
	{
		.id = "big_without_key",
		.level = FINDING_WARNING,
		.where = ON_SOURCE,
		.sql = KEYLESS(">="),
		.text = "{0} has no key ({1}) and {2}: every batch with a change in it reads the "
			"whole "
			"table on both sides",
		.remedy = "{3}",
	},
	{
		.id = "generated_key",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT DISTINCT " NAME
		       ", quote_ident(a.attname) FROM (SELECT c.*, n.nspname " OURS
		       ") c CROSS JOIN LATERAL (SELECT c.nspname) n JOIN pg_index i ON " IS_KEY
		       " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attgenerated <> '' AND "
		       "a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) ORDER BY 1, 2",
		.text = "a key of {0} holds {1}, which each side computes",
	},
	{
		.id = "generated_column",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT " NAME ", g.names FROM (SELECT c.*, n.nspname " OURS
		       " AND c.relkind = 'r') c CROSS JOIN LATERAL (SELECT c.nspname) n CROSS JOIN "
		       "LATERAL (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS "
		       "names FROM pg_attribute WHERE attrelid = c.oid AND attgenerated <> '' AND "
		       "NOT "
		       "attisdropped) g WHERE g.names IS NOT NULL ORDER BY 1",
		.text = "{1} of {0} is generated, and computed anew at the target",
	},
	{
		.id = "identity",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT " NAME ", g.names FROM (SELECT c.*, n.nspname " OURS
		       " AND c.relkind = 'r') c CROSS JOIN LATERAL (SELECT c.nspname) n CROSS JOIN "
		       "LATERAL (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS "
		       "names FROM pg_attribute WHERE attrelid = c.oid AND attidentity <> '' AND "
		       "NOT "
		       "attisdropped) g WHERE g.names IS NOT NULL ORDER BY 1",
		.text = "{1} of {0} is an identity: values are carried over, its counter with the "
			"switch",
	},
	{
		.id = "large_objects",
		.level = FINDING_BLOCKER,
		.where = ON_SOURCE,
		.sql = "SELECT 'pg_largeobject', count(*) FROM pg_largeobject_metadata HAVING "
		       "count(*) > 0",
		.text = "there are {1} large objects, which no trigger can follow: they stay "
			"behind",
		.remedy = "move them to a column of bytea, or copy them while writes are stopped",
	},
	{
		.id = "unlogged",
		.level = FINDING_WARNING,
		.where = ON_SOURCE,
		.sql = "SELECT " NAME " " OURS " AND c.relkind = 'r' AND c.relpersistence = 'u' "
		       "ORDER BY 1",
		.text = "{0} is unlogged: a crash of the source empties it, which no trigger tells",
		.remedy = "ALTER TABLE {0} SET LOGGED",
	},
	{
		.id = "key_of_partition",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT " NAME " " OURS
		       " AND c.relkind = 'r' AND c.relispartition AND EXISTS "
		       "(SELECT FROM pg_index i WHERE " IS_KEY
		       ") AND NOT EXISTS (SELECT FROM pg_index "
		       "i JOIN pg_inherits h ON h.inhrelid = i.indexrelid WHERE " IS_KEY
		       ") ORDER BY 1",
		.text = "the key of the partition {0} is its own: another partition may hold the "
			"same "
			"values",
	},
	{
		.id = "inheritance",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT " NAME
		       ", (SELECT count(*) FROM pg_inherits WHERE inhparent = c.oid) " OURS
		       " AND c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent "
		       "= c.oid) ORDER BY 1",
		.text = "{1} tables inherit from {0}; each is copied for itself, and no key holds "
			"across them",
	},
	{
		.id = "foreign_table",
		.level = FINDING_WARNING,
		.where = ON_SOURCE,
		.sql = "SELECT " NAME " " OURS " AND c.relkind = 'f' ORDER BY 1",
		.text = "{0} is a foreign table: its rows lie elsewhere and are not copied",
		.remedy = "make the foreign server and its user mapping on the target by hand",
	},
	{
		.id = "rule",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT " NAME ", quote_ident(r.rulename) FROM (SELECT c.*, n.nspname " OURS
		       " AND c.relkind IN ('r', 'p')) c CROSS JOIN LATERAL (SELECT c.nspname) n "
		       "JOIN "
		       "pg_rewrite r ON r.ev_class = c.oid ORDER BY 1, 2",
		.text = "the rule {1} on {0} comes to the target with the switch",
	},
	{
		.id = "oid_column",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT format('%I.%I.%I', c.nspname, c.relname, a.attname), "
		       "t.typname FROM (SELECT c.*, n.nspname " OURS
		       " AND c.relkind IN ('r', 'm')) c JOIN pg_attribute a ON a.attrelid = c.oid "
		       "AND "
		       "a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid "
		       "WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typname ~ '^_?reg' "
		       "ORDER BY 1",
		.text = "{0} ({1}) holds numbers of this database's objects; it is carried over as "
			"text, by name",
	},
	{
		.id = "nondeterministic_collation",
		.level = FINDING_NOTE,
		.where = ON_SOURCE,
		.sql = "SELECT format('%I.%I.%I', c.nspname, c.relname, a.attname), l.collname "
		       "FROM "
		       "(SELECT c.*, n.nspname " OURS
		       " AND c.relkind = 'r') c JOIN pg_attribute a ON "
		       "a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN "
		       "pg_collation "
		       "l ON l.oid = a.attcollation WHERE NOT l.collisdeterministic ORDER BY 1",
		.text = "{0} has the collation {1}, for which different texts may be equal",
	},
	{
		.id = "collation_version",
		.level = FINDING_WARNING,
		.where = ON_BOTH,
		.sql = "SELECT DISTINCT format('%I.%I', ln.nspname, l.collname), l.collversion, "
		       "pg_collation_actual_version(l.oid) FROM (SELECT c.* " OURS
		       " AND c.relkind IN ('r', 'm')) c JOIN pg_attribute a ON a.attrelid = c.oid "
		       "AND "
		       "a.attnum > 0 AND NOT a.attisdropped JOIN pg_collation l ON l.oid = "
		       "a.attcollation JOIN pg_namespace ln ON ln.oid = l.collnamespace WHERE "
		       "l.collversion <> pg_collation_actual_version(l.oid) ORDER BY 1",
		.text = "the collation {0} was made with version {1} and runs with {2}: indexes "
			"over "
			"its columns may be out of order",
		.remedy = "REINDEX its indexes; ALTER COLLATION {0} REFRESH VERSION",
	},
	{
		.id = "trigger_name",
		.level = FINDING_BLOCKER,
		.where = ON_SOURCE,
		.sql = "SELECT " NAME ", quote_ident(t.tgname) FROM (SELECT c.*, n.nspname " OURS
		       ") c CROSS JOIN LATERAL (SELECT c.nspname) n JOIN pg_trigger t ON t.tgrelid "
		       "= "
		       "c.oid JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal AND "
		       "starts_with(t.tgname::text, '" OUR_PREFIX
		       "') AND p.pronamespace IS DISTINCT "
		       "FROM to_regnamespace('" OUR_SCHEMA "') ORDER BY 1, 2",
		.text = "the trigger {1} on {0} is not ours, and its name begins as ours do",
		.remedy = "ALTER TRIGGER {1} ON {0} RENAME TO something_else",
	},
	{0},
};
