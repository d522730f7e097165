/* SPDX-License-Identifier: MIT */
/* HTTP of the Platform API, the Data API and the control API. */
#include "engine/base/clock.h"
#include "steps/heroku/simulator/world.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct upload {
	char *data;
	size_t length;
};

enum { BODY_MOST = 4 * 1024 * 1024, PAGE = 200, POOL = 4500, REFILL_A_MINUTE = 75 };

static const struct route *const tables[] = {
	account_routes, app_routes,      config_routes,   addon_routes,   attachment_routes,
	dyno_routes,    release_routes,  setting_routes,  domain_routes,  certificate_routes,
	data_routes,    transfer_routes, schedule_routes, webhook_routes, team_routes,
	log_routes,     pipeline_routes, control_routes,
};

/* Fills part[]; they must be freed. */
static bool fits(struct call *call, const char *pattern)
{
	const char *path = call->path;
	size_t count = 0;

	for (; *pattern; pattern++) {
		if (*pattern != '?') {
			if (*path++ != *pattern)
				return false;
			continue;
		}
		size_t length = strcspn(path, "/");
		if (length == 0 || count >= PARTS_MOST)
			return false;
		free(call->part[count]);
		call->part[count] = strndup(path, length);
		MHD_http_unescape(call->part[count++]);
		path += length;
	}
	return *path == '\0';
}

static void dispatch(struct call *call)
{
	bool known = false;

	for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
		for (const struct route *route = tables[t]; route->method; route++) {
			if (!fits(call, route->path))
				continue;
			known = true;
			if (strcmp(route->method, call->method) == 0) {
				route->answer(call);
				return;
			}
		}
	refuse(call, known ? 405 : 404, "not_found", "The requested API endpoint was not found.");
}

static const char *header(const struct call *call, const char *name)
{
	const char *value = MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);

	return value ? value : "";
}

/* Calls of the rate limit come back with time. */
static void refill(struct world *world)
{
	int64_t now = clock_real_ms();
	int64_t back = (now - world->refilled_ms) * REFILL_A_MINUTE / 60000;

	if (back <= 0)
		return;
	world->refilled_ms = now;
	world->remaining += back;
	if (world->remaining > POOL)
		world->remaining = POOL;
}

static bool may_ask(struct call *call)
{
	const char *token = header(call, "Authorization");

	if (strncmp(call->path, "/_sim/", 6) == 0)
		return true;
	if (strlen(token) <= 7 ||
	    (strncmp(token, "Bearer ", 7) != 0 && strncmp(token, "Basic ", 6) != 0)) {
		refuse(call, 401, "unauthorized", "Invalid credentials provided.");
		return false;
	}
	if (strncmp(call->path, "/client/", 8) != 0 && strncmp(call->path, "/postgres/", 10) != 0 &&
	    !strstr(header(call, "Accept"), "version=3")) {
		refuse(call, 406, "not_acceptable",
		       "Ask for application/vnd.heroku+json; version=3.");
		return false;
	}
	if (call->unreadable) {
		refuse(call, 400, "bad_request", "Unable to parse the body as JSON.");
		return false;
	}
	refill(call->world);
	if (strcmp(call->path, "/account/rate-limits") != 0 && call->world->remaining > 0)
		call->world->remaining--;
	return true;
}

static void reverse(json_t *list)
{
	for (size_t i = 0, j = json_array_size(list); i + 1 < j; i++) {
		json_t *last = json_incref(json_array_get(list, j - 1));
		json_array_remove(list, j - 1);
		json_array_insert_new(list, i, last);
	}
}

/* "version ..; order=desc,max=1", and what we gave out ourselves: "id 200..; max=200". */
static char *page(struct call *call)
{
	const char *range = header(call, "Range"), *most = strstr(range, "max=");
	const char *order = strstr(range, "order=desc");
	size_t size = most ? (size_t)strtoul(most + 4, NULL, 10) : PAGE, first = 0;
	char *next = NULL;

	if (strncmp(range, "id ]", 4) == 0)
		first = (size_t)strtoul(range + 4, NULL, 10);
	if (size < 1 || size > 1000 || (*range && !strstr(range, ".."))) {
		refuse(call, 416, "requested_range_not_satisfiable",
		       "Write `id ..; max=N`, with max between 1 and 1000.");
		return NULL;
	}
	if (order)
		reverse(call->answer);
	for (size_t i = 0; i < first; i++)
		json_array_remove(call->answer, 0);
	if (json_array_size(call->answer) <= size)
		return NULL;
	while (json_array_size(call->answer) > size)
		json_array_remove(call->answer, size);
	if (asprintf(&next, "id ]%zu..; max=%zu%s", first + size, size,
	             order ? ",order=desc" : "") < 0)
		return NULL;
	call->status = 206;
	return next;
}

/* Of the text, so that the same answer has the same one. */
static void make_tag(const char *text, char *tag, size_t size)
{
	unsigned char hash[16];
	char hex[33];

	crypto_generichash(hash, sizeof hash, (const unsigned char *)text, strlen(text), NULL, 0);
	snprintf(tag, size, "\"%s\"", sodium_bin2hex(hex, sizeof hex, hash, sizeof hash));
}

