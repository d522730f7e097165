/* SPDX-License-Identifier: MIT */
/* Locking the tables of a running application. */
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "scene.h"
#include "steps/postgres/lock.h"
#include "steps/postgres/query.h"

static const char *const both[] = {"\"public\".\"a\"", "\"public\".\"b\""};

/* What a busy machine may add to a wait. */
enum { MARGIN_MS = 250 };

static bool mark(PGconn *connection, void *context, struct error *err)
{
	(void)context;
	return query_run(connection, "INSERT INTO public.marks DEFAULT VALUES", err);
}

static struct lock lock_both(void)
{
	return (struct lock){.tables = both,
	                     .count = 2,
	                     .mode = LOCK_WRITES,
	                     .doing = "close two tables",
	                     .work = mark};
}

static int tables(void **state)
{
	struct scene *scene = *state;

	must(scene->admin, "DROP TABLE IF EXISTS public.a, public.b, public.marks;"
	                   "CREATE TABLE public.a (id int PRIMARY KEY, v int);"
	                   "CREATE TABLE public.b (id int PRIMARY KEY, v int);"
	                   "CREATE TABLE public.marks (at timestamptz DEFAULT now());"
	                   "INSERT INTO public.a SELECT i, 0 FROM generate_series(1, 100) i;"
	                   "INSERT INTO public.b SELECT i, 0 FROM generate_series(1, 100) i");
	memset(&scene->err, 0, sizeof scene->err);
	return 0;
}

static void free_tables_are_locked_at_once(void **state)
{
	struct scene *scene = *state;
	struct lock lock = lock_both();
	struct lock_report report = {.blockers.arena = &scene->arena};

	assert_true(lock_tables(scene->admin, &lock, &report, &scene->err));
	assert_int_equal(report.attempts, 1);
	assert_string_equal(ask(scene, scene->admin, "SELECT count(*) FROM public.marks"), "1");
	assert_int_equal(PQtransactionStatus(scene->admin), PQTRANS_IDLE);
	assert_string_equal(ask(scene, scene->admin, "SHOW lock_timeout"), "5s");
}

static void who_is_in_the_way_is_named_when_it_gives_up(void **state)
{
	struct scene *scene = *state;
	struct lock lock = lock_both();
	struct lock_report report = {.blockers.arena = &scene->arena};
	PGconn *writer = scene_session(scene, NULL);

	must(writer, "BEGIN; UPDATE public.b SET v = 1 WHERE id = 1");
	lock.limits.give_up_after_ms = 800;
	assert_false(lock_tables(scene->admin, &lock, &report, &scene->err));
	assert_int_equal(scene->err.kind, ERROR_RETRY);
	assert_non_null(strstr(scene->err.text, "close two tables"));
	assert_non_null(strstr(scene->err.text, "idle in transaction"));
	assert_non_null(strstr(scene->err.text, "on public.b"));
	assert_non_null(strstr(scene->err.text, "UPDATE public.b SET v = 1"));
	assert_int_equal(report.blockers.first->pid, PQbackendPID(writer));
	assert_int_equal(report.blockers.count, 1);
	assert_true(report.attempts > 1);
	assert_string_equal(ask(scene, scene->admin, "SELECT count(*) FROM public.marks"), "0");
	must(writer, "COMMIT");
	PQfinish(writer);
}

static void who_is_in_the_way_is_ended_when_the_plan_says_so(void **state)
{
	struct scene *scene = *state;
	struct lock lock = lock_both();
	struct lock_report report = {.blockers.arena = &scene->arena};
	PGconn *writer = scene_session(scene, NULL);
	char sqlstate[6];

	must(writer, "BEGIN; UPDATE public.a SET v = 1 WHERE id = 1");
	lock.limits.end_after_ms = 500;
	assert_true(lock_tables(scene->admin, &lock, &report, &scene->err));
	assert_true(report.waited_ms >= 500);
	assert_true(report.blockers.first->ended);
	assert_string_not_equal(state_of(writer, "COMMIT", sqlstate), "");
	assert_string_equal(ask(scene, scene->admin, "SELECT sum(v) FROM public.a"), "0");
	PQfinish(writer);
}

static void a_role_without_rights_is_told_that_it_cannot_end_others(void **state)
{
	struct scene *scene = *state;
	struct lock lock = lock_both();
	struct lock_report report = {.blockers.arena = &scene->arena};

	must(scene->admin,
	     "DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN PASSWORD 'x';"
	     "ALTER TABLE public.a OWNER TO plain; ALTER TABLE public.b OWNER TO plain;"
	     "ALTER TABLE public.marks OWNER TO plain");
	PGconn *plain = scene_session(scene, "plain"), *writer = scene_session(scene, NULL);
	must(writer, "BEGIN; UPDATE public.a SET v = 1 WHERE id = 1");
	lock.limits = (struct lock_limits){.end_after_ms = 300, .give_up_after_ms = 1200};
	assert_false(lock_tables(plain, &lock, &report, &scene->err));
	assert_non_null(strstr(scene->err.text, "not ended: "));
	assert_int_equal(report.blockers.first->pid, PQbackendPID(writer));
	PQfinish(writer);
	assert_true(lock_tables(plain, &lock, &report, &scene->err));
	PQfinish(plain);
}

