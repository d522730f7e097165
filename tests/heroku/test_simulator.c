/* SPDX-License-Identifier: MIT */
/* The simulator over real HTTP, with real databases behind it. */
#include "engine/base/arena.h"
#include "engine/base/json.h"
#include "steps/heroku/simulator.h"
#include "steps/http/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct fixture {
	struct simulator simulator;
	struct arena arena;
};

static struct value *ask(struct fixture *fixture, const char *method, const char *url,
                         const char *body, int64_t *status)
{
	static const char *const headers[] = {"Accept: application/vnd.heroku+json; version=3",
	                                      "Authorization: Bearer any",
	                                      "Content-Type: application/json", NULL};
	struct http_request request = {.method = method,
	                               .url = url,
	                               .headers = headers,
	                               .body = body,
	                               .timeout_ms = 60000};
	struct http_response response = {0};
	struct error err = {0};

	*status = 0;
	if (!http_send(&request, &response, &fixture->arena, &err))
		return NULL;
	*status = response.status;
	return json_read(&fixture->arena, response.body, response.length, 0, NULL, &err);
}

static struct value *api(struct fixture *fixture, const char *method, const char *path,
                         const char *body, int64_t *status)
{
	return ask(fixture, method,
	           arena_printf(&fixture->arena, "%s%s", fixture->simulator.base_url, path), body,
	           status);
}

static int start(void **state)
{
	static struct fixture fixture;
	struct simulator_options options = {0};
	struct error err = {0};

	*state = &fixture;
	if (simulator_spawn(&fixture.simulator, &options, &err))
		return 0;
	fprintf(stderr, "%s\n", err.text);
	return 1;
}

static int stop(void **state)
{
	struct fixture *fixture = *state;

	simulator_stop(&fixture->simulator);
	arena_free(&fixture->arena);
	return 0;
}

static void an_app_is_seeded_and_its_router_writes_to_its_database(void **state)
{
	struct fixture *fixture = *state;
	int64_t status;
	struct value *answer =
		api(fixture, "POST", "/_sim/seed",
	            "{\"apps\":[{\"name\":\"sourceapp\",\"formation\":{\"web\":1},\"slug\":{"
	            "\"process_types\":{\"web\":\"x\"}},\"addons\":[{\"plan\":"
	            "\"heroku-postgresql:standard-0\",\"name\":\"leader\"}]}]}",
	            &status);

	assert_int_equal(status, 201);
	assert_non_null(answer);
	char *url = arena_printf(&fixture->arena, "http://127.0.0.1:%d/sourceapp/write?key=a",
	                         fixture->simulator.router_port);
	ask(fixture, "POST", url, "", &status);
	assert_int_equal(status, 201);
	ask(fixture, "POST", url, "", &status);
	assert_int_equal(status, 503);
	api(fixture, "PATCH", "/apps/sourceapp", "{\"maintenance\":true}", &status);
	assert_int_equal(status, 200);
	ask(fixture, "GET", url, NULL, &status);
	assert_int_equal(status, 503);
}

static void a_config_var_of_an_attachment_is_not_overwritten(void **state)
{
	int64_t status;
	struct value *answer = api(*state, "PATCH", "/apps/sourceapp/config-vars",
	                           "{\"DATABASE_URL\":\"x\"}", &status);

	assert_int_equal(status, 422);
	assert_string_equal(value_get_text(answer, "id", ""), "invalid_params");
}

static void a_follower_streams_and_unfollows(void **state)
{
	int64_t status = 0;
	struct value *answer = NULL;
	struct timespec pause = {.tv_nsec = 200000000};

	api(*state, "POST", "/apps/sourceapp/addons",
	    "{\"plan\":\"heroku-postgresql:standard-0\",\"name\":\"f1\",\"config\":{\"follow\":"
	    "\"leader\"}}",
	    &status);
	assert_int_equal(status, 201);
	for (int i = 0; i < 100 && status != 200; i++) {
		nanosleep(&pause, NULL);
		answer = api(*state, "GET", "/client/v11/databases/f1", NULL, &status);
	}
	assert_int_equal(status, 200);
	assert_non_null(value_get_text(answer, "following", NULL));
	api(*state, "PUT", "/client/v11/databases/f1/unfollow", "{}", &status);
	assert_int_equal(status, 200);
	for (int i = 0; i < 100 && value_get_text(answer, "following", NULL); i++) {
		nanosleep(&pause, NULL);
		answer = api(*state, "GET", "/client/v11/databases/f1", NULL, &status);
	}
	assert_null(value_get_text(answer, "following", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_app_is_seeded_and_its_router_writes_to_its_database),
		cmocka_unit_test(a_config_var_of_an_attachment_is_not_overwritten),
		cmocka_unit_test(a_follower_streams_and_unfollows),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
