/* SPDX-License-Identifier: MIT */
/* One HTTP request with bounds; libcurl does the work. */
#include "steps/http/client.h"
#include "engine/base/address.h"
#include "engine/base/clock.h"
#include "engine/base/text.h"

#include <ctype.h>
#include <curl/curl.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 10000L
#define DEADLINE_MS 60000
#define SLOW_BYTES_PER_SECOND 1L
#define SLOW_SECONDS 30L
#define GRACE_MS 7000 /* what a write may still take after a stop */
#define HEADER_LIMIT ((size_t)256 * 1024)

struct exchange {
	const struct http_request *request;
	struct http_response *response;
	struct arena *arena;
	struct text body, headers;
	int64_t stop_seen_ms;
	bool stopped;
};

static bool check_parts(const char *scheme, const char *host, const char *user, struct error *err)
{
	if (user)
		return fail(err, ERROR_PLAN, "a URL may not carry a user or password");
	if (strcmp(scheme, "https") == 0)
		return true;
	if (strcmp(scheme, "http") != 0)
		return fail(err, ERROR_PLAN, "%s:// is not allowed; use https://", scheme);
	if (address_is_loopback(host, strlen(host)))
		return true;
	return fail(
		err, ERROR_PLAN,
		"http:// is only for loopback addresses such as 127.0.0.1, not %s; use https://",
		host);
}

bool http_url_allowed(const char *url, struct error *err)
{
	CURLU *parsed = curl_url();
	char *scheme = NULL, *host = NULL, *user = NULL;
	bool allowed;

	if (!parsed || curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) ||
	    curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) ||
	    curl_url_get(parsed, CURLUPART_HOST, &host, 0)) {
		allowed = fail(err, ERROR_PLAN, "%s is no URL", url);
	} else {
		curl_url_get(parsed, CURLUPART_USER, &user, 0);
		allowed = check_parts(scheme, host, user, err);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(user);
	curl_url_cleanup(parsed);
	return allowed;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct exchange *exchange = context;

	exchange->response->reached = true;
	return text_put(&exchange->body, data, size * count) ? size * count : 0;
}

/* A new status line begins the headers anew: those of "100 Continue" do not count. */
static size_t take_header(char *data, size_t size, size_t count, void *context)
{
	struct exchange *exchange = context;
	size_t length = size * count;
	const char *colon = memchr(data, ':', length);

	exchange->response->reached = true;
	if (!text_put(&exchange->headers, data, length))
		return 0;
	if (length > 5 && strncmp(data, "HTTP/", 5) == 0)
		exchange->response->headers = value_map(exchange->arena);
	if (!colon || !exchange->response->headers)
		return length;
	char *name = arena_text_n(exchange->arena, data, (size_t)(colon - data));
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	const char *end = data + length, *from = colon + 1;
	while (from < end && (*from == ' ' || *from == '\t'))
		from++;
	while (end > from && isspace((unsigned char)end[-1]))
		end--;
	value_set_text(exchange->arena, exchange->response->headers, name,
	               arena_text_n(exchange->arena, from, (size_t)(end - from)));
	return length;
}

/* The body went out: from here on the other side may have acted. */
static int watch_progress(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all,
                          curl_off_t up)
{
	struct exchange *exchange = context;

	(void)down_all, (void)down, (void)up_all, (void)up;
	if (!exchange->request->step || !step_stopping(exchange->request->step))
		return 0;
	if (!exchange->stop_seen_ms)
		exchange->stop_seen_ms = clock_real_ms();
	if (exchange->request->writes && clock_real_ms() - exchange->stop_seen_ms < GRACE_MS)
		return 0;
	exchange->stopped = true;
	return 1;
}

static bool check_headers(const struct http_request *request, struct error *err)
{
	for (const char *const *header = request->headers; header && *header; header++)
		if (strpbrk(*header, "\r\n"))
			return fail(err, ERROR_PLAN,
			            "the header %.*s would hold a line break; see to the secret or "
			            "field it is made of",
			            (int)strcspn(*header, ":"), *header);
	return true;
}

static struct curl_slist *make_headers(const struct http_request *request)
{
	/* A signature covers every header named here, also one that only says to send none. */
	struct curl_slist *list = request->sign ? NULL : curl_slist_append(NULL, "Expect:");

	for (const char *const *header = request->headers; header && *header; header++)
		list = curl_slist_append(list, *header);
	return list;
}

static void set_options(CURL *handle, struct exchange *exchange)
{
	const struct http_request *request = exchange->request;
	int64_t deadline_ms = request->timeout_ms ? request->timeout_ms : DEADLINE_MS;

	curl_easy_setopt(handle, CURLOPT_URL, request->url);
	curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
	/* A proxy named in the environment would read what goes to loopback in the clear. */
	if (strncasecmp(request->url, "http:", 5) == 0)
		curl_easy_setopt(handle, CURLOPT_PROXY, "");
	curl_easy_setopt(handle, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, (long)deadline_ms);
	curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES_PER_SECOND);
	curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, SLOW_SECONDS);
	curl_easy_setopt(handle, CURLOPT_USERAGENT, "plan/" PLAN_VERSION);
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(handle, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(handle, CURLOPT_HEADERDATA, exchange);
	curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, watch_progress);
	curl_easy_setopt(handle, CURLOPT_XFERINFODATA, exchange);
	curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
	if (strcmp(request->method, "HEAD") == 0)
		curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
	if (request->body)
		curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request->body);
	if (request->sign) {
		curl_easy_setopt(handle, CURLOPT_AWS_SIGV4, request->sign->scope);
		curl_easy_setopt(handle, CURLOPT_USERNAME, request->sign->id);
		curl_easy_setopt(handle, CURLOPT_PASSWORD, request->sign->secret);
	}
	if (request->ca_file)
		curl_easy_setopt(handle, CURLOPT_CAINFO, request->ca_file);
}

