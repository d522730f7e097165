/* SPDX-License-Identifier: MIT */
/* postgres.schema: the target gets the schema of the source. What rows need is made at once;
 * keys, indexes, foreign keys and triggers are held until the rows are there: see held.h.
 *
 * Everything belongs to the role of the target's connection. Privileges are carried for roles that
 * the target has. Objects of the same name that are not ours are refused. */
#include "engine/base/text.h"
#include "engine/step.h"
#include "steps/postgres/database.h"
#include "steps/postgres/dump.h"
#include "steps/postgres/modules.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"
#include "steps/postgres/schema_compare.h"
#include "steps/postgres/schema_make.h"

#include <libpq-fe.h>
#include <string.h>

enum { SHOWN_MOST = 400 };

static const struct field fields[] = {
	{"source", FIELD_CONNECTION, FIELD_REQUIRED, NULL, NULL, "The database to read from."},
	{"target", FIELD_CONNECTION, FIELD_REQUIRED, NULL, NULL, "The database to make it in."},
	{"schemas", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "The schemas to carry over; [all], as without it, carries all of the user's and what is "
         "in "
         "none, such as casts."},
	{0},
};

static const struct field outputs[] = {
	{"left_out", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "Privileges that are not carried: the target has no such role, or it owns all there."},
	{0},
};

/* Both sides, open. */
struct sides {
	struct step *step;
	PGconn *source, *target;
	const struct value *schemas;
};

static bool open_one(struct step *step, const char *field, PGconn **connection, struct error *err)
{
	struct database database;

	*connection = NULL;
	if (!database_find(step, value_get_text(step->with, field, NULL), &database, err))
		return false;
	*connection = database_open(&database, "schema", err);
	return *connection != NULL;
}

static void close_sides(struct sides *sides)
{
	PQfinish(sides->source);
	PQfinish(sides->target);
}

static bool open_sides(struct sides *sides, struct step *step, struct error *err)
{
	*sides = (struct sides){.step = step, .schemas = value_get(step->with, "schemas")};
	if (open_one(step, "source", &sides->source, err) &&
	    open_one(step, "target", &sides->target, err))
		return true;
	close_sides(sides);
	return false;
}

/* ---- Looking ---- */

/* Under its kind; a MAP of kind -> LIST of identities. */
static void file_under_kind(struct arena *arena, struct value *map, const struct value *difference)
{
	const char *kind = value_get_text(difference, "kind", "");
	struct value *list = value_get(map, kind);

	if (!list) {
		list = value_list(arena);
		value_set(arena, map, kind, list);
	}
	value_add(list, value_text(arena, value_get_text(difference, "object", "")));
}

static const char *shown(struct arena *arena, const struct value *difference, const char *side)
{
	const char *text = value_get_text(difference, side, "");

	return strlen(text) > SHOWN_MOST ? arena_printf(arena, "%.*s...", SHOWN_MOST, text) : text;
}

static void describe(struct step *step, const struct schema_comparison *comparison,
                     struct value *seen)
{
	struct arena *arena = step->arena;
	struct value *missing = value_map(arena), *other = value_list(arena);

	for (const struct value *one = comparison->differences->as.items.first; one;
	     one = one->next) {
		if (strcmp(value_get_text(one, "what", ""), "missing") == 0) {
			file_under_kind(arena, missing, one);
			continue;
		}
		struct value *map = value_map(arena);
		value_set_text(arena, map, "kind", value_get_text(one, "kind", ""));
		value_set_text(arena, map, "object", value_get_text(one, "object", ""));
		value_set_text(arena, map, "source", shown(arena, one, "source"));
		value_set_text(arena, map, "target", shown(arena, one, "target"));
		value_add(other, map);
	}
	value_set(arena, seen, "missing", missing);
	value_set(arena, seen, "different", other);
}

/* plan_replication.held is made by the transaction that makes the schema, and by it alone. */
static bool find_mark(struct sides *sides, bool *ours, struct error *err)
{
	int64_t there;

	if (!query_number(sides->target,
	                  "SELECT (to_regclass('" OUR_SCHEMA ".held') IS NOT NULL)::int", &there,
	                  err))
		return false;
	*ours = there != 0;
	return true;
}

static bool has_rows(struct sides *sides, const char *table, bool *rows, struct error *err)
{
	struct arena *arena = sides->step->arena;
	int64_t found;

	if (!query_number(sides->target,
	                  arena_printf(arena, "SELECT EXISTS (SELECT FROM %s)::int", table), &found,
	                  err))
		return false;
	*rows = found != 0;
	return true;
}

