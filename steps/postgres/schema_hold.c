/* SPDX-License-Identifier: MIT */
/* What of a dump is held until the rows are there, and for which stage. */
#include "steps/postgres/schema_hold.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "engine/base/value.h"
#include "steps/postgres/grants.h"
#include "steps/postgres/held.h"
#include "steps/postgres/lex.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"
#include "steps/postgres/schema_list.h"
#include "steps/postgres/toc.h"

#include <libpq-fe.h>
#include <string.h>

enum { NOT_VALID_PARTITIONED_SINCE = 180000 };

/* ---- Where the table stands in a statement ---- */

enum position {
	IN_FRONT, /* ALTER TABLE it, or CREATE what it is */
	AFTER_ON,
	AFTER_FROM,
	AFTER_TO,
};

static const char *const fronts[] = {"ALTER TABLE",     "ALTER DOMAIN",
                                     "ALTER INDEX",     "CREATE OR REPLACE VIEW",
                                     "CREATE VIEW",     "CREATE MATERIALIZED VIEW",
                                     "CREATE FUNCTION", "CREATE PROCEDURE",
                                     "CREATE AGGREGATE"};

/* A trigger's entry may be an ALTER TABLE alone, where a partition switches it otherwise. */
static bool find_position(const char **at, enum position position)
{
	static const char *const words[] = {
		[AFTER_ON] = "ON", [AFTER_FROM] = "FROM", [AFTER_TO] = "TO"};

	for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++)
		if (lex_skip(at, fronts[i]))
			return true;
	return position != IN_FRONT && lex_find(at, words[position]);
}

static void find_relation(const struct hold *hold, const char *sql, enum position position,
                          struct held_row *row)
{
	row->schema = row->relation = "";
	if (!find_position(&sql, position))
		return;
	lex_skip(&sql, "ONLY");
	if (!lex_qualified_name(&sql, hold->arena, &row->schema, &row->relation))
		row->schema = row->relation = "";
}

static const char *quoted(struct arena *arena, const char *schema, const char *name)
{
	struct text out = {0};

	query_quote_name(&out, schema);
	text_add(&out, ".");
	query_quote_name(&out, name);
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}

static bool is_table(const struct hold *hold, const struct held_row *row)
{
	size_t index;

	return names_find(&hold->tables, quoted(hold->arena, row->schema, row->relation), &index);
}

/* ---- Stages ---- */

static const char *stage_of_key(const struct hold *hold, const struct held_row *row)
{
	return is_table(hold, row) ? HELD_KEY : HELD_PARENTS;
}

static const char *stage_of_index(const struct hold *hold, const struct held_row *row)
{
	const char *sql = row->definition;

	if (!is_table(hold, row))
		return HELD_PARENTS;
	return lex_skip(&sql, "CREATE UNIQUE") ? HELD_KEY : HELD_INDEX;
}

/* Behind the constraint, before its semicolon; NULL when there is none. */
static const char *end_of_statement(const char *sql)
{
	return lex_find(&sql, ";") ? sql - 1 : NULL;
}

static bool has_words(const char *sql, const char *words)
{
	for (const char *at = sql;;) {
		if (lex_skip(&at, words))
			return true;
		if (lex_next_word(&at).kind == LEX_END)
			return false;
	}
}

/* Rows that were there before such a check may break it, and must come through. */
static const char *stage_of_check(const struct hold *hold, const struct held_row *row)
{
	if (has_words(row->definition, "NOT VALID") || !is_table(hold, row))
		return HELD_SWITCH;
	return HELD_INDEX;
}

/* What hides the rule of a view is the view itself. */
static const char *stage_of_rule(const struct hold *hold, const struct held_row *row)
{
	const char *sql = row->definition;

	(void)hold;
	return lex_skip(&sql, "CREATE OR REPLACE VIEW") || lex_skip(&sql, "CREATE VIEW")
	               ? HELD_PARENTS
	               : HELD_SWITCH;
}

