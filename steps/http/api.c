/* SPDX-License-Identifier: MIT */
/* Calls to a provider's HTTP API, with tries and pacing. */
#include "steps/http/api.h"
#include "engine/base/json.h"
#include "engine/base/text.h"

#include <stdlib.h>
#include <string.h>

#define READ_TRIES 4
#define RATE_TRIES 30
#define RATE_WAIT_S 10 /* a pool refills about 75 calls a minute */
#define RATE_WAIT_MOST_S 60
#define RATE_WAIT_LEAST_MS 100
#define RATE_LOW 10 /* calls left at which we slow down by ourselves */
#define RATE_PAUSE_MS 1000
#define HEADERS_MAX 12

/* ---- Errors ---- */

static enum error_kind kind_of(int64_t status)
{
	if (status == 401 || status == 402 || status == 403 || status == 423)
		return ERROR_REFUSED;
	if (status >= 500 || status == 429 || status == 409)
		return ERROR_RETRY;
	return ERROR_FAILED;
}

const char *api_name(const struct api *api, const struct api_call *call)
{
	return arena_printf(api->arena, "%s %s%s", call->method,
	                    http_server(api->arena, call->base), call->path);
}

static bool say_no(const struct api *api, const struct api_call *call,
                   const struct http_response *response, struct error *err)
{
	struct api_refusal refusal = {.kind = kind_of(response->status), .id = "", .message = ""};
	const char *to = value_get_text(response->headers, "location", "");
	const char *name = api_name(api, call);
	bool credentials = response->status == 401 || response->status == 403;

	if (response->status >= 300 && response->status < 400)
		return fail(err, ERROR_FAILED,
		            "%s: HTTP %lld leads to %s, which is not followed; correct the url "
		            "of the connection",
		            name, (long long)response->status, to);
	api->explain(api, response, &refusal);
	fail(err, refusal.kind, "%s: HTTP %lld%s%s%s%s", name, (long long)response->status,
	     refusal.id[0] ? " " : "", refusal.id, refusal.message[0] ? ": " : "", refusal.message);
	if (!credentials || !api->connection)
		return false;
	struct error said = *err;
	return fail(err, said.kind,
	            "%s does not accept the credentials of connection %s, or they may not do this: "
	            "%s",
	            api->name, api->connection, said.text);
}

/* ---- One exchange ---- */

/* Names come from plans and servers, and what cleans paths up would go elsewhere with these. */
static bool leads_elsewhere(const char *path)
{
	const char *end = path + strcspn(path, "?");

	for (const char *part = path + 1; part < end; part++) {
		size_t length = strcspn(part, "/?");
		if (length == 0 || (length <= 2 && strspn(part, ".") >= length))
			return true;
		part += length;
	}
	return false;
}

static char *trim_slash(struct arena *arena, const char *url)
{
	size_t length = strlen(url);

	while (length && url[length - 1] == '/')
		length--;
	return arena_text_n(arena, url, length);
}

static size_t add_headers(const char **list, size_t count, const char *const *more)
{
	for (; more && *more && count < HEADERS_MAX; more++)
		list[count++] = *more;
	return count;
}

static bool exchange(const struct api *api, const struct api_call *call, bool writes,
                     struct http_response *response, struct error *err)
{
	const char *headers[HEADERS_MAX + 2] = {0};
	size_t count = add_headers(headers, 0, api->headers);

	*response = (struct http_response){0};
	if (leads_elsewhere(call->path))
		return fail(err, ERROR_FAILED, "%s: a name in it is empty or made of dots",
		            api_name(api, call));
	count = add_headers(headers, count, call->headers);
	headers[count] = call->body
	                         ? arena_printf(api->arena, "Content-Type: %s", call->content_type)
	                 : api->sign ? NULL
	                             : "Content-Type:";
	struct http_request request = {
		.method = call->method,
		.url = arena_printf(api->arena, "%s%s", trim_slash(api->arena, call->base),
	                            call->path),
		.headers = headers,
		.body = call->body,
		.sign = api->sign,
		.writes = writes,
		.ca_file = api->ca_file,
		.step = api->step,
	};
	return http_send(&request, response, api->arena, err) ||
	       fail_while(err, "%s", api_name(api, call));
}

