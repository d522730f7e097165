/* SPDX-License-Identifier: MIT */
/* Tables closed while an application writes to them. */
#include "engine/base/clock.h"
#include "shop.h"

#include <stdlib.h>

/* What a busy machine may add to a wait. */
enum { MARGIN_MS = 250 };

struct raiser {
	struct scene *scene;
	struct fence fence;
	struct fence_report report;
	PGconn *connection;
	bool raised;
	int64_t took_ms;
	struct error err;
	pthread_t thread;
};

static void *raise_aside(void *context)
{
	struct raiser *raiser = context;
	int64_t from_ms = clock_real_ms();

	raiser->raised =
		fence_raise(raiser->connection, &raiser->fence, &raiser->report, &raiser->err);
	raiser->took_ms = clock_real_ms() - from_ms;
	return NULL;
}

static void raise_in_a_thread(struct scene *scene, struct raiser *raiser)
{
	raiser->fence.arena = &scene->arena;
	raiser->connection = scene_session(scene, NULL);
	assert_int_equal(pthread_create(&raiser->thread, NULL, raise_aside, raiser), 0);
}

static void wait_for(struct raiser *raiser)
{
	pthread_join(raiser->thread, NULL);
	PQfinish(raiser->connection);
}

static void transactions_in_flight_finish_first_and_keep_their_rows(void **state)
{
	struct scene *scene = *state;
	PGconn *writer = scene_session(scene, "granted");
	struct raiser raiser = {0};

	must(writer, "BEGIN; INSERT INTO public.events VALUES (7777, 1)");
	raise_in_a_thread(scene, &raiser);
	pause_ms(1200);
	must(writer, "INSERT INTO public.events VALUES (7778, 1); COMMIT");
	int64_t committed_ms = clock_real_ms();
	wait_for(&raiser);
	if (!raiser.raised)
		fail_msg("%s", raiser.err.text);
	print_message("up %lld ms after the writer's commit, %lld ms after it was asked for\n",
	              (long long)(clock_real_ms() - committed_ms), (long long)raiser.took_ms);
	assert_true(raiser.took_ms >= 1200);
	assert_string_equal(ask(scene, scene->admin,
	                        "SELECT count(*) FROM public.events "
	                        "WHERE id IN (7777, 7778)"),
	                    "2");
	PQfinish(writer);
	shop_open(scene);
}

static void a_writer_that_is_idle_is_named_or_ended(void **state)
{
	struct scene *scene = *state;
	PGconn *idle = scene_session(scene, "granted");
	struct fence fence = shop_fence(scene);
	struct fence_report report;
	struct fence_state found;
	static const char *const writes[] = {
		"UPDATE public.orders SET v = v + 1 WHERE id = 1",
		"INSERT INTO shop.items VALUES (500, 1) ON CONFLICT DO NOTHING",
		"DELETE FROM shop.items WHERE id = 500"};
	struct load load = {.connection = scene_session(scene, "granted"),
	                    .statements = writes,
	                    .count = 3,
	                    .pause_ms = 1};
	struct load later = {.connection = scene_session(scene, "granted"),
	                     .statements = writes,
	                     .count = 3,
	                     .pause_ms = 1};

	must(idle, "BEGIN; UPDATE shop.events_high SET v = 2 WHERE id = 5000");
	load_start(&load);
	fence.limits.give_up_after_ms = 3000;
	assert_false(fence_raise(scene->admin, &fence, &report, &scene->err));
	load_stop(&load);
	assert_int_equal(load.refused, 0);
	assert_int_equal(scene->err.kind, ERROR_RETRY);
	assert_non_null(strstr(scene->err.text, "user granted"));
	assert_non_null(strstr(scene->err.text, "idle in transaction"));
	assert_true(fence_look(scene->admin, &fence, &found, &scene->err));
	assert_int_equal(found.up, 0);
	load_start(&later);
	fence.limits = (struct lock_limits){.end_after_ms = 700, .give_up_after_ms = 20000};
	assert_true(fence_raise(scene->admin, &fence, &report, &scene->err));
	load_stop(&later);
	size_t ended = 0;
	for (const struct blocker *one = report.lock.blockers.first; one; one = one->next) {
		ended += one->ended;
		assert_true(!one->ended || one->pid == PQbackendPID(idle));
	}
	assert_int_equal(ended, 1);
	print_message("%ld writes before, the longest statement %lld and %lld ms\n",
	              load.done + later.done, (long long)load.longest_ms,
	              (long long)later.longest_ms);
	assert_true(load.longest_ms <= 200 + MARGIN_MS);
	assert_true(later.longest_ms <= 200 + MARGIN_MS);
	assert_int_equal(load.other + load.deadlocked + later.other + later.deadlocked, 0);
	PQfinish(idle);
	shop_open(scene);
}

