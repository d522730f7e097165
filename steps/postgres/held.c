/* SPDX-License-Identifier: MIT */
/* Objects that wait until the data is there. */
#include "steps/postgres/held.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "steps/postgres/ours.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#define HELD OUR_SCHEMA ".held"

static const char prepare_sql[] = "CREATE TABLE IF NOT EXISTS " HELD " ("
				  " id bigint PRIMARY KEY,"
				  " stage text NOT NULL,"
				  " type text NOT NULL,"
				  " schema text NOT NULL,"
				  " relation text NOT NULL,"
				  " name text NOT NULL,"
				  " definition text NOT NULL,"
				  " done boolean NOT NULL DEFAULT false,"
				  " error text,"
				  " built_at timestamptz)";

static const char add_sql[] =
	"INSERT INTO " HELD " (id, stage, type, schema, relation, name, definition) "
	"VALUES ($1, $2, $3, $4, $5, $6, $7)";

static const char list_sql[] = "SELECT id, stage, type, schema, relation, name, definition, done, "
			       "error FROM " HELD " WHERE stage = $1"
			       " AND ($2::text IS NULL OR schema = $2)"
			       " AND ($3::text IS NULL OR relation = $3) ORDER BY id";

static const char claim_sql[] = "SELECT done FROM " HELD " WHERE id = $1 FOR UPDATE";

static const char mark_sql[] =
	"UPDATE " HELD " SET done = true, error = NULL, built_at = now() WHERE id = $1";

static const char note_sql[] = "UPDATE " HELD " SET error = $2 WHERE id = $1 AND NOT done";

/* What a person can do, by SQLSTATE or its class; the last entry fits all. */
static const struct {
	const char *state, *advice;
} advices[] = {
	{"23505",
         "the rows of the target are not unique where those of the source must be: compare "
         "the table; do not just try again"},
	{"23P01", "the rows of the target exclude each other where those of the source must not: "
                  "compare the table; do not just try again"},
	{"23503",
         "rows point at rows that are not there, on the source too if the copy is right: put "
         "them right, then go on"},
	{"23", "the rows of the target do not fit: compare the table"},
	{"42501", "give the role of the target the right, then go on"},
	{"42P07", "something of that name was made on the target meanwhile: drop it, then go on"},
	{"42710", "something of that name was made on the target meanwhile: drop it, then go on"},
	{"42", "make on the target what it stands on, then go on"},
	{"53", "give the target more room, then go on"},
	{"", "go on when the reason is gone; the statement is in " HELD},
};

bool held_prepare(PGconn *connection, struct error *err)
{
	return (ours_prepare(connection, err) && query_run(connection, prepare_sql, err)) ||
	       fail_while(err, "make " OUR_SCHEMA " on the target");
}

bool held_add(PGconn *connection, const struct held_row *row, struct error *err)
{
	char id[24];
	const char *const values[] = {
		id, row->stage, row->type, row->schema, row->relation, row->name, row->definition};

	snprintf(id, sizeof id, "%lld", (long long)row->id);
	return query_run_with(connection, add_sql, sizeof values / sizeof *values, values, err);
}

static struct held_row *row_of(const PGresult *result, int row, struct arena *arena)
{
	struct held_row *held = arena_alloc(arena, sizeof *held);

	held->id = query_field_number(result, row, 0);
	held->stage = arena_text(arena, query_field(result, row, 1));
	held->type = arena_text(arena, query_field(result, row, 2));
	held->schema = arena_text(arena, query_field(result, row, 3));
	held->relation = arena_text(arena, query_field(result, row, 4));
	held->name = arena_text(arena, query_field(result, row, 5));
	held->definition = arena_text(arena, query_field(result, row, 6));
	held->done = strcmp(query_field(result, row, 7), "t") == 0;
	held->error = arena_text(arena, query_field(result, row, 8));
	return held;
}

