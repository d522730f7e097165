/* SPDX-License-Identifier: MIT */
/* A table that is on both sides, to be compared. */
#include "steps/postgres/twin.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "engine/base/value.h"
#include "steps/postgres/discrepancy.h"
#include "steps/postgres/link.h"
#include "steps/postgres/pair.h"
#include "steps/postgres/twin_order.h"

#include <string.h>

/* ---- Which tables ---- */

static bool names_table(const char *name, const struct relation *relation)
{
	size_t length = strlen(relation->schema);

	if (strcmp(name, relation->name) == 0)
		return true;
	return strncmp(name, relation->schema, length) == 0 && name[length] == '.' &&
	       strcmp(name + length + 1, relation->name) == 0;
}

static bool is_wanted(const struct twin_choice *choice, const struct relation *relation)
{
	if (!choice->tables || choice->tables->as.items.count == 0)
		return true;
	for (const struct value *one = choice->tables->as.items.first; one; one = one->next)
		if (names_table(value_reveal(one), relation))
			return true;
	return false;
}

static bool any_is_named(const char *name, const struct relations *relations)
{
	for (const struct relation *one = relations->first; one; one = one->next)
		if (names_table(name, one))
			return true;
	return false;
}

/* A table that is named and nowhere would count as equal. */
static bool check_names(const struct twin_choice *choice, const struct relations sides[2],
                        struct error *err)
{
	if (!choice->tables)
		return true;
	for (const struct value *one = choice->tables->as.items.first; one; one = one->next)
		if (!any_is_named(value_reveal(one), &sides[HERE]) &&
		    !any_is_named(value_reveal(one), &sides[THERE]))
			return fail(err, ERROR_PLAN, "there is no table %s; write schema.table",
			            value_reveal(one));
	return true;
}

/* ---- Pairing ---- */

static bool has_column(const struct relation *relation, const struct column *column)
{
	for (size_t i = 0; i < relation->column_count; i++)
		if (strcmp(relation->columns[i].name, column->name) == 0)
			return true;
	return false;
}

/* Columns that only the first has become discrepancies. */
static bool find_columns(const struct relation *one, const struct relation *other, const char *name,
                         struct discrepancies *discrepancies)
{
	bool same = true;

	for (size_t i = 0; i < one->column_count; i++) {
		if (has_column(other, &one->columns[i]))
			continue;
		same = false;
		discrepancy_add(discrepancies, one->quoted, 1,
		                arena_printf(discrepancies->arena, "the column %s is only in %s",
		                             one->columns[i].quoted, name));
	}
	return same;
}

static void add_twin(const struct twin_choice *choice, const struct relation *here,
                     const struct relation *there, struct twins *twins,
                     struct discrepancies *discrepancies)
{
	bool same = find_columns(here, there, choice->names[HERE], discrepancies);

	/* Both directions are looked at, and rows only where both are the same. */
	if (!find_columns(there, here, choice->names[THERE], discrepancies) || !same)
		return;
	struct twin *twin = arena_alloc(discrepancies->arena, sizeof *twin);
	*twin = (struct twin){.sides = {here, there}};
	if (twins->last)
		twins->last->next = twin;
	else
		twins->first = twin;
	twins->last = twin;
	twins->count++;
	twins->rows += here->rows > 0 ? here->rows : 0;
}

static void find_alone(const struct twin_choice *choice, const struct relations sides[2], int side,
                       struct discrepancies *discrepancies)
{
	for (const struct relation *one = sides[side].first; one; one = one->next)
		if (is_wanted(choice, one) && !relation_find(&sides[!side], one->schema, one->name))
			discrepancy_add(discrepancies, one->quoted, 1,
			                arena_printf(discrepancies->arena,
			                             "the table is only in %s",
			                             choice->names[side]));
}

bool twin_list(PGconn *const sides[2], const struct twin_choice *choice, struct arena *arena,
               struct twins *twins, struct discrepancies *discrepancies, struct error *err)
{
	struct relations relations[2];

	*twins = (struct twins){0};
	for (int side = HERE; side <= THERE; side++)
		if (!relation_list(sides[side], choice->schemas, arena, &relations[side], err))
			return fail_while(err, "%s", choice->names[side]);
	if (!check_names(choice, relations, err))
		return false;
	find_alone(choice, relations, HERE, discrepancies);
	find_alone(choice, relations, THERE, discrepancies);
	for (const struct relation *one = relations[HERE].first; one; one = one->next) {
		const struct relation *other =
			relation_find(&relations[THERE], one->schema, one->name);
		if (other && is_wanted(choice, one))
			add_twin(choice, one, other, twins, discrepancies);
	}
	return twin_order_find(twins, sides, arena, err);
}

/* ---- Of a stream ---- */

static bool is_followed(const struct link *link, const struct relation *relation)
{
	for (size_t i = 0; i < link->table_count; i++)
		if (strcmp(link->tables[i].relation->name, relation->name) == 0 &&
		    strcmp(link->tables[i].relation->schema, relation->schema) == 0)
			return true;
	return false;
}

static bool is_followed_schema(const struct link *link, const struct relation *relation)
{
	for (size_t i = 0; i < link->table_count; i++)
		if (strcmp(link->tables[i].relation->schema, relation->schema) == 0)
			return true;
	return false;
}

/* Tables in schemas of the stream that it knows nothing of. */
static void find_left_out(const struct link *link, const struct twin_choice *choice,
                          const struct relations sides[2], int side,
                          struct discrepancies *discrepancies)
{
	for (const struct relation *one = sides[side].first; one; one = one->next) {
		if (!is_wanted(choice, one) || is_followed(link, one) ||
		    !is_followed_schema(link, one))
			continue;
		bool both = relation_find(&sides[!side], one->schema, one->name) != NULL;
		if (both && side == THERE)
			continue;
		discrepancy_add(discrepancies, one->quoted, 1,
		                both ? "the table is on both sides and not replicated"
		                     : arena_printf(discrepancies->arena, "the table is only in %s",
		                                    choice->names[side]));
	}
}

bool twin_list_followed(struct link *link, const struct twin_choice *choice, struct twins *twins,
                        struct discrepancies *discrepancies, struct error *err)
{
	PGconn *const sides[2] = {link->source, link->target};
	struct relations relations[2];

	*twins = (struct twins){0};
	for (int side = HERE; side <= THERE; side++)
		if (!relation_list(sides[side], NULL, link->arena, &relations[side], err))
			return fail_while(err, "%s", choice->names[side]);
	if (!check_names(choice, relations, err))
		return false;
	find_left_out(link, choice, relations, HERE, discrepancies);
	find_left_out(link, choice, relations, THERE, discrepancies);
	for (size_t i = 0; i < link->table_count; i++)
		if (is_wanted(choice, link->tables[i].relation))
			add_twin(choice, link->tables[i].relation, link->tables[i].there, twins,
			         discrepancies);
	return twin_order_find(twins, sides, link->arena, err);
}
