/* SPDX-License-Identifier: MIT */
/* What is asked of the target about facts of the source before a migration. */
#include "steps/postgres/preflight.h"
#include "steps/postgres/relation.h"

#define FACTS_OF_EXTENSIONS                                                                     \
	"SELECT coalesce(json_agg(json_build_object('name', extname, 'version', extversion)), " \
	"'[]') FROM pg_extension WHERE extname <> 'plpgsql'"

#define EXTENSIONS                                                                             \
	"json_to_recordset($2::json) s (name text, version text) LEFT JOIN pg_extension e ON " \
	"e.extname = s.name LEFT JOIN pg_available_extensions v ON v.name = s.name"

/* What decides how texts are ordered, whatever the version calls it. */
#define LOCALE                                                                               \
	"coalesce(CASE to_jsonb(d) ->> 'datlocprovider' WHEN 'i' THEN 'icu ' WHEN 'b' THEN " \
	"'builtin ' END, 'libc ') || coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> " \
	"'daticulocale', d.datcollate || ' ' || d.datctype)"

/* Relations with a name of their own that would be in the way. */
#define TAKEN                                                                                     \
	"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', " \
	"'p', 'v', 'm', 'f') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = "          \
	"'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"

/* What an earlier run of ours has made there is no obstacle. */
#define NOT_OURS "to_regnamespace('" OUR_SCHEMA "') IS NULL"

#define FACTS_OF_TABLES                                                                         \
	"SELECT coalesce(json_agg(json_build_object('schema', n.nspname, 'name', c.relname)), " \
	"'[]') " TAKEN " AND n.nspname = ANY ($1)"

#define IS_THERE_TOO                                                                        \
	"EXISTS (SELECT FROM json_to_recordset($2::json) s (schema text, name text) WHERE " \
	"s.schema = n.nspname AND s.name = c.relname)"

