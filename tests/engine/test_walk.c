/* SPDX-License-Identifier: MIT */
/* The walk: order, retries, failures, conditions, the way back, crashes at every record. */
#include "engine/base/clock.h"
#include "tests/engine/world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD "plan: 1\nname: test\nsummary: A plan for a test.\n"

static const char chain[] =
	HEAD "steps:\n"
	     "  one: {uses: test.file, with: {path: a, content: first}}\n"
	     "  two: {uses: test.file, needs: [one], with: {path: b, content: "
	     "\"${steps.one.content} second\"}}\n"
	     "  three: {uses: test.file, needs: [two], with: {path: a, content: third}}\n";

static void steps_run_in_the_order_of_their_needs(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world, chain);
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_DONE);
	assert_string_equal(world_read(&world, "a"), "third");
	assert_string_equal(world_read(&world, "b"), "first second");
	assert_string_equal(world_read(&world, "ledger"), "apply one\napply two\napply three\n");
	world_end(&world);
}

static void a_second_apply_does_nothing(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world, chain);
	world_walk(&world, WALK_APPLY, NULL);
	world_reopen(&world);
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_DONE);
	assert_int_equal(world.result.changed, 0);
	assert_string_equal(world_read(&world, "ledger"), "apply one\napply two\napply three\n");
	world_end(&world);
}

static void a_look_after_the_run_compares_only_the_last_word_on_each_subject(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world, chain);
	world_walk(&world, WALK_APPLY, NULL);
	world_walk(&world, WALK_LOOK, NULL);
	assert_int_equal(world.result.changed, 0); /* step one is superseded by three */
	world_write(&world, "b", "by somebody else");
	world_walk(&world, WALK_LOOK, NULL);
	assert_int_equal(world.result.changed, 1);
	assert_string_equal(world_read(&world, "b"), "by somebody else");
	world_end(&world);
}

static void a_look_passes_over_what_was_compared_with_something_now_gone(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world, HEAD "steps:\n"
	                         "  copy: {uses: test.copy, with: {path: new, like: old}}\n"
	                         "  retire: {uses: test.gone, needs: [copy], with: {path: old},"
	                         " irreversible: It is gone.}\n");
	world_write(&world, "old", "x");
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_DONE);
	assert_string_equal(world_read(&world, "new"), "x");
	world_walk(&world, WALK_LOOK, NULL);
	assert_int_equal(world.result.failed, 0);
	assert_int_equal(world.result.changed, 0);
	world_write(&world, "old", "back again"); /* behind our back */
	world_walk(&world, WALK_LOOK, NULL);
	assert_int_equal(world.result.changed, 1);
	world_end(&world);
}

static void only_errors_that_may_be_retried_are_retried(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world, HEAD
	            "steps:\n"
	            "  again: {uses: test.fail, with: {kind: retry, times: 2},"
	            " retry: {attempts: 3, backoff: 1ms to 2ms}}\n"
	            "  never: {uses: test.fail, needs: [again], with: {kind: failed, times: 2},"
	            " retry: {attempts: 3, backoff: 1ms to 2ms}}\n");
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_FAILED);
	assert_string_equal(world.result.step, "never");
	assert_int_equal(world_effects(&world, "try again"), 3);
	assert_int_equal(world_effects(&world, "try never"), 1);
	world_end(&world);
}

static void what_needs_a_failed_step_is_not_started(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world,
	            HEAD "steps:\n"
	                 "  bad: {uses: test.fail, on_failure: continue}\n"
	                 "  after: {uses: test.file, needs: [bad], with: {path: a, content: x}}\n"
	                 "  beside: {uses: test.file, with: {path: b, content: y}}\n");
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_FAILED);
	assert_string_equal(world_read(&world, "a"), "");
	assert_string_equal(world_read(&world, "b"), "y");
	world_end(&world);
}

