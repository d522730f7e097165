/* SPDX-License-Identifier: MIT */
/* What is ours in a database: one schema, known by its comment, and triggers that bear its prefix.
 */
#include "steps/postgres/ours.h"
#include "engine/base/error.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"

#include <libpq-fe.h>
#include <string.h>

#define COMMENT "Made by plan for replication; postgres.complete removes it."

static const char make_sql[] =
	"CREATE SCHEMA " OUR_SCHEMA "; COMMENT ON SCHEMA " OUR_SCHEMA " IS '" COMMENT "'";

static const char find_sql[] =
	"SELECT pg_catalog.obj_description(oid, 'pg_namespace') FROM pg_catalog.pg_namespace"
	" WHERE nspname = '" OUR_SCHEMA "'";

bool ours_find(PGconn *connection, bool *exists, struct error *err)
{
	PGresult *result = query(connection, find_sql, err);

	if (!result)
		return false;
	*exists = PQntuples(result) == 1;
	const char *comment = *exists ? query_field(result, 0, 0) : NULL;
	bool ours = !*exists || (comment && strcmp(comment, COMMENT) == 0);
	PQclear(result);
	return ours ||
	       fail(err, ERROR_REFUSED,
	            "there is a schema " OUR_SCHEMA " that this program did not make: rename it "
	            "(ALTER SCHEMA " OUR_SCHEMA " RENAME TO ...)");
}

bool ours_prepare(PGconn *connection, struct error *err)
{
	bool exists;

	if (!ours_find(connection, &exists, err))
		return false;
	return exists || query_run(connection, make_sql, err) ||
	       fail_while(err, "make the schema " OUR_SCHEMA);
}

/* Whatever is in our schema, and triggers on tables outside of it that bear our name. */
static const char leftovers_sql[] =
	"SELECT (SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = '" OUR_SCHEMA "')"
	" + (SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
	"  ON n.oid = c.relnamespace WHERE n.nspname = '" OUR_SCHEMA
	"' AND c.relkind IN ('r', 'v', 'S'))"
	" + (SELECT count(*) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n"
	"  ON n.oid = p.pronamespace WHERE n.nspname = '" OUR_SCHEMA "')"
	" + (SELECT count(*) FROM pg_catalog.pg_trigger WHERE NOT tgisinternal"
	"  AND pg_catalog.starts_with(tgname, '" OUR_PREFIX "'))";

bool ours_count(PGconn *connection, int64_t *count, struct error *err)
{
	return query_number(connection, leftovers_sql, count, err);
}
