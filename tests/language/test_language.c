/* SPDX-License-Identifier: MIT */
/* The plan language: hostile files are refused quickly, and every mistake is named with its place.
 */
#include "engine/base/clock.h"
#include "engine/base/text.h"
#include "engine/plan.h"
#include "engine/unit.h"
#include "steps/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "plan: 1\nname: test\nsummary: A plan for a test.\n"
#define STEP "steps:\n  one: {uses: wait, with: {for: 1s}}\n"

static bool parse_n(const char *data, size_t length, struct problems *problems)
{
	struct plan plan;
	bool fine = plan_parse(&plan, &(struct plan_source){"p.yaml", data, length},
	                       &steps_registry, NULL, problems);

	assert_int_equal(fine, problems->count == 0);
	plan_free(&plan);
	return fine;
}

/* The file is refused, and one problem is in that line and says that. */
static void refused(const char *yaml, int line, const char *says)
{
	struct problems problems = {0};
	bool found = false;

	assert_false(parse_n(yaml, strlen(yaml), &problems));
	for (size_t i = 0; i < problems.count; i++)
		found |= problems.list[i].at.line == line && strstr(problems.list[i].text, says);
	if (!found) {
		fprintf(stderr, "wanted line %d: %s\nin:\n%s\ngot:\n", line, says, yaml);
		for (size_t i = 0; i < problems.count; i++)
			fprintf(stderr, "%d:%d: %s\n", problems.list[i].at.line,
			        problems.list[i].at.column, problems.list[i].text);
	}
	assert_true(found);
	problems_free(&problems);
}

static void accepted(const char *yaml)
{
	struct problems problems = {0};
	bool fine = parse_n(yaml, strlen(yaml), &problems);

	if (!fine)
		fprintf(stderr, "%d: %s\n", problems.list[0].at.line, problems.list[0].text);
	assert_true(fine);
	problems_free(&problems);
}

static void a_plan_that_says_all_it_can_is_accepted(void **state)
{
	(void)state;
	accepted(HEAD "inputs:\n"
	              "  who: {type: list of string, default: [ann, bob], text: People to call.}\n"
	              "  really: {type: bool, default: false}\n"
	              "secrets: {key: {env: KEY}}\n"
	              "windows: {night: {days: [mon], from: \"22:00\", to: \"04:00\", zone: UTC}}\n"
	              "downtime: {begins: call, ends: rest, budget: 5m}\n"
	              "notify: [{on: [failed], url: \"${secrets.key}\"}]\n"
	              "defaults: {timeout: 10m, retry: {attempts: 3, backoff: 2s to 60s}, "
	              "on_failure: stop}\n"
	              "steps:\n"
	              "  call:\n"
	              "    for_each: ${inputs.who}\n"
	              "    uses: manual\n"
	              "    with: {text: \"Call ${each}.\"}\n"
	              "    approval: {by: 1, from: [ann], text: Sure?}\n"
	              "  left-out: {uses: wait, needs: [call], if: \"${inputs.really}\", with: "
	              "{for: 1s}}\n"
	              "  rest:\n"
	              "    uses: wait\n"
	              "    needs: [left-out]\n"
	              "    with: {for: 1h 30m}\n"
	              "    preconditions:\n"
	              "      - {check: time.since, of: call, at_least: 1m, within: 1h}\n"
	              "      - {check: window, of: night, within: 7d}\n"
	              "    on_failure: continue\n");
}