static const char falls_back[] =
	HEAD "steps:\n"
	     "  before: {uses: test.file, with: {path: keep, content: kept}}\n"
	     "  close: {uses: test.file, needs: [before], with: {path: door, content: closed}}\n"
	     "  move: {uses: test.file, needs: [close], with: {path: a, content: moved},"
	     " rollback: {nothing: It does no harm.}}\n"
	     "  bad: {uses: test.fail, needs: [move], on_failure: roll back to close}\n";

static void a_failure_rolls_back_to_the_step_that_the_plan_names(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world, falls_back);
	world_write(&world, "door", "open");
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_ROLLED_BACK);
	assert_string_equal(world_read(&world, "door"), "open");
	assert_string_equal(world_read(&world, "keep"), "kept");
	assert_string_equal(world_read(&world, "a"), "moved");
	assert_int_equal(run_step(&world.run, "move")->state, RUN_PASSED);
	assert_int_equal(run_step(&world.run, "close")->state, RUN_UNDONE);
	world_end(&world);
}

static void the_way_back_stops_at_what_cannot_be_undone(void **state)
{
	struct world world;
	(void)state;

	world_begin(
		&world, HEAD
		"steps:\n"
		"  one: {uses: test.file, with: {path: a, content: x}}\n"
		"  no-return: {uses: test.file, needs: [one], with: {path: b, content: x},"
		" irreversible: It is known to all now.}\n"
		"  three: {uses: test.file, needs: [no-return], with: {path: c, content: x}}\n");
	world_walk(&world, WALK_APPLY, NULL);
	world_walk(&world, WALK_REVERT, "one");
	assert_int_equal(world.result.outcome, WALK_REFUSED);
	assert_string_equal(world.result.step, "no-return");
	assert_string_equal(world_read(&world, "c"), "");
	assert_string_equal(world_read(&world, "b"), "x");
	assert_string_equal(world_read(&world, "a"), "x");
	world_end(&world);
}

static void a_precondition_holds_a_step_back_until_it_is_true(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world, HEAD "steps:\n"
	                         "  gate:\n"
	                         "    uses: test.file\n"
	                         "    with: {path: door, content: closed}\n"
	                         "    preconditions:\n"
	                         "      - {check: test.number, of: lag, below: 200 commits, "
	                         "stable_for: 300ms, within: 20s}\n");
	world_write(&world, "lag", "5000");
	pid_t child = fork();
	if (child == 0) {
		usleep(700000);
		assert_string_equal(world_read(&world, "door"), "");
		world_write(&world, "lag", "12");
		_exit(0);
	}
	int64_t began = clock_real_ms();
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_DONE);
	assert_true(clock_real_ms() - began >= 900);
	assert_string_equal(world_read(&world, "door"), "closed");
	waitpid(child, NULL, 0);
	world_end(&world);
}

static void a_precondition_without_within_must_hold_at_once(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world, HEAD "steps:\n"
	                         "  gate:\n"
	                         "    uses: test.file\n"
	                         "    with: {path: door, content: closed}\n"
	                         "    preconditions:\n"
	                         "      - {check: test.number, of: lag, below: 200 commits}\n");
	world_write(&world, "lag", "5000");
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_FAILED);
	assert_non_null(strstr(world.result.error.text, "5000 commits"));
	assert_string_equal(world_read(&world, "door"), "");
	world_end(&world);
}

static void a_run_without_its_approval_parks_and_goes_on_with_it(void **state)
{
	struct world world;
	struct error err = {0};
	(void)state;

	world_begin(&world, HEAD "steps:\n"
	                         "  gate: {uses: test.file, with: {path: a, content: x},"
	                         " approval: {by: 2, text: It matters.}}\n");
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_PARKED);
	assert_string_equal(world_read(&world, "a"), "");
	const char *const people[] = {"ann@host", "ann@host", "bob@host"};
	for (size_t i = 0; i < 3; i++) {
		struct request yes = {.kind = REQUEST_APPROVE,
		                      .step = "gate",
		                      .who = people[i],
		                      .digest = world.plan.digest,
		                      .text = ""};
		assert_true(journal_request(world.journal, &yes, &err));
		world_walk(&world, WALK_APPLY, NULL);
		assert_int_equal(world.result.outcome, i < 2 ? WALK_PARKED : WALK_DONE);
	}
	assert_string_equal(world_read(&world, "a"), "x");
	world_end(&world);
}

