/* SPDX-License-Identifier: MIT */
/* The connection `postgres` of a plan, and sessions on it. */
#include "steps/postgres/database.h"
#include "engine/base/text.h"
#include "engine/registry.h"
#include "steps/postgres/query.h"

#include <ctype.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>

#define SYSTEM_CERTIFICATES "/etc/ssl/certs/ca-certificates.crt"

static const struct field fields[] = {
	{"url", FIELD_SECRET, FIELD_REQUIRED, NULL, NULL,
         "The connection string, as libpq takes it: postgres://user:password@host/database, or "
         "keywords. It must lead to the server itself, not through a transaction pooler."},
	{0},
};

const struct connection_kind postgres_connection = {
	.name = "postgres",
	.text = "A PostgreSQL database, 13 to 18.",
	.fields = fields,
};

/* ---- Connection strings ---- */

/* What newer or other clients know and this libpq does not: taken out before it reads the string.
 */
static const struct {
	const char *name;
	int since; /* PQlibVersion() that knows it; 0: none does */
	const char *note;
} foreign[] = {
	{"sslnegotiation", 170000, "sslnegotiation is left out: TLS is negotiated the usual way"},
	{"pgbouncer", 0, "pgbouncer is left out: it is a mark for other clients"},
};

static void add_note(struct arena *arena, struct database *database, const char *note)
{
	database->note =
		database->note ? arena_printf(arena, "%s; %s", database->note, note) : note;
}

static char *past_spaces(char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return at;
}

/* Past the value that begins at `at`, as libpq reads it. */
static char *end_of_value(char *at, bool uri)
{
	if (uri)
		return at + strcspn(at, "&");
	bool quoted = *at == '\'';
	for (at += quoted; *at && (quoted ? *at != '\'' : !isspace((unsigned char)*at)); at++)
		if (*at == '\\' && at[1])
			at++;
	return quoted && *at ? at + 1 : at;
}

/* The parameters of a URI; a password before the @ may hold a question mark. */
static char *begin_of_parameters(char *uri)
{
	char *at = strstr(uri, "://") + 3, *host = at + strcspn(at, "@/");

	at = strchr(*host == '@' ? host : at, '?');
	return at ? at + 1 : NULL;
}

/* Where the keyword begins; what only looks like it inside of a value is none. */
static char *find_keyword(char *text, const char *name, bool uri)
{
	char *at = uri ? begin_of_parameters(text) : past_spaces(text);

	while (at && *at) {
		size_t length = strcspn(at, uri ? "=&" : "= \t\n\v\f\r");
		char *equals = uri ? at + length : past_spaces(at + length);
		if (*equals != '=')
			return NULL;
		if (length == strlen(name) && strncmp(at, name, length) == 0)
			return at;
		at = end_of_value(uri ? equals + 1 : past_spaces(equals + 1), uri);
		at = uri ? at + (*at == '&') : past_spaces(at);
	}
	return NULL;
}

static char *value_of(char *keyword, bool uri)
{
	char *value = strchr(keyword, '=') + 1;

	return uri ? value : past_spaces(value);
}

static void take_out(char *at, bool uri)
{
	char *end = end_of_value(value_of(at, uri), uri);

	if (uri && *end == '&')
		end++;
	else if (uri && at[-1] == '&')
		at--;
	memmove(at, end, strlen(end) + 1);
}

static char *without_foreign(struct arena *arena, const char *url, struct database *database)
{
	char *text = arena_text(arena, url);
	bool uri = strncmp(text, "postgres://", 11) == 0 || strncmp(text, "postgresql://", 13) == 0;

	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		char *at = foreign[i].since && PQlibVersion() >= foreign[i].since
		                   ? NULL
		                   : find_keyword(text, foreign[i].name, uri);
		if (!at)
			continue;
		if (strcmp(foreign[i].name, "pgbouncer") == 0 &&
		    strncmp(value_of(at, uri) + (*value_of(at, uri) == '\''), "true", 4) == 0)
			database->pooled = "the connection string says pgbouncer=true";
		take_out(at, uri);
		add_note(arena, database, foreign[i].note);
	}
	return text;
}

static void put_option(struct text *out, const char *keyword, const char *value)
{
	text_format(out, "%s%s='", out->length ? " " : "", keyword);
	for (const char *at = value; *at; at++) {
		if (*at == '\'' || *at == '\\')
			text_put(out, "\\", 1);
		text_put(out, at, 1);
	}
	text_put(out, "'", 1);
}

/* The certificates of the system are a file for a libpq before 16, and verify-full goes with them.
 */
static const char *translated(struct arena *arena, struct database *database,
                              const PQconninfoOption *option, bool *system)
{
	if (strcmp(option->keyword, "sslrootcert") == 0 && strcmp(option->val, "system") == 0 &&
	    PQlibVersion() < 160000) {
		add_note(arena, database, "sslrootcert=system is read as " SYSTEM_CERTIFICATES);
		*system = true;
		return SYSTEM_CERTIFICATES;
	}
	return option->val;
}

static void keep(struct arena *arena, struct database *database, const char *keyword,
                 const char *value)
{
	const struct {
		const char *keyword;
		const char **place;
	} kept[] = {
		{"host", &database->host},
		{"port", &database->port},
		{"dbname", &database->dbname},
		{"user", &database->user},
	};

	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (strcmp(keyword, kept[i].keyword) == 0)
			*kept[i].place = arena_text(arena, value);
}