static void what_a_step_that_is_left_out_needed_still_comes_first(void **state)
{
	struct problems problems = {0};
	struct plan plan;
	static const char yaml[] = HEAD
		"inputs: {no: {type: bool, default: false}}\n"
		"steps:\n"
		"  last: {uses: wait, needs: [middle], with: {for: 1s}}\n"
		"  middle: {uses: wait, needs: [first], if: \"${inputs.no}\", with: {for: 1s}}\n"
		"  first: {uses: wait, with: {for: 1s}}\n";
	(void)state;

	assert_true(plan_parse(&plan, &(struct plan_source){"p.yaml", yaml, strlen(yaml)},
	                       &steps_registry, NULL, &problems));
	assert_int_equal(plan.step_count, 2);
	assert_string_equal(plan.steps[0].id, "first");
	assert_true(plan_comes_before(&plan.steps[0], &plan.steps[1]));
	plan_free(&plan);
}

static void every_typo_is_named_with_its_line_and_the_nearest_word(void **state)
{
	(void)state;
	refused("plan: 1\nname: test\nsumary: x\n" STEP, 3, "did you mean `summary`");
	refused(HEAD "step:\n  one: {uses: wait}\n", 4, "did you mean `steps`");
	refused(HEAD "steps:\n  one: {use: wait, with: {for: 1s}}\n", 5, "did you mean `uses`");
	refused(HEAD "steps:\n  one: {uses: wiat, with: {for: 1s}}\n", 5, "did you mean wait?");
	refused(HEAD "steps:\n  one: {uses: wait, with: {fro: 1s}}\n", 5, "did you mean `for`");
	refused(HEAD "steps:\n  one: {uses: wait, with: {for: 1s}, neds: []}\n", 5,
	        "did you mean `needs`");
	refused(HEAD "steps:\n  one: {uses: wait, with: {for: 1s}}\n  two: {uses: wait, needs: "
	             "[oen], with: {for: 1s}}\n",
	        6, "did you mean one?");
	refused(HEAD "steps:\n  one: {uses: wait, with: {for: 1s}, preconditions: [{check: "
	             "time.sinse, of: one, at_least: 1s}]}\n",
	        5, "did you mean time.since?");
	refused(HEAD "inputs: {a: {type: strin}}\n" STEP, 4, "there is no type");
	refused(HEAD "inputs: {pace: {type: duration, default: 5s}}\nsteps:\n  one: {uses: wait, "
	             "with: {for: \"${inputs.pase}\"}}\n",
	        6, "did you mean pace?");
	refused(HEAD "connections: {x: {uses: herku}}\n" STEP, 4,
	        "there is no connection of kind herku");
}

static void all_mistakes_of_a_file_are_reported_at_once(void **state)
{
	struct problems problems = {0};
	static const char yaml[] = "plan: 2\nname: Not A Name\nsummary: x\n"
				   "steps:\n  one: {uses: wait, with: {for: fast}}\n  two: {uses: "
				   "wait, needs: [none]}\n";
	(void)state;

	assert_false(parse_n(yaml, strlen(yaml), &problems));
	assert_int_equal(problems.count, 5);
	for (size_t i = 1; i < problems.count; i++)
		assert_true(problems.list[i - 1].at.line <= problems.list[i].at.line);
	problems_free(&problems);
}

static void a_cycle_is_named_in_full(void **state)
{
	(void)state;
	refused(HEAD "steps:\n"
	             "  a: {uses: wait, needs: [c], with: {for: 1s}}\n"
	             "  b: {uses: wait, needs: [a], with: {for: 1s}}\n"
	             "  c: {uses: wait, needs: [b], with: {for: 1s}}\n",
	        5, "a needs c needs b needs a");
	refused(HEAD "steps:\n  a: {uses: wait, needs: [a], with: {for: 1s}}\n", 5, "a needs a");
}

static void conditions_need_the_right_unit_and_order(void **state)
{
	(void)state;
	refused(HEAD "steps:\n  one: {uses: wait, with: {for: 1s}}\n"
	             "  two: {uses: wait, needs: [one], with: {for: 1s},\n"
	             "    preconditions: [{check: time.since, of: one, at_least: 5 commits}]}\n",
	        7, "measured in time");
	refused(HEAD "steps:\n  one: {uses: wait, with: {for: 1s}}\n"
	             "  two: {uses: wait, with: {for: 1s},\n"
	             "    preconditions: [{check: time.since, of: one, at_least: 5s}]}\n",
	        7, "must come first");
	refused(HEAD "steps:\n  two: {uses: wait, with: {for: 1s},\n"
	             "    preconditions: [{check: window, of: night}]}\n",
	        6, "there is no window night");
}

