/* SPDX-License-Identifier: MIT */
/* The second layer of a fence: rights to write are revoked, and given back. */
#include "steps/postgres/acl.h"
#include "engine/base/arena.h"
#include "engine/base/text.h"
#include "steps/postgres/ours.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"
#include "steps/postgres/table.h"

#include <libpq-fe.h>
#include <string.h>

enum { TRIES_MOST = 5 };

/* column_name: '' for the table's own list, whose before may be NULL. */
static const char prepare_sql[] =
	"CREATE TABLE IF NOT EXISTS " OUR_SCHEMA ".acl ("
	" relid oid NOT NULL, column_name text NOT NULL, schema text NOT NULL,"
	" relation text NOT NULL, before text, after text, PRIMARY KEY (relid, column_name))";

/* ---- Statements, made from the lists that are recorded ---- */

#define WRITING "e.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')"

/* Where somebody else granted, it must be done in his name; the owner's are granted by whoever may
 * act for him. */
#define OTHERS "e.grantor <> c.relowner"
#define TABLE "pg_catalog.format('%%I.%%I', n.nspname, c.relname)"
#define AS_GRANTOR                                                                                 \
	"CASE WHEN " OTHERS                                                                        \
	" THEN 'SET LOCAL ROLE ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(e.grantor))" \
	" || '; ' ELSE '' END"
#define AS_OURSELVES "CASE WHEN " OTHERS " THEN '; RESET ROLE' ELSE '' END"
#define GRANTEE                               \
	"CASE e.grantee WHEN 0 THEN 'PUBLIC'" \
	" ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(e.grantee)) END"
#define RIGHTS                                                                                  \
	"pg_catalog.string_agg(DISTINCT e.privilege_type || CASE a.column_name WHEN '' THEN ''" \
	" ELSE ' (' || pg_catalog.quote_ident(a.column_name) || ')' END, ', ')"
/* '{}' as a text makes an array without a dimension, which is none that can be read. */
#define ENTRIES                                                                                   \
	"FROM " OUR_SCHEMA ".acl a JOIN pg_catalog.pg_class c ON c.oid = a.relid"                 \
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"                               \
	" CROSS JOIN LATERAL pg_catalog.aclexplode(nullif(a.before, '{}')::pg_catalog.aclitem[])" \
	" WITH ORDINALITY e (grantor, grantee, privilege_type, is_grantable, position) "          \
	"WHERE a.relid = %s::oid AND (%s) "

/* Last entries first: who was given a right with its option stands before whom he gave it to. */
static const char revoke_sql[] =
	"SELECT pg_catalog.string_agg(s, '; ' ORDER BY own, position DESC) FROM ("
	"SELECT a.column_name = '' AS own, pg_catalog.min(e.position) AS position, " AS_GRANTOR
	" || 'REVOKE ' || " RIGHTS " || ' ON ' || " TABLE " || ' FROM ' || " GRANTEE
	" || " AS_OURSELVES " AS s " ENTRIES
	"GROUP BY a.column_name, n.nspname, c.relname, c.relowner, e.grantor, e.grantee) x";

/* The table first, as revoking its rights takes those on columns with them. */
static const char grant_sql[] =
	"SELECT pg_catalog.string_agg(s, '; ' ORDER BY own DESC, position) FROM ("
	"SELECT a.column_name = '' AS own, pg_catalog.min(e.position) AS position, " AS_GRANTOR
	" || 'GRANT ' || " RIGHTS " || ' ON ' || " TABLE " || ' TO ' || " GRANTEE
	" || CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END || " AS_OURSELVES
	" AS s " ENTRIES "GROUP BY a.column_name, n.nspname, c.relname, c.relowner, e.grantor,"
	" e.grantee, e.is_grantable) x";

/* Entries in whose grantor's name ours cannot act stay; where there are some, so do those with
 * grant options, as the former may stand on them. */
static const char reachable_sql[] =
	"(e.grantor = c.relowner OR pg_catalog.pg_has_role(e.grantor, '%s'))";
