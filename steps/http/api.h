/* SPDX-License-Identifier: MIT */
/* A provider's HTTP API: bodies, pacing, tries, and what a write that got no clear answer means.
 * Credentials go to the base URL alone: redirects are not followed. */
#ifndef PLAN_HTTP_API_H
#define PLAN_HTTP_API_H

#include "steps/http/client.h"

#include <stdarg.h>

/* What an answer that says no means. */
struct api_refusal {
	enum error_kind kind;     /* from the status; the provider may know better */
	const char *id, *message; /* what the provider calls it, and says about it; "" when it does
	                           * not */
};

struct api {
	struct step *step;
	struct arena *arena;
	const char *name;             /* "Heroku", for messages */
	const char *connection;       /* whose credentials they are, for messages; or NULL */
	const char *const *headers;   /* of every call, NULL-ended; or NULL */
	const struct http_sign *sign; /* NULL: not signed */
	const char *ca_file;          /* instead of the system's; NULL */
	/* Reads the provider's own form of an error. */
	void (*explain)(const struct api *api, const struct http_response *response,
	                struct api_refusal *refusal);
};

struct api_call {
	const char *method, *base, *path; /* path begins with '/' */
	const char *const *headers;       /* of this call, NULL-ended; or NULL */
	const char *body, *content_type;  /* NULL: none */
};

enum api_outcome {
	API_DONE,    /* the effect is there */
	API_ABSENT,  /* 404; err is filled */
	API_UNSURE,  /* no clear answer (timeout, reset, 5xx, 409): look the effect up first; err is
	              * filled, ERROR_RETRY */
	API_REFUSED, /* a clear no; err is filled */
};

/* "GET api.heroku.com/apps/x", for messages. */
const char *api_name(const struct api *api, const struct api_call *call);

/* True for an answer 2xx or 404. Transport errors, 429 and what the provider means to be tried
 * again are, a few times; then ERROR_RETRY. */
bool api_read(struct api *api, const struct api_call *call, struct http_response *response,
              struct error *err);

/* Only 429 is tried again. */
enum api_outcome api_write(struct api *api, const struct api_call *call,
                           struct http_response *response, struct error *err);

/* The body as JSON. *answer is NULL when there is none. */
bool api_json(const struct api *api, const struct api_call *call,
              const struct http_response *response, struct value **answer, struct error *err);

/* The same for error bodies, which may be anything: NULL when it is no JSON. */
struct value *api_json_or_null(const struct api *api, const struct http_response *response);

/* JSON to send: what is secret in it goes over the wire as it is. */
const char *api_body(struct arena *arena, const struct value *body);

/* "/apps/%s/domains": only %s, and every argument is escaped. */
char *api_path(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *api_vpath(struct arena *arena, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

#endif
