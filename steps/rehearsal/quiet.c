/* SPDX-License-Identifier: MIT */
/* Compares two databases both ways while their writers wait. */
#include "steps/rehearsal/quiet.h"
#include "engine/base/clock.h"
#include "engine/base/error.h"
#include "engine/base/text.h"
#include "steps/postgres/client.h"
#include "steps/postgres/count.h"
#include "steps/postgres/ours.h"
#include "steps/postgres/relation.h"
#include "steps/rehearsal/helper.h"
#include "steps/rehearsal/rows.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOCK_TRIES = 5, AGAIN_MS = 100 };

#define OF_USERS \
	"nspname <> 'information_schema' AND nspname <> '" OUR_SCHEMA "' AND nspname !~ '^pg_'"

static const char sequences_sql[] =
	"SELECT pg_catalog.format('%I.%I', schemaname, sequencename) COLLATE \"C\", "
	"coalesce(last_value, 0) FROM pg_catalog.pg_sequences, "
	"LATERAL (SELECT schemaname AS nspname) n WHERE " OF_USERS " ORDER BY 1";

static const char foreign_keys_sql[] =
	"SELECT pg_catalog.format('%s %I', conrelid::pg_catalog.regclass, conname) COLLATE \"C\", "
	"convalidated::int FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n "
	"ON n.oid = connamespace WHERE contype = 'f' AND " OF_USERS " ORDER BY 1";

struct sides {
	PGconn *written, *other;
	PGresult *tables;
};

/* ---- Rows ---- */

static bool compare_table(const struct sides *sides, const char *table, struct quiet *quiet,
                          struct error *err)
{
	PGresult *ours = rows_hashes(sides->written, table, err);
	PGresult *theirs = ours ? rows_hashes(sides->other, table, err) : NULL;

	if (theirs) {
		int64_t lost = rows_missing(ours, theirs), stale = rows_missing(theirs, ours);
		quiet->tables++;
		quiet->rows += PQntuples(ours);
		quiet->lost += lost;
		quiet->stale += stale;
		if (lost || stale)
			snprintf(quiet->where, sizeof quiet->where, "%s", table);
	}
	PQclear(ours);
	PQclear(theirs);
	return theirs || fail_while(err, "table %s", table);
}

static bool compare_rows(const struct sides *sides, int64_t within_ms, struct quiet *quiet,
                         struct error *err)
{
	int64_t until_ms = clock_real_ms() + within_ms;

	for (;;) {
		*quiet = (struct quiet){0};
		for (int i = 0; i < PQntuples(sides->tables); i++)
			if (!compare_table(sides, PQgetvalue(sides->tables, i, 0), quiet, err))
				return false;
		if (quiet->lost + quiet->stale == 0 || clock_real_ms() > until_ms)
			return true;
		helper_nap_ms(AGAIN_MS);
	}
}

/* ---- Sequences and foreign keys: lists of a name and a number, sorted by name ---- */

/* How many of the first have a smaller number than their namesake in the second. */
static int64_t count_smaller(const PGresult *first, const PGresult *second)
{
	int64_t smaller = 0;

	for (int i = 0, k = 0; i < PQntuples(first) && k < PQntuples(second);) {
		int order = strcmp(PQgetvalue(first, i, 0), PQgetvalue(second, k, 0));
		if (order == 0)
			smaller += atoll(PQgetvalue(first, i, 1)) < atoll(PQgetvalue(second, k, 1));
		i += order <= 0;
		k += order >= 0;
	}
	return smaller;
}

static bool compare_numbers(const struct sides *sides, const char *sql, int64_t *count,
                            int64_t *smaller, struct error *err)
{
	PGresult *ours = rows_query(sides->written, sql, err);
	PGresult *theirs = ours ? rows_query(sides->other, sql, err) : NULL;

	if (theirs) {
		*count = PQntuples(ours);
		*smaller = count_smaller(ours, theirs);
	}
	PQclear(ours);
	PQclear(theirs);
	return theirs != NULL;
}

/* ---- Locks ---- */

static bool command(PGconn *connection, const char *sql)
{
	PGresult *result = PQexec(connection, sql);
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK;

	PQclear(result);
	return good;
}

/* Writers that hold one table and wait for another can be in the way: then once more. */
static bool hold_writers(const struct sides *sides, struct error *err)
{
	struct text sql = {0};
	bool held = false;

	text_add(&sql, "LOCK TABLE ");
	for (int i = 0; i < PQntuples(sides->tables); i++)
		text_format(&sql, "%s%s", i ? ", " : "", PQgetvalue(sides->tables, i, 0));
	text_add(&sql, " IN SHARE MODE");
	for (int i = 0; i < LOCK_TRIES && !held; i++) {
		held = command(sides->written, "BEGIN") &&
		       command(sides->written, "SET LOCAL lock_timeout = '4s'") &&
		       command(sides->written, text_string(&sql));
		if (!held) {
			fail(err, ERROR_FAILED, "hold the writers back: %.200s",
			     PQerrorMessage(sides->written));
			command(sides->written, "ROLLBACK");
			helper_nap_ms(AGAIN_MS);
		}
	}
	if (held)
		err->kind = ERROR_NONE;
	text_free(&sql);
	return held;
}

bool quiet_compare(const char *written, const char *other, int64_t within_ms, struct quiet *quiet,
                   struct error *err)
{
	struct sides sides = {.written = postgres_connect(written, err)};

	*quiet = (struct quiet){0};
	sides.other = sides.written ? postgres_connect(other, err) : NULL;
	sides.tables = sides.other ? rows_query(sides.written, postgres_tables_sql, err) : NULL;
	bool fine =
		sides.tables && PQntuples(sides.tables) > 0 && hold_writers(&sides, err) &&
		compare_rows(&sides, within_ms, quiet, err) &&
		compare_numbers(&sides, sequences_sql, &quiet->sequences, &quiet->behind, err) &&
		compare_numbers(&sides, foreign_keys_sql, &quiet->foreign_keys, &quiet->unproven,
	                        err);
	PQclear(sides.tables);
	PQfinish(sides.other);
	PQfinish(sides.written); /* the writers go on */
	return fine;
}

bool quiet_leftovers(const char *url, int64_t *objects, struct error *err)
{
	PGconn *connection = postgres_connect(url, err);
	bool fine = connection && ours_count(connection, objects, err);

	PQfinish(connection);
	return fine;
}
