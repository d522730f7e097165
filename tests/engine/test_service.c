/* SPDX-License-Identifier: MIT */
/* Services: how long they run, and what their being started again means to the rest of a run. */
#include "tests/engine/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD "plan: 1\nname: test\nsummary: A plan for a test.\n"
/* Needs the service until somebody says go. */
#define USER                                \
	"  user:\n"                         \
	"    uses: test.file\n"             \
	"    needs: [stream]\n"             \
	"    with: {path: a, content: x}\n" \
	"    preconditions: [{check: test.number, of: go, equals: 1 commits, within: 30s}]\n"

/* The child plays people beside the walk, and says whether it saw what it wanted to see. */
static void walk_beside(struct world *world, pid_t child)
{
	int status = 0;

	world_walk(world, WALK_APPLY, NULL);
	waitpid(child, &status, 0);
	assert_int_equal(status, 0);
}

static void a_service_runs_while_it_is_needed_rests_and_is_started_again(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world, HEAD "steps:\n"
	                         "  stream: {uses: test.serve}\n" USER);
	pid_t child = fork();
	if (child == 0) {
		bool shown = world_shows(&world, "stream", "restarting");
		shown = world_awaits(&world, "serve stream", 3) == 3 && shown;
		shown = world_shows(&world, "stream", "serving") && shown;
		shown = world_ask(&world, REQUEST_PAUSE) && shown;
		shown = world_awaits(&world, "rest stream", 1) == 1 && shown;
		shown = world_ask(&world, REQUEST_RESUME) && shown;
		shown = world_awaits(&world, "work stream", 1) == 1 && shown;
		world_write(&world, "go", "1");
		_exit(shown ? 0 : 1);
	}
	walk_beside(&world, child);
	assert_true(world_shows(&world, "stream", "done"));
	assert_int_equal(world.result.outcome, WALK_DONE);
	assert_int_equal(world_effects(&world, "serve stream"), 3);
	assert_int_equal(world_effects(&world, "served stream"), 1);
	assert_string_equal(world_read(&world, "a"), "x");
	world_end(&world);
}

/* As a replication does that is ended by the last step that needs it, and started again just
 * before. */
static void a_service_that_is_started_again_keeps_nobody_waiting(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world, HEAD "steps:\n"
	                         "  stream:\n"
	                         "    uses: test.serve\n"
	                         "    postconditions: [{check: test.number, of: stands, equals: 1 "
	                         "commits, within: 20s}]\n" USER);
	world_write(&world, "stands", "1");
	pid_t child = fork();
	if (child == 0) {
		bool shown = world_awaits(&world, "serve stream", 1) == 1;
		world_write(&world, "stands", "0");
		shown = world_shows(&world, "stream", "waiting") && shown;
		world_write(&world, "go", "1");
		_exit(shown ? 0 : 1);
	}
	walk_beside(&world, child);
	assert_int_equal(world.result.outcome, WALK_DONE);
	assert_string_equal(world_read(&world, "a"), "x");
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_service_runs_while_it_is_needed_rests_and_is_started_again),
		cmocka_unit_test(a_service_that_is_started_again_keeps_nobody_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
