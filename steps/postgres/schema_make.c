/* SPDX-License-Identifier: MIT */
/* Making a schema on the target: all of it in one transaction, or nothing. */
#include "steps/postgres/schema_make.h"
#include "engine/base/text.h"
#include "engine/step.h"
#include "steps/postgres/dump.h"
#include "steps/postgres/grants.h"
#include "steps/postgres/held.h"
#include "steps/postgres/lex.h"
#include "steps/postgres/query.h"
#include "steps/postgres/schema_compare.h"
#include "steps/postgres/schema_hold.h"
#include "steps/postgres/toc.h"

#include <libpq-fe.h>
#include <string.h>

#define OUT_OF_MEMORY "53200"

enum { PROGRESS_EVERY = 50, NOTED_MOST = 20 };

struct making {
	struct step *step;
	PGconn *source, *target;
	const struct value *schemas;
	struct toc_entry *early, *late; /* the dump's */
	struct grants grants;
	struct hold hold;
	bool crowded; /* the target has no room for the locks of all that is held at once */
};

/* ---- Extensions ---- */

static const char extensions_sql[] =
	"SELECT e.extname, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = "
	"e.extnamespace WHERE e.extname <> 'plpgsql' ORDER BY 1";

/* The schema of the extension of that name; NULL when it is not there. */
static const char *find_extension(const PGresult *extensions, const char *name)
{
	for (int row = 0; row < PQntuples(extensions); row++)
		if (strcmp(PQgetvalue(extensions, row, 0), name) == 0)
			return PQgetvalue(extensions, row, 1);
	return NULL;
}

static bool compare_extensions(const PGresult *source, const PGresult *target, struct error *err)
{
	struct text missing = {.limit = 1500}, elsewhere = {.limit = 1500};

	for (int row = 0; row < PQntuples(source); row++) {
		const char *name = PQgetvalue(source, row, 0), *schema = PQgetvalue(source, row, 1);
		const char *found = find_extension(target, name);
		if (!found)
			text_format(&missing, "%s%s", missing.length ? ", " : "", name);
		else if (strcmp(found, schema) != 0)
			text_format(&elsewhere, "%s%s (%s there, %s here)",
			            elsewhere.length ? ", " : "", name, schema, found);
	}
	bool good = true;
	if (missing.length)
		good = fail(
			err, ERROR_REFUSED,
			"the target lacks extensions of the source: %s; make them first, with a "
			"step postgres.extensions or at the provider",
			text_string(&missing));
	else if (elsewhere.length)
		good = fail(
			err, ERROR_REFUSED,
			"extensions are in another schema than on the source: %s; move them with "
			"ALTER EXTENSION ... SET SCHEMA",
			text_string(&elsewhere));
	text_free(&missing);
	text_free(&elsewhere);
	return good;
}

bool schema_check_extensions(PGconn *source, PGconn *target, struct step *step, struct error *err)
{
	PGresult *there = query(source, extensions_sql, err);
	PGresult *here = there ? query(target, extensions_sql, err) : NULL;
	bool good = here && compare_extensions(there, here, err);

	(void)step;
	PQclear(there);
	PQclear(here);
	return good;
}

/* ---- What rows need ---- */

static bool truth(PGconn *connection, const char *sql, const char *value, bool *out,
                  struct error *err)
{
	PGresult *result = query_with(connection, sql, 1, &value, err);

	*out = result && PQntuples(result) > 0 && strcmp(PQgetvalue(result, 0, 0), "t") == 0;
	PQclear(result);
	return result != NULL;
}

/* What says something about a schema that was there before needs its owner. */
static bool may_speak_of(struct making *making, const char *quoted, bool *may, struct error *err)
{
	const char *schema = lex_name(&quoted, making->step->arena);

	return truth(making->target,
	             "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = $1",
	             schema, may, err);
}

static bool is_about(const struct toc_entry *entry, const char *what)
{
	return strncmp(entry->name, what, strlen(what)) == 0;
}