static const char revocable_sql[] =
	WRITING " AND %s AND NOT EXISTS (SELECT FROM"
		" pg_catalog.aclexplode(nullif(a.before, '{}')::pg_catalog.aclitem[]) x,"
		" pg_catalog.aclexplode(nullif(a.before, '{}')::pg_catalog.aclitem[]) y"
		" WHERE x.grantor <> c.relowner AND NOT pg_catalog.pg_has_role(x.grantor, '%s')"
		" AND y.grantor = e.grantor AND y.grantee = e.grantee AND y.is_grantable)%s";
static const char but_not_ours_sql[] =
	" AND ((SELECT u.rolsuper FROM pg_catalog.pg_roles u WHERE u.rolname = current_user)"
	" OR e.grantee = 0 OR NOT pg_catalog.pg_has_role(e.grantee, 'USAGE'))";

struct acl {
	PGconn *connection;
	struct arena *arena;
	const char *oid, *name;
	const char *reachable, *revocable; /* conditions on entries */
};

static void set_conditions(struct acl *acl, bool keep_ours)
{
	const char *right = PQserverVersion(acl->connection) >= 160000 ? "SET" : "MEMBER";

	acl->reachable = arena_printf(acl->arena, reachable_sql, right);
	acl->revocable = arena_printf(acl->arena, revocable_sql, acl->reachable, right,
	                              keep_ours ? but_not_ours_sql : "");
}

static bool run_made(const struct acl *acl, const char *maker, bool *something, struct error *err)
{
	const char *made = NULL;

	if (!query_text(acl->connection, maker, acl->arena, &made, err))
		return false;
	if (something)
		*something = made != NULL;
	return !made || query_run(acl->connection, made, err);
}

static bool revoke(const struct acl *acl, const char *filter, bool *something, struct error *err)
{
	return run_made(acl, arena_printf(acl->arena, revoke_sql, acl->oid, filter), something,
	                err);
}

static bool grant(const struct acl *acl, const char *filter, struct error *err)
{
	return run_made(acl, arena_printf(acl->arena, grant_sql, acl->oid, filter), NULL, err);
}

static bool run_for(const struct acl *acl, const char *sql, struct error *err)
{
	return query_run_with(acl->connection, sql, 1, &acl->oid, err);
}

/* ---- Giving back ---- */

#define NOW                                                                                   \
	"CASE a.column_name WHEN '' THEN (SELECT c.relacl::text FROM pg_catalog.pg_class c"   \
	"  WHERE c.oid = a.relid) ELSE (SELECT t.attacl::text FROM pg_catalog.pg_attribute t" \
	"  WHERE t.attrelid = a.relid AND t.attname = a.column_name) END"

/* In how many lists what is there now differs from what is recorded. */
static bool differs(const struct acl *acl, const char *recorded, bool *differing, struct error *err)
{
	int64_t count = 0;
	const char *sql = arena_printf(acl->arena,
	                               "SELECT count(*) FROM " OUR_SCHEMA ".acl a "
	                               "WHERE a.relid = %s::oid AND a.%s IS DISTINCT FROM " NOW,
	                               acl->oid, recorded);

	if (!query_number(acl->connection, sql, &count, err))
		return false;
	*differing = count > 0;
	return true;
}

/* What was taken from an entry comes back in its place. An entry of which nothing had been left
 * comes back as the last one: then all of them are made anew, in order. */
static bool give_back(const struct acl *acl, bool *exact, struct error *err)
{
	const char *in_place = arena_printf(acl->arena, WRITING " AND %s", acl->reachable);
	bool differing = true;

	if (!grant(acl, in_place, err) || !differs(acl, "before", &differing, err))
		return false;
	*exact = !differing;
	if (*exact)
		return true;
	if (!revoke(acl, "true", NULL, err) || !grant(acl, "true", err) ||
	    !differs(acl, "before", &differing, err))
		return false;
	*exact = !differing;
	return true;
}

/* ---- Revoking ---- */

static const char record_sql[] =
	"INSERT INTO " OUR_SCHEMA ".acl (relid, column_name, schema, relation, before) "
	"SELECT c.oid, l.name, n.nspname, c.relname, l.list FROM pg_catalog.pg_class c"
	" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL ("
	"  SELECT '' AS name, c.relacl::text AS list UNION ALL"
	"  SELECT t.attname, t.attacl::text FROM pg_catalog.pg_attribute t"
	"  WHERE t.attrelid = c.oid AND t.attacl IS NOT NULL AND NOT t.attisdropped) l "
	"WHERE c.oid = $1::oid";

