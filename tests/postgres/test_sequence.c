/* SPDX-License-Identifier: MIT */
/* Sequences: read on one side, set on the other. */
#include "scene.h"
#include "steps/postgres/sequence.h"

#include <stdio.h>

static const char schema_sql[] =
	"DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop;"
	"CREATE TABLE shop.orders (id bigserial PRIMARY KEY);"
	"CREATE TABLE shop.items (id int GENERATED ALWAYS AS IDENTITY (START 7 INCREMENT 3));"
	"CREATE SEQUENCE shop.\"O'dd \"\" one\"; CREATE SEQUENCE shop.never START 5;"
	"CREATE SEQUENCE shop.down INCREMENT -1; CREATE SEQUENCE shop.down_never INCREMENT -2;"
	"CREATE SEQUENCE shop.round MINVALUE 1 MAXVALUE 3 CYCLE;"
	"CREATE SEQUENCE shop.full AS smallint; CREATE SEQUENCE shop.cached CACHE 20";

static const char used_sql[] = "SELECT nextval('shop.orders_id_seq') FROM generate_series(1, 41);"
			       "INSERT INTO shop.items SELECT FROM generate_series(1, 10);"
			       "SELECT nextval('shop.\"O''dd \"\" one\"'); SELECT "
			       "nextval('shop.down'), nextval('shop.down');"
			       "SELECT nextval('shop.round') FROM generate_series(1, 5);"
			       "SELECT setval('shop.full', 32767); SELECT nextval('shop.cached')";

static const char all_sql[] =
	"SELECT string_agg(x, ' ') FROM (VALUES"
	" ((SELECT (last_value, is_called)::text FROM shop.orders_id_seq)),"
	" ((SELECT (last_value, is_called)::text FROM shop.items_id_seq)),"
	" ((SELECT (last_value, is_called)::text FROM shop.\"O'dd \"\" one\")),"
	" ((SELECT (last_value, is_called)::text FROM shop.never)),"
	" ((SELECT (last_value, is_called)::text FROM shop.down)),"
	" ((SELECT (last_value, is_called)::text FROM shop.down_never)),"
	" ((SELECT (last_value, is_called)::text FROM shop.round)),"
	" ((SELECT (last_value, is_called)::text FROM shop.full)),"
	" ((SELECT (last_value, is_called)::text FROM shop.cached))) v (x)";

static PGconn *other;

static int both(void **state)
{
	struct scene *scene = *state;
	struct scene second = *scene;

	if (!other) {
		must(scene->admin, "CREATE DATABASE other");
		snprintf(second.cluster.database, sizeof second.cluster.database, "other");
		other = scene_session(&second, NULL);
		scene->arena = second.arena;
	}
	must(scene->admin, schema_sql);
	must(scene->admin, used_sql);
	must(other, schema_sql);
	memset(&scene->err, 0, sizeof scene->err);
	return 0;
}

static void the_other_side_gives_what_comes_next(void **state)
{
	struct scene *scene = *state;
	struct sequence_options options = {.arena = &scene->arena};
	struct sequence_report report;
	const char *seen = ask(scene, scene->admin, all_sql);

	assert_string_equal(seen, "(41,t) (34,t) (1,t) (5,f) (-2,t) (-1,f) (2,t) (32767,t) (20,t)");
	assert_true(sequence_compare(scene->admin, other, &options, &report, &scene->err));
	assert_int_equal(report.differences, 7);
	assert_string_equal(report.first->sequence, "shop.O'dd \" one");
	assert_true(report.first->behind);
	assert_true(sequence_copy(scene->admin, other, &options, &report, &scene->err));
	assert_int_equal(report.count, 9);
	assert_int_equal(report.set, 7);
	assert_string_equal(ask(scene, other, all_sql), seen);
	assert_true(sequence_copy(scene->admin, other, &options, &report, &scene->err));
	assert_int_equal(report.set, 0);
	assert_true(sequence_compare(scene->admin, other, &options, &report, &scene->err));
	assert_int_equal(report.differences, 0);
	assert_string_equal(ask(scene, other, "SELECT nextval('shop.never')"), "5");
	assert_string_equal(ask(scene, other, "INSERT INTO shop.items DEFAULT VALUES RETURNING id"),
	                    "37");
	assert_string_equal(ask(scene, other, "SELECT nextval('shop.down')"), "-3");
	assert_string_equal(ask(scene, other, "SELECT nextval('shop.round')"), "3");
}