/* Honours 429 and slows down before the pool is empty. After a 429 the call must be made anew. */
static bool pace(const struct api *api, const struct api_call *call,
                 const struct http_response *response, int *rate_tries, struct error *err)
{
	const char *left = value_get_text(response->headers, "ratelimit-remaining", NULL);
	const char *after = value_get_text(response->headers, "retry-after", NULL);
	int64_t wait_s = after ? strtoll(after, NULL, 10) : RATE_WAIT_S;

	if (response->status == 429) {
		if (++*rate_tries > RATE_TRIES)
			return fail(err, ERROR_RETRY, "%s: %s's rate limit did not recover",
			            api_name(api, call), api->name);
		if (wait_s > RATE_WAIT_MOST_S)
			wait_s = RATE_WAIT_MOST_S;
		step_progress(api->step, "waiting for %s's rate limit", api->name);
		return step_sleep(api->step, wait_s > 0 ? wait_s * 1000 : RATE_WAIT_LEAST_MS,
		                  err) ||
		       fail_while(err, "%s: HTTP 429", api_name(api, call));
	}
	if (left && strtoll(left, NULL, 10) < RATE_LOW)
		return step_sleep(api->step, RATE_PAUSE_MS, err);
	return true;
}

/* ---- Reading ---- */

static bool try_read(const struct api *api, const struct api_call *call,
                     struct http_response *response, struct error *err)
{
	int rate_tries = 0;

	do {
		if (!exchange(api, call, false, response, err) ||
		    !pace(api, call, response, &rate_tries, err))
			return false;
	} while (response->status == 429);
	if (response->status == 404 || (response->status >= 200 && response->status < 300))
		return true;
	return say_no(api, call, response, err);
}

bool api_read(struct api *api, const struct api_call *call, struct http_response *response,
              struct error *err)
{
	for (int tries = 1;; tries++) {
		if (try_read(api, call, response, err))
			return true;
		if (err->kind != ERROR_RETRY || tries == READ_TRIES)
			return false;
		struct error cancelled = {0};
		if (!step_sleep(api->step, (int64_t)200 << tries, &cancelled)) {
			*err = cancelled;
			return false;
		}
	}
}

/* ---- Writing ---- */

static enum api_outcome judge(const struct api *api, const struct api_call *call,
                              const struct http_response *response, struct error *err)
{
	if (response->status >= 200 && response->status < 300)
		return API_DONE;
	say_no(api, call, response, err);
	if (response->status == 404)
		return API_ABSENT;
	return response->status >= 500 || response->status == 409 ? API_UNSURE : API_REFUSED;
}

enum api_outcome api_write(struct api *api, const struct api_call *call,
                           struct http_response *response, struct error *err)
{
	int rate_tries = 0;

	do {
		if (!exchange(api, call, true, response, err)) {
			bool unsure = response->reached && err->kind != ERROR_PLAN;
			return unsure ? API_UNSURE : API_REFUSED;
		}
		if (response->status == 429 && !pace(api, call, response, &rate_tries, err))
			return API_REFUSED;
	} while (response->status == 429);
	return judge(api, call, response, err);
}

/* ---- Bodies and paths ---- */

bool api_json(const struct api *api, const struct api_call *call,
              const struct http_response *response, struct value **answer, struct error *err)
{
	*answer = NULL;
	if (!response->length)
		return true;
	*answer = json_read(api->arena, response->body, response->length, 0, NULL, err);
	return *answer || fail_while(err,
	                             "%s: the answer is not the JSON that it should be; is the url "
	                             "of the connection right?",
	                             api_name(api, call));
}

struct value *api_json_or_null(const struct api *api, const struct http_response *response)
{
	struct error ignored;

	return json_read(api->arena, response->body, response->length, 0, NULL, &ignored);
}

/* What goes over the wire is the secret itself. */
static void reveal_all(struct value *value)
{
	if (value->kind == VALUE_SECRET)
		value->kind = VALUE_TEXT;
	if (value->kind != VALUE_LIST && value->kind != VALUE_MAP)
		return;
	for (struct value *item = value->as.items.first; item; item = item->next)
		reveal_all(item);
}

const char *api_body(struct arena *arena, const struct value *body)
{
	struct text revealed = {0};
	struct value *plain = value_copy(arena, body);

	reveal_all(plain);
	json_write(plain, NULL, &revealed);
	const char *copy = arena_text(arena, text_string(&revealed));
	text_free(&revealed);
	return copy;
}

char *api_vpath(struct arena *arena, const char *format, va_list arguments)
{
	struct text out = {0};

	for (const char *c = format; *c; c++) {
		if (c[0] == '%' && c[1] == 's') {
			text_add(&out, http_escape(arena, va_arg(arguments, const char *)));
			c++;
		} else {
			text_put(&out, c, 1);
		}
	}
	char *path = arena_text(arena, text_string(&out));
	text_free(&out);
	return path;
}

char *api_path(struct arena *arena, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	char *path = api_vpath(arena, format, arguments);
	va_end(arguments);
	return path;
}
