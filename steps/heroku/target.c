/* SPDX-License-Identifier: MIT */
/* Where the value of a config var leads. */
#include "steps/heroku/target.h"
#include "engine/base/text.h"

#include <ctype.h>
#include <curl/curl.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PASSWORD_LEAST 16 /* characters; a shorter text may stand in a value by chance */
#define URL_END " \t\r\n\"'`<>"

/* Lists of hosts and ports as libpq has them: "a,b" and "1,2"; "" stands for the default. */
struct target {
	char *hosts, *ports, *database;
	const char *default_port; /* NULL: of a scheme that we do not know */
	bool is_web;              /* one host serves many there, told apart by the path */
};

static const struct {
	const char *scheme, *port;
	bool is_web;
} schemes[] = {
	{"postgres", "5432", false}, {"postgresql", "5432", false}, {"postgis", "5432", false},
	{"redis", "6379", false},    {"rediss", "6379", false},     {"mysql", "3306", false},
	{"mongodb", "27017", false}, {"amqp", "5672", false},       {"amqps", "5671", false},
	{"http", "80", true},        {"https", "443", true},
};

static void forget(struct target *target)
{
	free(target->hosts);
	free(target->ports);
	free(target->database);
	*target = (struct target){0};
}

static char *keep(const char *text)
{
	char *copy = strdup(text ? text : "");

	if (!copy)
		abort();
	return copy;
}

/* ---- Reading: libpq's connection strings ---- */

static const char *option_of(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val;
	return NULL;
}

static bool read_conninfo(const char *conninfo, struct target *target)
{
	char *wrong = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &wrong);

	PQfreemem(wrong);
	if (!options)
		return false;
	const char *host = option_of(options, "host"), *address = option_of(options, "hostaddr");
	target->hosts = keep(host && host[0] ? host : address);
	target->ports = keep(option_of(options, "port"));
	target->database = keep(option_of(options, "dbname"));
	target->default_port = "5432";
	PQconninfoFree(options);
	return true;
}

/* Drivers have parameters of their own (?pool=25), which libpq does not take. */
static void add_query(struct text *out, const char *query)
{
	static const char *const known[] = {"host=", "hostaddr=", "port=", "dbname="};
	char mark = '?';

	while (*query) {
		size_t length = strcspn(query, "&");
		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			if (strncasecmp(query, known[i], strlen(known[i])) == 0) {
				text_format(out, "%c%.*s", mark, (int)length, query);
				mark = '&';
			}
		query += length + (query[length] == '&');
	}
}

static bool read_postgres(const char *rest, struct target *target)
{
	struct text uri = {0};
	size_t length = strcspn(rest, "?#");

	text_format(&uri, "postgresql://%.*s", (int)length, rest);
	if (rest[length] == '?')
		add_query(&uri, rest + length + 1);
	bool read = read_conninfo(text_string(&uri), target);
	text_free(&uri);
	return read;
}

/* ---- Reading: any URL ---- */

static char *part_of(CURLU *parsed, CURLUPart part)
{
	char *found = NULL;

	if (curl_url_get(parsed, part, &found, CURLU_URLDECODE) != CURLUE_OK)
		return keep("");
	char *copy = keep(found);
	curl_free(found);
	return copy;
}

static bool read_any(const char *url, struct target *target)
{
	CURLU *parsed = curl_url();
	bool read = parsed &&
	            curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;

	if (read) {
		target->hosts = part_of(parsed, CURLUPART_HOST);
		target->ports = part_of(parsed, CURLUPART_PORT);
		target->database = part_of(parsed, CURLUPART_PATH);
		memmove(target->database, target->database + (target->database[0] == '/'),
		        strlen(target->database + (target->database[0] == '/')) + 1);
	}
	curl_url_cleanup(parsed);
	return read;
}

/* url begins with its scheme. */
static bool read_url(const char *url, struct target *target)
{
	const char *rest = strstr(url, "://");
	size_t length = rest ? (size_t)(rest - url) : 0;

	*target = (struct target){0};
	if (!rest)
		return false;
	/* Drivers go after a plus: postgresql+asyncpg. */
	size_t base = strcspn(url, "+") < length ? strcspn(url, "+") : length;
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (strlen(schemes[i].scheme) == base &&
		    strncasecmp(schemes[i].scheme, url, base) == 0) {
			target->default_port = schemes[i].port;
			target->is_web = schemes[i].is_web;
		}
	if (target->default_port && strcmp(target->default_port, "5432") == 0 &&
	    read_postgres(rest + 3, target))
		return true;
	return read_any(url, target);
}

/* ---- Comparing ---- */

