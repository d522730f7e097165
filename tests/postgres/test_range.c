/* SPDX-License-Identifier: MIT */
/* The parts that a table is compared in, and what is found in them. */
#include "engine/base/arena.h"
#include "engine/base/text.h"
#include "engine/base/value.h"
#include "steps/postgres/checksum.h"
#include "steps/postgres/discrepancy.h"
#include "steps/postgres/range.h"
#include "steps/postgres/relation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;

static const struct column a = {.name = "a", .quoted = "a", .type = "integer"},
			   b = {.name = "b", .quoted = "\"B\"", .type = "text"};
static const struct column *key[] = {&a, &b};
static const struct relation relation = {
	.schema = "s", .name = "t", .quoted = "s.t", .key = key, .key_count = 2};

static void a_whole_table_has_no_condition(void **state)
{
	const struct range range = {.after = {"1"}, .upto = {"2"}};
	const char *values[2 * RANGE_COLUMNS];

	(void)state;
	assert_string_equal(range_condition_sql(&range, &relation, &arena), "true");
	assert_int_equal(range_values(&range, values), 0);
}

static void ranges_that_follow_one_another_share_their_boundary(void **state)
{
	const struct range first = {.columns = 2, .upto = {"5", "x"}};
	const struct range next = {.columns = 2, .after = {"5", "x"}, .upto = {"9", "y"}};
	const struct range last = {.columns = 2, .after = {"9", "y"}};
	const char *values[2 * RANGE_COLUMNS];

	(void)state;
	assert_string_equal(range_condition_sql(&first, &relation, &arena),
	                    "(t.a, t.\"B\") <= ($1::integer, $2::text)");
	assert_string_equal(range_condition_sql(&next, &relation, &arena),
	                    "(t.a, t.\"B\") > ($1::integer, $2::text) AND "
	                    "(t.a, t.\"B\") <= ($3::integer, $4::text)");
	assert_string_equal(range_condition_sql(&last, &relation, &arena),
	                    "(t.a, t.\"B\") > ($1::integer, $2::text)");
	assert_int_equal(range_values(&next, values), 4);
	assert_string_equal(values[0], "5");
	assert_string_equal(values[3], "y");
	assert_int_equal(range_values(&last, values), 2);
}

static void a_boundary_is_sought_behind_the_last_one(void **state)
{
	const struct range range = {.columns = 1, .after = {"5"}, .upto = {"7"}};

	(void)state;
	assert_string_equal(range_boundary_sql(&range, &relation, 100, &arena),
	                    "SELECT t.a::text FROM ONLY s.t t WHERE (t.a) > ($1::integer)"
	                    " ORDER BY t.a OFFSET 99 LIMIT 1");
}

static void the_pace_goes_for_its_time_and_not_too_fast(void **state)
{
	struct pace pace = {.rows = 1000};

	(void)state;
	pace_adapt(&pace, 1000, 1);
	assert_int_equal(pace.rows, 4000);
	pace_adapt(&pace, 4000, 2 * PACE_GOAL_MS);
	assert_int_equal(pace.rows, 2000);
	pace_adapt(&pace, 10, 1); /* the end of a table */
	assert_int_equal(pace.rows, 2000);
	pace_adapt(&pace, 2000, 1000000);
	assert_true(pace.rows > 0 && pace.rows <= 500);
	for (int i = 0; i < 100; i++)
		pace_adapt(&pace, pace.rows, 0);
	assert_true(pace.rows <= 2000000);
}

static void a_fixed_pace_stays(void **state)
{
	struct pace pace = {.rows = 7, .fixed = 7};

	(void)state;
	pace_adapt(&pace, 7, 100000);
	assert_int_equal(pace.rows, 7);
}

static void buckets_are_small_whatever_the_table(void **state)
{
	(void)state;
	assert_int_equal(checksum_digits(0), 0);
	assert_int_equal(checksum_digits(2000), 0);
	for (int64_t rows = 2001, buckets; rows < 20000000; rows *= 3) {
		buckets = (int64_t)1 << (4 * checksum_digits(rows));
		assert_true(rows / buckets <= 500);
		assert_true(buckets <= 16 || rows / (buckets / 16) > 500);
	}
	assert_int_equal(checksum_digits((int64_t)1 << 40), 4);
}

static void discrepancies_beyond_the_limit_are_counted(void **state)
{
	struct discrepancies discrepancies;
	struct text out = {0};

	(void)state;
	discrepancy_begin(&discrepancies, &arena, 2);
	discrepancy_add(&discrepancies, "s.t", 1, "a = 1 differs in v");
	const struct discrepancies before = discrepancies;
	discrepancy_add(&discrepancies, "s.u", 1, "a = 2 is only in source");
	discrepancy_add(&discrepancies, "s.u", 1, "a = 3 is only in source");
	discrepancy_add(&discrepancies, "s.u", 7, NULL);
	discrepancy_print(&discrepancies, &out);
	assert_string_equal(text_string(&out),
	                    "10 rows of 2 tables differ: s.t: a = 1 differs in v; "
	                    "s.u: a = 2 is only in source; and 8 more");
	assert_false(discrepancy_is_wanted(&discrepancies));
	text_clear(&out);
	discrepancy_forget(&discrepancies, &before);
	discrepancy_print(&discrepancies, &out);
	assert_string_equal(text_string(&out), "1 row of 1 table differs: s.t: a = 1 differs in v");
	assert_int_equal(discrepancies.told->as.items.count, 1);
	text_free(&out);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(a_whole_table_has_no_condition),
		cmocka_unit_test(ranges_that_follow_one_another_share_their_boundary),
		cmocka_unit_test(a_boundary_is_sought_behind_the_last_one),
		cmocka_unit_test(the_pace_goes_for_its_time_and_not_too_fast),
		cmocka_unit_test(a_fixed_pace_stays),
		cmocka_unit_test(buckets_are_small_whatever_the_table),
		cmocka_unit_test(discrepancies_beyond_the_limit_are_counted),
	};
	int failed = cmocka_run_group_tests(cases, NULL, NULL);

	arena_free(&arena);
	return failed;
}
