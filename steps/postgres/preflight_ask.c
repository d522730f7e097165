/* SPDX-License-Identifier: MIT */
/* Asks both sides what the tables of checks say, and makes findings of the answers. */
#include "engine/base/text.h"
#include "steps/postgres/pooler.h"
#include "steps/postgres/preflight.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"

#include <ctype.h>
#include <string.h>

enum { TOLD_OF_ONE_CHECK = 20, PARAMETERS = 3 };

enum { OID_TEXT = 25, OID_TEXT_ARRAY = 1009, OID_BIGINT = 20 };

const struct check *const preflight_checks[] = {
	preflight_probes, preflight_server, preflight_tables, preflight_pair, NULL,
};

const struct check *preflight_check(const char *id)
{
	for (size_t i = 0; preflight_checks[i]; i++)
		for (const struct check *check = preflight_checks[i]; check->id; check++)
			if (strcmp(check->id, id) == 0)
				return check;
	return NULL;
}

/* ---- Sessions ---- */

static const char all_schemas[] =
	"SELECT coalesce(array_agg(nspname::text ORDER BY nspname), '{}')::text FROM pg_namespace "
	"n WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', '" OUR_SCHEMA
	"') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND "
	"d.objid = n.oid AND d.deptype = 'e')";

static bool wants_all(const struct value *schemas)
{
	for (const struct value *one = schemas ? schemas->as.items.first : NULL; one;
	     one = one->next)
		if (value_reveal(one) && strcmp(value_reveal(one), "all") == 0)
			return true;
	return !schemas;
}

static const char *array_of(const struct value *list, struct arena *arena)
{
	struct text out = {0};

	text_add(&out, "{");
	for (const struct value *one = list->as.items.first; one; one = one->next) {
		text_add(&out, out.length > 1 ? ",\"" : "\"");
		for (const char *at = value_reveal(one); at && *at; at++)
			text_format(&out, "%s%c", *at == '"' || *at == '\\' ? "\\" : "", *at);
		text_add(&out, "\"");
	}
	text_add(&out, "}");
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}

static bool open_party(struct preflight *preflight, struct party *party, bool sceptical,
                       struct error *err)
{
	struct step *step = preflight->step;
	const struct value *schemas = value_get(step->with, "schemas");
	const char *name = value_get_text(step->with, party->word, NULL);

	if (!name)
		return fail(err, ERROR_PLAN, "this stands in a step without the field `%s`",
		            party->word);
	if (!database_find(step, name, &party->database, err))
		return false;
	party->pooled = party->database.pooled;
	if (!party->pooled && sceptical && !pooler_probe(&party->database, &party->pooled, err))
		return false;
	if (party->pooled)
		return true;
	party->session = database_open(&party->database, "preflight", err);
	if (!party->session)
		return false;
	party->version = PQserverVersion(party->session);
	if (preflight->all)
		return query_text(party->session, all_schemas, preflight->arena, &party->schemas,
		                  err);
	party->schemas = array_of(schemas, preflight->arena);
	return true;
}

bool preflight_open(struct preflight *preflight, struct step *step, bool sceptical,
                    struct error *err)
{
	*preflight = (struct preflight){
		.step = step,
		.arena = step->arena,
		.all = wants_all(value_get(step->with, "schemas")),
		.parties = {[SOURCE] = {.word = "source"}, [TARGET] = {.word = "target"}},
	};
	for (size_t side = 0; side < SIDES; side++)
		if (!open_party(preflight, &preflight->parties[side], sceptical, err))
			return false;
	return true;
}

void preflight_close(struct preflight *preflight)
{
	for (size_t side = 0; side < SIDES; side++)
		PQfinish(preflight->parties[side].session);
}

/* ---- One check ---- */

void rows_add(struct rows *rows, struct arena *arena, const char *const cells[CELLS])
{
	struct row *row = arena_alloc(arena, sizeof *row);

	for (size_t i = 0; i < CELLS; i++)
		row->cells[i] = cells[i] ? arena_text(arena, cells[i]) : "";
	if (rows->last)
		rows->last->next = row;
	else
		rows->first = row;
	rows->last = row;
	rows->count++;
}

struct question {
	const char *sql;
	int count; /* of parameters */
	const char *values[PARAMETERS];
};

/* Parameters have types, so that a statement need not use all of them. */
static bool ask(struct party *party, const struct question *question, struct arena *arena,
                struct rows *rows, struct error *err)
{
	static const Oid types[PARAMETERS] = {OID_TEXT_ARRAY, OID_TEXT, OID_BIGINT};
	PGresult *result = PQexecParams(party->session, question->sql, question->count, types,
	                                question->values, NULL, NULL, 0);
	bool fine = PQresultStatus(result) == PGRES_TUPLES_OK;

	if (!fine)
		query_failed(party->session, result, err);
	for (int i = 0; fine && i < PQntuples(result); i++) {
		const char *cells[CELLS] = {0};
		for (int k = 0; k < PQnfields(result) && k < CELLS; k++)
			cells[k] = query_field(result, i, k);
		rows_add(rows, arena, cells);
	}
	PQclear(result);
	return fine;
}

static bool ask_with_facts(struct preflight *preflight, const struct check *check, enum side side,
                           struct rows *rows, struct error *err)
{
	struct party *party = &preflight->parties[side], *source = &preflight->parties[SOURCE];
	int64_t open_ms = value_get_number(preflight->step->with, "long_transaction", 300000);
	struct question first = {check->facts, 1, {source->schemas}};
	struct rows facts = {0};