bool held_list(PGconn *connection, struct held_pick pick, struct arena *arena,
               struct held_row **first, struct error *err)
{
	const char *const values[] = {pick.stage, pick.schema, pick.relation};
	struct held_row **end = first;
	PGresult *result = query_with(connection, list_sql, 3, values, err);

	*first = NULL;
	for (int row = 0; result && row < PQntuples(result); row++) {
		*end = row_of(result, row, arena);
		end = &(*end)->next;
	}
	PQclear(result);
	return result != NULL;
}

static const char *advice_for(const char *state)
{
	size_t i = 0;

	while (strncmp(state, advices[i].state, strlen(advices[i].state)) != 0)
		i++;
	return advices[i].advice;
}

/* The statements themselves. err says what is wrong with which object, and what to do. */
static bool run(PGconn *connection, const struct held_row *row, struct error *err)
{
	PGresult *result = PQexec(connection, row->definition);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK ||
	            PQresultStatus(result) == PGRES_TUPLES_OK;

	if (!good) {
		struct error cause = {0};
		query_failed(connection, result, &cause);
		fail(err, cause.kind, "%s: %s", cause.text, advice_for(state ? state : ""));
	}
	PQclear(result);
	return good;
}

/* One transaction: the claim, the object, the mark. */
static bool build_in_transaction(PGconn *connection, const struct held_row *row, const char *id,
                                 struct error *err)
{
	const char *const values[] = {id};
	PGresult *claim = query_with(connection, claim_sql, 1, values, err);
	bool there = claim && PQntuples(claim) > 0;
	bool done = there && strcmp(PQgetvalue(claim, 0, 0), "t") == 0;

	PQclear(claim);
	if (!claim)
		return false;
	if (!there)
		return fail(err, ERROR_DRIFT, "it is not in " HELD " any more");
	return done ||
	       (run(connection, row, err) && query_run_with(connection, mark_sql, 1, values, err));
}

static bool build(PGconn *connection, const struct held_row *row, struct error *err)
{
	char id[24];
	const char *const values[] = {id, err->text};
	struct error ignored = {0};

	snprintf(id, sizeof id, "%lld", (long long)row->id);
	if (query_run(connection, "BEGIN", err) && build_in_transaction(connection, row, id, err) &&
	    query_run(connection, "COMMIT", err))
		return true;
	query_run(connection, "ROLLBACK", &ignored);
	fail_while(err, "build %s %s%s%s%s%s", row->type, row->name, row->relation[0] ? " of " : "",
	           row->relation[0] ? row->schema : "", row->relation[0] ? "." : "", row->relation);
	query_run_with(connection, note_sql, 2, values, &ignored);
	return false;
}

static bool build_all(PGconn *connection, const struct held_row *first, struct error *err)
{
	for (const struct held_row *row = first; row; row = row->next) {
		char id[24];
		snprintf(id, sizeof id, "%lld", (long long)row->id);
		if (!row->done && !build_in_transaction(connection, row, id, err))
			return fail_while(err, "build %s %s of %s.%s", row->type, row->name,
			                  row->schema, row->relation);
	}
	return true;
}

bool held_build_together(PGconn *connection, const char *stage, struct arena *arena,
                         struct error *err)
{
	struct held_row *first;
	struct error ignored;

	if (!held_list(connection, (struct held_pick){.stage = stage}, arena, &first, err))
		return false;
	if (query_run(connection, "BEGIN", err) && build_all(connection, first, err) &&
	    query_run(connection, "COMMIT", err))
		return true;
	query_run(connection, "ROLLBACK", &ignored);
	return false;
}

bool held_build(PGconn *connection, const char *stage, const char *schema, const char *relation,
                struct arena *arena, struct error *err)
{
	const struct held_pick pick = {.stage = stage, .schema = schema, .relation = relation};
	struct held_row *first;

	if (!held_list(connection, pick, arena, &first, err))
		return false;
	for (const struct held_row *row = first; row; row = row->next)
		if (!row->done && !build(connection, row, err))
			return false;
	return true;
}
