/* SPDX-License-Identifier: MIT */
/* The schema of a database as SQL, by pg_dump and pg_restore. */
#include "steps/postgres/dump.h"
#include "engine/base/text.h"
#include "engine/step.h"
#include "steps/postgres/program.h"
#include "steps/postgres/query.h"
#include "steps/postgres/relation.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { TEXT_MOST = 512 * 1024 * 1024 };

/* One dump on its way. */
struct dumping {
	struct step *step;
	PGconn *source;
	char directory[400]; /* of pg_dump */
	const char *const *settings;
	int archive; /* its descriptor */
};

bool dump_takes_all(const struct value *schemas)
{
	if (!schemas || schemas->as.items.count == 0)
		return true;
	for (const struct value *one = schemas->as.items.first; one; one = one->next)
		if (value_reveal(one) && strcmp(value_reveal(one), "all") == 0)
			return true;
	return false;
}

/* ---- Programs ---- */

static bool goes_on(void *context)
{
	return !step_stopping(context);
}

/* Everything in the descriptor, as text. */
static const char *read_all(struct arena *arena, int from, struct error *err)
{
	off_t size = lseek(from, 0, SEEK_END), done = 0;

	if (size < 0 || size > TEXT_MOST) {
		fail(err, ERROR_FAILED, "the schema has more than %d MiB of SQL",
		     TEXT_MOST / 1024 / 1024);
		return NULL;
	}
	char *text = arena_alloc(arena, (size_t)size + 1);
	while (done < size) {
		ssize_t got = pread(from, text + done, (size_t)(size - done), done);
		if (got <= 0)
			break;
		done += got;
	}
	return text;
}

/* What it writes to its stdout, which is the archive when that is not read yet. */
static bool run(const struct dumping *dumping, const char *name, const char *const *arguments,
                int input, int output, struct error *err)
{
	const struct program program = {.name = name,
	                                .directory = dumping->directory,
	                                .arguments = arguments,
	                                .settings = dumping->settings,
	                                .input = input,
	                                .output = output,
	                                .own_account = true,
	                                .watch = goes_on,
	                                .context = dumping->step};

	if (program_run(&program, err))
		return true;
	if (step_stopping(dumping->step))
		return fail(err, ERROR_CANCELLED, "stopped while %s ran", name);
	if (strstr(err->text, "permission denied"))
		err->kind = ERROR_REFUSED;
	else if (strstr(err->text, "connection to server") || strstr(err->text, "lock timeout"))
		err->kind = ERROR_RETRY;
	return false;
}

static const char *output_of(const struct dumping *dumping, const char *name,
                             const char *const *arguments, int input, struct error *err)
{
	const char *text = NULL;
	int output = memfd_create(name, MFD_CLOEXEC);

	if (output < 0)
		fail(err, ERROR_RETRY, "no memory for the output of %s", name);
	else if (run(dumping, name, arguments, input, output, err))
		text = read_all(dumping->step->arena, output, err);
	if (output >= 0)
		close(output);
	return text;
}

/* pg_dump reads servers of its own major version and older ones. */
static bool find_programs(struct dumping *dumping, struct error *err)
{
	static const char *const arguments[] = {"--version", NULL};
	int server = PQserverVersion(dumping->source) / 10000;

	if (!program_find("pg_dump", dumping->directory, sizeof dumping->directory, err))
		return false;
	const char *said = output_of(dumping, "pg_dump", arguments, 0, err);
	const char *number = said ? strstr(said, ") ") : NULL;
	if (!said)
		return fail_while(err, "ask pg_dump in %s for its version", dumping->directory);
	int version = number ? atoi(number + 2) : 0;
	return version >= server ||
	       fail(err, ERROR_REFUSED,
	            "the source is PostgreSQL %d, and the newest pg_dump here is %d (in %s): "
	            "install "
	            "postgresql-client-%d, or set PLAN_PG_BIN to a directory with pg_dump %d",
	            server, version, dumping->directory, server, server);
}

/* ---- Where to connect, and what to dump ---- */