static void a_prepared_transaction_is_named(void **state)
{
	struct scene *scene = *state;
	struct lock lock = lock_both();
	struct lock_report report = {.blockers.arena = &scene->arena};

	if (strcmp(ask(scene, scene->admin, "SHOW max_prepared_transactions"), "0") == 0) {
		must(scene->admin, "ALTER SYSTEM SET max_prepared_transactions = 5");
		PQfinish(scene->admin);
		scratch_stop(&scene->cluster);
		assert_true(scratch_start(&scene->cluster, &scene->err));
		scene->admin = scene_session(scene, NULL);
	}
	must(scene->admin, "BEGIN");
	must(scene->admin, "UPDATE public.a SET v = 1 WHERE id = 1");
	must(scene->admin, "PREPARE TRANSACTION 'two phases'");
	lock.limits = (struct lock_limits){.end_after_ms = 200, .give_up_after_ms = 700};
	assert_false(lock_tables(scene->admin, &lock, &report, &scene->err));
	assert_non_null(strstr(scene->err.text, "prepared transaction 'two phases'"));
	assert_non_null(strstr(scene->err.text, "ROLLBACK PREPARED"));
	must(scene->admin, "ROLLBACK PREPARED 'two phases'");
}

/* A vacuum that sleeps all the time stands in for one of a large table. */
static void autovacuum_yields(void **state)
{
	struct scene *scene = *state;
	struct lock lock = lock_both();
	struct lock_report report = {.blockers.arena = &scene->arena};
	static const char is_there[] = "SELECT count(*) FROM pg_stat_activity "
				       "WHERE query LIKE 'autovacuum: VACUUM%public.a%'";

	must(scene->admin, "ALTER SYSTEM SET autovacuum_naptime = 1");
	must(scene->admin, "SELECT pg_reload_conf()");
	must(scene->admin, "ALTER TABLE public.a SET (autovacuum_vacuum_cost_delay = 100, "
	                   "autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_threshold = 0, "
	                   "autovacuum_vacuum_scale_factor = 0);"
	                   "INSERT INTO public.a SELECT i, 0 FROM generate_series(101, 30000) i;"
	                   "UPDATE public.a SET v = v + 1");
	for (int i = 0; i < 300 && strcmp(ask(scene, scene->admin, is_there), "0") == 0; i++)
		pause_ms(100);
	assert_string_equal(ask(scene, scene->admin, is_there), "1");
	PGconn *writer = scene_session(scene, NULL);
	static const char *const writes[] = {"UPDATE public.a SET v = 0 WHERE id = 7"};
	struct load load = {.connection = writer, .statements = writes, .count = 1, .pause_ms = 5};
	load_start(&load);
	bool locked = lock_tables(scene->admin, &lock, &report, &scene->err);
	load_stop(&load);
	if (!locked)
		fail_msg("%s", scene->err.text);
	print_message("autovacuum yielded after %lld ms, %d attempts; longest write %lld ms\n",
	              (long long)report.waited_ms, report.attempts, (long long)load.longest_ms);
	assert_true(report.blockers.first && report.blockers.first->vacuum);
	assert_true(report.waited_ms < 10000);
	assert_true(load.longest_ms <= 200 + MARGIN_MS);
	must(scene->admin, "ALTER SYSTEM RESET autovacuum_naptime");
	must(scene->admin, "SELECT pg_reload_conf()");
}

/* One transaction stays open on b, so that no attempt succeeds; the application goes on with a. */
static void the_application_never_waits_longer_than_an_attempt(void **state)
{
	struct scene *scene = *state;
	struct lock lock = lock_both();
	struct lock_report report = {.blockers.arena = &scene->arena};
	PGconn *idle = scene_session(scene, NULL);
	static const char *const writes[] = {"UPDATE public.a SET v = v + 1 WHERE id = 1"};
	struct load load = {
		.connection = scene_session(scene, NULL), .statements = writes, .count = 1};

	must(idle, "BEGIN; UPDATE public.b SET v = 1 WHERE id = 1");
	lock.limits.give_up_after_ms = 4000;
	load_start(&load);
	assert_false(lock_tables(scene->admin, &lock, &report, &scene->err));
	load_stop(&load);
	print_message("%ld writes, the longest took %lld ms; %d attempts, the longest %lld ms\n",
	              load.done, (long long)load.longest_ms, report.attempts,
	              (long long)report.longest_ms);
	assert_true(load.longest_ms <= 200 + MARGIN_MS);
	assert_int_equal(load.other + load.deadlocked, 0);
	PQfinish(idle);
}