static void look_for_pooler(struct database *database)
{
	if (database->pooled)
		return;
	if (strcmp(database->port, "6432") == 0)
		database->pooled = "port 6432 is PgBouncer's; the server itself is at 5432";
	else if (strcmp(database->port, "5433") == 0 && strstr(database->host, "amazonaws.com"))
		database->pooled = "port 5433 is the connection pool of Heroku; take DATABASE_URL";
	else if (strstr(database->host, "-pooler.") || strstr(database->host, ".pooler."))
		database->pooled = "the host is a connection pooler";
}

bool database_understand(struct arena *arena, const char *name, const char *url,
                         struct database *database, struct error *err)
{
	struct text out = {0};
	char *wrong = NULL;
	bool system = false;

	*database =
		(struct database){.name = name, .host = "", .port = "", .dbname = "", .user = ""};
	PQconninfoOption *options = PQconninfoParse(without_foreign(arena, url, database), &wrong);
	if (!options) {
		/* The message may hold a part of the string, so it is not shown. */
		PQfreemem(wrong);
		return fail(err, ERROR_PLAN,
		            "the connection string of %s is not one that libpq understands: "
		            "postgres://user:password@host:port/database?sslmode=require, special "
		            "characters percent-encoded",
		            name);
	}
	for (const PQconninfoOption *one = options; one->keyword; one++) {
		if (!one->val)
			continue;
		const char *value = translated(arena, database, one, &system);
		if (strcmp(one->keyword, "sslmode") != 0 || !system)
			put_option(&out, one->keyword, value);
		keep(arena, database, one->keyword, value);
	}
	if (system)
		put_option(&out, "sslmode", "verify-full");
	PQconninfoFree(options);
	look_for_pooler(database);
	database->conninfo = arena_text(arena, text_string(&out));
	text_free(&out);
	return true;
}

bool database_find(struct step *step, const char *connection, struct database *database,
                   struct error *err)
{
	const struct value *found = step_connection(step, connection, "postgres", err);
	const char *url = value_reveal(value_get(found, "url"));

	if (!found)
		return false;
	if (!url)
		return fail(err, ERROR_PLAN, "the connection %s has no url", connection);
	return database_understand(step->arena, value_get_text(found, "name", connection), url,
	                           database, err);
}

/* ---- Sessions ---- */

/* A server asks after a silent client only every two hours by itself, and keeps its locks so long:
 * ours asks as often as we ask after the server. */
static const char pinned[] = "SET search_path = '';"
			     "SET tcp_keepalives_idle = 30;"
			     "SET tcp_keepalives_interval = 10;"
			     "SET tcp_keepalives_count = 3;"
			     "SET tcp_user_timeout = 60000;"
			     "SET timezone = 'UTC';"
			     "SET datestyle = 'ISO, YMD';"
			     "SET intervalstyle = 'postgres';"
			     "SET extra_float_digits = 1;"
			     "SET bytea_output = 'hex';"
			     "SET xmloption = 'content';"
			     "SET xmlbinary = 'base64';"
			     "SET lc_monetary = 'C';"
			     "SET client_encoding = 'UTF8';"
			     "SET row_security = off;"
			     "SET synchronous_commit = on;"
			     "SET check_function_bodies = off;"
			     "SET client_min_messages = 'warning';"
			     "SET default_transaction_isolation = 'read committed';"
			     "SET statement_timeout = 0;"
			     "SET idle_in_transaction_session_timeout = 0;"
			     "SET lock_timeout = '5s'";

/* Not in every version from 13 to 18: set where it is known. */
static const char pinned_if_known[] =
	"SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings "
	"WHERE name IN ('transaction_timeout', 'idle_session_timeout')";

/* Notices of the server are for its log. */
static void ignore_notice(void *context, const char *message)
{
	(void)context, (void)message;
}

const char *database_place(const struct database *database, struct arena *arena)
{
	return arena_printf(arena, "%s%s%s/%s", database->host, database->port[0] ? ":" : "",
	                    database->port, database->dbname);
}

static bool at_place(const struct database *database, struct error *err)
{
	return fail_while(err, "connect to %s (%s%s%s/%s)", database->name, database->host,
	                  database->port[0] ? ":" : "", database->port, database->dbname);
}

PGconn *database_connect(const struct database *database, const char *purpose, struct error *err)
{
	static const char *const keywords[] = {"connect_timeout",
	                                       "keepalives_idle",
	                                       "keepalives_interval",
	                                       "keepalives_count",
	                                       "tcp_user_timeout",
	                                       "fallback_application_name",
	                                       "dbname",
	                                       NULL};
	char name[64];
	const char *const values[] = {"10", "30", "10", "3", "60000", name, database->conninfo,
	                              NULL};

	snprintf(name, sizeof name, "plan%s%s", purpose ? " " : "", purpose ? purpose : "");
	PGconn *connection = PQconnectdbParams(keywords, values, 1);
	if (PQstatus(connection) == CONNECTION_OK) {
		PQsetNoticeProcessor(connection, ignore_notice, NULL);
		return connection;
	}
	query_failed(connection, NULL, err);
	PQfinish(connection);
	at_place(database, err);
	return NULL;
}

PGconn *database_open(const struct database *database, const char *purpose, struct error *err)
{
	PGconn *connection = database_connect(database, purpose, err);

	if (!connection ||
	    (query_run(connection, pinned, err) && query_run(connection, pinned_if_known, err)))
		return connection;
	PQfinish(connection);
	at_place(database, err);
	return NULL;
}