/* Who finds the door closed, and rolls back to having closed it, rolls back what came after. */
static void the_way_back_to_a_step_that_had_nothing_to_do(void **state)
{
	static const char yaml[] = HEAD
		"steps:\n"
		"  close: {uses: test.file, with: {path: door, content: closed}}\n"
		"  paint: {uses: test.file, needs: [close], with: {path: door-colour, content: "
		"red}}\n"
		"  open: {uses: test.fail, needs: [paint], with: {kind: failed, times: 9}, "
		"on_failure: roll back to close}\n";
	struct world world;
	(void)state;

	world_begin(&world, yaml);
	world_write(&world, "door", "closed");
	world_write(&world, "door-colour", "blue");
	for (int again = 0; again < 2; again++) {
		world_walk(&world, WALK_APPLY, NULL);
		assert_int_equal(world.result.outcome, WALK_ROLLED_BACK);
		assert_string_equal(world_read(&world, "door"), "closed");
		assert_string_equal(world_read(&world, "door-colour"), "blue");
		world_reopen(&world);
	}
	world_end(&world);
}

/* A check, and a step that had nothing to do, are not undone: after what they build on was, they
 * are made again, and in their turn. */
static void what_stood_on_an_undone_step_is_looked_at_again(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world,
	            HEAD "steps:\n"
	                 "  make: {uses: test.file, with: {path: app, content: there}}\n"
	                 "  set: {uses: test.file, needs: [make], with: {path: config, content: "
	                 "right}}\n"
	                 "  try: {uses: test.look, needs: [set], with: {path: app}}\n"
	                 "  use: {uses: test.file, needs: [try], with: {path: traffic, content: "
	                 "on}}\n");
	world_write(&world, "config", "right");
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_DONE);
	world_reopen(&world);
	world_walk(&world, WALK_REVERT, "make");
	assert_int_equal(world.result.outcome, WALK_DONE);
	assert_string_equal(world_read(&world, "traffic"), "");
	world_write(&world, "config", "wrong");
	world_reopen(&world);
	int looked = world_effects(&world, "look try");
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_DONE);
	assert_string_equal(world_read(&world, "config"), "right");
	assert_int_equal(world_effects(&world, "look try"), looked + 1);
	world_end(&world);
}

static void a_step_that_exceeds_its_timeout_is_stopped(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world, HEAD "steps:\n  slow: {uses: test.hang, timeout: 300ms}\n");
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_FAILED);
	assert_non_null(strstr(world.result.error.text, "timeout"));
	world_end(&world);
}

static void a_used_up_downtime_budget_takes_the_way_back(void **state)
{
	struct world world;
	(void)state;

	world_begin(&world, HEAD "downtime: {begins: close, ends: open, budget: 700ms}\n"
	                         "steps:\n"
	                         "  close: {uses: test.file, with: {path: door, content: closed}}\n"
	                         "  slow: {uses: test.hang, needs: [close]}\n"
	                         "  open: {uses: test.file, needs: [slow], with: {path: door, "
	                         "content: open again}}\n");
	world_write(&world, "door", "open");
	world_walk(&world, WALK_APPLY, NULL);
	assert_int_equal(world.result.outcome, WALK_ROLLED_BACK);
	assert_string_equal(world_read(&world, "door"), "open");
	world_end(&world);
}

/* The process group is killed at the Nth record, before or after it is durable. */
extern int crash_at_append;