/* Two clients without a pause, on rows of their own: every deadlock there is, is with us. */
static void run_clients(struct scene *scene, const char *const *first, const char *const *second,
                        int times, int *succeeded)
{
	struct lock lock = lock_both();
	struct load loads[] = {
		{.connection = scene_session(scene, NULL), .statements = first, .count = 5},
		{.connection = scene_session(scene, NULL), .statements = second, .count = 5},
	};
	int attempts = 0;

	lock.limits.give_up_after_ms = 4000;
	for (size_t i = 0; i < 2; i++)
		load_start(&loads[i]);
	for (int i = 0; i < times; i++) {
		struct lock_report report = {.blockers.arena = &scene->arena};
		*succeeded += lock_tables(scene->admin, &lock, &report, &scene->err);
		attempts += report.attempts;
		pause_ms(20);
	}
	for (size_t i = 0; i < 2; i++) {
		load_stop(&loads[i]);
		print_message("%ld statements, %ld deadlocks, longest %lld ms\n", loads[i].done,
		              loads[i].deadlocked, (long long)loads[i].longest_ms);
		assert_int_equal(loads[i].deadlocked + loads[i].other, 0);
		assert_true(loads[i].longest_ms <= 200 + MARGIN_MS);
	}
	print_message("%d of %d times locked, in %d attempts\n", *succeeded, times, attempts);
}

static const char *const back[] = {"BEGIN", "UPDATE public.b SET v = 1 WHERE id = 1",
                                   "SELECT pg_sleep(0.01)",
                                   "UPDATE public.a SET v = 1 WHERE id = 1", "COMMIT"};
static const char *const back_too[] = {"BEGIN", "UPDATE public.b SET v = 1 WHERE id = 2",
                                       "SELECT pg_sleep(0.01)",
                                       "UPDATE public.a SET v = 1 WHERE id = 2", "COMMIT"};
static const char *const forth[] = {"BEGIN", "UPDATE public.a SET v = 1 WHERE id = 3",
                                    "SELECT pg_sleep(0.01)",
                                    "UPDATE public.b SET v = 1 WHERE id = 3", "COMMIT"};

/* Ours is a, b at first. */
static void the_order_of_the_application_is_found_out(void **state)
{
	int succeeded = 0;

	run_clients(*state, back, back_too, 10, &succeeded);
	assert_int_equal(succeeded, 10);
}

/* No order is right, so it may never succeed; that is all that may happen. */
static void the_application_is_no_victim_of_deadlocks(void **state)
{
	int succeeded = 0;

	run_clients(*state, forth, back, 2, &succeeded);
}

static bool conflict(PGconn *connection, void *context, struct error *err)
{
	int *calls = context;

	if (++*calls < 3)
		return query_run(connection, "DO $$BEGIN RAISE SQLSTATE '40P01'; END$$", err);
	return *calls == 3 || query_run(connection, "SELECT 1/0", err);
}

static void work_is_repeated_after_a_deadlock_and_nothing_else(void **state)
{
	struct scene *scene = *state;
	struct lock lock = lock_both();
	struct lock_report report = {.blockers.arena = &scene->arena};
	int calls = 0;

	lock.work = conflict;
	lock.context = &calls;
	assert_true(lock_tables(scene->admin, &lock, &report, &scene->err));
	assert_int_equal(calls, 3);
	assert_false(lock_tables(scene->admin, &lock, &report, &scene->err));
	assert_int_equal(calls, 4);
	assert_int_equal(scene->err.kind, ERROR_FAILED);
	assert_int_equal(PQtransactionStatus(scene->admin), PQTRANS_IDLE);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test_setup(free_tables_are_locked_at_once, tables),
		cmocka_unit_test_setup(who_is_in_the_way_is_named_when_it_gives_up, tables),
		cmocka_unit_test_setup(who_is_in_the_way_is_ended_when_the_plan_says_so, tables),
		cmocka_unit_test_setup(a_role_without_rights_is_told_that_it_cannot_end_others,
	                               tables),
		cmocka_unit_test_setup(a_prepared_transaction_is_named, tables),
		cmocka_unit_test_setup(autovacuum_yields, tables),
		cmocka_unit_test_setup(the_application_never_waits_longer_than_an_attempt, tables),
		cmocka_unit_test_setup(the_order_of_the_application_is_found_out, tables),
		cmocka_unit_test_setup(the_application_is_no_victim_of_deadlocks, tables),
		cmocka_unit_test_setup(work_is_repeated_after_a_deadlock_and_nothing_else, tables),
	};

	return cmocka_run_group_tests(cases, scene_open, scene_close);
}
