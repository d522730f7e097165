/* SPDX-License-Identifier: MIT */
/* Calls to the simulated Heroku. */
#include "steps/rehearsal/control.h"
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "steps/http/client.h"

#include <string.h>

/* Seeding makes database servers. */
#define TIMEOUT_MS 120000

static const char *const headers[] = {"Authorization: Bearer rehearsal",
                                      "Accept: application/vnd.heroku+json; version=3",
                                      "Content-Type: application/json", NULL};

static bool call(const struct simulator *heroku, struct http_request *request, const char *path,
                 struct arena *arena, struct value **answer, struct error *err)
{
	struct http_response response = {0};

	request->url = arena_printf(arena, "%s%s", heroku->base_url, path);
	request->headers = headers;
	request->timeout_ms = TIMEOUT_MS;
	if (!http_send(request, &response, arena, err))
		return fail_while(err, "%s %s", request->method, path);
	if (response.status < 200 || response.status > 299)
		return fail(err, ERROR_FAILED, "%s %s: status %lld: %.300s", request->method, path,
		            (long long)response.status, response.body);
	*answer = json_read(arena, response.body, response.length, 0, NULL, err);
	return *answer != NULL;
}

bool control_get(const struct simulator *heroku, const char *path, struct arena *arena,
                 struct value **answer, struct error *err)
{
	struct http_request request = {.method = "GET"};

	return call(heroku, &request, path, arena, answer, err);
}

bool control_post(const struct simulator *heroku, const char *path, const struct value *body,
                  struct arena *arena, struct value **answer, struct error *err)
{
	struct text text = {0};

	json_write(body, NULL, &text);
	struct http_request request = {
		.method = "POST", .body = text_string(&text), .writes = true};
	bool fine = call(heroku, &request, path, arena, answer, err);
	text_free(&text);
	return fine;
}