static const char *stage_of_switch(const struct hold *hold, const struct held_row *row)
{
	(void)hold, (void)row;
	return HELD_SWITCH;
}

static const char *stage_of_rest(const struct hold *hold, const struct held_row *row)
{
	(void)hold, (void)row;
	return HELD_PARENTS;
}

static const struct held_type {
	const char *type;
	enum position position;
	const char *(*stage)(const struct hold *hold, const struct held_row *row);
	const char *left_out; /* why it is not carried; NULL */
} types[] = {
	{"CONSTRAINT", IN_FRONT, stage_of_key, NULL},
	{"INDEX", AFTER_ON, stage_of_index, NULL},
	{"STATISTICS", AFTER_FROM, stage_of_index, NULL},
	{"FK CONSTRAINT", IN_FRONT, stage_of_switch, NULL},
	{"CHECK CONSTRAINT", IN_FRONT, stage_of_check, NULL},
	{"TRIGGER", AFTER_ON, stage_of_switch, NULL},
	{"RULE", AFTER_TO, stage_of_rule, NULL},
	{"POLICY", AFTER_ON, stage_of_switch, NULL},
	{"ROW SECURITY", IN_FRONT, stage_of_switch, NULL},
	{"DEFAULT ACL", IN_FRONT, stage_of_switch, NULL},
	{"EVENT TRIGGER", IN_FRONT, NULL, "only a superuser can make it"},
	{"PUBLICATION", IN_FRONT, NULL, "publications are not carried"},
	{"PUBLICATION TABLE", IN_FRONT, NULL, "publications are not carried"},
	{"SUBSCRIPTION", IN_FRONT, NULL, "subscriptions are not carried"},
	{"SECURITY LABEL", IN_FRONT, NULL, "security labels are not carried"},
	{"STATISTICS DATA", IN_FRONT, NULL, "ANALYZE makes it anew"},
	{NULL, IN_FRONT, stage_of_rest, NULL},
};

static const struct held_type *type_of(const struct toc_entry *entry)
{
	const struct held_type *type = types;

	while (type->type && strcmp(type->type, entry->type) != 0)
		type++;
	return type;
}

/* ---- Rows ---- */

static struct held_row *add(struct hold *hold, const struct held_row *row)
{
	struct held_row *copy = arena_alloc(hold->arena, sizeof *copy);

	*copy = *row;
	copy->id = ++hold->count;
	copy->next = NULL;
	*hold->end = copy;
	hold->end = &copy->next;
	return copy;
}

/* pg_dump puts the table before the name of what belongs to it. */
static const char *name_of(const struct toc_entry *entry, const struct held_row *row)
{
	size_t length = strlen(row->relation);

	return length && strncmp(entry->name, row->relation, length) == 0 &&
	                       entry->name[length] == ' '
	               ? entry->name + length + 1
	               : entry->name;
}

/* The name behind ADD CONSTRAINT, in quotes. */
static const char *constraint_of(const struct hold *hold, const char *sql)
{
	struct text out = {0};

	if (!lex_find(&sql, "CONSTRAINT"))
		return NULL;
	const char *name = lex_name(&sql, hold->arena);
	if (!name)
		return NULL;
	query_quote_name(&out, name);
	const char *copy = arena_text(hold->arena, text_string(&out));
	text_free(&out);
	return copy;
}

/* NOT VALID takes its lock for a moment only; rows are checked later, under a lock that lets
 * writers through. Before 18 partitioned tables do not know it. */
static struct held_row *add_foreign_key(struct hold *hold, struct held_row *row)
{
	const char *end = end_of_statement(row->definition), *sql = row->definition;
	const char *constraint = constraint_of(hold, row->definition);
	struct held_row after = *row;