static void add_headers(struct call *call, struct MHD_Response *response, const char *tag,
                        const char *next)
{
	json_t *id = new_id();
	char left[24];

	snprintf(left, sizeof left, "%lld", (long long)call->world->remaining);
	MHD_add_response_header(response, "Content-Type",
	                        call->plain ? "text/plain" : "application/json");
	MHD_add_response_header(response, "RateLimit-Remaining", left);
	MHD_add_response_header(response, "Request-Id", json_string_value(id));
	MHD_add_response_header(response, "ETag", tag);
	if (next)
		MHD_add_response_header(response, "Next-Range", next);
	if (call->status == 429)
		MHD_add_response_header(response, "Retry-After", "1");
	json_decref(id);
}

static ssize_t break_off(void *text, uint64_t at, char *out, size_t most)
{
	size_t length = strlen(text) / 2;

	if (at >= length)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	size_t size = length - at < most ? length - at : most;
	memcpy(out, (char *)text + at, size);
	return (ssize_t)size;
}

static enum MHD_Result send_answer(struct call *call, const char *next, bool half)
{
	char *text = call->plain ? strdup(call->plain)
	                         : json_dumps(call->answer,
	                                      JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
	char tag[48];
	struct MHD_Response *response;

	if (!text)
		return MHD_NO;
	make_tag(text, tag, sizeof tag);
	if (strcmp(call->method, "GET") == 0 && call->status < 300 &&
	    strcmp(header(call, "If-None-Match"), tag) == 0) {
		call->status = 304;
		text[0] = '\0';
		next = NULL;
	}
	response =
		half ? MHD_create_response_from_callback(strlen(text), 512, break_off, text, free)
		     : MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	add_headers(call, response, tag, next);
	enum MHD_Result result = MHD_queue_response(call->connection, call->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer(struct call *call)
{
	enum fault_outcome outcome = fault_strike(call, "before");
	char *next = NULL;

	if (outcome == FAULT_NONE) {
		if (may_ask(call))
			dispatch(call);
		outcome = fault_strike(call, "after");
	}
	if (outcome == FAULT_DROP)
		return MHD_NO;
	if (!call->answer)
		refuse(call, 500, "internal_server_error", "Nothing was answered.");
	if (call->status == 200 && json_is_array(call->answer) &&
	    strncmp(call->path, "/_sim", 5) != 0)
		next = page(call);
	enum MHD_Result result = send_answer(call, next, outcome == FAULT_HALF);
	free(next);
	return result;
}

// NOLINTNEXTLINE(readability-function-size): libmicrohttpd gives it eight parameters
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *size, void **state)
{
	struct upload *upload = *state;
	struct call call = {
		.world = context, .connection = connection, .method = method, .path = path};

	(void)version;
	if (!upload) {
		*state = calloc(1, sizeof *upload);
		return *state ? MHD_YES : MHD_NO;
	}
	if (*size) {
		char *grown = upload->length + *size < BODY_MOST
		                      ? realloc(upload->data, upload->length + *size)
		                      : NULL;
		if (!grown)
			return MHD_NO;
		memcpy(grown + upload->length, data, *size);
		upload->data = grown;
		upload->length += *size;
		*size = 0;
		return MHD_YES;
	}
	const char *inclusion = header(&call, "Accept-Inclusion");
	const char *expansion = header(&call, "Accept-Expansion");
	call.with_plan = strstr(inclusion, "addon:plan") != NULL;
	call.with_vars = strstr(inclusion, "config_vars") != NULL;
	call.expand_plan = strstr(expansion, "plan") != NULL;
	call.expand_service = strstr(expansion, "addon_service") != NULL;
	call.body = upload->length ? json_loadb(upload->data, upload->length, 0, NULL) : NULL;
	call.unreadable = upload->length && !call.body;
	pthread_mutex_lock(&call.world->lock);
	enum MHD_Result result = answer(&call);
	json_decref(call.answer);
	json_decref(call.body);
	free(call.plain);
	pthread_mutex_unlock(&call.world->lock);
	for (size_t i = 0; i < PARTS_MOST; i++)
		free(call.part[i]);
	return result;
}

static void forget(void *context, struct MHD_Connection *connection, void **state,
                   enum MHD_RequestTerminationCode why)
{
	struct upload *upload = *state;

	(void)context;
	(void)connection;
	(void)why;
	if (upload)
		free(upload->data);
	free(upload);
	*state = NULL;
}

/* Not yet: a part of the path may hold an encoded slash, as the URL of a log drain does. */
static size_t unescape(void *context, struct MHD_Connection *connection, char *text)
{
	(void)context;
	(void)connection;
	return strlen(text);
}

struct MHD_Daemon *server_start(struct world *world, int port, struct error *err)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_port = htons((uint16_t)port),
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct MHD_Daemon *daemon = MHD_start_daemon(
		MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL,
		handle, world, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_NOTIFY_COMPLETED, forget,
		NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)65536,
		MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL, MHD_OPTION_END);

	if (!daemon)
		fail(err, ERROR_FAILED, "the simulator cannot listen on port %d", port);
	return daemon;
}