/* Two tables in opposite order without a pause: they can never be had together. */
static void an_application_without_order_is_closed_table_by_table(void **state)
{
	struct scene *scene = *state;
	static const char *const forth[] = {"BEGIN", "UPDATE public.orders SET v = 1 WHERE id = 1",
	                                    "SELECT pg_sleep(0.01)",
	                                    "UPDATE shop.items SET v = 1 WHERE id = 1", "COMMIT"};
	static const char *const back[] = {"BEGIN", "UPDATE shop.items SET v = 1 WHERE id = 2",
	                                   "SELECT pg_sleep(0.01)",
	                                   "UPDATE public.orders SET v = 1 WHERE id = 2", "COMMIT"};
	struct load loads[] = {
		{.connection = scene_session(scene, "granted"), .statements = forth, .count = 5},
		{.connection = scene_session(scene, "granted"), .statements = back, .count = 5},
	};
	struct fence fence = shop_fence(scene);
	struct fence_report report;

	fence.limits.give_up_after_ms = 8000;
	for (size_t i = 0; i < COUNT(loads); i++)
		load_start(&loads[i]);
	pause_ms(200);
	bool raised = fence_raise(scene->admin, &fence, &report, &scene->err);
	for (size_t i = 0; i < COUNT(loads); i++) {
		load_stop(&loads[i]);
		print_message("%ld statements, %ld deadlocks, %ld refused, longest %lld ms\n",
		              loads[i].done, loads[i].deadlocked, loads[i].refused,
		              (long long)loads[i].longest_ms);
	}
	if (!raised)
		fail_msg("%s", scene->err.text);
	print_message("closed %s after %lld ms\n", report.together ? "together" : "one by one",
	              (long long)report.lock.waited_ms);
	for (size_t i = 0; i < COUNT(loads); i++) {
		assert_int_equal(loads[i].deadlocked + loads[i].other, 0);
		assert_true(loads[i].longest_ms <= 200 + MARGIN_MS);
	}
	shop_open(scene);
}

/* Nobody stays, and yet there is no moment to get in: all is opened again. */
static void no_half_closed_database_is_left(void **state)
{
	struct scene *scene = *state;
	static const char *const writes[] = {"BEGIN",
	                                     "UPDATE shop.events_high SET v = 1 WHERE id = 5000",
	                                     "SELECT pg_sleep(0.25)", "COMMIT"};
	struct load loads[] = {
		{.connection = scene_session(scene, NULL), .statements = writes, .count = 4},
		{.connection = scene_session(scene, NULL), .statements = writes, .count = 4},
	};
	struct fence fence = shop_fence(scene);
	struct fence_report report;
	struct fence_state found;
	char sqlstate[6];

	must(scene->admin, "INSERT INTO public.events VALUES (5001, 0)");
	fence.limits = (struct lock_limits){.lock_timeout_ms = 60, .give_up_after_ms = 3000};
	load_start(&loads[0]);
	pause_ms(130);
	load_start(&loads[1]);
	pause_ms(50);
	bool raised = false, one_by_one = false;
	/* On a busy machine a transaction may last so long that it is taken for one that stays. */
	for (int i = 0; i < 6 && !raised && !one_by_one; i++) {
		raised = fence_raise(scene->admin, &fence, &report, &scene->err);
		one_by_one = strstr(scene->err.text, "close a table") != NULL;
	}
	load_stop(&loads[0]);
	load_stop(&loads[1]);
	assert_false(raised);
	assert_true(one_by_one);
	assert_true(fence_look(scene->admin, &fence, &found, &scene->err));
	assert_int_equal(found.up, 0);
	assert_string_equal(state_of(scene->admin, "DELETE FROM public.orders", sqlstate), "");
	shop_close(scene, &report);
	assert_int_equal(report.tables, 10);
	shop_open(scene);
}