/* What libcurl reports, what it means, and what a person can do about it. */
static const struct trouble {
	CURLcode code;
	enum error_kind kind;
	bool left; /* the request may have got there */
	const char *text, *advice;
} troubles[] = {
	{CURLE_PEER_FAILED_VERIFICATION, ERROR_REFUSED, false, "the certificate was not accepted",
         "the server must show a valid one for this name; ca_file names an authority of your own"},
	{CURLE_SSL_CACERT_BADFILE, ERROR_REFUSED, false, "ca_file cannot be used",
         "it must name certificates in PEM"},
	{CURLE_SSL_CONNECT_ERROR, ERROR_RETRY, false, "no TLS connection",
         "is it the right server and port, and does it speak TLS 1.2 or later?"},
	{CURLE_COULDNT_RESOLVE_HOST, ERROR_RETRY, false, "no such name",
         "is the URL right, and does DNS answer here?"},
	{CURLE_COULDNT_CONNECT, ERROR_RETRY, false, "no connection",
         "is it the right server and port, and does it run?"},
	{CURLE_URL_MALFORMAT, ERROR_PLAN, false, "no such URL", "correct it in the plan"},
	{CURLE_OPERATION_TIMEDOUT, ERROR_RETRY, true, "no whole answer in time",
         "is the server well, and is it the right one?"},
};

static const struct trouble *find_trouble(CURLcode code)
{
	static const struct trouble other = {CURLE_OK, ERROR_RETRY, true, "no whole answer",
	                                     "is the server well, and is it the right one?"};

	for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++)
		if (troubles[i].code == code)
			return &troubles[i];
	return &other;
}

static bool explain(struct exchange *exchange, CURLcode code, const char *detail, struct error *err)
{
	const struct trouble *trouble = find_trouble(code);

	if (exchange->stopped)
		return fail(err, ERROR_CANCELLED, "stopped during the call");
	if (exchange->body.full)
		return fail(err, ERROR_FAILED,
		            "the answer is larger than %zu MiB; is it the right server?",
		            HTTP_RESPONSE_LIMIT >> 20);
	if (exchange->headers.full)
		return fail(err, ERROR_FAILED,
		            "the headers of the answer are larger than %zu KiB; is it the right "
		            "server?",
		            HEADER_LIMIT >> 10);
	return fail(err, trouble->kind, "%s: %s; %s", trouble->text,
	            detail[0] ? detail : curl_easy_strerror(code), trouble->advice);
}

static bool perform(CURL *handle, struct exchange *exchange, struct error *err)
{
	char detail[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = make_headers(exchange->request), *to = NULL;
	long status = 0;

	set_options(handle, exchange);
	curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, detail);
	curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
	if (exchange->request->connect_to) {
		to = curl_slist_append(NULL, exchange->request->connect_to);
		curl_easy_setopt(handle, CURLOPT_CONNECT_TO, to);
	}
	CURLcode code = curl_easy_perform(handle);
	curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	curl_slist_free_all(to);
	if (find_trouble(code)->left)
		exchange->response->reached = true;
	if (code != CURLE_OK)
		return explain(exchange, code, detail, err);
	exchange->response->status = status;
	return true;
}

bool http_send(const struct http_request *request, struct http_response *response,
               struct arena *arena, struct error *err)
{
	struct exchange exchange = {.request = request, .response = response, .arena = arena};

	*response = (struct http_response){.headers = value_map(arena), .body = ""};
	exchange.body.limit = HTTP_RESPONSE_LIMIT;
	exchange.headers.limit = HEADER_LIMIT;
	if (!http_url_allowed(request->url, err) || !check_headers(request, err))
		return false;
	CURL *handle = curl_easy_init();
	if (!handle)
		return fail(err, ERROR_RETRY, "libcurl could not be started");
	bool sent = perform(handle, &exchange, err);
	curl_easy_cleanup(handle);
	response->length = exchange.body.length;
	response->body = arena_text_n(arena, text_string(&exchange.body), exchange.body.length);
	text_free(&exchange.body);
	text_free(&exchange.headers);
	return sent;
}

const char *http_server(struct arena *arena, const char *url)
{
	CURLU *parsed = curl_url();
	char *host = NULL, *port = NULL;
	const char *server = url;

	if (parsed && !curl_url_set(parsed, CURLUPART_URL, url, 0) &&
	    !curl_url_get(parsed, CURLUPART_HOST, &host, 0)) {
		curl_url_get(parsed, CURLUPART_PORT, &port, 0);
		server = arena_printf(arena, "%s%s%s", host, port ? ":" : "", port ? port : "");
	}
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parsed);
	return server;
}

char *http_escape(struct arena *arena, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *out = arena_alloc(arena, 3 * strlen(text) + 1), *to = out;

	for (const unsigned char *from = (const unsigned char *)text; *from; from++) {
		if (isalnum(*from) || strchr("-._~", *from)) {
			*to++ = (char)*from;
			continue;
		}
		*to++ = '%';
		*to++ = digits[*from >> 4];
		*to++ = digits[*from & 15];
	}
	return out;
}
