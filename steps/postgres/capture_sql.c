/* SPDX-License-Identifier: MIT */
/* The statements that make the capture of one table. */
#include "steps/postgres/capture_sql.h"
#include "engine/base/arena.h"
#include "engine/base/text.h"
#include "steps/postgres/capture.h"
#include "steps/postgres/relation.h"

#define NEW_TRIGGER OUR_PREFIX "new"
#define OLD_TRIGGER OUR_PREFIX "old"
#define KEY_TRIGGER OUR_PREFIX "key"
#define ALL_TRIGGER OUR_PREFIX "truncate"

/* The text of a row is another one under other settings, and a class must not depend on who writes.
 */
static const char pinned_for_class[] =
	" SET timezone = 'UTC' SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres'"
	" SET extra_float_digits = 1 SET bytea_output = 'hex' SET lc_monetary = 'C' SET "
	"search_path = ''";

const char *const capture_triggers[] = {NEW_TRIGGER, OLD_TRIGGER, KEY_TRIGGER, ALL_TRIGGER, NULL};

/* "OLD."k0", OLD."k1"", or the class of OLD. */
static const char *key_of(const struct relation *relation, const char *row, struct arena *arena)
{
	struct text out = {0};
	const char *prefix = arena_printf(arena, "%s.", row);

	if (relation->key_count == 0)
		return relation_class_sql(relation, prefix, arena);
	for (size_t i = 0; i < relation->key_count; i++)
		text_format(&out, "%s%s%s", i ? ", " : "", prefix, relation->key[i]->quoted);
	const char *copy = arena_text(arena, text_string(&out));
	text_free(&out);
	return copy;
}

static void put_log(struct text *out, const struct relation *relation, const char *log)
{
	text_format(out, "CREATE TABLE %s (", log);
	for (size_t i = 0; i < relation->key_count; i++)
		text_format(out, "%sk%zu %s", i ? ", " : "", i, relation->key[i]->log_type);
	if (relation->key_count == 0)
		text_add(out, "k0 text COLLATE \"C\"");
	text_format(out,
	            ") WITH (autovacuum_enabled = true, toast.autovacuum_enabled = true);"
	            "REVOKE ALL ON %s FROM PUBLIC; GRANT INSERT ON %s TO PUBLIC;",
	            log, log);
}

static void put_function(struct text *out, const struct relation *relation, const char *name,
                         const char *log, const char *values)
{
	text_format(out,
	            "CREATE FUNCTION " OUR_SCHEMA ".%s_%u() RETURNS trigger LANGUAGE plpgsql%s AS "
	            "$plan$ BEGIN INSERT INTO %s VALUES (%s); RETURN NULL; END $plan$;",
	            name, relation->oid, relation->key_count ? "" : pinned_for_class, log, values);
}

static const char *nulls(const struct relation *relation, struct arena *arena)
{
	const char *list = "NULL";

	for (size_t i = 1; i < relation->key_count; i++)
		list = arena_printf(arena, "%s, NULL", list);
	return list;
}

/* Up to WHEN: the trigger fires where both hold. */
static void put_trigger(struct text *out, const struct relation *relation, const char *name,
                        const char *event, const char *conditions[2], const char *function)
{
	text_format(out, "CREATE TRIGGER %s AFTER %s", name, event);
	for (size_t i = 0, count = 0; i < 2; i++)
		if (conditions[i])
			text_format(out, "%s%s", count++ ? " AND " : " WHEN (", conditions[i]);
	text_format(out,
	            "%s EXECUTE FUNCTION " OUR_SCHEMA ".%s_%u();"
	            "ALTER TABLE %s ENABLE ALWAYS TRIGGER %s;",
	            conditions[0] || conditions[1] ? ")" : "", function, relation->oid,
	            relation->quoted, name);
}

/* Bytes, not equality: 'ABC' and 'abc' are equal under some collations and are two keys all the
 * same. */
static const char *key_changes(const struct relation *relation, struct arena *arena)
{
	if (relation->key_count == 0)
		return NULL; /* the class of the old row is logged with every update */
	return arena_printf(arena, "pg_catalog.record_image_ne(ROW(%s), ROW(%s))",
	                    key_of(relation, "OLD", arena), key_of(relation, "NEW", arena));
}

static const char not_ours[] = "pg_catalog.current_setting('plan_replication.applying', true)"
			       " IS DISTINCT FROM 'on'";

const char *capture_sql_install(const struct relation *relation, bool way_back, struct arena *arena)
{
	struct text out = {0};
	const char *log = capture_log(relation->oid, arena);
	const char *row = arena_printf(arena, "ON %s FOR EACH ROW", relation->quoted);
	const char *plain[2] = {way_back ? not_ours : NULL, NULL};
	const char *when_key[2] = {plain[0], key_changes(relation, arena)};

	put_log(&out, relation, log);
	put_function(&out, relation, "new", log, key_of(relation, "NEW", arena));
	put_function(&out, relation, "old", log, key_of(relation, "OLD", arena));
	put_function(&out, relation, "all", log, nulls(relation, arena));
	put_trigger(&out, relation, NEW_TRIGGER, arena_printf(arena, "INSERT OR UPDATE %s", row),
	            plain, "new");
	put_trigger(&out, relation, OLD_TRIGGER, arena_printf(arena, "DELETE %s", row), plain,
	            "old");
	put_trigger(&out, relation, KEY_TRIGGER, arena_printf(arena, "UPDATE %s", row), when_key,
	            "old");
	put_trigger(&out, relation, ALL_TRIGGER,
	            arena_printf(arena, "TRUNCATE ON %s", relation->quoted), plain, "all");
	const char *sql = arena_text(arena, text_string(&out));
	text_free(&out);
	return sql;
}
