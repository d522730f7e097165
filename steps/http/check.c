/* SPDX-License-Identifier: MIT */
/* http.check: a URL answers as it should; and the check http.status. */
#include "steps/http/check.h"
#include "steps/http/client.h"

#include <ctype.h>
#include <string.h>

static const struct field fields[] = {
	{"url", FIELD_URL, FIELD_REQUIRED, NULL, NULL, "What is asked for, with GET."},
	{"status", FIELD_INT, 0, "200", NULL, "The status it must answer with."},
	{"header", FIELD_STRING, FIELD_MAP, NULL, NULL, "Headers that the answer must have."},
	{"timeout", FIELD_DURATION, 0, "10s", NULL, "How long one answer may take."},
	{"connection", FIELD_CONNECTION, 0, NULL, NULL,
         "Of kind http; where there is only one, it is used without being named."},
	{0},
};

static const struct field connection_fields[] = {
	{"ca_file", FIELD_STRING, 0, NULL, NULL,
         "Certificates to trust instead of those of the system."},
	{"connect_to", FIELD_STRING, 0, NULL, NULL,
         "HOST:PORT:ADDRESS:PORT: go there instead, before DNS points there; an empty HOST or PORT "
         "stands for any."},
	{0},
};

const struct connection_kind http_connection = {
	.name = "http",
	.text = "How URLs are asked for; without one, as any client would.",
	.fields = connection_fields,
};

static const char *lower(struct arena *arena, const char *name)
{
	char *copy = arena_text(arena, name);

	for (char *c = copy; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return copy;
}

static bool ask(struct step *step, const char *url, int64_t timeout_ms,
                struct http_response *response, struct error *err)
{
	struct http_request request = {
		.method = "GET", .url = url, .timeout_ms = timeout_ms, .step = step};
	const char *name = value_get_text(step->with, "connection", NULL);

	if (name || step_connections(step, "http")->as.items.first) {
		const struct value *connection = step_connection(step, name, "http", err);
		if (!connection)
			return false;
		request.ca_file = value_get_text(connection, "ca_file", NULL);
		request.connect_to = value_get_text(connection, "connect_to", NULL);
	}
	return http_send(&request, response, step->arena, err) || fail_while(err, "%s", url);
}

static bool check_headers(struct step *step, const struct http_response *response,
                          struct error *err)
{
	const struct value *wanted = value_get(step->with, "header");

	for (const struct value *one = wanted ? wanted->as.items.first : NULL; one;
	     one = one->next) {
		const struct value *got =
			value_get(response->headers, lower(step->arena, one->key));
		if (value_equal(got, one))
			continue;
		return fail(err, ERROR_RETRY, "%s: header %s is %s and must be %s",
		            value_get_text(step->with, "url", ""), one->key,
		            got ? value_reveal(got) : "missing", value_reveal(one));
	}
	return true;
}

/* The look is the check: what is wrong now may be right at the next try. */
static bool observe(struct step *step, struct value *seen, struct error *err)
{
	const char *url = value_get_text(step->with, "url", "");
	int64_t wanted = value_get_number(step->with, "status", 200);
	struct http_response response = {0};

	if (!ask(step, url, value_get_number(step->with, "timeout", 0), &response, err))
		return false;
	value_set_number(step->arena, seen, "status", response.status);
	if (response.status != wanted)
		return fail(err, ERROR_RETRY, "%s answers %lld, not %lld", url,
		            (long long)response.status, (long long)wanted);
	return check_headers(step, &response, err);
}

static bool plan(struct step *step, const struct value *seen, struct changes *changes,
                 struct error *err)
{
	(void)step;
	(void)seen;
	(void)changes;
	(void)err;
	return true; /* it changes nothing */
}

static bool apply(struct step *step, const struct changes *changes, struct error *err)
{
	(void)step;
	(void)changes;
	(void)err;
	return true;
}

const struct step_module http_check = {
	.name = "http.check",
	.text = "Asks for a URL and looks at status and headers of the answer.",
	.traits = STEP_READ_ONLY,
	.reads = (const char *const[]){"http/url/${url}", NULL},
	.fields = fields,
	.observe = observe,
	.plan = plan,
	.apply = apply,
};

static bool measure_status(struct step *step, const struct value *of, struct reading *reading,
                           struct error *err)
{
	struct http_response response = {0};

	if (!ask(step, value_reveal(of), 10000, &response, err))
		return false;
	reading->value = value_number(step->arena, response.status);
	return true;
}

const struct metric http_metrics[] = {
	{"http.status", METRIC_NUMBER, "", OF_TEXT, "The status that a URL answers with.",
         measure_status},
	{0},
};