static void kill_a_walk(struct world *world, enum walk_mode mode, const char *back_to, int at)
{
	pid_t child = fork();

	if (child == 0) {
		setpgid(0, 0);
		world_reopen(world);
		crash_at_append = at;
		world_walk(world, mode, back_to);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void a_kill_at_any_record_leaves_the_same_world(void **state)
{
	(void)state;
	for (int at = 1; at <= 20; at++) {
		struct world world;
		world_begin(&world, chain);
		journal_close(world.journal);
		world.journal = NULL;
		struct error err = {0};
		kill_a_walk(&world, WALK_APPLY, NULL, at);
		world_reopen(&world);
		world_walk(&world, WALK_APPLY, NULL);
		assert_int_equal(world.result.outcome, WALK_DONE);
		assert_string_equal(world_read(&world, "ledger"),
		                    "apply one\napply two\napply three\n");
		assert_string_equal(world_read(&world, "a"), "third");
		(void)err;
		world_end(&world);
	}
}

static void a_kill_on_the_way_back_leaves_the_world_as_it_was(void **state)
{
	(void)state;
	for (int at = 1; at <= 12; at++) {
		struct world world;
		world_begin(&world, chain);
		world_write(&world, "a", "original");
		world_walk(&world, WALK_APPLY, NULL);
		journal_close(world.journal);
		world.journal = NULL;
		kill_a_walk(&world, WALK_REVERT, "one", at);
		world_reopen(&world);
		world_walk(&world, WALK_REVERT, "one");
		assert_int_equal(world.result.outcome, WALK_DONE);
		assert_string_equal(world_read(&world, "a"), "original");
		assert_string_equal(world_read(&world, "b"), "");
		world_end(&world);
	}
}

static void a_signal_ends_the_walk_in_good_order(void **state)
{
	struct world world;
	int status = 0;
	(void)state;

	world_begin(&world, HEAD "steps:\n  slow: {uses: test.hang}\n");
	journal_close(world.journal);
	world.journal = NULL;
	pid_t child = fork();
	if (child == 0) {
		world_reopen(&world);
		walk_catch_signals();
		world_walk(&world, WALK_APPLY, NULL);
		_exit(world.result.outcome == WALK_INTERRUPTED ? world.result.signal : 99);
	}
	for (int i = 0; i < 100 && !world_effects(&world, "hang slow"); i++)
		usleep(50000);
	kill(child, SIGTERM);
	waitpid(child, &status, 0);
	assert_int_equal(WEXITSTATUS(status), SIGTERM);
	world_reopen(&world);
	assert_int_equal(run_step(&world.run, "slow")->state, RUN_UNKNOWN);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_run_in_the_order_of_their_needs),
		cmocka_unit_test(a_second_apply_does_nothing),
		cmocka_unit_test(a_look_after_the_run_compares_only_the_last_word_on_each_subject),
		cmocka_unit_test(a_look_passes_over_what_was_compared_with_something_now_gone),
		cmocka_unit_test(only_errors_that_may_be_retried_are_retried),
		cmocka_unit_test(what_needs_a_failed_step_is_not_started),
		cmocka_unit_test(a_failure_rolls_back_to_the_step_that_the_plan_names),
		cmocka_unit_test(the_way_back_stops_at_what_cannot_be_undone),
		cmocka_unit_test(a_precondition_holds_a_step_back_until_it_is_true),
		cmocka_unit_test(a_precondition_without_within_must_hold_at_once),
		cmocka_unit_test(a_run_without_its_approval_parks_and_goes_on_with_it),
		cmocka_unit_test(the_way_back_to_a_step_that_had_nothing_to_do),
		cmocka_unit_test(what_stood_on_an_undone_step_is_looked_at_again),
		cmocka_unit_test(a_step_that_exceeds_its_timeout_is_stopped),
		cmocka_unit_test(a_used_up_downtime_budget_takes_the_way_back),
		cmocka_unit_test(a_kill_at_any_record_leaves_the_same_world),
		cmocka_unit_test(a_kill_on_the_way_back_leaves_the_world_as_it_was),
		cmocka_unit_test(a_signal_ends_the_walk_in_good_order),
	};

	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
