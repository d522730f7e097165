/* SPDX-License-Identifier: MIT */
/* Connection strings as services hand them out, and as nobody should write them. */
#include "engine/base/arena.h"
#include "engine/base/error.h"
#include "steps/postgres/database.h"

#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECRET "pscale_pw_c4n4ry"

static struct arena arena;

static struct database understood(const char *url)
{
	struct database database;
	struct error err = {0};

	if (!database_understand(&arena, "target", url, &database, &err))
		fail_msg("%s: %s", url, err.text);
	return database;
}

/* What libpq makes of what it is given; NULL where it has nothing of that name. */
static const char *option(const struct database *database, const char *keyword)
{
	char *wrong = NULL;
	PQconninfoOption *options = PQconninfoParse(database->conninfo, &wrong);
	const char *found = NULL;

	assert_non_null(options);
	for (const PQconninfoOption *one = options; one->keyword; one++)
		if (strcmp(one->keyword, keyword) == 0)
			found = arena_text(&arena, one->val);
	PQconninfoFree(options);
	return found;
}

static void assert_option(const struct database *database, const char *keyword, const char *wanted)
{
	const char *found = option(database, keyword);

	if (!wanted)
		assert_null(found);
	else
		assert_string_equal(found ? found : "(none)", wanted);
}

