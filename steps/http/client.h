/* SPDX-License-Identifier: MIT */
/* One HTTP request with bounds: https only (http to a literal loopback address), TLS 1.2 or later,
 * no redirects, a deadline, a limit on what comes back, and an ear for a stop. */
#ifndef PLAN_HTTP_CLIENT_H
#define PLAN_HTTP_CLIENT_H

#include "engine/step.h"

#define HTTP_RESPONSE_LIMIT ((size_t)8 * 1024 * 1024)

/* Signed with AWS Signature Version 4. */
struct http_sign {
	const char *scope; /* "aws:amz:REGION:SERVICE" */
	const char *id, *secret;
};

struct http_request {
	const char *method; /* "GET" */
	const char *url;
	const char *const *headers;   /* "Name: value", NULL-ended; or NULL */
	const char *body;             /* NULL: none */
	const struct http_sign *sign; /* NULL: not signed */
	bool writes;        /* a stop lets it finish for a few seconds; otherwise it ends at once */
	int64_t timeout_ms; /* for the whole exchange; 0: 60 s */
	const char *ca_file;    /* instead of the system's; NULL */
	const char *connect_to; /* "HOST:PORT:ADDRESS:PORT", as libcurl reads it; NULL */
	struct step *step;      /* whose stop is listened for; NULL: nobody's */
};

struct http_response {
	int64_t status;
	struct value *headers; /* MAP: lower-case name -> TEXT, the last one of a name */
	const char *body;      /* ends in NUL */
	size_t length;
	bool reached; /* the request may have got there: also set when false was returned */
};

/* True when a whole answer came, whatever its status. False: ERROR_PLAN for a URL that is not
 * allowed, ERROR_CANCELLED for a stop, ERROR_REFUSED for a certificate that does not hold,
 * ERROR_FAILED for an answer beyond the limit, else ERROR_RETRY. All results live in the arena. */
bool http_send(const struct http_request *request, struct http_response *response,
               struct arena *arena, struct error *err);

/* https, or http to 127.0.0.0/8 or [::1]; no user or password inside. */
bool http_url_allowed(const char *url, struct error *err);

/* "api.heroku.com" or "localhost:8443", for messages. */
const char *http_server(struct arena *arena, const char *url);

/* One segment of a path or one value of a query, percent-encoded. */
char *http_escape(struct arena *arena, const char *text);

#endif
