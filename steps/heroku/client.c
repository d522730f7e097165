/* SPDX-License-Identifier: MIT */
/* The Platform API and the Data API of Heroku. */
#include "steps/heroku/client.h"
#include "engine/base/json.h"
#include "engine/base/text.h"
#include "steps/http/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define READ_TRIES 4
#define RATE_TRIES 30
#define RATE_WAIT_MS 10000 /* a pool refills about 75 calls a minute */
#define RATE_LOW 10        /* calls left at which we slow down by ourselves */
#define RATE_PAUSE_MS 1000
#define PAGES_MAX 1000

static const struct field connection_fields[] = {
	{"token", FIELD_SECRET, FIELD_REQUIRED, NULL, NULL,
         "An API token of the account to act as."},
	{"url", FIELD_URL, 0, "https://api.heroku.com", NULL, "The Platform API."},
	{"data_url", FIELD_URL, 0, "https://api.data.heroku.com", NULL, "The Data API."},
	{"ca_file", FIELD_STRING, 0, NULL, NULL,
         "Certificates to trust instead of those of the system."},
	{0},
};

const struct connection_kind heroku_connection = {
	.name = "heroku",
	.text = "Heroku: the Platform API and the Data API.",
	.fields = connection_fields,
};

/* One call, before paging and tries. */
struct call {
	const char *method, *base, *path, *range;
	bool included; /* attachments with what only Accept-Inclusion gives */
	const struct value *body;
	bool writes;
};

bool heroku_open(struct heroku *heroku, struct step *step, struct error *err)
{
	const char *name = value_get_text(step->with, "connection", NULL);
	const struct value *connection = step_connection(step, name, "heroku", err);

	if (!connection)
		return false;
	*heroku = (struct heroku){
		.step = step,
		.arena = step->arena,
		.url = value_get_text(connection, "url", "https://api.heroku.com"),
		.data_url = value_get_text(connection, "data_url", "https://api.data.heroku.com"),
		.token = value_reveal(value_get(connection, "token")),
		.ca_file = value_get_text(connection, "ca_file", NULL),
	};
	if (heroku->token)
		return true;
	return fail(err, ERROR_PLAN, "the connection %s has no token",
	            value_get_text(connection, "name", "heroku"));
}

/* ---- Errors ---- */

/* The Platform says {"id", "message"}, the Data API sometimes {"error"} or only {"message"}. */
static bool say_no(const struct call *call, int64_t status, const struct value *body,
                   struct error *err)
{
	const char *id = value_get_text(body, "id", "");
	const char *message = value_get_text(body, "message", value_get_text(body, "error", ""));
	enum error_kind kind = ERROR_FAILED;

	if (status == 401 || status == 402 || status == 403 || status == 423 ||
	    strcmp(id, "confirmation_required") == 0 || strncmp(id, "verification_", 13) == 0)
		kind = ERROR_REFUSED;
	else if (status >= 500 || status == 429 || status == 409 ||
	         (status == 422 && strcmp(id, "unprocessable_entity") == 0))
		kind = ERROR_RETRY;
	return fail(err, kind, "%s %s: HTTP %lld%s%s%s%s", call->method, call->path,
	            (long long)status, id[0] ? " " : "", id, message[0] ? ": " : "", message);
}

/* ---- One exchange ---- */

