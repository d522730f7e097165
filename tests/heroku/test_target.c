/* SPDX-License-Identifier: MIT */
/* Every way to write where a database is, and what only looks like one. */
#include "steps/heroku/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SOURCE                                                                       \
	"postgres://uabc:p0123456789abcdef0123@ec2-54-1-2-3.compute-1.amazonaws.com" \
	":5432/d1a2b3"
#define HOST "ec2-54-1-2-3.compute-1.amazonaws.com"

static void same_place_however_it_is_written(void **state)
{
	static const char *const texts[] = {
		SOURCE,
		SOURCE "?pool=25",
		SOURCE "?sslmode=require&pool=25#x",
		"postgres://uabc:p@" HOST "/d1a2b3",
		"postgresql://uabc:p@" HOST ":5432/d1a2b3",
		"POSTGRES://uabc:p@" HOST "/d1a2b3",
		"postgis://uabc:p@" HOST "/d1a2b3",
		"ecto://uabc:p@" HOST "/d1a2b3",
		"postgresql+asyncpg://uabc:p@" HOST "/d1a2b3",
		"postgres://uabc:p@EC2-54-1-2-3.Compute-1.AmazonAWS.com/d1a2b3",
		"postgres://uabc:p@" HOST ".:5432/d1a2b3",
		"postgres://readonly:other@" HOST ":5432/d1a2b3",
		"postgres://" HOST "/d1a2b3",
		"postgres://" HOST,
		"postgres://u:p@" HOST ":5432/%641a2b3",
		"postgres:///d1a2b3?host=" HOST "&pool=5",
		"postgres://u@other.example.com:5432," HOST ":5432/d1a2b3",
		"jdbc:postgresql://" HOST ":5432/d1a2b3?user=u&password=p",
		"postgres://u@other.example.com/x,postgres://u@" HOST "/d1a2b3",
		"primary=\"postgres://u@" HOST "/d1a2b3\" replica=none",
		"host=" HOST " dbname=d1a2b3 user=u",
		"dbname=d1a2b3 port=5432 host=" HOST,
		HOST,
		HOST ":5432",
		"u:p@" HOST ":5432/d1a2b3",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (!target_is_same(texts[i], SOURCE))
			fail_msg("another place: %s", texts[i]);
	assert_true(target_is_same("postgres://u@" HOST ":5432/d1a2b3",
	                           "postgres://v@" HOST "/d1a2b3"));
	assert_true(target_is_same("redis://h:6379/0", "rediss://:x@H"));
	assert_true(target_is_same("https://a.example.com:443/x", "https://u:p@a.example.com/x"));
}

static void another_place_is_not_taken_for_it(void **state)
{
	static const char *const texts[] = {
		"",
		"production",
		"1",
		"://",
		"postgres://",
		"postgres://u:p@" HOST ":5432/another",
		"postgres://u:p@" HOST ":6432/d1a2b3",
		"postgres://u:p@other.example.com:5432/d1a2b3",
		"postgres://u:p@" HOST ".example.com/d1a2b3",
		"https://" HOST "/",
		"redis://" HOST ":6379",
		"host=other.example.com dbname=d1a2b3",
		"a=b",
		"https://example.com/?next=" HOST,
		"user@example.com",
		"d1a2b3",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (target_is_same(texts[i], SOURCE))
			fail_msg("the same place: %s", texts[i]);
	assert_false(target_is_same("https://a.example.com/other", "https://a.example.com/"));
	assert_false(target_is_same("a.example.com", "https://a.example.com/"));
	assert_false(target_is_same("anything", "no url"));
	/* A simulated database is on localhost, and so may be much else. */
	assert_false(target_is_same("localhost", "postgres://u:p@localhost:5432/d"));
	assert_true(target_is_same("localhost:5432", "postgres://u:p@localhost:5432/d"));
}

static void a_password_betrays_it(void **state)
{
	(void)state;
	assert_true(target_holds_password("x p0123456789abcdef0123 y", SOURCE));
	assert_false(target_holds_password("p0123456789", SOURCE));
	assert_false(target_holds_password("short", "postgres://u:short@h/d"));
	assert_false(target_holds_password("anything", "no url"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_place_however_it_is_written),
		cmocka_unit_test(another_place_is_not_taken_for_it),
		cmocka_unit_test(a_password_betrays_it),
	};
	return cmocka_run_group_tests_name("target", tests, NULL, NULL);
}
