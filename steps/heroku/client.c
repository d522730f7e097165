/* SPDX-License-Identifier: MIT */
/* The Platform API and the Data API of Heroku. */
#include "steps/heroku/client.h"
#include "steps/http/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
static void explain(const struct api *api, const struct http_response *response,
                    struct api_refusal *refusal)
{
	const struct value *body = api_json_or_null(api, response);

	refusal->id = value_get_text(body, "id", "");
	refusal->message = value_get_text(body, "message", value_get_text(body, "error", ""));
	if (strcmp(refusal->id, "confirmation_required") == 0 ||
	    strncmp(refusal->id, "verification_", 13) == 0)
		refusal->kind = ERROR_REFUSED;
	else if (response->status == 422 && strcmp(refusal->id, "unprocessable_entity") == 0)
		refusal->kind = ERROR_RETRY;
}

/* ---- One call ---- */

/* The call as any API takes it; headers has room for what is put together here. */
static struct api_call make_call(struct heroku *heroku, const struct call *call,
                                 const char *headers[4])
{
	struct arena *arena = heroku->arena;

	headers[0] = call->included ? "Accept: application/vnd.heroku+json; version=3.sdk"
	                            : "Accept: application/vnd.heroku+json; version=3";
	headers[1] =
		call->included ? "Accept-Inclusion: addon:plan,config_vars" : "Accept-Inclusion:";
	headers[2] = call->range ? arena_printf(arena, "Range: %s", call->range) : NULL;
	headers[3] = NULL;
	return (struct api_call){
		.method = call->method,
		.base = call->base,
		.path = call->path,
		.headers = headers,
		.body = call->body ? api_body(arena, call->body) : NULL,
		.content_type = "application/json",
	};
}

static struct api api_of(struct heroku *heroku, const char *headers[2])
{
	headers[0] = arena_printf(heroku->arena, "Authorization: Bearer %s", heroku->token);
	headers[1] = NULL;
	return (struct api){
		.step = heroku->step,
		.arena = heroku->arena,
		.name = "Heroku",
		.headers = headers,
		.ca_file = heroku->ca_file,
		.explain = explain,
	};
}

/* ---- Reading ---- */

static bool read_value(struct heroku *heroku, const struct call *call, struct value **found,
                       struct http_response *response, struct error *err)
{
	const char *common[2], *own[4];
	struct api api = api_of(heroku, common);
	struct api_call made = make_call(heroku, call, own);

	*found = NULL;
	if (!api_read(&api, &made, response, err))
		return false;
	if (response->status == 404)
		return true;
	if (!response->length) /* nothing said is not "there is nothing" */
		return fail(err, ERROR_RETRY, "%s: the answer is empty", api_name(&api, &made));
	return api_json(&api, &made, response, found, err);
}

static bool expect(enum value_kind kind, struct heroku *heroku, const char *path,
                   const struct value *answer, struct error *err)
{
	if (answer->kind == kind)
		return true;
	return fail(err, ERROR_FAILED, "GET %s%s: expected a %s, got a %s",
	            http_server(heroku->arena, heroku->url), path, value_kind_name(kind),
	            value_kind_name(answer->kind));
}

bool heroku_get(struct heroku *heroku, const char *path, struct value **found, struct error *err)
{
	struct call call = {.method = "GET", .base = heroku->url, .path = path};
	struct http_response response;

	return read_value(heroku, &call, found, &response, err) &&
	       (!*found || expect(VALUE_MAP, heroku, path, *found, err));
}

bool heroku_data_get(struct heroku *heroku, const char *path, struct value **found,
                     struct error *err)
{
	struct call call = {.method = "GET", .base = heroku->data_url, .path = path};
	struct http_response response;

	return read_value(heroku, &call, found, &response, err);
}

static bool read_list(struct heroku *heroku, struct call call, struct value **list,
                      struct error *err)
{
	const char *path = call.path;
	struct http_response response;
	struct value *page;
	size_t length = 0;

	*list = NULL;
	for (int pages = 0; pages < PAGES_MAX; pages++) {
		if (!read_value(heroku, &call, &page, &response, err))
			return false;
		if (!page)
			return true;
		if (!expect(VALUE_LIST, heroku, path, page, err))
			return false;
		if ((length += response.length) > HTTP_RESPONSE_LIMIT)
			break;
		if (!*list)
			*list = value_list(heroku->arena);
		for (struct value *item = page->as.items.first; item; item = item->next)
			value_add(*list, value_copy(heroku->arena, item));
		call.range = value_get_text(response.headers, "next-range", NULL);
		if (response.status != 206 || !call.range)
			return true;
	}
	return fail(err, ERROR_FAILED, "GET %s%s: the list has no end",
	            http_server(heroku->arena, heroku->url), path);
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
	       (!*list || expect(VALUE_LIST, heroku, path, *list, err));
}

/* ---- Writing ---- */

static enum heroku_outcome write_once(struct heroku *heroku, const struct call *call,
                                      struct value **answer, struct error *err)
{
	const char *common[2], *own[4];
	struct api api = api_of(heroku, common);
	struct api_call made = make_call(heroku, call, own);
	struct http_response response;
	struct value *body = NULL;

	if (answer)
		*answer = NULL;
	enum api_outcome outcome = api_write(&api, &made, &response, err);
	if (outcome == API_DONE && !api_json(&api, &made, &response, &body, err))
		outcome = API_UNSURE;
	if (answer)
		*answer = body;
	return (enum heroku_outcome)outcome;
}

enum heroku_outcome heroku_write(struct heroku *heroku, const char *method, const char *path,
                                 const struct value *body, struct value **answer, struct error *err)
{
	struct call call = {.method = method, .base = heroku->url, .path = path, .body = body};

	return write_once(heroku, &call, answer, err);
}

enum heroku_outcome heroku_data_write(struct heroku *heroku, const char *method, const char *path,
                                      const struct value *body, struct value **answer,
                                      struct error *err)
{
	struct call call = {.method = method, .base = heroku->data_url, .path = path, .body = body};

	return write_once(heroku, &call, answer, err);
}

bool heroku_must(struct heroku *heroku, const char *method, const char *path,
                 const struct value *body, struct value **answer, struct error *err)
{
	return heroku_write(heroku, method, path, body, answer, err) == HEROKU_DONE;
}

bool heroku_delete(struct heroku *heroku, const char *path, struct error *err)
{
	enum heroku_outcome outcome = heroku_write(heroku, "DELETE", path, NULL, NULL, err);

	return outcome == HEROKU_DONE || outcome == HEROKU_ABSENT;
}

/* ---- Paths and answers ---- */

char *heroku_path(struct heroku *heroku, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	char *path = api_vpath(heroku->arena, format, arguments);
	va_end(arguments);
	return path;
}

const char *heroku_text_or_null(const struct value *answer, const char *path)
{
	const char *text = value_reveal(value_find(answer, path));

	return text && text[0] ? text : NULL;
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
