/* SPDX-License-Identifier: MIT */
/* SQL taken apart, and the entries of a dump. */
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "steps/postgres/lex.h"
#include "steps/postgres/toc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static struct arena arena;

static int forget(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static void words_in_quotes_and_comments_are_no_words(void **state)
{
	static const char *const without[] = {
		"'ON'",    "\"ON\"",   "$$ON$$", "$a$ $$ ON $a$", "E'\\' ON'", "/* ON /* */ ON */",
		"-- ON\n", "(x ON y)", "bON",    "ON1",           "'a''ON'",   "\"a\"\"ON\""};

	(void)state;
	for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
		const char *at = without[i];
		if (lex_find(&at, "ON"))
			fail_msg("ON was found in %s", without[i]);
	}
	const char *at = "CREATE TRIGGER \"ON\" BEFORE UPDATE on s.t";
	assert_true(lex_find(&at, "ON"));
	assert_string_equal(at, " s.t");
}

static void names_lose_their_quotes(void **state)
{
	const char *at = " \"a.\"\"b\" . c d", *schema, *name;

	(void)state;
	assert_true(lex_qualified_name(&at, &arena, &schema, &name));
	assert_string_equal(schema, "a.\"b");
	assert_string_equal(name, "c");
	assert_true(lex_qualified_name(&at, &arena, &schema, &name));
	assert_string_equal(schema, "");
	assert_string_equal(name, "d");
	assert_false(lex_qualified_name(&at, &arena, &schema, &name));
}

static void statements_end_where_they_end(void **state)
{
	const char *at = "GRANT a ON \";\" TO b;\n\n-- ;\nSELECT ';', $$;$$; ";

	(void)state;
	assert_string_equal(lex_statement(&at, &arena), "GRANT a ON \";\" TO b;");
	assert_string_equal(lex_statement(&at, &arena), "SELECT ';', $$;$$;");
	assert_null(lex_statement(&at, &arena));
}

static void what_is_alike_differs_in_form_alone(void **state)
{
	(void)state;
	assert_true(
		lex_is_alike("SELECT t.a FROM s.t WHERE (a > 1)", "SELECT a\n FROM t WHERE a > 1"));
	assert_true(lex_is_alike("(\"a.b\".\"c d\")", "\"c d\""));
	assert_false(lex_is_alike("SELECT a", "SELECT b"));
	assert_false(lex_is_alike("SELECT 'a'", "SELECT 'A'"));
	assert_false(lex_is_alike("a > 1", "a > 1.5"));
	assert_false(lex_is_alike("a", "a b"));
	assert_false(lex_is_alike("SELECT '(a)'", "SELECT 'a'"));
	assert_false(lex_is_alike("\"A\"", "a"));
}

static void entries_are_cut_at_comments_that_are_comments(void **state)
{
	static const char text[] =
		"--\n-- PostgreSQL database dump\n--\n\n\\restrict x\n\nSET a = 1;\n\n"
		"--\n-- Name: f(); Type: FUNCTION; Schema: s; Owner: -\n--\n\n"
		"CREATE FUNCTION s.f() AS $_$\n--\n-- Name: g; Type: TABLE; Schema: s; Owner: "
		"-\n--\n$_$;\n\n\n"
		"--\n-- Name: a; Type: TABLE; Schema: b; Type: VIEW; Schema: -; Owner: "
		"-\n--\n\nSELECT 1;\n\n"
		"--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict x\n\n";
	struct toc_entry *first;
	struct error err = {0};

	(void)state;
	assert_true(toc_read(text, &arena, &first, &err));
	assert_string_equal(first->name, "f()");
	assert_string_equal(first->type, "FUNCTION");
	assert_string_equal(first->schema, "s");
	assert_string_equal(first->sql,
	                    "CREATE FUNCTION s.f() AS $_$\n--\n-- Name: g; Type: TABLE; "
	                    "Schema: s; Owner: -\n--\n$_$;");
	assert_string_equal(first->next->name, "a; Type: TABLE; Schema: b");
	assert_string_equal(first->next->type, "VIEW");
	assert_string_equal(first->next->schema, "");
	assert_string_equal(first->next->sql, "SELECT 1;");
	assert_null(first->next->next);
	assert_false(toc_read("-- Name: a\n", &arena, &first, &err));
	assert_non_null(strstr(err.text, "unknown shape"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(words_in_quotes_and_comments_are_no_words, forget),
		cmocka_unit_test_teardown(names_lose_their_quotes, forget),
		cmocka_unit_test_teardown(statements_end_where_they_end, forget),
		cmocka_unit_test_teardown(what_is_alike_differs_in_form_alone, forget),
		cmocka_unit_test_teardown(entries_are_cut_at_comments_that_are_comments, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