	if (!end || !constraint || has_words(sql, "NOT VALID") || has_words(sql, "NOT ENFORCED"))
		return add(hold, row);
	if (!is_table(hold, row) && hold->target_version < NOT_VALID_PARTITIONED_SINCE) {
		value_add(
			hold->waited_for,
			value_text(hold->arena, arena_printf(hold->arena, "%s of %s.%s", row->name,
		                                             row->schema, row->relation)));
		return add(hold, row);
	}
	row->definition = arena_printf(hold->arena, "%.*s NOT VALID%s", (int)(end - sql), sql, end);
	struct held_row *added = add(hold, row);
	after.stage = HELD_AFTER;
	after.type = "VALIDATE";
	after.definition =
		arena_printf(hold->arena, "ALTER TABLE %s VALIDATE CONSTRAINT %s;",
	                     quoted(hold->arena, row->schema, row->relation), constraint);
	add(hold, &after);
	return added;
}

static bool is_capture(const struct held_row *row)
{
	return strcmp(row->type, "TRIGGER") == 0 &&
	       strncmp(row->name, OUR_PREFIX, strlen(OUR_PREFIX)) == 0;
}

/* The row, or NULL when the entry makes none. */
static struct held_row *add_entry(struct hold *hold, const struct toc_entry *entry)
{
	const struct held_type *type = type_of(entry);
	struct held_row row = {.type = entry->type, .definition = entry->sql};

	if (type->left_out) {
		value_add(hold->left_out,
		          value_text(hold->arena,
		                     arena_printf(hold->arena, "%s: %s",
		                                  toc_title(entry, hold->arena), type->left_out)));
		return NULL;
	}
	if (strcmp(entry->type, "ACL") == 0 || strcmp(entry->type, "DEFAULT ACL") == 0)
		row.definition = grants_carry(hold->grants, entry->sql);
	if (!row.definition[0])
		return NULL;
	find_relation(hold, row.definition, type->position, &row);
	row.name = name_of(entry, &row);
	row.stage = type->stage(hold, &row);
	if (is_capture(&row))
		return NULL;
	return strcmp(row.type, "FK CONSTRAINT") == 0 ? add_foreign_key(hold, &row)
	                                              : add(hold, &row);
}

void hold_entries(struct hold *hold, const struct toc_entry *first)
{
	struct held_row *last = NULL;

	for (const struct toc_entry *entry = first; entry; entry = entry->next) {
		if (strcmp(entry->type, "COMMENT") != 0)
			last = add_entry(hold, entry);
		else if (last)
			last->definition =
				arena_printf(hold->arena, "%s\n%s", last->definition, entry->sql);
	}
}

void hold_refreshes(struct hold *hold, const struct toc_entry *first)
{
	size_t index;

	for (const struct toc_entry *entry = first; entry; entry = entry->next) {
		struct held_row row = {.stage = HELD_AFTER, .type = "REFRESH", .name = entry->name};
		if (strcmp(entry->type, "MATERIALIZED VIEW") != 0)
			continue;
		find_relation(hold, entry->sql, IN_FRONT, &row);
		const char *view = quoted(hold->arena, row.schema, row.relation);
		if (!names_find(&hold->populated, view, &index))
			continue;
		row.definition = arena_printf(hold->arena, "REFRESH MATERIALIZED VIEW %s;", view);
		add(hold, &row);
	}
}

/* ---- The source ---- */

/* With quotes in any case, as quoted() writes them. */
#define RELATIONS_WHERE                                                  \
	"SELECT concat('\"', replace(n.nspname, '\"', '\"\"'), '\".\"'," \
	" replace(c.relname, '\"', '\"\"'), '\"') FROM pg_class c"       \
	" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE "

bool hold_begin(struct hold *hold, PGconn *source, PGconn *target, struct grants *grants,
                struct arena *arena, struct error *err)
{
	*hold = (struct hold){.arena = arena,
	                      .grants = grants,
	                      .target_version = PQserverVersion(target),
	                      .left_out = value_list(arena),
	                      .waited_for = value_list(arena)};
	hold->end = &hold->first;
	return schema_names(source, RELATIONS_WHERE "c.relkind = 'r'", arena, &hold->tables, err) &&
	       schema_names(source, RELATIONS_WHERE "c.relkind = 'm' AND c.relispopulated", arena,
	                    &hold->populated, err);
}