static void a_secret_never_stands_in_a_plan_nor_where_it_would_be_shown(void **state)
{
	(void)state;
	refused(HEAD "secrets: {key: hunter2}\n" STEP, 4, "never stands in a plan");
	refused(HEAD "secrets: {key: {file: ../../etc/shadow}}\n" STEP, 4, "no ..");
	refused(HEAD "notify: [{on: [failed], url: \"https://hooks.example.com/x\"}]\n" STEP, 4,
	        "is a secret");
	refused(HEAD "secrets: {key: {env: KEY}}\nsteps:\n  one: {uses: manual, with: {text: "
	             "\"${secrets.key}\"}}\n",
	        6, "would be shown");
}

static void paths_stay_beneath_the_plan(void **state)
{
	(void)state;
	refused(HEAD
	        "steps:\n  one: {uses: git.remotes, with: {repository: ../../etc, remove: [x]}}\n",
	        5, "no ..");
	refused(HEAD "steps:\n  one: {uses: git.remotes, with: {repository: /etc, remove: [x]}}\n",
	        5, "no leading /");
}

static void what_is_not_part_of_the_language_is_refused(void **state)
{
	(void)state;
	refused(HEAD "steps: &a\n  one: {uses: wait, with: {for: 1s}}\n", 4, "anchors");
	refused(HEAD "steps:\n  one: *a\n", 5, "aliases");
	refused(HEAD "steps:\n  one: {uses: wait, with: {for: !!str 1s}}\n", 5, "tags");
	refused(HEAD "steps:\n  one: {uses: wait, with: {for: 1s}}\n  one: {uses: wait, with: "
	             "{for: 1s}}\n",
	        6, "written twice, first in line 5");
	refused(HEAD STEP "---\nplan: 1\n", 6, "a second document");
	refused("", 1, "the file is empty");
	refused(HEAD "steps: [", 5, "this is not YAML");
}

static void every_problem_is_told_where_it_is(void **state)
{
	const char *cycles = HEAD "steps:\n  a: {uses: wait, needs: [b], with: {for: 1s}}\n"
				  "  b: {uses: wait, needs: [a], with: {for: 1s}}\n"
				  "  c: {uses: wait, needs: [a], with: {for: 1s}}\n"
				  "  d: {uses: wait, needs: [e], with: {for: 1s}}\n"
				  "  e: {uses: wait, needs: [d], with: {for: 1s}}\n";
	struct problems problems = {0};
	(void)state;

	refused(cycles, 5, "a needs b needs a");
	refused(cycles, 8, "d needs e needs d");
	assert_false(parse_n(cycles, strlen(cycles), &problems));
	assert_int_equal(problems.count, 2);
	problems_free(&problems);
	refused(HEAD "x: caf\xe9\n", 4, "not YAML");
	refused(HEAD "x: \"\x1b[31m\"\n", 4, "control characters");
	accepted("\xef\xbb\xbf" HEAD STEP);
}

static void refused_quickly(const char *data, size_t length, const char *says)
{
	struct problems problems = {0};
	int64_t began = clock_real_ms();

	assert_false(parse_n(data, length, &problems));
	assert_non_null(strstr(problems.list[0].text, says));
	assert_true(problems.list[0].at.line >= 1);
	if (clock_real_ms() - began > 500)
		fprintf(stderr, "slow: %lld ms\n", (long long)(clock_real_ms() - began));
	problems_free(&problems);
}