static void a_margin_goes_the_way_of_the_sequence_and_stays_in_its_range(void **state)
{
	struct scene *scene = *state;
	struct sequence_options options = {.margin = 100, .arena = &scene->arena};
	struct sequence_report report;

	assert_true(sequence_copy(scene->admin, other, &options, &report, &scene->err));
	assert_string_equal(
		ask(scene, other, all_sql),
		"(141,t) (334,t) (101,t) (105,t) (-102,t) (-201,t) (2,t) (32767,t) (120,t)");
	assert_int_equal(report.differences, 2); /* noted: full and round */
	assert_true(sequence_compare(scene->admin, other, &options, &report, &scene->err));
	assert_int_equal(report.differences, 0);
}

static void forward_only_never_gives_a_value_twice(void **state)
{
	struct scene *scene = *state;
	struct sequence_options options = {.forward_only = true, .arena = &scene->arena};
	struct sequence_report report;

	must(other, "SELECT setval('shop.orders_id_seq', 50), setval('shop.down', -9),"
	            " setval('shop.down_never', -1), setval('shop.\"O''dd \"\" one\"', 1, false)");
	assert_true(sequence_compare(scene->admin, other, &options, &report, &scene->err));
	for (const struct sequence_difference *one = report.first; one; one = one->next)
		if (strcmp(one->sequence, "shop.orders_id_seq") == 0 ||
		    strcmp(one->sequence, "shop.down") == 0)
			assert_false(one->behind);
	assert_true(sequence_copy(scene->admin, other, &options, &report, &scene->err));
	assert_string_equal(ask(scene, other, all_sql),
	                    "(50,t) (34,t) (1,t) (5,f) (-9,t) (-1,t) (2,t) (32767,t) (20,t)");
	options.forward_only = false;
	assert_true(sequence_copy(scene->admin, other, &options, &report, &scene->err));
	assert_string_equal(ask(scene, other, all_sql), ask(scene, scene->admin, all_sql));
}

static void what_is_missing_is_named_before_anything_is_set(void **state)
{
	struct scene *scene = *state;
	struct sequence_options options = {.arena = &scene->arena};
	struct sequence_report report;

	must(other, "DROP SEQUENCE shop.never; ALTER SEQUENCE shop.down INCREMENT -4");
	const char *before = ask(scene, other, "SELECT last_value FROM shop.orders_id_seq");
	assert_false(sequence_copy(scene->admin, other, &options, &report, &scene->err));
	assert_non_null(strstr(scene->err.text, "shop.never"));
	assert_string_equal(ask(scene, other, "SELECT last_value FROM shop.orders_id_seq"), before);
	assert_true(sequence_compare(scene->admin, other, &options, &report, &scene->err));
	bool missing = false, increment = false;
	for (const struct sequence_difference *one = report.first; one; one = one->next) {
		missing = missing || strcmp(one->text, "is missing") == 0;
		increment = increment || strstr(one->text, "increment -4");
	}
	assert_true(missing && increment);
}

static void a_thousand_sequences_are_copied(void **state)
{
	struct scene *scene = *state;
	struct sequence_options options = {.arena = &scene->arena};
	struct sequence_report report;
	static const char many[] =
		"DO $$ BEGIN FOR i IN 1..1100 LOOP "
		"EXECUTE format('CREATE SEQUENCE shop.s%s', i); END LOOP; END $$";

	must(scene->admin, many);
	must(other, many);
	must(scene->admin, "SELECT setval(oid::regclass, 3) FROM pg_class WHERE relkind = 'S' AND "
	                   "relname ~ '^s[0-9]'");
	assert_true(sequence_copy(scene->admin, other, &options, &report, &scene->err));
	assert_int_equal(report.set, 1107);
	assert_true(sequence_compare(scene->admin, other, &options, &report, &scene->err));
	assert_int_equal(report.differences, 0);
	PQfinish(other);
	other = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_other_side_gives_what_comes_next, both),
		cmocka_unit_test_setup(a_margin_goes_the_way_of_the_sequence_and_stays_in_its_range,
	                               both),
		cmocka_unit_test_setup(forward_only_never_gives_a_value_twice, both),
		cmocka_unit_test_setup(what_is_missing_is_named_before_anything_is_set, both),
		cmocka_unit_test_setup(a_thousand_sequences_are_copied, both),
	};

	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