static void the_strings_of_services_are_understood(void **state)
{
	static const struct {
		const char *url, *host, *port, *user, *dbname, *sslmode;
		bool pooled;
	} strings[] = {
		{"postgresql://postgres.abc123:" SECRET "@aws-us-east-2-1.pg.psdb.cloud:5432/"
	         "postgres?sslmode=verify-full&sslrootcert=system",
	         "aws-us-east-2-1.pg.psdb.cloud", "5432", "postgres.abc123", "postgres",
	         "verify-full", false},
		{"postgresql://postgres.abc123:" SECRET "@aws-us-east-2-1.pg.psdb.cloud:5432/"
	         "postgres?sslnegotiation=direct&sslmode=verify-full"
	         "&sslrootcert=system",
	         "aws-us-east-2-1.pg.psdb.cloud", "5432", "postgres.abc123", "postgres",
	         "verify-full", false},
		{"postgresql://postgres.abc123:" SECRET "@aws-us-east-2-1.pg.psdb.cloud:6432/"
	         "postgres?sslmode=verify-full&sslrootcert=system"
	         "&sslnegotiation=direct",
	         "aws-us-east-2-1.pg.psdb.cloud", "6432", "postgres.abc123", "postgres",
	         "verify-full", true},
		{"host=aws-us-east-2-1.pg.psdb.cloud port=5432 user=postgres.abc123 "
	         "password=" SECRET
	         " dbname=postgres sslnegotiation=direct sslmode=verify-full sslrootcert=system",
	         "aws-us-east-2-1.pg.psdb.cloud", "5432", "postgres.abc123", "postgres",
	         "verify-full", false},
		{"postgres://u1abc:" SECRET "@ec2-52-1-2-3.compute-1.amazonaws.com:5432/d1abc",
	         "ec2-52-1-2-3.compute-1.amazonaws.com", "5432", "u1abc", "d1abc", NULL, false},
		{"postgres://u1abc:" SECRET "@ec2-52-1-2-3.compute-1.amazonaws.com:5433/d1abc",
	         "ec2-52-1-2-3.compute-1.amazonaws.com", "5433", "u1abc", "d1abc", NULL, true},
		{"postgres://u:" SECRET
	         "@ep-cool-1-pooler.us-east-2.aws.example.tech/db?sslmode=require",
	         "ep-cool-1-pooler.us-east-2.aws.example.tech", "", "u", "db", "require", true},
		{"postgres://u:" SECRET "@10.0.0.1/db?pgbouncer=true&sslmode=require", "10.0.0.1",
	         "", "u", "db", "require", true},
		{"postgres://u:" SECRET "@10.0.0.1/db?sslmode=require&pgbouncer=false", "10.0.0.1",
	         "", "u", "db", "require", false},
		{"postgres://u:" SECRET "@10.0.0.1/db?pgbouncer=false&"
	         "application_name=true",
	         "10.0.0.1", "", "u", "db", NULL, false},
		{"postgres://u:" SECRET "@[::1]:5432/db", "::1", "5432", "u", "db", NULL, false},
		{"postgres://u:" SECRET "@one.example.com:5432,two.example.com:5433/db?"
	         "target_session_attrs=read-write",
	         "one.example.com,two.example.com", "5432,5433", "u", "db", NULL, false},
		{"host=/var/run/postgresql dbname=db user=u password=" SECRET,
	         "/var/run/postgresql", "", "u", "db", NULL, false},
		{"dbname = db host = 10.0.0.1 sslnegotiation = direct user = u password = " SECRET,
	         "10.0.0.1", "", "u", "db", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		struct database database = understood(strings[i].url);
		assert_string_equal(database.host, strings[i].host);
		assert_string_equal(database.port, strings[i].port);
		assert_string_equal(database.user, strings[i].user);
		assert_string_equal(database.dbname, strings[i].dbname);
		assert_int_equal(database.pooled != NULL, strings[i].pooled);
		assert_option(&database, "password", SECRET);
		assert_option(&database, "host", strings[i].host);
		assert_option(&database, "sslmode", strings[i].sslmode);
		assert_null(strstr(database_place(&database, &arena), SECRET));
		assert_true(!database.note || !strstr(database.note, SECRET));
		assert_true(!database.pooled || !strstr(database.pooled, SECRET));
	}
}

static void the_certificates_of_the_system_are_a_file_to_an_old_libpq(void **state)
{
	struct database database = understood("postgres://u:p@h/d?sslrootcert=system");
	bool old = PQlibVersion() < 160000;

	(void)state;
	assert_option(&database, "sslrootcert",
	              old ? "/etc/ssl/certs/ca-certificates.crt" : "system");
	assert_option(&database, "sslmode", old ? "verify-full" : NULL);
	assert_int_equal(database.note != NULL, old);
	/* What is weaker does not stay beside it. */
	database = understood("postgres://u:p@h/d?sslmode=require&sslrootcert=system");
	assert_option(&database, "sslmode", old ? "verify-full" : "require");
	/* A file stays a file. */
	database = understood("postgres://u:p@h/d?sslmode=verify-ca&sslrootcert=/tmp/ca.crt");
	assert_option(&database, "sslrootcert", "/tmp/ca.crt");
	assert_option(&database, "sslmode", "verify-ca");
	assert_null(database.note);
}

static void passwords_go_through_as_they_are(void **state)
{
	static const struct {
		const char *url, *password;
	} strings[] = {
		{"postgres://u:p%40ss%2Fw%3Ard%25%20@h/d", "p@ss/w:rd% "},
		{"postgres://u:a'b%5Cc@h/d", "a'b\\c"},
		{"postgres://u:%C3%A4%E2%82%AC@h/d", "\303\244\342\202\254"},
		{"host=h dbname=d user=u password='it\\'s \\\\ here'", "it's \\ here"},
		{"host=h dbname=d user=u password=''", NULL},
		/* Words of newer clients inside of a password are part of it. */
		{"postgres://u:sslnegotiation%3Ddirect@h/d", "sslnegotiation=direct"},
		{"postgres://u:a?sslnegotiation=direct@h/d?sslmode=require",
	         "a?sslnegotiation=direct"},
		{"host=h password=a\\ sslnegotiation=direct dbname=d user=u",
	         "a sslnegotiation=direct"},
		{"postgres://u:sslnegotiation=direct@h/d?sslmode=require", "sslnegotiation=direct"},
		{"postgres://u:p@h/d?sslnegotiation=direct&password=pgbouncer%3Dtrue",
	         "pgbouncer=true"},
		{"host=h dbname=d user=u password='x sslnegotiation=direct y'",
	         "x sslnegotiation=direct y"},
		{"host=h dbname=d user=u password='x pgbouncer=true'", "x pgbouncer=true"},
		{"host=h dbname=d user=u password='\\' sslnegotiation=direct'",
	         "' sslnegotiation=direct"},
		{"host=h sslnegotiation='di\\'rect' dbname=d user=u password=x", "x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		struct database database = understood(strings[i].url);
		const char *found = option(&database, "password");
		if (strings[i].password && (!found || strcmp(found, strings[i].password) != 0))
			fail_msg("%s: password %s", strings[i].url, found ? found : "(none)");
		if (!strings[i].password)
			assert_true(!found || !found[0]);
		assert_null(database.pooled);
		assert_option(&database, "dbname", "d");
		assert_option(&database, "host", "h");
	}
}

static void a_hostile_string_is_refused_without_showing_it(void **state)
{
	static const char *const strings[] = {
		"postgres://u:" SECRET "@h:port/d?nonsense=1",
		"postgres://u:" SECRET "@h/d?sslmode",
		"postgres://u:" SECRET "%zz@h/d",
		"postgres://u:" SECRET "%00@h/d",
		"postgres://u:" SECRET "@[::1/d",
		"password=" SECRET " host",
		"password='" SECRET,
		"password=" SECRET " hots=x",
		"mysql://u:" SECRET "@h/d",
		SECRET,
		"postgres://u:" SECRET "@h/d?sslnegotiation=direct&sslnegotiation=direct",
	};

	(void)state;
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		struct database database;
		struct error err = {0};
		if (database_understand(&arena, "source", strings[i], &database, &err)) {
			/* Only what libpq itself would take. */
			assert_null(strstr(strings[i], "nonsense"));
			continue;
		}
		assert_int_equal(err.kind, ERROR_PLAN);
		assert_null(strstr(err.text, SECRET));
		assert_non_null(strstr(err.text, "source"));
	}
}

static void what_cannot_be_connected_to_is_told_without_its_password(void **state)
{
	struct database database =
		understood("host=127.0.0.1 port=1 user=u dbname=d password=" SECRET);
	struct error err = {0};

	(void)state;
	assert_null(database_open(&database, "test", &err));
	assert_int_equal(err.kind, ERROR_RETRY);
	assert_non_null(strstr(err.text, "connect to target (127.0.0.1:1/d)"));
	assert_null(strstr(err.text, SECRET));
}

/* Whatever is cut off at whichever end, nothing is read beyond it. */
static void every_part_of_a_string_is_safe(void **state)
{
	static const char *const strings[] = {
		"postgres://u:p%40@h:1/d?sslnegotiation=direct&sslrootcert=system&pgbouncer=true",
		"host='a\\'b' sslnegotiation = 'x\\' y' pgbouncer=true password='\\\\'",
	};

	(void)state;
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		size_t length = strlen(strings[i]);
		for (size_t from = 0; from < length; from++)
			for (size_t to = from; to <= length; to++) {
				char *part = strndup(strings[i] + from, to - from);
				struct database database;
				struct error err = {0};
				database_understand(&arena, "x", part, &database, &err);
				free(part);
			}
	}
}

static int forget(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_strings_of_services_are_understood),
		cmocka_unit_test(the_certificates_of_the_system_are_a_file_to_an_old_libpq),
		cmocka_unit_test(passwords_go_through_as_they_are),
		cmocka_unit_test(a_hostile_string_is_refused_without_showing_it),
		cmocka_unit_test(what_cannot_be_connected_to_is_told_without_its_password),
		cmocka_unit_test(every_part_of_a_string_is_safe),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