/* What stands in the way, by name. Schemas may be there: providers and extensions make them. */
static bool refuse_foreign(struct sides *sides, const struct value *present, struct error *err)
{
	struct text names = {.limit = 1000};
	bool rows = false, good = true;

	for (const struct value *one = present->as.items.first; one && good; one = one->next) {
		const char *kind = value_get_text(one, "kind", ""),
			   *object = value_get_text(one, "object", "");
		if (strcmp(kind, "schema") == 0)
			continue;
		rows = false;
		if (strcmp(kind, "table") == 0)
			good = has_rows(sides, object, &rows, err);
		text_format(&names, "%s%s %s%s", names.length ? ", " : "", kind, object,
		            rows ? " (with rows)" : "");
	}
	if (good && names.length)
		good = fail(err, ERROR_REFUSED,
		            "the target has objects of these names already, and this plan did not "
		            "make them: %s%s; drop them, or take an empty database",
		            text_string(&names), names.full ? ", ..." : "");
	text_free(&names);
	return good;
}

static bool check_names(struct sides *sides, struct error *err)
{
	const struct value *one =
		dump_takes_all(sides->schemas) ? NULL : sides->schemas->as.items.first;

	for (; one; one = one->next) {
		const char *name = value_reveal(one);
		PGresult *result =
			query_with(sides->source, "SELECT FROM pg_namespace WHERE nspname = $1", 1,
		                   &name, err);
		bool asked = result != NULL, there = asked && PQntuples(result) > 0;
		PQclear(result);
		if (!asked)
			return false;
		if (!there)
			return fail(err, ERROR_PLAN, "the source has no schema %s", name);
	}
	return true;
}

static bool look(struct sides *sides, struct value *seen, struct error *err)
{
	struct step *step = sides->step;
	struct schema_comparison found = {.source = sides->source,
	                                  .target = sides->target,
	                                  .schemas = sides->schemas,
	                                  .extent = SCHEMA_EARLY};
	bool ours;

	if (!check_names(sides, err) || !find_mark(sides, &ours, err) ||
	    !schema_compare(&found, step->arena, err))
		return false;
	if (!ours && !step->was_done && !refuse_foreign(sides, found.present, err))
		return false;
	value_set_bool(step->arena, seen, "ours", ours);
	describe(step, &found, seen);
	step_output(step, "left_out", found.left_out);
	return true;
}

static bool observe(struct step *step, struct value *seen, struct error *err)
{
	struct sides sides;

	if (!open_sides(&sides, step, err))
		return false;
	bool good = look(&sides, seen, err);
	close_sides(&sides);
	return good;
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	const struct value *missing = value_get(seen, "missing"),
			   *different = value_get(seen, "different");

	(void)err;
	for (const struct value *list = missing->as.items.first; list; list = list->next)
		for (const struct value *one = list->as.items.first; one; one = one->next)
			changes_add(changes, value_reveal(one), NULL,
			            value_text(step->arena, list->key), NULL);
	for (const struct value *one = different->as.items.first; one; one = one->next)
		changes_add(changes, value_get_text(one, "object", ""), value_get(one, "target"),
		            value_get(one, "source"), value_get_text(one, "kind", NULL));
	return true;
}

/* ---- Making ---- */

/* Made already, and the source went on since: rows may be there, and held objects fit no more. */
static bool refuse_drift(const struct changes *changes, struct error *err)
{
	return fail(err, ERROR_DRIFT,
	            "the schema was made already and %s, with %zu more, differs now: make the same "
	            "change on the target, or go back to this step",
	            changes->first->path, changes->count - 1);
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	struct sides sides;
	bool ours;

	if (!open_sides(&sides, step, err))
		return false;
	bool good = find_mark(&sides, &ours, err) && (!ours || refuse_drift(changes, err)) &&
	            schema_check_extensions(sides.source, sides.target, step, err) &&
	            schema_make(step, sides.source, sides.target, sides.schemas, err);
	close_sides(&sides);
	return good;
}

/* ---- The way back ---- */

static bool revert(struct step *step, const struct value *before, struct error *err)
{
	const struct value *missing = value_get(before, "missing");
	PGconn *target;

	/* It was there before this run: somebody else's to take away. */
	if (!missing || value_get_bool(before, "ours", false))
		return true;
	if (!open_one(step, "target", &target, err))
		return false;
	bool good = schema_drop(step, target, missing, err);
	PQfinish(target);
	return good;
}

const struct step_module postgres_schema = {
	.name = "postgres.schema",
	.text = "Makes the schema of a database in another one, owned by the role that connects "
		"there; indexes, keys and triggers are held until the rows are there.",
	.fields = fields,
	.outputs = outputs,
	.subjects = (const char *const[]){"postgres/${target}/schema", NULL},
	.reads = (const char *const[]){"postgres/${source}/schema", NULL},
	.observe = observe,
	.plan = plan,
	.apply = apply,
	.revert = revert,
};
