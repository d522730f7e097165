/* SPDX-License-Identifier: MIT */
/* How long users were shut out, by what they noted, when the clock jumped meanwhile. */
#include "steps/rehearsal/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t outage_of(const char *log)
{
	struct users users = {0};
	struct users_story story;
	struct arena arena = {0};
	struct error err = {0};

	snprintf(users.log_path, sizeof users.log_path, "/tmp/plan-users-XXXXXX");
	int handle = mkstemp(users.log_path);
	assert_true(handle >= 0);
	assert_int_equal(dprintf(handle, "%s", log) > 0, 1);
	close(handle);
	assert_true(users_read(&users, 0, &arena, &story, &err));
	unlink(users.log_path);
	arena_free(&arena);
	return story.outage_ms;
}

static void nobody_was_refused(void **state)
{
	(void)state;
	assert_int_equal(outage_of("100 110 5 201 user-1\n500 510 5 201 user-2\n"), -1);
}

static void from_success_to_success(void **state)
{
	(void)state;
	assert_int_equal(
		outage_of("100 110 5 201 user-1\n120 130 5 503 user-2\n140 150 5 0 user-3\n"
	                  "160 400 5 201 user-4\n"),
		290);
}

static void a_jump_while_they_are_refused_counts(void **state)
{
	(void)state;
	assert_int_equal(outage_of("100 110 5 201 user-1\n120 130 5 503 user-2\n"
	                           "5140 5150 5005 503 user-3\n5160 5200 5005 201 user-4\n"),
	                 5090);
}

static void a_jump_after_the_last_refusal_does_not(void **state)
{
	(void)state;
	assert_int_equal(outage_of("100 110 5 201 user-1\n120 130 5 503 user-2\n"
	                           "140 5200 5005 201 user-3\n"),
	                 90);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_was_refused),
		cmocka_unit_test(from_success_to_success),
		cmocka_unit_test(a_jump_while_they_are_refused_counts),
		cmocka_unit_test(a_jump_after_the_last_refusal_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