	if (check->facts && !ask(source, &first, preflight->arena, &facts, err))
		return false;
	struct question question = {
		check->sql,
		PARAMETERS,
		{party->schemas, facts.first ? facts.first->cells[0] : NULL,
	         arena_printf(preflight->arena, "%lld", (long long)open_ms)},
	};
	return ask(party, &question, preflight->arena, rows, err);
}

/* Whether everybody who is asked can be. */
static bool is_askable(const struct preflight *preflight, const struct check *check, enum side side)
{
	const struct party *party = &preflight->parties[side];
	const struct party *source = &preflight->parties[SOURCE];

	if (check->facts && (!source->session || source->version < check->since))
		return false;
	return party->session && party->version >= check->since;
}

bool preflight_ask(struct preflight *preflight, const struct check *check, enum side side,
                   struct rows *rows, struct error *err)
{
	*rows = (struct rows){0};
	if (check->probe)
		return check->probe(preflight, side, rows, err);
	if (!check->sql || !is_askable(preflight, check, side))
		return true;
	return ask_with_facts(preflight, check, side, rows, err);
}

/* ---- Findings ---- */

/* {0} and so on become cells. */
static const char *fill(struct arena *arena, const char *template, const struct row *row)
{
	struct text out = {0};

	for (const char *at = template ? template : ""; *at; at++) {
		if (at[0] == '{' && isdigit((unsigned char)at[1]) && at[2] == '}' &&
		    at[1] - '0' < CELLS) {
			text_add(&out, row->cells[at[1] - '0']);
			at += 2;
		} else {
			text_put(&out, at, 1);
		}
	}
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}

/* A list such as `accept` names a check, or one object of it: "no_key:public.orders". */
static bool is_named(const struct value *list, const char *id, const char *object)
{
	for (const struct value *one = list && list->kind == VALUE_LIST ? list->as.items.first
	                                                                : NULL;
	     one; one = one->next) {
		const char *name = value_reveal(one) ? value_reveal(one) : "";
		size_t length = strlen(id);
		if (strncmp(name, id, length) == 0 &&
		    (!name[length] ||
		     (name[length] == ':' && strcmp(name + length + 1, object) == 0)))
			return true;
	}
	return false;
}

static void add(struct preflight *preflight, const struct check *check, enum side side,
                const struct row *row, struct value *findings)
{
	const struct value *with = preflight->step->with;
	struct finding finding = {
		.id = check->id,
		.level = check->level,
		.side = preflight->parties[side].word,
		.object = row->cells[0],
		.text = fill(preflight->arena, check->text, row),
		.remedy = fill(preflight->arena, check->remedy, row),
		.stops = check->level == FINDING_BLOCKER,
	};

	if (is_named(value_get(with, "accept"), check->id, finding.object))
		finding.stops = false;
	if (is_named(value_get(with, "refuse"), check->id, finding.object))
		finding.stops = true;
	finding_add(preflight->arena, findings, &finding);
}

static void add_rows(struct preflight *preflight, const struct check *check, enum side side,
                     const struct rows *rows, struct value *findings)
{
	const struct value *accept = value_get(preflight->step->with, "accept");
	size_t left = rows->count, told = 0;

	for (const struct row *row = rows->first; row; row = row->next, left--) {
		/* What is accepted by name must not push out what is not. */
		if (is_named(accept, check->id, row->cells[0]) || told++ < TOLD_OF_ONE_CHECK) {
			add(preflight, check, side, row, findings);
			continue;
		}
		struct row rest = {.cells = {arena_printf(preflight->arena, "%zu more", left), "",
		                             "", "", ""}};
		add(preflight, check, side, &rest, findings);
		return;
	}
}

/* A managed service may refuse a question: that is told, and no reason to stop. */
static bool take(struct preflight *preflight, const struct check *check, enum side side,
                 struct value *findings, struct error *err)
{
	struct rows rows;
	struct error refusal = {0};

	if (preflight_ask(preflight, check, side, &rows, &refusal)) {
		add_rows(preflight, check, side, &rows, findings);
		return true;
	}
	if (refusal.kind != ERROR_REFUSED && refusal.kind != ERROR_FAILED) {
		*err = refusal;
		return fail_while(err, "%s of %s", check->id, preflight->parties[side].word);
	}
	struct row row = {.cells = {check->id, refusal.text, "", "", ""}};
	add(preflight, preflight_check("not_asked"), side, &row, findings);
	return true;
}

static bool is_for(const struct check *check, enum side side)
{
	switch (check->where) {
	case ON_BOTH:
		return true;
	case ON_SOURCE:
		return side == SOURCE;
	case ON_TARGET:
	case ON_TARGET_WITH_FACTS:
		return side == TARGET;
	}
	return false;
}

bool preflight_examine(struct preflight *preflight, struct value *findings, struct error *err)
{
	for (size_t i = 0; preflight_checks[i]; i++)
		for (const struct check *check = preflight_checks[i]; check->id; check++)
			for (enum side side = SOURCE; side < SIDES; side++) {
				if (step_stopping(preflight->step))
					return fail(err, ERROR_CANCELLED, "stopped");
				if (is_for(check, side) &&
				    !take(preflight, check, side, findings, err))
					return false;
			}
	return true;
}