/* So many KiB of letters between line ends. */
static void fill(struct text *text, int kibibytes, const char *end)
{
	for (int i = 0; i < kibibytes * 16; i++)
		text_put(text, "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqr",
		         64);
	text_add(text, end);
}

/* Each repeated up to just below the largest size of a file. */
static const struct {
	const char *head, *again, *says;
} large[] = {
	{"", "0123456789abcdefghijklmnopqrstuvwxyz", "a text (longer than 64 KiB)"},
	{"a: \"", "0123456789\n abcdefghijklmnopqrstuvwxyz", "a text (longer than 64 KiB)"},
	{"a: |\n", "  0123456789abcdefghijklmnopqrstuvwxyz\n", "a text (longer than 64 KiB)"},
	{"", "# 0123456789abcdefghijklmnopqrstuvwxyz\n", "a text (longer than 64 KiB)"},
	{"", "%TAG !a! tag:b\n", "not YAML"},
	{"", "- a\n", "100,000 parts"},
	{"- [", "a,", "100,000 parts"},
	{"- [", "{},", "100,000 parts"},
	{"steps: [", "a,", "100,000 parts"},
	{"steps:\n  a:\n", "    - {}\n", "this step has more than 100,000 parts"},
	{"a: &a [x]\nb:\n", "- *a\n", "anchors"},
	{HEAD "steps:\n", "  a: {uses: wait, with: {for: 1s}, needs: [b]}\n", "2,500,000 parts"},
	{HEAD "steps:\n", "  a: {uses: wait, with: {for: *x}}\n", "aliases"},
	{HEAD "inputs:\n",
         "  a: 012345678901234567890123456789012345678901234567890123456789012345\n",
         "outside of `steps` is larger than 1 MiB"},
};

static void hostile_files_are_refused(void **state)
{
	struct text text = {0}, piece = {0};
	(void)state;

	for (int i = 0; i < 20000; i++)
		text_add(&text, "[");
	refused_quickly(text.data, text.length, "64 levels");
	text_clear(&text);
	for (int i = 0; i < 200; i++)
		text_format(&text, "%*sa:\n", i, "");
	refused_quickly(text.data, text.length, "64 levels");
	text_clear(&text);
	text_add(&text, "plan: ");
	fill(&text, 65, "\n");
	refused_quickly(text.data, text.length, "64 KiB");
	text_clear(&text);
	fill(&text, 40 * 1024, "");
	refused_quickly(text.data, text.length, "larger than 32 MiB");
	for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
		text_clear(&text);
		text_add(&text, large[i].head);
		text_clear(&piece);
		while (piece.length < 65536)
			text_add(&piece, large[i].again);
		while (text.length < (size_t)31 << 20)
			text_put(&text, piece.data, piece.length);
		refused_quickly(text.data, text.length, large[i].says);
	}
	text_free(&text);
	text_free(&piece);
	refused_quickly("plan: 1\nname: a\0b\n", 18, "NUL");
	refused_quickly("\xff\xfep\0l\0", 6, "not UTF-8");
	refused_quickly("plan: \xc3\x28\n", 9, "not YAML");
	refused_quickly("plan: \"a\\0b\"\n", 13, "NUL");
}

