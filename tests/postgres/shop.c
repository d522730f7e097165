/* SPDX-License-Identifier: MIT */
/* A shop whose tables are closed and opened. */
#include "shop.h"

#include <stdio.h>

static const char schema_sql[] =
	"DROP SCHEMA IF EXISTS shop, plan_replication CASCADE; "
	"DROP SCHEMA public CASCADE;"
	"DO $$ DECLARE r text; BEGIN FOREACH r IN ARRAY '{owner,granted,stranger}'::text[] LOOP "
	"  IF EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN"
	"    EXECUTE 'DROP OWNED BY ' || r; EXECUTE 'DROP ROLE ' || r; END IF;"
	"  EXECUTE 'CREATE ROLE ' || r || ' LOGIN PASSWORD ''x'''; END LOOP; END $$;"
	"CREATE SCHEMA IF NOT EXISTS public; CREATE SCHEMA shop;"
	"GRANT ALL ON SCHEMA public, shop TO owner, granted, stranger;"
	"CREATE TABLE public.orders (id int PRIMARY KEY, v int);"
	"CREATE TABLE shop.items (id int PRIMARY KEY, v int);"
	"CREATE TABLE public.\"O'dd \"\" name\" (id int PRIMARY KEY, v int);"
	"CREATE TABLE public.events (id int, v int, PRIMARY KEY (id)) PARTITION BY RANGE (id);"
	"CREATE TABLE public.events_low PARTITION OF public.events FOR VALUES FROM (0) TO (4000);"
	"CREATE TABLE shop.events_high PARTITION OF public.events FOR VALUES FROM (4000) TO "
	"(20000);"
	"CREATE TABLE public.parent (id int PRIMARY KEY, v int);"
	"CREATE TABLE public.child (PRIMARY KEY (id)) INHERITS (public.parent);"
	"CREATE TABLE public.made (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int,"
	"  d int GENERATED ALWAYS AS (v * 2) STORED);"
	"CREATE TABLE public.bare ();"
	"CREATE VIEW public.seen AS SELECT id, v FROM public.orders;"
	"INSERT INTO public.orders SELECT i, 0 FROM generate_series(1, 100) i;"
	"INSERT INTO shop.items SELECT i, 0 FROM generate_series(1, 100) i;"
	"INSERT INTO public.events SELECT i * 100, 0 FROM generate_series(1, 100) i;"
	"CREATE FUNCTION public.definer() RETURNS void LANGUAGE sql SECURITY DEFINER AS "
	"  'INSERT INTO public.orders VALUES (-1, 0)';"
	"DO $$ DECLARE t record; BEGIN FOR t IN SELECT c.oid::regclass AS n FROM pg_class c "
	"  WHERE relkind IN ('r', 'p', 'v') AND relnamespace::regnamespace::text IN ('public', "
	"'shop')"
	"  LOOP EXECUTE format('ALTER TABLE %s OWNER TO owner', t.n);"
	"  EXECUTE format('GRANT ALL ON %s TO granted', t.n); END LOOP; END $$;"
	"ALTER FUNCTION public.definer() OWNER TO owner";

const char *const shop_tables[] = {
	"public.orders", "shop.items",       "public.\"O'dd \"\" name\"",
	"public.events", "shop.events_high", "public.parent",
	"public.child",  "public.seen",
};

const char *const shop_forms[] = {
	"INSERT INTO %1$s (id, v) VALUES (4999, 1)",
	"UPDATE %1$s SET v = v + 1",
	"DELETE FROM %1$s",
	"TRUNCATE %1$s",
	"WITH new AS (INSERT INTO %1$s (id, v) VALUES (4998, 1) RETURNING id) SELECT * FROM new",
	"INSERT INTO %1$s (id, v) VALUES (4995, 1), (4995, 1) ON CONFLICT DO NOTHING",
	"MERGE INTO %1$s t USING (VALUES (4997)) s (id) ON t.id = s.id "
	"WHEN MATCHED THEN UPDATE SET v = 1 WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, 1)",
	"COPY %1$s (id, v) FROM STDIN",
};

int shop_make(void **state)
{
	struct scene *scene = *state;

	must(scene->admin, schema_sql);
	memset(&scene->err, 0, sizeof scene->err);
	return 0;
}

struct fence shop_fence(struct scene *scene)
{
	return (struct fence){.closed_by = "step close of plan move", .arena = &scene->arena};
}

void shop_close(struct scene *scene, struct fence_report *report)
{
	struct fence fence = shop_fence(scene);

	if (!fence_raise(scene->admin, &fence, report, &scene->err))
		fail_msg("%s", scene->err.text);
}

void shop_open(struct scene *scene)
{
	struct fence fence = shop_fence(scene);
	struct fence_report report;

	if (!fence_lower(scene->admin, &fence, &report, &scene->err))
		fail_msg("%s", scene->err.text);
}

const char *shop_try(PGconn *connection, const char *form, const char *table, char state[6])
{
	char sql[500];
	PGresult *result = NULL;

	/* The forms are a table of constants above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(sql, sizeof sql, form, table);
#pragma GCC diagnostic pop
	must(connection, "BEGIN");
	result = PQexec(connection, sql);
	if (PQresultStatus(result) == PGRES_COPY_IN) {
		PQclear(result);
		PQputCopyData(connection, "4996\t1\n", 7);
		PQputCopyEnd(connection, NULL);
		result = PQgetResult(connection);
	}
	const char *found = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	snprintf(state, 6, "%s", found ? found : "");
	PQclear(result);
	while ((result = PQgetResult(connection)))
		PQclear(result);
	must(connection, "ROLLBACK");
	return state;
}

bool shop_impossible(const char *form, const char *table)
{
	return strcmp(table, "public.seen") == 0 &&
	       (strncmp(form, "TRUNCATE", 8) == 0 || strncmp(form, "MERGE", 5) == 0 ||
	        strncmp(form, "COPY", 4) == 0);
}
