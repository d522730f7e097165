/* SPDX-License-Identifier: MIT */
/* What the HTTP and Heroku clients decide without a network. */
#include "steps/heroku/client.h"
#include "steps/http/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void only_https_and_loopback_http_are_allowed(void **state)
{
	struct error err = {0};

	(void)state;
	assert_true(http_url_allowed("https://api.heroku.com/apps", &err));
	assert_true(http_url_allowed("http://127.0.0.1:8080/apps", &err));
	assert_true(http_url_allowed("http://[::1]:8080/apps", &err));
	assert_false(http_url_allowed("http://api.heroku.com/apps", &err));
	assert_int_equal(err.kind, ERROR_PLAN);
	assert_false(http_url_allowed("http://127.0.0.1.example.com/", &err));
	assert_false(http_url_allowed("file:///etc/passwd", &err));
	assert_false(http_url_allowed("https://user:pw@example.com/", &err));
}

static void a_refused_connection_is_safe_to_try_again(void **state)
{
	struct arena arena = {0};
	struct error err = {0};
	struct http_response response;
	struct http_request request = {.method = "GET", .url = "http://127.0.0.1:1/"};

	(void)state;
	assert_false(http_send(&request, &response, &arena, &err));
	assert_int_equal(err.kind, ERROR_RETRY);
	assert_false(response.reached);
	arena_free(&arena);
}

static void arguments_of_a_path_are_escaped(void **state)
{
	struct arena arena = {0};
	struct heroku heroku = {.arena = &arena};

	(void)state;
	assert_string_equal(heroku_path(&heroku, "/apps/%s/domains/%s", "a", "*.x/y?z"),
	                    "/apps/a/domains/%2A.x%2Fy%3Fz");
	arena_free(&arena);
}

static void times_of_the_api_are_read_as_utc(void **state)
{
	(void)state;
	assert_int_equal(heroku_time_ms("1970-01-02T00:00:01Z"), 86401000);
	assert_int_equal(heroku_time_ms("yesterday"), -1);
}

static void a_missing_field_is_named_with_its_path(void **state)
{
	struct arena arena = {0};
	struct error err = {0};
	struct value *answer = value_map(&arena);

	(void)state;
	assert_null(heroku_text(answer, "region.name", &err));
	assert_non_null(strstr(err.text, "region.name"));
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_https_and_loopback_http_are_allowed),
		cmocka_unit_test(a_refused_connection_is_safe_to_try_again),
		cmocka_unit_test(arguments_of_a_path_are_escaped),
		cmocka_unit_test(times_of_the_api_are_read_as_utc),
		cmocka_unit_test(a_missing_field_is_named_with_its_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