/* Each of these took minutes or gigabytes once. */
static void small_files_do_not_become_large_work(void **state)
{
	struct text text = {0};
	struct problems problems = {0};
	(void)state;

	for (int excluded = 0; excluded < 2; excluded++) {
		text_clear(&text);
		text_add(&text, HEAD "inputs: {no: {type: bool, default: false}}\nsteps:\n");
		for (int layer = 0; layer < 40; layer++)
			for (int i = 0; i < 3; i++)
				text_format(&text, "  s%d-%d: {uses: wait, with: {for: 1s}%s%s}\n",
				            layer, i,
				            excluded && layer > 0 && layer < 39
				                    ? ", if: \"${inputs.no}\""
				                    : "",
				            layer ? arena_printf(&problems.arena,
				                                 ", needs: [s%d-0, s%d-1, s%d-2]",
				                                 layer - 1, layer - 1, layer - 1)
				                  : "");
		text_add(&text, "  last: {uses: wait, needs: [s39-0], with: {for: 1s}, on_failure: "
		                "roll back to s0-1}\n");
		assert_true(parse_n(text.data, text.length, &problems));
	}
	text_clear(&text);
	text_add(&text, HEAD "inputs:\n  big: {type: string, default: ");
	for (int i = 0; i < 60000; i++)
		text_add(&text, "x");
	text_add(&text, "}\n  many: {type: list of string, default: [");
	for (int i = 0; i < 300; i++)
		text_format(&text, "%s%d", i ? "," : "", i);
	text_add(&text, "]}\nsteps:\n  s:\n    for_each: ${inputs.many}\n    uses: manual\n    "
	                "with: {text: \"");
	for (int i = 0; i < 16; i++)
		text_add(&text, "${inputs.big}");
	text_add(&text, "\"}\n");
	assert_false(parse_n(text.data, text.length, &problems));
	assert_non_null(strstr(problems.list[0].text, "larger than 16 MiB"));
	problems_free(&problems);
	text_clear(&text);
	text_add(&text, HEAD "inputs:\n  many: {type: list of int, default: [0");
	for (int i = 1; i < 20000; i++)
		text_format(&text, ",%d", i);
	text_add(&text, "]}\n  no: {type: bool, default: false}\nsteps:\n");
	size_t head = text.length;
	for (int i = 0; i < 1000; i++)
		text_format(&text,
		            "  s%d: {for_each: \"${inputs.many}\", uses: wait, with: {for: "
		            "1s}}\n",
		            i);
	refused_quickly(text.data, text.length, "more than 1,000,000 parts");
	text.length = head;
	text_add(&text, "  s0: {uses: wait, with: {for: 1s}}\n");
	for (int i = 1; i < 4000; i++)
		text_format(&text,
		            "  s%d: {uses: wait, needs: [s%d], if: \"${inputs.no}\", with: {for: "
		            "1s}}\n  t%d: {uses: wait, needs: [s%d], with: {for: 1s}}\n",
		            i, i - 1, i, i);
	refused_quickly(text.data, text.length, "more than 4,000,000 dependencies");
	text_free(&text);
}

static void quantities_keep_their_units(void **state)
{
	struct quantity quantity;
	struct error err;
	int64_t duration_ms;
	(void)state;

	assert_true(unit_parse("200 commits", &quantity, &err));
	assert_string_equal(quantity.unit, "commits");
	assert_true(unit_parse("1 row", &quantity, &err));
	assert_string_equal(quantity.unit, "rows");
	assert_true(unit_parse("80 MiB/s", &quantity, &err));
	assert_true(quantity.number > 83886079 && quantity.number < 83886081);
	assert_true(unit_parse_duration("1h 30m", &duration_ms, &err));
	assert_int_equal(duration_ms, 5400000);
	assert_false(unit_parse_duration("5", &duration_ms, &err));
	assert_false(unit_parse_duration("-5s", &duration_ms, &err));
	assert_false(unit_parse_duration("5 parsecs", &duration_ms, &err));
	assert_false(unit_parse("1h 5 MiB", &quantity, &err));
	assert_false(unit_parse("", &quantity, &err));
	assert_false(unit_parse_duration("1e400s", &duration_ms, &err));
	assert_false(unit_parse_duration("1e400s -1e400s", &duration_ms, &err));
}