/* ---- Under load ---- */

static atomic_bool is_up;

struct attacker {
	PGconn *connection;
	size_t first, attempts, accepted_before, refused_before, accepted_after, refused_after;
	size_t others;
	char last[6];
	pthread_t thread;
};

static void *attack(void *context)
{
	struct attacker *attacker = context;
	char state[6];

	for (size_t i = attacker->first; attacker->attempts > 0; i++) {
		const char *table = shop_tables[i / SHOP_FORMS % SHOP_TABLES];
		if (shop_impossible(shop_forms[i % SHOP_FORMS], table) ||
		    strncmp(shop_forms[i % SHOP_FORMS], "TRUNCATE", 8) == 0)
			table = "public.orders";
		bool up = atomic_load(&is_up);
		shop_try(attacker->connection, shop_forms[i % SHOP_FORMS], table, state);
		if (state[0] == '\0')
			*(up ? &attacker->accepted_after : &attacker->accepted_before) += 1;
		else if (strcmp(state, FENCE_STATE) == 0)
			*(up ? &attacker->refused_after : &attacker->refused_before) += 1;
		else if (strcmp(state, "40P01") != 0) { /* among themselves */
			attacker->others++;
			strcpy(attacker->last, state);
		}
		if (up)
			attacker->attempts--;
	}
	return NULL;
}

static void nothing_is_accepted_under_load(void **state)
{
	struct scene *scene = *state;
	const char *level = getenv("PLAN_LEVEL");
	size_t wanted = level && strcmp(level, "release") == 0 ? 10000 : 500;
	const char *const roles[] = {NULL, "owner", "granted", "granted"};
	struct attacker attackers[COUNT(roles)] = {0}, all = {0};
	struct fence_report report;

	atomic_store(&is_up, false);
	for (size_t i = 0; i < COUNT(roles); i++) {
		attackers[i].connection = scene_session(scene, roles[i]);
		attackers[i].first = i * 17;
		attackers[i].attempts = wanted / COUNT(roles);
		pthread_create(&attackers[i].thread, NULL, attack, &attackers[i]);
	}
	pause_ms(1000);
	shop_close(scene, &report);
	atomic_store(&is_up, true);
	for (size_t i = 0; i < COUNT(roles); i++) {
		pthread_join(attackers[i].thread, NULL);
		PQfinish(attackers[i].connection);
		all.accepted_before += attackers[i].accepted_before;
		all.refused_before += attackers[i].refused_before;
		all.accepted_after += attackers[i].accepted_after;
		all.refused_after += attackers[i].refused_after;
		if (attackers[i].others)
			fail_msg("%zu other errors, the last %s", attackers[i].others,
			         attackers[i].last);
	}
	print_message("%zu accepted before; up %s after %lld ms in %d attempts; then %zu accepted, "
	              "%zu refused\n",
	              all.accepted_before, report.together ? "together" : "one by one",
	              (long long)report.lock.waited_ms, report.lock.attempts, all.accepted_after,
	              all.refused_after);
	assert_true(all.accepted_before > 0);
	assert_int_equal(all.accepted_after, 0);
	assert_true(all.refused_after >= wanted);
	shop_open(scene);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(transactions_in_flight_finish_first_and_keep_their_rows,
	                               shop_make),
		cmocka_unit_test_setup(a_writer_that_is_idle_is_named_or_ended, shop_make),
		cmocka_unit_test_setup(an_application_without_order_is_closed_table_by_table,
	                               shop_make),
		cmocka_unit_test_setup(no_half_closed_database_is_left, shop_make),
		cmocka_unit_test_setup(nothing_is_accepted_under_load, shop_make),
	};

	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
