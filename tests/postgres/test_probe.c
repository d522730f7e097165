/* SPDX-License-Identifier: MIT */
/* Whether a database takes writes, found out by trying. */
#include "scene.h"
#include "steps/postgres/fence.h"
#include "steps/postgres/probe.h"

static const char schema_sql[] =
	"CREATE ROLE owner LOGIN PASSWORD 'x'; CREATE ROLE app LOGIN PASSWORD 'x';"
	"CREATE ROLE reader LOGIN PASSWORD 'x'; CREATE SCHEMA shop;"
	"GRANT ALL ON SCHEMA shop TO owner, app, reader;"
	"CREATE TABLE shop.orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
	"  d int GENERATED ALWAYS AS (1) STORED);"
	"CREATE TABLE shop.items (id int PRIMARY KEY, order_id int REFERENCES shop.orders);"
	"CREATE TABLE shop.events (id int) PARTITION BY RANGE (id);"
	"CREATE TABLE shop.events_all PARTITION OF shop.events DEFAULT;"
	"CREATE TABLE shop.bare (); CREATE TABLE shop.columns (a int, b int);"
	"INSERT INTO shop.orders DEFAULT VALUES;"
	"DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY "
	"  '{orders,items,events,events_all,bare,columns}'::text[] LOOP "
	"  EXECUTE format('ALTER TABLE shop.%I OWNER TO owner', t); END LOOP; END $$;"
	"GRANT SELECT, INSERT, DELETE ON shop.orders, shop.items, shop.events TO app;"
	"GRANT UPDATE (b) ON shop.columns TO app; GRANT SELECT ON shop.orders TO reader";

static struct probe_report probe(struct scene *scene, PGconn *connection)
{
	struct probe_report report;

	if (!probe_writes(connection, NULL, &scene->arena, &report, &scene->err))
		fail_msg("%s", scene->err.text);
	assert_int_equal(PQtransactionStatus(connection), PQTRANS_IDLE);
	return report;
}

static void writes_are_tried_as_every_role_that_may_write(void **state)
{
	struct scene *scene = *state;

	must(scene->admin, schema_sql);
	struct probe_report report = probe(scene, scene->admin);
	print_message("%zu tried, %zu accepted, %zu refused, %zu unknown, %zu roles\n",
	              report.tried, report.accepted, report.refused, report.unknown, report.roles);
	assert_int_equal(report.roles, 3); /* ours, the owner, app; not the reader */
	assert_int_equal(report.unknown, 0);
	assert_string_equal(report.not_tried, "");
	/* The application's: UPDATE and what else was not given to it. */
	assert_int_equal(report.refused, 5);
	assert_int_equal(probe_verdict(&report), PROBE_PARTLY);
	assert_string_equal(ask(scene, scene->admin, "SELECT count(*) FROM shop.orders"), "1");
	assert_string_equal(ask(scene, scene->admin, "SELECT last_value FROM shop.orders_id_seq"),
	                    "1");
}

static void roles_that_cannot_be_taken_are_named(void **state)
{
	struct scene *scene = *state;
	PGconn *owner = scene_session(scene, "owner");
	struct probe_report report = probe(scene, owner);

	assert_string_equal(report.not_tried, "app");
	assert_int_equal(report.refused, 0);
	assert_int_equal(probe_verdict(&report), PROBE_ACCEPTED);
	PQfinish(owner);
}

static void behind_a_fence_everything_is_refused_but_what_is_new(void **state)
{
	struct scene *scene = *state;
	struct fence fence = {.arena = &scene->arena};
	struct fence_report raised;
	struct probe_report report;

	assert_true(fence_raise(scene->admin, &fence, &raised, &scene->err));
	report = probe(scene, scene->admin);
	print_message("%zu tried, %zu refused\n", report.tried, report.refused);
	assert_int_equal(report.accepted + report.unknown, 0);
	assert_int_equal(probe_verdict(&report), PROBE_REFUSED);
	must(scene->admin, "CREATE TABLE shop.later (id int)");
	report = probe(scene, scene->admin);
	assert_int_equal(probe_verdict(&report), PROBE_PARTLY);
	assert_string_equal(report.first->table, "shop.later");
	assert_string_equal(report.first->statement, "INSERT");
	assert_true(fence_lower(scene->admin, &fence, &raised, &scene->err));
}

static void a_standby_refuses(void **state)
{
	struct scene *scene = *state;
	struct scratch leader = scene->cluster;
	struct scene second = {.arena = {0}};

	assert_true(scratch_follow(&second.cluster, &leader, scene->directory, "b", &scene->err));
	PGconn *session = scene_session(&second, NULL);
	struct probe_report report = probe(&second, session);
	assert_true(report.refused > 0);
	assert_int_equal(probe_verdict(&report), PROBE_REFUSED);
	PQfinish(session);
	scratch_destroy(&second.cluster);
	arena_free(&second.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_are_tried_as_every_role_that_may_write),
		cmocka_unit_test(roles_that_cannot_be_taken_are_named),
		cmocka_unit_test(behind_a_fence_everything_is_refused_but_what_is_new),
		cmocka_unit_test(a_standby_refuses),
	};

	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