static void ten_thousand_steps_load(void **state)
{
	struct text text = {0};
	struct problems problems = {0};
	struct plan plan;
	(void)state;

	text_add(&text, HEAD "steps:\n");
	for (int i = 0; i < 10000; i++) {
		text_format(&text, "  s%d: {uses: wait, with: {for: 1s}, needs: [", i);
		for (int n = 1; n <= 5 && n <= i; n++)
			text_format(&text, "%ss%d", n > 1 ? "," : "", i - n);
		text_add(&text, "]}\n");
	}
	bool fine = plan_parse(&plan, &(struct plan_source){"p.yaml", text.data, text.length},
	                       &steps_registry, NULL, &problems);
	if (!fine)
		fprintf(stderr, "%d: %s\n", problems.list[0].at.line, problems.list[0].text);
	assert_true(fine);
	assert_int_equal(plan.step_count, 10000);
	plan_free(&plan);
	problems_free(&problems);
	text_free(&text);
}

static void what_is_empty_or_no_limit_is_refused_where_it_stands(void **state)
{
	(void)state;
	refused(HEAD "inputs:\n  a: {type: \"\"}\n" STEP, 5, "`type` is empty");
	refused(HEAD "inputs:\n  a: {type: string, one_of: [x, [y]]}\n" STEP, 5, "one_of");
	refused(HEAD "secrets:\n  key: {env: \"\"}\n" STEP, 5, "`env` is empty");
	refused(HEAD "defaults:\n  timeout: 0s\n" STEP, 5, "no limit");
	refused(HEAD "defaults:\n  retry:\n    backoff: 1s\n    attempts: 0\n" STEP, 7, "attempts");
	refused(HEAD "steps:\n  a:\n    uses: manual\n    with: {text: \"\"}\n", 7,
	        "`text` is empty");
	refused(HEAD "steps:\n  a:\n    uses: manual\n    with: {text: x}\n    rollback: []\n", 8,
	        "names no step");
	refused(HEAD "steps:\n  a:\n    uses: manual\n    with: {text: x}\n    approval:\n"
	             "      by: 2\n      from: [ann]\n",
	        10, "names only 1");
	refused(HEAD "steps:\n  a:\n    uses: manual\n    with: {text: x}\n    preconditions:\n"
	             "      - check: http.status\n        of: 7\n        one_of: x\n",
	        10, "`of` must be a text");
	refused(HEAD "steps:\n  a:\n    uses: manual\n    with: {text: x}\n    preconditions:\n"
	             "      - check: heroku.dynos_up\n        of: app\n        equals: 2\n",
	        11, "is a text");
	refused(HEAD "steps:\n  a: {uses: manual, with: {text: x}}\n  b:\n    uses: manual\n"
	             "    with: {text: x}\n    on_failure: roll back to a\n",
	        9, "does not come before");
	refused(HEAD "downtime:\n  begins: b\n  ends: a\nsteps:\n"
	             "  a: {uses: manual, with: {text: x}}\n  b: {uses: manual, with: {text: x}}\n",
	        6, "does not come before");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_empty_or_no_limit_is_refused_where_it_stands),
		cmocka_unit_test(a_plan_that_says_all_it_can_is_accepted),
		cmocka_unit_test(what_a_step_that_is_left_out_needed_still_comes_first),
		cmocka_unit_test(every_typo_is_named_with_its_line_and_the_nearest_word),
		cmocka_unit_test(all_mistakes_of_a_file_are_reported_at_once),
		cmocka_unit_test(a_cycle_is_named_in_full),
		cmocka_unit_test(conditions_need_the_right_unit_and_order),
		cmocka_unit_test(a_secret_never_stands_in_a_plan_nor_where_it_would_be_shown),
		cmocka_unit_test(paths_stay_beneath_the_plan),
		cmocka_unit_test(what_is_not_part_of_the_language_is_refused),
		cmocka_unit_test(every_problem_is_told_where_it_is),
		cmocka_unit_test(hostile_files_are_refused),
		cmocka_unit_test(small_files_do_not_become_large_work),
		cmocka_unit_test(quantities_keep_their_units),
		cmocka_unit_test(ten_thousand_steps_load),
	};

	return cmocka_run_group_tests_name("language", tests, NULL, NULL);
}