/* Item number n of "a,b,c", without spaces and the dot at the end of a full name. */
static const char *item_of(const char *list, size_t n, size_t *length)
{
	for (; n && list; n--) {
		const char *comma = strchr(list, ',');
		list = comma ? comma + 1 : NULL;
	}
	if (!list)
		return NULL;
	*length = strcspn(list, ",");
	while (*length && isspace((unsigned char)list[*length - 1]))
		(*length)--;
	if (*length > 1 && list[*length - 1] == '.')
		(*length)--;
	return list;
}

/* One port stands for all hosts. */
static const char *port_of(const struct target *target, size_t n, size_t *length)
{
	const char *port = strchr(target->ports, ',') ? item_of(target->ports, n, length)
	                                              : item_of(target->ports, 0, length);

	if (port && *length)
		return port;
	*length = target->default_port ? strlen(target->default_port) : 0;
	return target->default_port;
}

static bool same_port(const struct target *a, size_t n, const struct target *b, size_t m)
{
	size_t length_a, length_b;
	const char *port_a = port_of(a, n, &length_a), *port_b = port_of(b, m, &length_b);

	if (!port_a || !port_b)
		return true; /* a default that we do not know */
	return length_a == length_b && strncmp(port_a, port_b, length_a) == 0;
}

static bool same_database(const struct target *a, const struct target *b)
{
	bool one_is_open = !a->database[0] || !b->database[0];

	return strcmp(a->database, b->database) == 0 || (one_is_open && !a->is_web && !b->is_web);
}

static bool same_target(const struct target *a, const struct target *b)
{
	size_t length_a, length_b;
	const char *host_a, *host_b;

	if (!same_database(a, b))
		return false;
	for (size_t n = 0; (host_a = item_of(a->hosts, n, &length_a)); n++)
		for (size_t m = 0; (host_b = item_of(b->hosts, m, &length_b)); m++)
			if (length_a && length_a == length_b &&
			    strncasecmp(host_a, host_b, length_a) == 0 && same_port(a, n, b, m))
				return true;
	return false;
}

/* ---- What may stand in a text ---- */

static const char *scheme_before(const char *text, const char *colon)
{
	while (colon > text && (isalnum((unsigned char)colon[-1]) || strchr("+.-", colon[-1])))
		colon--;
	return colon;
}

/* Each URL in it; one ends where the next begins. */
static bool any_url_is(const char *text, const struct target *wanted)
{
	bool same = false;

	for (const char *colon = strstr(text, "://"); colon && !same;) {
		const char *begin = scheme_before(text, colon), *next = strstr(colon + 3, "://");
		size_t length = strcspn(begin, URL_END);
		const char *end = next ? scheme_before(colon + 3, next) : begin + length;
		if ((size_t)(end - begin) < length)
			length = (size_t)(end - begin);
		while (length && strchr(",;|", begin[length - 1]))
			length--;
		char *url = strndup(begin, length);
		struct target found = {0};
		same = url && read_url(url, &found) && same_target(&found, wanted);
		forget(&found);
		free(url);
		colon = next;
	}
	return same;
}

static bool keywords_are(const char *text, const struct target *wanted)
{
	struct target found = {0};
	bool same = strchr(text, '=') && read_conninfo(text, &found) && same_target(&found, wanted);

	forget(&found);
	return same;
}

/* host, host:port, user@host:port/database */
static bool bare_host_is(const char *text, const struct target *wanted)
{
	struct target found = {0};
	struct text url = {0};

	if (strpbrk(text, URL_END "="))
		return false;
	text_format(&url, "any://%s", text);
	bool same = read_url(text_string(&url), &found) && same_target(&found, wanted) &&
	            (found.ports[0] || strcasecmp(found.hosts, "localhost") != 0);
	forget(&found);
	text_free(&url);
	return same;
}

bool target_is_same(const char *text, const char *url)
{
	struct target wanted = {0};

	bool same = read_url(url, &wanted) && wanted.hosts[0] &&
	            (any_url_is(text, &wanted) ||
	             (!strstr(text, "://") && !wanted.is_web &&
	              (keywords_are(text, &wanted) || bare_host_is(text, &wanted))));
	forget(&wanted);
	return same;
}

bool target_holds_password(const char *text, const char *url)
{
	CURLU *parsed = curl_url();
	char *password = NULL;

	bool holds =
		parsed && strstr(url, "://") &&
		curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
		curl_url_get(parsed, CURLUPART_PASSWORD, &password, 0) == CURLUE_OK &&
		strlen(password) >= PASSWORD_LEAST && strstr(text, password);
	curl_free(password);
	curl_url_cleanup(parsed);
	return holds;
}
