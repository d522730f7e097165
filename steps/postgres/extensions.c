/* SPDX-License-Identifier: MIT */
/* postgres.extensions: those of one database are made in another one, in schemas of the same name.
 */
#include "engine/base/text.h"
#include "steps/postgres/database.h"
#include "steps/postgres/modules.h"
#include "steps/postgres/query.h"

#include <libpq-fe.h>
#include <string.h>

static const struct field fields[] = {
	{"source", FIELD_CONNECTION, FIELD_REQUIRED, NULL, NULL,
         "The database that has them; of kind postgres."},
	{"target", FIELD_CONNECTION, FIELD_REQUIRED, NULL, NULL,
         "Where they are made; of kind postgres."},
	{"except", FIELD_STRING, FIELD_LIST, NULL, NULL, "Extensions to leave out."},
	{0},
};

static const struct field outputs[] = {
	{"extensions", FIELD_STRING, FIELD_LIST, NULL, NULL, "Those that both have."},
	{0},
};

static PGconn *open_side(struct step *step, const char *side, struct error *err)
{
	struct database database;

	return database_find(step, value_get_text(step->with, side, ""), &database, err)
	               ? database_open(&database, "extensions", err)
	               : NULL;
}

/* ---- Looking ---- */

/* In the order they were made, so that each comes after what it requires. */
static const char of_source[] =
	"SELECT coalesce(json_agg(json_build_object('name', extname, 'schema', nspname, 'version', "
	"extversion) ORDER BY e.oid), '[]') FROM pg_extension e JOIN pg_namespace n ON n.oid = "
	"extnamespace WHERE extname <> 'plpgsql' AND extname <> ALL ($1::text[])";

/* A schema that the extension itself names cannot be chosen. */
static const char of_target[] =
	"SELECT s.name, n.nspname, a.default_version, CASE WHEN v.schema IS NULL AND s.schema <> "
	"'pg_catalog' THEN s.schema END, to_regnamespace(quote_ident(s.schema)) IS NULL, s.version "
	"FROM ROWS FROM (json_to_recordset($1::json) AS (name text, schema text, version text)) "
	"WITH ORDINALITY s (name, schema, version, nth) LEFT JOIN pg_extension e ON e.extname = "
	"s.name LEFT JOIN pg_namespace n ON n.oid = e.extnamespace LEFT JOIN "
	"pg_available_extensions a ON a.name = s.name LEFT JOIN pg_available_extension_versions v "
	"ON v.name = a.name AND v.version = a.default_version ORDER BY s.nth";

static const char *array_of(struct step *step, const struct value *list)
{
	struct text out = {0};

	for (const struct value *one = list ? list->as.items.first : NULL; one; one = one->next) {
		text_add(&out, out.length ? "," : "");
		query_quote_name(&out, value_reveal(one) ? value_reveal(one) : "");
	}
	const char *array = arena_printf(step->arena, "{%s}", text_string(&out));
	text_free(&out);
	return array;
}

static const char *read_source(struct step *step, struct error *err)
{
	const char *except = array_of(step, value_get(step->with, "except"));
	PGconn *source = open_side(step, "source", err);
	PGresult *result = source ? query_with(source, of_source, 1, &except, err) : NULL;
	const char *facts = result ? arena_text(step->arena, query_field(result, 0, 0)) : NULL;

	PQclear(result);
	PQfinish(source);
	return facts;
}

/* name -> {in, default_version, schema, no_schema, version}; those that are NULL are left out. */
static struct value *describe(struct step *step, const PGresult *result)
{
	static const char *const keys[] = {
		NULL, "in", "default_version", "schema", "no_schema", "version", NULL};
	struct value *all = value_map(step->arena);

	for (int row = 0; row < PQntuples(result); row++) {
		struct value *one = value_map(step->arena);
		for (int i = 1; keys[i]; i++)
			if (query_field(result, row, i))
				value_set_text(step->arena, one, keys[i],
				               query_field(result, row, i));
		value_set(step->arena, all, query_field(result, row, 0), one);
	}
	return all;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	const char *facts = read_source(step, err);
	PGconn *target = facts ? open_side(step, "target", err) : NULL;
	PGresult *result = target ? query_with(target, of_target, 1, &facts, err) : NULL;
	struct value *names = value_list(step->arena);

	if (result) {
		struct value *all = describe(step, result);
		for (const struct value *one = all->as.items.first; one; one = one->next)
			value_add(names, value_text(step->arena, one->key));
		value_set(step->arena, seen, "extensions", all);
		step_output(step, "extensions", names);
	}
	PQclear(result);
	PQfinish(target);
	return result != NULL;
}

/* ---- Comparing ---- */

static const char *obstacle(struct arena *arena, const struct value *one)
{
	const char *in = value_get_text(one, "in", NULL);
	const char *schema = value_get_text(one, "schema", NULL);

	if (in && schema && strcmp(in, schema) != 0)
		return arena_printf(arena,
		                    "%s is in the schema %s, not %s (ALTER EXTENSION %s SET SCHEMA "
		                    "%s)",
		                    one->key, in, schema, one->key, schema);
	if (!in && !value_get_text(one, "default_version", NULL))
		return arena_printf(arena, "%s is not to be had there", one->key);
	return NULL;
}

