/* SPDX-License-Identifier: MIT */
/* Tables closed against writes, and opened again. */
#include "engine/base/clock.h"
#include "shop.h"

static size_t try_all(PGconn *connection, const char *wanted)
{
	char state[6];
	size_t tried = 0;

	for (size_t form = 0; form < SHOP_FORMS; form++)
		for (size_t table = 0; table < SHOP_TABLES; table++) {
			if (shop_impossible(shop_forms[form], shop_tables[table]))
				continue;
			shop_try(connection, shop_forms[form], shop_tables[table], state);
			if (strcmp(state, wanted) != 0)
				fail_msg("%s on %s: '%s' instead of '%s'", shop_forms[form],
				         shop_tables[table], state, wanted);
			tried++;
		}
	return tried;
}

static void every_way_to_write_is_refused_to_everyone(void **state)
{
	struct scene *scene = *state;
	struct fence_report report;
	PGconn *sessions[] = {scene_session(scene, NULL), scene_session(scene, "owner"),
	                      scene_session(scene, "granted")};
	size_t tried = 0;
	char sqlstate[6];

	for (size_t i = 0; i < COUNT(sessions); i++)
		try_all(sessions[i], "");
	shop_close(scene, &report);
	assert_int_equal(report.tables, 10);
	assert_true(report.together);
	for (size_t i = 0; i < COUNT(sessions); i++)
		tried += try_all(sessions[i], FENCE_STATE);
	must(sessions[0], "SET session_replication_role = replica");
	tried += try_all(sessions[0], FENCE_STATE);
	assert_string_equal(state_of(sessions[2], "SELECT public.definer()", sqlstate),
	                    FENCE_STATE);
	PGconn *stranger = scene_session(scene, "stranger");
	assert_string_equal(state_of(stranger, "SELECT public.definer()", sqlstate), FENCE_STATE);
	PQfinish(stranger);
	print_message("%zu attempts, each refused\n", tried + 2);
	shop_open(scene);
	for (size_t i = 0; i < COUNT(sessions); i++) {
		try_all(sessions[i], "");
		PQfinish(sessions[i]);
	}
	assert_string_equal(ask(scene, scene->admin,
	                        "SELECT count(*) FROM pg_trigger "
	                        "WHERE tgname ~ '^zz_plan'"),
	                    "0");
	assert_string_equal(ask(scene, scene->admin,
	                        "SELECT to_regproc('plan_replication.fence') "
	                        "IS NULL"),
	                    "t");
}

static void the_application_is_told_who_closed_the_table_and_how_to_open_it(void **state)
{
	struct scene *scene = *state;
	struct fence_report report;
	PGconn *session = scene_session(scene, "granted");

	/* Its snapshot is older than the fence, and so older than whatever the fence may read. */
	must(session, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
	shop_close(scene, &report);
	PGresult *result = PQexec(session, "DELETE FROM shop.items");
	assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), FENCE_STATE);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	assert_non_null(strstr(text, "shop.items is closed for writing: step close of plan move, "
	                             "by user "));
	text = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	assert_non_null(strstr(text, "ALTER TABLE shop.items DISABLE TRIGGER zz_plan_fence"));
	PQclear(result);
	PQfinish(session);
	shop_open(scene);
}

static void a_session_with_the_token_passes(void **state)
{
	struct scene *scene = *state;
	struct fence_report report;
	PGconn *session = scene_session(scene, NULL);
	char sqlstate[6];

	assert_false(fence_pass(session, &scene->err));
	shop_close(scene, &report);
	must(session, "SET plan_replication.pass = 'guess'");
	assert_string_equal(state_of(session, "DELETE FROM public.orders", sqlstate), FENCE_STATE);
	assert_true(fence_pass(session, &scene->err));
	try_all(session, "");
	PQfinish(session);
	shop_open(scene);
}