static void leave_out(struct making *making, const struct toc_entry *entry, const char *why)
{
	struct arena *arena = making->step->arena;

	value_add(making->hold.left_out,
	          value_text(arena, arena_printf(arena, "%s: %s", toc_title(entry, arena), why)));
}

/* The statements of an entry as the target gets them; *sql "" when it gets none. */
static bool adapt(struct making *making, const struct toc_entry *entry, const char **sql,
                  struct error *err)
{
	bool said = strcmp(entry->type, "COMMENT") == 0 || strcmp(entry->type, "ACL") == 0;
	bool there = true;

	*sql = "";
	if (strcmp(entry->type, "EXTENSION") == 0 || (said && is_about(entry, "EXTENSION ")))
		return true;
	if (strcmp(entry->type, "USER MAPPING") == 0) {
		leave_out(making, entry, "it holds a password; make it by hand");
		return true;
	}
	if (strcmp(entry->type, "SCHEMA") == 0) {
		if (!truth(making->target,
		           "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)",
		           entry->name, &there, err))
			return false;
		*sql = there ? "" : entry->sql;
		return true;
	}
	if (said && is_about(entry, "SCHEMA ")) {
		if (!may_speak_of(making, entry->name + strlen("SCHEMA "), &there, err))
			return false;
		if (!there) {
			leave_out(making, entry, "the schema belongs to another role there");
			return true;
		}
	}
	*sql = strcmp(entry->type, "ACL") == 0 ? grants_carry(&making->grants, entry->sql)
	                                       : entry->sql;
	return true;
}

static bool make_entry(struct making *making, const struct toc_entry *entry, struct error *err)
{
	const char *sql;

	if (!adapt(making, entry, &sql, err))
		return false;
	if (!sql[0] || query_run(making->target, sql, err))
		return true;
	return fail_while(err, "make %s", toc_title(entry, making->step->arena));
}

static size_t count_entries(const struct toc_entry *entry)
{
	size_t count = 0;

	for (; entry; entry = entry->next)
		count++;
	return count;
}

static bool stopped(struct making *making, struct error *err)
{
	return step_stopping(making->step) &&
	       !fail(err, ERROR_CANCELLED, "stopped; nothing of it is on the target");
}

static bool make_early(struct making *making, struct error *err)
{
	size_t all = count_entries(making->early), count = 0;

	for (const struct toc_entry *entry = making->early; entry; entry = entry->next) {
		if (stopped(making, err) || !make_entry(making, entry, err))
			return false;
		if (++count % PROGRESS_EVERY == 0)
			step_progress(making->step, "%zu of %zu objects", count, all);
	}
	return true;
}

/* ---- What is held ---- */

static bool hold_late(struct making *making, struct error *err)
{
	struct hold *hold = &making->hold;

	hold_entries(hold, making->late);
	hold_refreshes(hold, making->early);
	hold_refreshes(hold, making->late);
	if (!held_prepare(making->target, err))
		return false;
	for (const struct held_row *row = hold->first; row; row = row->next)
		if (stopped(making, err) || !held_add(making->target, row, err))
			return false;
	return true;
}

static bool build_one(struct making *making, const struct held_row *row, struct error *err)
{
	PGresult *result = PQexec(making->target, row->definition);
	bool good = PQresultStatus(result) == PGRES_COMMAND_OK;

	making->crowded = query_state_is(result, OUT_OF_MEMORY);
	if (!good)
		query_failed(making->target, result, err);
	PQclear(result);
	return good || fail_while(err, "%s %s%s%s%s%s could not be built later", row->type,
	                          row->name, row->relation[0] ? " of " : "", row->schema,
	                          row->relation[0] ? "." : "", row->relation);
}

static bool build_stage(struct making *making, const char *stage, struct error *err)
{
	for (const struct held_row *row = making->hold.first; row; row = row->next) {
		/* Its query is the user's and may be anything; without rows it proves nothing. */
		if (strcmp(row->stage, stage) != 0 || strcmp(row->type, "REFRESH") == 0)
			continue;
		if (stopped(making, err) || !build_one(making, row, err))
			return false;
	}
	return true;
}