static const char record_after_sql[] =
	"UPDATE " OUR_SCHEMA ".acl a SET after = " NOW " WHERE a.relid = $1::oid";

/* Tried before it is relied on: whatever goes wrong now is undone, and the table left alone. */
static bool rehearse(const struct acl *acl, bool *exact, struct error *why, struct error *err)
{
	*exact = false;
	if (!query_run(acl->connection, "SAVEPOINT rehearsal", err))
		return false;
	if (give_back(acl, exact, why) && !*exact)
		fail(why, ERROR_FAILED, "it would not come back byte for byte");
	return query_run(acl->connection, "ROLLBACK TO SAVEPOINT rehearsal", err);
}

enum outcome { UNTOUCHED, CHANGED, LEFT, FAILED };

static enum outcome revoke_in_transaction(const struct acl *acl, struct error *why,
                                          struct error *err)
{
	bool something = false, exact = false;

	if (!run_for(acl, record_sql, err))
		return FAILED;
	if (!revoke(acl, acl->revocable, &something, why))
		return PQstatus(acl->connection) == CONNECTION_OK ? LEFT : FAILED;
	if (!something)
		return UNTOUCHED;
	if (!run_for(acl, record_after_sql, err) || !rehearse(acl, &exact, why, err))
		return FAILED;
	return exact ? CHANGED : LEFT;
}

static bool end_transaction(const struct acl *acl, bool keep, struct error *err)
{
	struct error ignored = {0};

	if (keep)
		return query_run(acl->connection, "COMMIT", err);
	if (PQstatus(acl->connection) == CONNECTION_OK)
		query_run(acl->connection, "ROLLBACK", &ignored);
	return true;
}

/* GRANT, ANALYZE and the like of others at the same moment; it takes no lock to wait for. */
static bool is_collision(const struct error *err)
{
	return strstr(err->text, "concurrently updated") != NULL;
}

static enum outcome revoke_table(const struct acl *acl, struct error *why, struct error *err)
{
	enum outcome outcome = FAILED;

	for (int tries = 0; tries < TRIES_MOST; tries++) {
		*why = (struct error){0};
		if (!query_run(acl->connection, "BEGIN", err))
			return FAILED;
		outcome = revoke_in_transaction(acl, why, err);
		if (outcome == FAILED)
			*why = *err;
		if (!end_transaction(acl, outcome == CHANGED, err))
			return FAILED;
		if ((outcome != FAILED && outcome != LEFT) || !is_collision(why))
			return outcome;
	}
	return outcome;
}

static void note(struct text *out, const char *name, const char *why)
{
	text_format(out, "%s%s%s%s%s", out->length ? "; " : "", name, why ? " (" : "",
	            why ? why : "", why ? ")" : "");
}

static const char list_sql[] =
	"SELECT c.oid, pg_catalog.format('%%I.%%I', n.nspname, c.relname),"
	" pg_catalog.pg_has_role(c.relowner, 'USAGE') "
	"FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
	"WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname <> '" OUR_SCHEMA
	"' AND (%s) AND NOT EXISTS (SELECT FROM " OUR_SCHEMA ".acl a WHERE a.relid = c.oid)"
	" AND (c.relacl IS NOT NULL OR EXISTS (SELECT FROM pg_catalog.pg_attribute t"
	"  WHERE t.attrelid = c.oid AND t.attacl IS NOT NULL AND NOT t.attisdropped))"
	" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'"
	"  AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid) "
	"ORDER BY 2";

static bool revoke_rows(struct acl *acl, const PGresult *rows, struct text *left,
                        struct acl_report *report, struct error *err)
{
	for (int row = 0; row < PQntuples(rows); row++) {
		struct error why = {0};
		acl->oid = PQgetvalue(rows, row, 0);
		acl->name = PQgetvalue(rows, row, 1);
		if (strcmp(PQgetvalue(rows, row, 2), "t") != 0) {
			note(left, acl->name, "our role cannot act as its owner");
			continue;
		}
		enum outcome outcome = revoke_table(acl, &why, err);
		if (outcome == FAILED)
			return fail_while(err, "revoke rights on %s", acl->name);
		if (outcome == LEFT)
			note(left, acl->name, why.text);
		report->changed += outcome == CHANGED;
	}
	report->tables = (size_t)PQntuples(rows);
	return true;
}