/* What the connection was opened with, as libpq's variables: "PGHOST=...". */
static const char *const *settings_of(struct step *step, PGconn *source)
{
	PQconninfoOption *options = PQconninfo(source);
	const char *home = getenv("HOME"), *password = PQpass(source);
	size_t count = 0;

	for (const PQconninfoOption *one = options; one && one->keyword; one++)
		count++;
	const char **out = arena_array(step->arena, count + 3, sizeof *out);
	count = 0;
	for (const PQconninfoOption *one = options; one && one->keyword; one++)
		if (one->envvar && one->val && *one->val && strcmp(one->keyword, "service") != 0 &&
		    strcmp(one->keyword, "password") != 0)
			out[count++] = arena_printf(step->arena, "%s=%s", one->envvar, one->val);
	if (password && *password)
		out[count++] = arena_printf(step->arena, "PGPASSWORD=%s", password);
	/* Certificates and keys lie beneath it when nothing else is said. */
	if (home)
		out[count] = arena_printf(step->arena, "HOME=%s", home);
	PQconninfoFree(options);
	return out;
}

/* A pattern that means one name. */
static const char *option_for(struct arena *arena, const char *option, const char *name)
{
	struct text out = {0};

	text_add(&out, option);
	query_quote_name(&out, name);
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}

/* The user's schemas that are not taken, when all are, else those that are. */
static PGresult *name_schemas(const struct dumping *dumping, const struct value *schemas,
                              struct error *err)
{
	struct arena *arena = dumping->step->arena;
	const char *condition = relation_schemas_sql(dumping->source, schemas, arena);

	return query(dumping->source,
	             arena_printf(arena,
	                          "SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE "
	                          "%s(%s) AND n.nspname !~ '^pg_' AND n.nspname <> "
	                          "'information_schema' ORDER BY 1",
	                          dump_takes_all(schemas) ? "NOT " : "", condition),
	             err);
}

static const char *const *arguments_of(const struct dumping *dumping, const struct value *schemas,
                                       struct error *err)
{
	/* Words may be reserved in the target's version that are not in the source's. */
	static const char *const always[] = {"--format=custom",           "--schema-only",
	                                     "--no-publications",         "--no-subscriptions",
	                                     "--no-security-labels",      "--encoding=UTF8",
	                                     "--quote-all-identifiers",   "--strict-names",
	                                     "--lock-wait-timeout=60000", "--no-password"};
	size_t fixed = sizeof always / sizeof *always;
	const char *option = dump_takes_all(schemas) ? "--exclude-schema=" : "--schema=";
	PGresult *names = name_schemas(dumping, schemas, err);
	int count = names ? PQntuples(names) : 0;
	const char **out =
		arena_array(dumping->step->arena, fixed + (size_t)count + 1, sizeof *out);

	for (size_t i = 0; i < fixed; i++)
		out[i] = always[i];
	for (int row = 0; row < count; row++)
		out[fixed + (size_t)row] =
			option_for(dumping->step->arena, option, query_field(names, row, 0));
	PQclear(names);
	return names ? out : NULL;
}

/* ---- Together ---- */

static const char *section(const struct dumping *dumping, const char *name, struct error *err)
{
	const char *const arguments[] = {arena_printf(dumping->step->arena, "--section=%s", name),
	                                 "--no-owner", "--no-tablespaces", "--file=-", NULL};

	lseek(dumping->archive, 0, SEEK_SET);
	return output_of(dumping, "pg_restore", arguments, dumping->archive, err);
}

static bool dump_and_restore(const struct dumping *dumping, const struct value *schemas,
                             struct dump *dump, struct error *err)
{
	const char *const *arguments = arguments_of(dumping, schemas, err);

	return arguments && run(dumping, "pg_dump", arguments, 0, dumping->archive, err) &&
	       (dump->pre_data = section(dumping, "pre-data", err)) &&
	       (dump->post_data = section(dumping, "post-data", err));
}

bool dump_schema(struct step *step, PGconn *source, const struct value *schemas, struct dump *dump,
                 struct error *err)
{
	struct dumping dumping = {.step = step, .source = source};

	*dump = (struct dump){0};
	if (!find_programs(&dumping, err))
		return false;
	dumping.settings = settings_of(step, source);
	dumping.archive = memfd_create("dump", MFD_CLOEXEC);
	if (dumping.archive < 0)
		return fail(err, ERROR_RETRY, "no memory for the dump");
	bool good = dump_and_restore(&dumping, schemas, dump, err);
	close(dumping.archive);
	return good;
}
