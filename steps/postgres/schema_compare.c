/* SPDX-License-Identifier: MIT */
/* Whether two databases have the same schema. */
#include "steps/postgres/schema_compare.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/names.h"
#include "engine/base/text.h"
#include "engine/base/value.h"
#include "steps/postgres/lex.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"
#include "steps/postgres/schema_kinds.h"

#include <libpq-fe.h>
#include <string.h>

enum { NAMED_MOST = 6 };

/* The two sides and what is known of them. */
struct comparing {
	struct arena *arena;
	struct schema_list source, target;
	struct names on_source, on_target; /* identities */
	struct names roles;                /* of the target */
	PGresult *pending; /* identity of the relation or function, quoted name, type; NULL: none */
	struct schema_comparison *found;
};

/* ---- What waits in plan_replication.held ---- */

/* What pg_dump puts behind the keys because it needs them, and checks that are not valid. Rules of
 * tables and views wait in another stage. */
static const char pending_sql[] =
	"SELECT quote_ident(schema) || '.' || quote_ident(relation), quote_ident(name), type "
	"FROM " OUR_SCHEMA
	".held WHERE NOT done AND (type IN ('VIEW', 'MATERIALIZED VIEW', 'FUNCTION',"
	" 'PROCEDURE', 'AGGREGATE', 'CHECK CONSTRAINT') OR (type = 'RULE' AND stage = 'parents'))";

static bool read_pending(struct comparing *comparing, PGconn *target, struct error *err)
{
	int64_t there;

	if (!query_number(target, "SELECT (to_regclass('" OUR_SCHEMA ".held') IS NOT NULL)::int",
	                  &there, err))
		return false;
	comparing->pending = there ? query(target, pending_sql, err) : NULL;
	return !there || comparing->pending;
}

/* The thing itself, a part of it, or one of the functions of that name. */
static bool belongs_to(const char *identity, const char *whole)
{
	size_t length = strlen(whole);

	return identity && strncmp(identity, whole, length) == 0 &&
	       (!identity[length] || identity[length] == '.' || identity[length] == '(');
}

static bool is_check(const struct schema_object *object, const char *name)
{
	size_t length = strlen(object->identity), size = strlen(name);

	return strstr(object->kind->name, "constraint") && length > size &&
	       object->identity[length - size - 1] == '.' &&
	       strcmp(object->identity + length - size, name) == 0;
}

static bool is_pending(const struct comparing *comparing, const struct schema_object *object)
{
	int rows = comparing->pending ? PQntuples(comparing->pending) : 0;

	for (int row = 0; row < rows; row++) {
		const char *whole = PQgetvalue(comparing->pending, row, 0);
		if (strcmp(PQgetvalue(comparing->pending, row, 2), "CHECK CONSTRAINT") == 0
		            ? is_check(object, PQgetvalue(comparing->pending, row, 1))
		            : belongs_to(object->identity, whole) || belongs_to(object->of, whole))
			return true;
	}
	return false;
}

/* ---- One object ---- */

static struct value *describe(const struct comparing *comparing, const struct schema_object *object)
{
	struct value *map = value_map(comparing->arena);

	value_set_text(comparing->arena, map, "kind", object->kind->name);
	value_set_text(comparing->arena, map, "object", object->identity);
	return map;
}

/* The map, to add the definitions to. */
static struct value *differs(const struct comparing *comparing, const char *what,
                             const struct schema_object *object)
{
	struct value *map = describe(comparing, object);

	value_set_text(comparing->arena, map, "what", what);
	value_add(comparing->found->differences, map);
	return map;
}

static bool is_on(const struct names *names, const char *identity)
{
	size_t index;

	return names_find(names, identity, &index);
}

static bool is_alike(const struct comparing *comparing, const struct schema_object *source,
                     const struct schema_object *target)
{
	if (strcmp(source->definition, target->definition) == 0)
		return true;
	return comparing->source.version / 10000 != comparing->target.version / 10000 &&
	       (source->kind->flags & KIND_WRITTEN) &&
	       lex_is_alike(source->definition, target->definition);
}