static bool refuse(struct step *step, const struct value *all, struct error *err)
{
	struct text out = {.limit = 3000};

	for (const struct value *one = all->as.items.first; one; one = one->next) {
		const char *why = obstacle(step->arena, one);
		if (why)
			text_format(&out, "%s%s", out.length ? "; " : "", why);
	}
	if (out.length)
		fail(err, ERROR_REFUSED,
		     "extensions of the target: %s; have them enabled where it is hosted, or leave "
		     "them out with `except`",
		     text_string(&out));
	bool fine = out.length == 0;
	text_free(&out);
	return fine;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *all = value_get(seen, "extensions");

	for (const struct value *one = all->as.items.first; one; one = one->next) {
		const char *theirs = value_get_text(one, "version", "");
		const char *ours = value_get_text(one, "default_version", "");
		if (!value_get(one, "in"))
			changes_add(
				changes, one->key, NULL, value_text(step->arena, ours),
				strcmp(ours, theirs) == 0
					? NULL
					: arena_printf(step->arena, "the source has %s", theirs));
	}
	return refuse(step, all, err);
}

/* ---- Making and dropping ---- */

static bool create(PGconn *target, const struct value *one, struct error *err)
{
	const char *schema = value_get_text(one, "schema", NULL);
	struct text sql = {0};

	if (schema && value_get_text(one, "no_schema", "f")[0] == 't') {
		text_add(&sql, "CREATE SCHEMA IF NOT EXISTS ");
		query_quote_name(&sql, schema);
		text_add(&sql, "; ");
	}
	text_add(&sql, "CREATE EXTENSION IF NOT EXISTS ");
	query_quote_name(&sql, one->key);
	if (schema) {
		text_add(&sql, " SCHEMA ");
		query_quote_name(&sql, schema);
	}
	bool fine = query_run(target, text_string(&sql), err);
	text_free(&sql);
	return fine;
}

/* All are tried, so that one look at the error is enough. */
static bool create_missing(struct step *step, PGconn *target, const struct value *all,
                           struct error *err)
{
	struct error refusal = {0};
	struct text out = {.limit = 3000};
	enum error_kind kind = ERROR_REFUSED;

	for (const struct value *one = all->as.items.first; one; one = one->next) {
		if (value_get(one, "in"))
			continue;
		step_progress(step, "making %s", one->key);
		if (create(target, one, &refusal))
			continue;
		text_format(&out, "%s%s: %s", out.length ? "; " : "", one->key, refusal.text);
		if (refusal.kind != ERROR_REFUSED)
			kind = refusal.kind;
	}
	if (out.length)
		fail(err, kind,
		     "%s; have them enabled where the target is hosted, give the role the rights, "
		     "or leave them out with `except`",
		     text_string(&out));
	bool fine = out.length == 0;
	text_free(&out);
	return fine;
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct value *seen = value_map(step->arena);

	(void)changes;
	if (!observe(step, seen, err))
		return false;
	PGconn *target = open_side(step, "target", err);
	bool fine = target && create_missing(step, target, value_get(seen, "extensions"), err);
	PQfinish(target);
	return fine;
}

static bool drop(PGconn *target, const char *kind, const char *name, struct error *err)
{
	struct text sql = {0};

	text_format(&sql, "DROP %s IF EXISTS ", kind);
	query_quote_name(&sql, name);
	bool fine = query_run(target, text_string(&sql), err) ||
	            fail_while(err, "drop the %s %s",
	                       strcmp(kind, "SCHEMA") == 0 ? "schema" : "extension", name);
	text_free(&sql);
	return fine;
}

/* The newest first: what requires another one goes before it. Tables that use one keep it, and that
 * is an error. */
static bool drop_made(PGconn *target, const struct value *one, struct error *err)
{
	return !one || (drop_made(target, one->next, err) &&
	                (value_get(one, "in") || drop(target, "EXTENSION", one->key, err)));
}

static bool drop_made_schemas(PGconn *target, const struct value *all, struct error *err)
{
	for (const struct value *one = all->as.items.first; one; one = one->next) {
		const char *schema = value_get_text(one, "schema", NULL);
		if (schema && value_get_text(one, "no_schema", "f")[0] == 't' &&
		    !drop(target, "SCHEMA", schema, err))
			return false;
	}
	return true;
}

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	const struct value *all = value_get(before, "extensions");
	PGconn *target = open_side(step, "target", err);
	bool fine = target && drop_made(target, all ? all->as.items.first : NULL, err) &&
	            (!all || drop_made_schemas(target, all, err));

	PQfinish(target);
	return fine;
}

const struct step_module postgres_extensions = {
	.name = "postgres.extensions",
	.text = "Makes the extensions of a database in another one.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"postgres/${target}/extensions", NULL},
	.reads = (const char *const[]){"postgres/${source}/extensions", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
