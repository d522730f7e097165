/* SPDX-License-Identifier: MIT */
/* Taking back a schema that was made: what was made goes, and nothing else. */
#include "engine/base/names.h"
#include "engine/step.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"
#include "steps/postgres/schema_kinds.h"
#include "steps/postgres/schema_list.h"
#include "steps/postgres/schema_make.h"

#include <libpq-fe.h>
#include <string.h>

enum { DEPTH_MOST = 5 }; /* of parts of parts */

struct dropping {
	struct step *step;
	PGconn *target;
	const struct value *missing; /* what is dropped: kind -> LIST of identities */
	struct names ours;           /* the identities */
};

static bool is_there(PGconn *target, const char *table, bool *there, struct error *err)
{
	PGresult *result = query_with(target, "SELECT to_regclass($1) IS NOT NULL", 1, &table, err);

	*there = result && strcmp(PQgetvalue(result, 0, 0), "t") == 0;
	PQclear(result);
	return result != NULL;
}

/* The way back takes replication first; a stream that is left has not gone it. */
static bool is_unused(struct dropping *dropping, struct error *err)
{
	bool there;
	int64_t streams = 0;

	if (!is_there(dropping->target, OUR_SCHEMA ".stream", &there, err) ||
	    (there && !query_number(dropping->target, "SELECT count(*) FROM " OUR_SCHEMA ".stream",
	                            &streams, err)))
		return false;
	return streams == 0 ||
	       fail(err, ERROR_REFUSED, "replication still writes to these tables: undo it first");
}

/* Nobody can write to it between the look and the drop. */
static bool is_empty(struct dropping *dropping, const char *table, struct error *err)
{
	struct arena *arena = dropping->step->arena;
	bool there;
	int64_t rows;

	if (!is_there(dropping->target, table, &there, err) || !there)
		return there || !err->kind;
	if (!query_run(dropping->target, arena_printf(arena, "LOCK TABLE %s", table), err) ||
	    !query_number(dropping->target,
	                  arena_printf(arena, "SELECT EXISTS (SELECT FROM %s)::int", table), &rows,
	                  err))
		return fail_while(err, "look into table %s", table);
	return !rows || fail(err, ERROR_REFUSED,
	                     "table %s has rows: empty it when nobody needs them, then go back "
	                     "again",
	                     table);
}

static bool are_empty(struct dropping *dropping, struct error *err)
{
	const struct value *tables = value_get(dropping->missing, "table");

	for (const struct value *one = tables ? tables->as.items.first : NULL; one; one = one->next)
		if (!is_empty(dropping, value_reveal(one), err))
			return false;
	return true;
}

/* Schemas come last, and only when nothing is left in them. */
static bool drop_kind(struct dropping *dropping, const struct value *list, struct error *err)
{
	const struct schema_kind *kind = schema_kind_find(list->key);
	struct arena *arena = dropping->step->arena;

	if (!kind || !kind->drop)
		return true;
	for (const struct value *one = list->as.items.first; one; one = one->next)
		if (!query_run(dropping->target,
		               arena_printf(arena, "DROP %s IF EXISTS %s%s", kind->drop,
		                            value_reveal(one),
		                            strcmp(kind->name, "schema") == 0 ? "" : " CASCADE"),
		               err))
			return fail_while(err, "drop %s %s", kind->name, value_reveal(one));
	return true;
}

static bool drop_all(struct dropping *dropping, struct error *err)
{
	const struct value *schemas = value_get(dropping->missing, "schema");

	for (const struct value *list = dropping->missing->as.items.first; list; list = list->next)
		if (list != schemas && !drop_kind(dropping, list, err))
			return false;
	return !schemas || drop_kind(dropping, schemas, err);
}

/* It was made, or is a part of a part of what was. */
static bool is_ours(const struct dropping *dropping, const struct schema_list *before,
                    const struct names *identities, const struct schema_object *object)
{
	size_t index;

	for (int depth = 0; depth < DEPTH_MOST; depth++) {
		if (names_find(&dropping->ours, object->identity, &index))
			return true;
		if (!object->of)
			return false;
		if (names_find(&dropping->ours, object->of, &index))
			return true;
		if (!names_find(identities, object->of, &index))
			return false;
		object = &before->objects[index];
	}
	return false;
}

/* A cascade must not reach what others made: compared with all there was. */
static bool nothing_else_went(struct dropping *dropping, const struct schema_list *before,
                              struct error *err)
{
	struct schema_list after;
	struct names identities;
	size_t at = 0;

	if (!schema_list(dropping->target, NULL, SCHEMA_ALL, dropping->step->arena, &after, err))
		return false;
	schema_identities(before, dropping->step->arena, &identities);
	for (size_t i = 0; i < before->count; i++) {
		const struct schema_object *one = &before->objects[i];
		while (at < after.count && schema_object_order(&after.objects[at], one) < 0)
			at++;
		bool left = at < after.count && schema_object_order(&after.objects[at], one) == 0;
		if (!left && !is_ours(dropping, before, &identities, one))
			return fail(err, ERROR_REFUSED,
			            "%s %s, which this plan did not make, stands on what would be "
			            "dropped: drop it first, or keep the schema",
			            one->kind->name, one->identity);
	}
	return true;
}

/* The schema of ours stays where something else is in it. */
static const char forget_sql[] =
	"DROP TABLE IF EXISTS " OUR_SCHEMA ".held;"
	"DO $$BEGIN IF to_regnamespace('" OUR_SCHEMA "') IS NOT NULL AND NOT EXISTS"
	" (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('" OUR_SCHEMA
	"')) AND NOT EXISTS"
	" (SELECT FROM pg_proc WHERE pronamespace = to_regnamespace('" OUR_SCHEMA "'))"
	" THEN DROP SCHEMA " OUR_SCHEMA "; END IF; END$$";

static void collect(struct dropping *dropping)
{
	size_t count = 0, index = 0;

	for (const struct value *list = dropping->missing->as.items.first; list; list = list->next)
		count += list->as.items.count;
	if (count)
		names_begin(&dropping->ours, dropping->step->arena, count);
	for (const struct value *list = dropping->missing->as.items.first; list; list = list->next)
		for (const struct value *one = list->as.items.first; one; one = one->next)
			names_add(&dropping->ours, value_reveal(one), index++, NULL);
}

static bool drop_in_transaction(struct dropping *dropping, struct error *err)
{
	struct schema_list before;

	return query_run(dropping->target, "BEGIN", err) && is_unused(dropping, err) &&
	       are_empty(dropping, err) &&
	       schema_list(dropping->target, NULL, SCHEMA_ALL, dropping->step->arena, &before,
	                   err) &&
	       drop_all(dropping, err) && nothing_else_went(dropping, &before, err) &&
	       query_run(dropping->target, forget_sql, err) &&
	       query_run(dropping->target, "COMMIT", err);
}

bool schema_drop(struct step *step, PGconn *target, const struct value *missing, struct error *err)
{
	struct dropping dropping = {.step = step, .target = target, .missing = missing};
	struct error ignored = {0};

	collect(&dropping);
	if (drop_in_transaction(&dropping, err))
		return true;
	query_run(target, "ROLLBACK", &ignored);
	return false;
}