/* Views have no rows yet; all else must be as on the source. */
static bool is_as_source(struct making *making, enum schema_extent extent, struct error *err)
{
	struct schema_comparison comparison = {.source = making->source,
	                                       .target = making->target,
	                                       .schemas = making->schemas,
	                                       .extent = extent};
	struct arena *arena = making->step->arena;
	struct value *differences = value_list(arena);

	if (!schema_compare(&comparison, arena, err))
		return false;
	for (const struct value *one = comparison.differences->as.items.first; one; one = one->next)
		if (strcmp(value_get_text(one, "kind", ""), "rows of a materialized view") != 0)
			value_add(differences, value_copy(arena, one));
	return !differences->as.items.count ||
	       fail(err, ERROR_FAILED, "the target would not be as the source: %s",
	            schema_differences_text(differences, arena));
}

static bool build_stages(struct making *making, struct error *err)
{
	static const char *const stages[] = {HELD_KEY, HELD_INDEX, HELD_PARENTS, HELD_SWITCH,
	                                     HELD_AFTER};

	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
		if (!build_stage(making, stages[i], err))
			return false;
	return is_as_source(making, SCHEMA_ALL, err);
}

/* The tables are empty, so that this is quick. Each object holds a lock until the end; with some
 * thousands of tables there may be no room for them, and then it is not known before. */
static bool try_late(struct making *making, struct error *err)
{
	struct error tried = {0};

	step_progress(making->step, "%lld objects for later are tried on the empty tables",
	              (long long)making->hold.count);
	if (!query_run(making->target, "SAVEPOINT tried", err))
		return false;
	bool good = build_stages(making, &tried);
	if (!good && !making->crowded) {
		*err = tried;
		return false;
	}
	if (making->crowded)
		step_note(making->step, "not tried before the rows come: %s", tried.text);
	return query_run(making->target, "ROLLBACK TO SAVEPOINT tried", err);
}

/* ---- Together ---- */

static void note_list(struct step *step, const char *what, const struct value *list)
{
	size_t count = 0;

	for (const struct value *one = list->as.items.first; one && count < NOTED_MOST;
	     one = one->next, count++)
		step_note(step, "%s: %s", what, value_reveal(one));
	if (list->as.items.count > count)
		step_note(step, "%s: %zu more", what, list->as.items.count - count);
}

static bool read_dump(struct making *making, struct error *err)
{
	struct dump dump;
	struct arena *arena = making->step->arena;

	step_progress(making->step, "reading the schema of the source");
	return dump_schema(making->step, making->source, making->schemas, &dump, err) &&
	       toc_read(dump.pre_data, arena, &making->early, err) &&
	       toc_read(dump.post_data, arena, &making->late, err) &&
	       grants_read(&making->grants, making->source, making->target, arena, err) &&
	       hold_begin(&making->hold, making->source, making->target, &making->grants, arena,
	                  err);
}

static bool make_in_transaction(struct making *making, struct error *err)
{
	return query_run(making->target, "BEGIN", err) && make_early(making, err) &&
	       hold_late(making, err) && is_as_source(making, SCHEMA_EARLY, err) &&
	       try_late(making, err) && query_run(making->target, "COMMIT", err);
}

bool schema_make(struct step *step, PGconn *source, PGconn *target, const struct value *schemas,
                 struct error *err)
{
	struct making making = {
		.step = step, .source = source, .target = target, .schemas = schemas};
	struct error ignored = {0};

	if (!read_dump(&making, err))
		return false;
	if (!make_in_transaction(&making, err)) {
		query_run(target, "ROLLBACK", &ignored);
		return false;
	}
	note_list(step, "left out", making.hold.left_out);
	note_list(step, "no such role on the target, or the owner's own", making.grants.left_out);
	note_list(step, "locks its table while it is checked, at the switch",
	          making.hold.waited_for);
	return true;
}