static void is_missing(const struct comparing *comparing, const struct schema_object *source)
{
	if (source->of && is_on(&comparing->on_source, source->of) &&
	    !is_on(&comparing->on_target, source->of))
		return;
	if (source->role && !is_on(&comparing->roles, source->role))
		value_add(comparing->found->left_out,
		          value_text(comparing->arena, source->identity));
	else
		value_set_text(comparing->arena, differs(comparing, "missing", source), "source",
		               source->definition);
}

static void is_surplus(const struct comparing *comparing, const struct schema_object *target)
{
	if ((target->kind->flags & KIND_CLOSED) && target->of &&
	    is_on(&comparing->on_source, target->of))
		value_set_text(comparing->arena, differs(comparing, "surplus", target), "target",
		               target->definition);
}

static void are_both(const struct comparing *comparing, const struct schema_object *source,
                     const struct schema_object *target)
{
	if (source->kind->drop)
		value_add(comparing->found->present, describe(comparing, source));
	if (is_alike(comparing, source, target))
		return;
	struct value *map = differs(comparing, "different", source);
	value_set_text(comparing->arena, map, "source", source->definition);
	value_set_text(comparing->arena, map, "target", target->definition);
}

/* ---- All ---- */

/* Both lists are in one order. */
static void merge(const struct comparing *comparing)
{
	size_t left = 0, right = 0;

	while (left < comparing->source.count || right < comparing->target.count) {
		const struct schema_object *source = &comparing->source.objects[left],
					   *target = &comparing->target.objects[right];
		int order = left == comparing->source.count ? 1
		            : right == comparing->target.count
		                    ? -1
		                    : schema_object_order(source, target);
		left += order <= 0;
		right += order >= 0;
		if (is_pending(comparing, order > 0 ? target : source))
			continue;
		if (order < 0)
			is_missing(comparing, source);
		else if (order > 0)
			is_surplus(comparing, target);
		else
			are_both(comparing, source, target);
	}
}

static bool read_both(struct comparing *comparing, const struct schema_comparison *given,
                      struct error *err)
{
	if (!schema_list(given->source, given->schemas, given->extent, comparing->arena,
	                 &comparing->source, err))
		return fail_while(err, "source");
	return (schema_list(given->target, given->schemas, given->extent, comparing->arena,
	                    &comparing->target, err) &&
	        schema_names(given->target,
	                     "SELECT rolname FROM pg_roles WHERE rolname <> current_user",
	                     comparing->arena, &comparing->roles, err) &&
	        (given->extent == SCHEMA_ALL || read_pending(comparing, given->target, err))) ||
	       fail_while(err, "target");
}

bool schema_compare(struct schema_comparison *comparison, struct arena *arena, struct error *err)
{
	struct comparing comparing = {.arena = arena, .found = comparison};

	comparison->differences = value_list(arena);
	comparison->present = value_list(arena);
	comparison->left_out = value_list(arena);
	if (!read_both(&comparing, comparison, err))
		return false;
	schema_identities(&comparing.source, arena, &comparing.on_source);
	schema_identities(&comparing.target, arena, &comparing.on_target);
	merge(&comparing);
	PQclear(comparing.pending);
	return true;
}

const char *schema_differences_text(const struct value *differences, struct arena *arena)
{
	struct text out = {0};
	size_t count = 0;

	for (const struct value *one = differences->as.items.first; one && count < NAMED_MOST;
	     one = one->next, count++)
		text_format(&out, "%s%s %s is %s", count ? "; " : "",
		            value_get_text(one, "kind", ""), value_get_text(one, "object", ""),
		            value_get_text(one, "what", ""));
	if (differences->as.items.count > count)
		text_format(&out, "; and %zu more", differences->as.items.count - count);
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}