bool acl_revoke(PGconn *connection, const char *namespaces, bool keep_ours, struct arena *arena,
                struct acl_report *report, struct error *err)
{
	struct acl acl = {.connection = connection, .arena = arena};
	struct text left = {.limit = 4000};

	*report = (struct acl_report){.left = "", .drifted = ""};
	set_conditions(&acl, keep_ours);
	if (!ours_prepare(connection, err) || !query_run(connection, prepare_sql, err))
		return fail_while(err, "prepare to revoke rights");
	PGresult *rows = query(
		connection,
		arena_printf(arena, list_sql, namespaces ? namespaces : table_every_schema), err);
	bool fine = rows && revoke_rows(&acl, rows, &left, report, err);
	PQclear(rows);
	report->left = arena_text(arena, text_string(&left));
	text_free(&left);
	return fine;
}

/* ---- Restoring ---- */

static enum outcome restore_in_transaction(const struct acl *acl, struct error *err)
{
	const char *in_place = arena_printf(acl->arena, WRITING " AND %s", acl->reachable);
	bool drifted = false, exact = false;

	if (!differs(acl, "after", &drifted, err))
		return FAILED;
	/* Somebody's later changes are kept: only what was taken is added. */
	if (drifted ? !grant(acl, in_place, err) : !give_back(acl, &exact, err))
		return FAILED;
	if (!run_for(acl, "DELETE FROM " OUR_SCHEMA ".acl WHERE relid = $1::oid", err))
		return FAILED;
	return exact ? CHANGED : LEFT;
}

static enum outcome restore_table(const struct acl *acl, struct error *err)
{
	enum outcome outcome = FAILED;

	for (int tries = 0; tries < TRIES_MOST; tries++) {
		if (!query_run(acl->connection, "BEGIN", err))
			return FAILED;
		outcome = restore_in_transaction(acl, err);
		if (!end_transaction(acl, outcome != FAILED, err))
			return FAILED;
		if (outcome != FAILED || !is_collision(err))
			return outcome;
	}
	return outcome;
}

static const char recorded_sql[] =
	"SELECT a.relid, a.relid::pg_catalog.regclass FROM " OUR_SCHEMA ".acl a "
	"WHERE a.column_name = '' ORDER BY a.schema, a.relation";

static bool restore_rows(struct acl *acl, const PGresult *rows, struct text *drifted,
                         struct acl_report *report, struct error *err)
{
	for (int row = 0; row < PQntuples(rows); row++) {
		acl->oid = PQgetvalue(rows, row, 0);
		acl->name = PQgetvalue(rows, row, 1);
		enum outcome outcome = restore_table(acl, err);
		if (outcome == FAILED)
			return fail_while(err, "give back the rights on %s", acl->name);
		if (outcome == LEFT)
			note(drifted, acl->name, NULL);
		report->changed++;
	}
	report->tables = (size_t)PQntuples(rows);
	return true;
}

bool acl_restore(PGconn *connection, struct arena *arena, struct acl_report *report,
                 struct error *err)
{
	struct acl acl = {.connection = connection, .arena = arena};
	struct text drifted = {.limit = 4000};
	int64_t there = 0;

	*report = (struct acl_report){.left = "", .drifted = ""};
	set_conditions(&acl, false);
	if (!query_number(connection,
	                  "SELECT (pg_catalog.to_regclass('" OUR_SCHEMA ".acl') IS NOT NULL)::int",
	                  &there, err))
		return false;
	if (!there)
		return true;
	if (!query_run(connection,
	               "DELETE FROM " OUR_SCHEMA ".acl a WHERE NOT EXISTS (SELECT FROM "
	               "pg_catalog.pg_class c WHERE c.oid = a.relid)",
	               err))
		return false;
	PGresult *rows = query(connection, recorded_sql, err);
	bool fine = rows && restore_rows(&acl, rows, &drifted, report, err);
	PQclear(rows);
	report->drifted = arena_text(arena, text_string(&drifted));
	text_free(&drifted);
	return fine;
}