static char *trim_slash(struct arena *arena, const char *url)
{
	size_t length = strlen(url);

	while (length && url[length - 1] == '/')
		length--;
	return arena_text_n(arena, url, length);
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

static bool exchange(struct heroku *heroku, const struct call *call, struct http_response *response,
                     struct error *err)
{
	struct arena *arena = heroku->arena;
	const char *headers[] = {
		call->included ? "Accept: application/vnd.heroku+json; version=3.sdk"
			       : "Accept: application/vnd.heroku+json; version=3",
		arena_printf(arena, "Authorization: Bearer %s", heroku->token),
		call->body ? "Content-Type: application/json" : "Content-Type:",
		call->included ? "Accept-Inclusion: addon:plan,config_vars" : "Accept-Inclusion:",
		call->range ? arena_printf(arena, "Range: %s", call->range) : NULL,
		NULL,
	};
	struct http_request request = {
		.method = call->method,
		.url = arena_printf(arena, "%s%s", trim_slash(arena, call->base), call->path),
		.headers = headers,
		.writes = call->writes,
		.ca_file = heroku->ca_file,
		.step = heroku->step,
	};

	if (call->body) {
		struct text revealed = {0};
		struct value *plain = value_copy(arena, call->body);
		reveal_all(plain);
		json_write(plain, NULL, &revealed);
		request.body = arena_text(arena, text_string(&revealed));
		text_free(&revealed);
	}
	bool sent = http_send(&request, response, arena, err);
	return sent || fail_while(err, "%s %s", call->method, call->path);
}

/* Honours 429 and slows down before the pool is empty. Sets *again when the call must be made
 * anew. */
static bool pace(struct heroku *heroku, const struct http_response *response, int *rate_tries,
                 bool *again, struct error *err)
{
	const char *left = value_get_text(response->headers, "ratelimit-remaining", NULL);
	const char *after = value_get_text(response->headers, "retry-after", NULL);
	int64_t wait_ms = after ? strtoll(after, NULL, 10) * 1000 : RATE_WAIT_MS;

	*again = false;
	if (response->status == 429) {
		if (++*rate_tries > RATE_TRIES)
			return fail(err, ERROR_RETRY, "Heroku's rate limit did not recover");
		*again = true;
		if (wait_ms < 100)
			wait_ms = 100;
		if (wait_ms > 60000)
			wait_ms = 60000;
		step_progress(heroku->step, "waiting for Heroku's rate limit");
		return step_sleep(heroku->step, wait_ms, err);
	}
	if (left && strtoll(left, NULL, 10) < RATE_LOW)
		return step_sleep(heroku->step, RATE_PAUSE_MS, err);
	return true;
}

static bool decode(struct heroku *heroku, const struct call *call,
                   const struct http_response *response, struct value **answer, struct error *err)
{
	*answer = NULL;
	if (!response->length)
		return true;
	*answer = json_read(heroku->arena, response->body, response->length, 0, NULL, err);
	return *answer || fail_while(err, "%s %s: the answer is no JSON", call->method, call->path);
}

/* ---- Reading ---- */

static bool may_repeat(bool sent, const struct http_response *response, const struct error *err)
{
	return sent ? response->status >= 500 : err->kind == ERROR_RETRY;
}

static bool read_once(struct heroku *heroku, const struct call *call,
                      struct http_response *response, struct error *err)
{
	int rate_tries = 0;

	for (int tries = 1;; tries++) {
		bool again, sent = exchange(heroku, call, response, err);
		if (sent && !pace(heroku, response, &rate_tries, &again, err))
			return false;
		if (sent && again) {
			tries--;
			continue;
		}
		if (!may_repeat(sent, response, err) || tries == READ_TRIES)
			return sent;
		struct error cancelled = {0};
		if (!step_sleep(heroku->step, (int64_t)200 << tries, &cancelled)) {
			*err = cancelled;
			return false;
		}
	}
}

static bool read_value(struct heroku *heroku, const struct call *call, struct value **found,
                       struct http_response *response, struct error *err)
{
	struct error ignored;

	*found = NULL;
	if (!read_once(heroku, call, response, err))
		return false;
	if (response->status == 404)
		return true;
	if (response->status >= 200 && response->status < 300)
		return decode(heroku, call, response, found, err);
	struct value *body = NULL;
	if (!decode(heroku, call, response, &body, &ignored))
		body = NULL;
	return say_no(call, response->status, body, err);
}

bool heroku_get(struct heroku *heroku, const char *path, struct value **found, struct error *err)
{
	struct call call = {.method = "GET", .base = heroku->url, .path = path};
	struct http_response response;

	return read_value(heroku, &call, found, &response, err);
}

bool heroku_data_get(struct heroku *heroku, const char *path, struct value **found,
                     struct error *err)
{
	struct call call = {.method = "GET", .base = heroku->data_url, .path = path};
	struct http_response response;

	return read_value(heroku, &call, found, &response, err);
}

static bool expect_list(const char *path, const struct value *page, struct error *err)
{
	if (page->kind == VALUE_LIST)
		return true;
	return fail(err, ERROR_FAILED, "GET %s: expected a list, got a %s", path,
	            value_kind_name(page->kind));
}

static bool read_list(struct heroku *heroku, struct call call, struct value **list,
                      struct error *err)
{
	const char *path = call.path;
	struct http_response response;
	struct value *page;

	*list = NULL;
	for (int pages = 0; pages < PAGES_MAX; pages++) {
		if (!read_value(heroku, &call, &page, &response, err))
			return false;
		if (!page)
			return true;
		if (!expect_list(path, page, err))
			return false;
		if (!*list)
			*list = value_list(heroku->arena);
		for (struct value *item = page->as.items.first; item; item = item->next)
			value_add(*list, value_copy(heroku->arena, item));
		call.range = value_get_text(response.headers, "next-range", NULL);
		if (response.status != 206 || !call.range)
			return true;
	}
	return fail(err, ERROR_FAILED, "GET %s: the list has no end", path);
}

bool heroku_list(struct heroku *heroku, const char *path, struct value **list, struct error *err)
{
	return read_list(heroku, (struct call){.method = "GET", .base = heroku->url, .path = path},
	                 list, err);
}

bool heroku_list_included(struct heroku *heroku, const char *path, struct value **list,
                          struct error *err)
{
	struct call call = {.method = "GET", .base = heroku->url, .path = path, .included = true};

	return read_list(heroku, call, list, err);
}

bool heroku_newest(struct heroku *heroku, const char *path, int count, struct value **list,
                   struct error *err)
{
	struct call call = {
		.method = "GET",
		.base = heroku->url,
		.path = path,
		.range = arena_printf(heroku->arena, "version ..; order=desc,max=%d", count),
	};
	struct http_response response;

	return read_value(heroku, &call, list, &response, err) &&
	       (!*list || expect_list(path, *list, err));
}

/* ---- Writing ---- */

static enum heroku_outcome judge(struct heroku *heroku, const struct call *call,
                                 const struct http_response *response, struct value **answer,
                                 struct error *err)
{
	struct value *body = NULL;
	struct error ignored;

	if (response->status >= 200 && response->status < 300) {
		if (!decode(heroku, call, response, &body, err))
			return HEROKU_UNSURE;
		if (answer)
			*answer = body;
		return HEROKU_DONE;
	}
	if (!decode(heroku, call, response, &body, &ignored))
		body = NULL;
	say_no(call, response->status, body, err);
	if (response->status == 404)
		return HEROKU_ABSENT;
	return response->status >= 500 || response->status == 409 ? HEROKU_UNSURE : HEROKU_REFUSED;
}

static enum heroku_outcome write_once(struct heroku *heroku, const struct call *call,
                                      struct value **answer, struct error *err)
{
	struct http_response response;
	int rate_tries = 0;
	bool again = false;

	if (answer)
		*answer = NULL;
	do {
		if (!exchange(heroku, call, &response, err)) {
			bool unsure = response.reached && err->kind != ERROR_PLAN;
			return unsure ? HEROKU_UNSURE : HEROKU_REFUSED;
		}
		if (response.status == 429 && !pace(heroku, &response, &rate_tries, &again, err))
			return HEROKU_REFUSED;
	} while (response.status == 429);
	return judge(heroku, call, &response, answer, err);
}

enum heroku_outcome heroku_write(struct heroku *heroku, const char *method, const char *path,
                                 const struct value *body, struct value **answer, struct error *err)
{
	struct call call = {
		.method = method, .base = heroku->url, .path = path, .body = body, .writes = true};

	return write_once(heroku, &call, answer, err);
}

enum heroku_outcome heroku_data_write(struct heroku *heroku, const char *method, const char *path,
                                      const struct value *body, struct value **answer,
                                      struct error *err)
{
	struct call call = {.method = method,
	                    .base = heroku->data_url,
	                    .path = path,
	                    .body = body,
	                    .writes = true};

	return write_once(heroku, &call, answer, err);
}

bool heroku_must(struct heroku *heroku, const char *method, const char *path,
                 const struct value *body, struct value **answer, struct error *err)
{
	return heroku_write(heroku, method, path, body, answer, err) == HEROKU_DONE;
}

/* ---- Paths and answers ---- */

/* Only %s and %%: the arguments are escaped on the way in. */
char *heroku_path(struct heroku *heroku, const char *format, ...)
{
	struct text out = {0};
	va_list arguments;

	va_start(arguments, format);
	for (const char *c = format; *c; c++) {
		if (c[0] == '%' && c[1] == 's') {
			text_add(&out, http_escape(heroku->arena, va_arg(arguments, const char *)));
			c++;
		} else {
			text_put(&out, c, 1);
		}
	}
	va_end(arguments);
	char *path = arena_text(heroku->arena, text_string(&out));
	text_free(&out);
	return path;
}

const char *heroku_text_or_null(const struct value *answer, const char *path)
{
	return value_reveal(value_find(answer, path));
}

const char *heroku_text(const struct value *answer, const char *path, struct error *err)
{
	const char *text = heroku_text_or_null(answer, path);

	if (!text)
		fail(err, ERROR_FAILED, "Heroku's answer has no text at %s", path);
	return text;
}

bool heroku_number(const struct value *answer, const char *path, int64_t *number, struct error *err)
{
	const struct value *found = value_find(answer, path);

	if (!found || found->kind != VALUE_INT)
		return fail(err, ERROR_FAILED, "Heroku's answer has no number at %s", path);
	*number = found->as.number;
	return true;
}

int64_t heroku_time_ms(const char *text)
{
	struct tm parts = {0};
	const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) : NULL;

	return end ? (int64_t)timegm(&parts) * 1000 : -1;
}