const struct check preflight_pair[] = {
	{
		.id = "same_database",
		.level = FINDING_BLOCKER,
		.where = ON_TARGET_WITH_FACTS,
		.facts = "SELECT to_json(concat((SELECT system_identifier FROM "
			 "pg_control_system()), '/', (SELECT oid FROM pg_database WHERE datname = "
			 "current_database())))",
		.sql = "SELECT current_database() WHERE $2::json #>> '{}' = concat((SELECT "
		       "system_identifier FROM pg_control_system()), '/', (SELECT oid FROM "
		       "pg_database WHERE datname = current_database()))",
		.text = "source and target are one and the same database, {0}",
		.remedy = "correct the connection strings",
	},
	{
		.id = "older_target",
		.level = FINDING_WARNING,
		.where = ON_TARGET_WITH_FACTS,
		.facts = "SELECT to_json(current_setting('server_version'))",
		.sql = "SELECT current_setting('server_version'), $2::json #>> '{}' WHERE "
		       "current_setting('server_version_num')::int / 10000 < "
		       "split_part(regexp_replace($2::json #>> '{}', '[^0-9.].*', ''), '.', "
		       "1)::int",
		.text = "PostgreSQL {0} is older than the source's {1}: what is new there cannot "
			"be "
			"made here",
		.remedy = "make the target with the source's version or a newer one",
	},
	{
		.id = "encoding",
		.level = FINDING_BLOCKER,
		.where = ON_TARGET_WITH_FACTS,
		.facts = "SELECT to_json(pg_encoding_to_char(encoding)) FROM pg_database WHERE "
			 "datname = current_database()",
		.sql = "SELECT pg_encoding_to_char(d.encoding), f.encoding FROM pg_database d, "
		       "(SELECT $2::json #>> '{}' AS encoding) f WHERE d.datname = "
		       "current_database() AND pg_encoding_to_char(d.encoding) <> f.encoding AND "
		       "(pg_encoding_to_char(d.encoding) <> 'UTF8' OR f.encoding = 'SQL_ASCII')",
		.text = "the target is encoded in {0} and the source in {1}: not every text of it "
			"can "
			"be stored",
		.remedy = "make the target with ENCODING 'UTF8'; a source in SQL_ASCII must be put "
			  "right first",
	},
	{
		.id = "other_encoding",
		.level = FINDING_NOTE,
		.where = ON_TARGET_WITH_FACTS,
		.facts = "SELECT to_json(pg_encoding_to_char(encoding)) FROM pg_database WHERE "
			 "datname = current_database()",
		.sql = "SELECT 'UTF8', f.encoding FROM pg_database d, (SELECT $2::json #>> '{}' AS "
		       "encoding) f WHERE d.datname = current_database() AND "
		       "pg_encoding_to_char(d.encoding) = 'UTF8' AND f.encoding NOT IN ('UTF8', "
		       "'SQL_ASCII')",
		.text = "texts become {0}; they are {1} in the source",
	},
	{
		.id = "other_collation",
		.level = FINDING_WARNING,
		.where = ON_TARGET_WITH_FACTS,
		.facts = "SELECT to_json(" LOCALE ") FROM pg_database d WHERE datname = "
			 "current_database()",
		.sql = "SELECT quote_ident(datname), " LOCALE
		       ", $2::json #>> '{}' FROM pg_database d "
		       "WHERE datname = current_database() AND " LOCALE " <> $2::json #>> '{}'",
		.text = "{0} orders texts by {1}, the source by {2}: ORDER BY and comparisons of "
			"texts give something else",
		.remedy = "make the target's database with the locale of the source",
	},
	{
		.id = "no_collation",
		.level = FINDING_BLOCKER,
		.where = ON_TARGET_WITH_FACTS,
		.facts =
			"SELECT coalesce(json_agg(DISTINCT l.collname), '[]') FROM pg_class c JOIN "
			"pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON "
			"a.attrelid "
			"= c.oid JOIN pg_collation l ON l.oid = a.attcollation WHERE n.nspname = "
			"ANY "
			"($1) AND l.collnamespace = 'pg_catalog'::regnamespace",
		.sql = "SELECT quote_ident(s.name) FROM json_array_elements_text($2::json) s "
		       "(name) "
		       "WHERE NOT EXISTS (SELECT FROM pg_collation WHERE collname = s.name AND "
		       "collnamespace = 'pg_catalog'::regnamespace AND collencoding IN (-1, "
		       "(SELECT "
		       "encoding FROM pg_database WHERE datname = current_database()))) ORDER BY 1",
		.text = "columns of the source have the collation {0}, which is not there",
		.remedy = "give those columns a collation that both sides have",
	},
	{
		.id = "unavailable_extension",
		.level = FINDING_BLOCKER,
		.where = ON_TARGET_WITH_FACTS,
		.facts = FACTS_OF_EXTENSIONS,
		.sql = "SELECT quote_ident(s.name), s.version FROM " EXTENSIONS
		       " WHERE e.oid IS NULL AND v.name IS NULL ORDER BY 1",
		.text = "the extension {0} {1} of the source cannot be had on the target",
		.remedy = "have it enabled where the target is hosted, or drop what uses it",
	},
	{
		.id = "missing_extension",
		.level = FINDING_WARNING,
		.where = ON_TARGET_WITH_FACTS,
		.facts = FACTS_OF_EXTENSIONS,
		.sql = "SELECT quote_ident(s.name), v.default_version FROM " EXTENSIONS
		       " WHERE e.oid IS NULL AND v.name IS NOT NULL ORDER BY 1",
		.text = "the extension {0} of the source is not made on the target ({1} is there)",
		.remedy = "CREATE EXTENSION {0} on the target, or a step with postgres.extensions",
	},
	{
		.id = "extension_version",
		.level = FINDING_NOTE,
		.where = ON_TARGET_WITH_FACTS,
		.facts = FACTS_OF_EXTENSIONS,
		.sql = "SELECT quote_ident(s.name), e.extversion, s.version FROM " EXTENSIONS
		       " WHERE e.extversion <> s.version ORDER BY 1",
		.text = "the extension {0} has version {1} on the target and {2} on the source",
	},
	{
		.id = "table_exists",
		.level = FINDING_BLOCKER,
		.where = ON_TARGET_WITH_FACTS,
		.facts = FACTS_OF_TABLES,
		.sql = "SELECT format('%I.%I', n.nspname, c.relname) " TAKEN " AND " NOT_OURS
		       " AND " IS_THERE_TOO " ORDER BY 1",
		.text = "{0} is on the target already",
		.remedy = "DROP it there, or begin with an empty database",
	},
	{
		.id = "other_tables",
		.level = FINDING_WARNING,
		.where = ON_TARGET_WITH_FACTS,
		.facts = FACTS_OF_TABLES,
		.sql = "SELECT format('%I.%I', n.nspname, c.relname) " TAKEN " AND " NOT_OURS
		       " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND "
		       "NOT " IS_THERE_TOO " ORDER BY 1",
		.text = "{0} is on the target, and not on the source: is it the right database?",
		.remedy = "begin with an empty database",
	},
	{
		.id = "create_in_schema",
		.level = FINDING_BLOCKER,
		.where = ON_TARGET_WITH_FACTS,
		.facts = "SELECT to_json($1)",
		.sql = "SELECT quote_ident(n.nspname), quote_ident(current_user) FROM pg_namespace "
		       "n "
		       "WHERE n.nspname IN (SELECT json_array_elements_text($2::json)) AND NOT "
		       "has_schema_privilege(n.oid, 'CREATE') ORDER BY 1",
		.text = "{1} may not make tables in the schema {0} of the target",
		.remedy = "GRANT CREATE ON SCHEMA {0} TO {1}",
	},
	{
		.id = "missing_role",
		.level = FINDING_NOTE,
		.where = ON_TARGET_WITH_FACTS,
		.facts = "SELECT coalesce(json_agg(DISTINCT g.name), '[]') FROM pg_class c JOIN "
			 "pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (SELECT "
			 "pg_get_userbyid(x.grantee) AS name FROM aclexplode(c.relacl) x WHERE "
			 "x.grantee <> 0 AND x.grantee <> c.relowner) g WHERE n.nspname = ANY ($1) "
			 "AND c.relkind IN ('r', 'p', 'v', 'm', 'S')",
		.sql = "SELECT quote_ident(s.name) FROM json_array_elements_text($2::json) s "
		       "(name) "
		       "WHERE s.name NOT IN (SELECT rolname FROM pg_roles) ORDER BY 1",
		.text = "the role {0} has rights on tables of the source and is not on the target",
		.remedy = "CREATE ROLE {0} on the target, and grant it what it needs",
	},
	{0},
};