static void raising_and_lowering_may_be_repeated(void **state)
{
	struct scene *scene = *state;
	struct fence fence = shop_fence(scene);
	struct fence_report report;
	struct fence_state found;
	char sqlstate[6];

	shop_close(scene, &report);
	shop_close(scene, &report);
	assert_int_equal(report.tables, 0);
	assert_int_equal(report.already, 10);
	/* As after a lowering that was killed, and with a table that was not there. */
	must(scene->admin, "ALTER TABLE ONLY public.orders DISABLE TRIGGER zz_plan_fence;"
	                   "DROP TRIGGER zz_plan_fence ON shop.items;"
	                   "CREATE TABLE shop.later (id int)");
	assert_true(fence_look(scene->admin, &fence, &found, &scene->err));
	assert_int_equal(found.up, 8);
	assert_string_equal(table_text(&found.missing, &scene->arena),
	                    "public.orders, shop.items, shop.later");
	shop_close(scene, &report);
	assert_int_equal(report.tables, 3);
	assert_string_equal(state_of(scene->admin, "INSERT INTO shop.later VALUES (1)", sqlstate),
	                    FENCE_STATE);
	must(scene->admin, "ALTER TABLE public.parent RENAME TO renamed;"
	                   "ALTER TABLE public.child SET SCHEMA shop");
	shop_open(scene);
	shop_open(scene);
	assert_true(fence_look(scene->admin, &fence, &found, &scene->err));
	assert_int_equal(found.up, 0);
	must(scene->admin,
	     "INSERT INTO public.renamed VALUES (1); INSERT INTO shop.child VALUES (2)");
}

static void a_role_that_owns_not_all_tables_is_refused_before_anything_happens(void **state)
{
	struct scene *scene = *state;
	struct fence fence = shop_fence(scene);
	struct fence_report report;

	must(scene->admin, "CREATE TABLE shop.alien (id int);"
	                   "DO $$ BEGIN EXECUTE 'GRANT CREATE ON DATABASE ' || "
	                   "quote_ident(current_database()) || ' TO owner'; END $$");
	PGconn *owner = scene_session(scene, "owner");
	assert_false(fence_raise(owner, &fence, &report, &scene->err));
	assert_int_equal(scene->err.kind, ERROR_REFUSED);
	assert_non_null(strstr(scene->err.text, ": shop.alien."));
	must(scene->admin, "ALTER TABLE shop.alien OWNER TO owner");
	assert_true(fence_raise(owner, &fence, &report, &scene->err));
	assert_true(fence_lower(owner, &fence, &report, &scene->err));
	PQfinish(owner);
}

static void a_subscription_is_refused(void **state)
{
	struct scene *scene = *state;
	struct fence fence = shop_fence(scene);
	struct fence_report report;

	must(scene->admin, "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p "
	                   "WITH (connect = false, slot_name = NONE)");
	shop_close(scene, &report);
	shop_open(scene);
	must(scene->admin, "ALTER SUBSCRIPTION s SET (slot_name = 'x')");
	must(scene->admin, "ALTER SUBSCRIPTION s ENABLE");
	assert_false(fence_raise(scene->admin, &fence, &report, &scene->err));
	assert_int_equal(scene->err.kind, ERROR_REFUSED);
	must(scene->admin, "ALTER SUBSCRIPTION s DISABLE");
	must(scene->admin, "ALTER SUBSCRIPTION s SET (slot_name = NONE)");
	must(scene->admin, "DROP SUBSCRIPTION s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_way_to_write_is_refused_to_everyone, shop_make),
		cmocka_unit_test_setup(
			the_application_is_told_who_closed_the_table_and_how_to_open_it, shop_make),
		cmocka_unit_test_setup(a_session_with_the_token_passes, shop_make),
		cmocka_unit_test_setup(raising_and_lowering_may_be_repeated, shop_make),
		cmocka_unit_test_setup(
			a_role_that_owns_not_all_tables_is_refused_before_anything_happens,
			shop_make),
		cmocka_unit_test_setup(a_subscription_is_refused, shop_make),
	};

	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
