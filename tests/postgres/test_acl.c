/* SPDX-License-Identifier: MIT */
/* Rights to write, revoked and given back byte for byte. */
#include "scene.h"
#include "steps/postgres/acl.h"
#include "steps/postgres/fence.h"

/* The roles b and c are not ours to take, "we" may take all others. */
static const char roles_sql[] =
	"CREATE ROLE we LOGIN PASSWORD 'x'; CREATE ROLE a LOGIN PASSWORD 'x'; CREATE ROLE b;"
	"CREATE ROLE c; CREATE ROLE \"o'dd \"\" role\"; GRANT a, \"o'dd \"\" role\" TO we;"
	"DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO we', current_database());"
	" END $$";

static const char schema_sql[] =
	"DROP SCHEMA IF EXISTS plan_replication, shop CASCADE;"
	"CREATE SCHEMA shop AUTHORIZATION we; GRANT USAGE ON SCHEMA shop TO PUBLIC;"
	"SET ROLE we;"
	/* NULL: nothing to revoke */
	"CREATE TABLE shop.defaults (x int);"
	/* the usual one */
	"CREATE TABLE shop.usual (x int); GRANT SELECT, INSERT, UPDATE, DELETE ON shop.usual TO a;"
	/* entries that become empty, before others */
	"CREATE TABLE shop.emptied (x int); GRANT INSERT ON shop.emptied TO a;"
	"  GRANT DELETE, TRUNCATE ON shop.emptied TO b; GRANT SELECT ON shop.emptied TO c;"
	"  GRANT INSERT ON shop.emptied TO PUBLIC;"
	/* the owner took rights from himself, and came back behind another one */
	"CREATE TABLE shop.self (x int); GRANT INSERT ON shop.self TO a;"
	"  REVOKE ALL ON shop.self FROM we; GRANT SELECT, INSERT ON shop.self TO we;"
	/* nobody has anything */
	"CREATE TABLE shop.nobody (x int); REVOKE ALL ON shop.nobody FROM we;"
	/* options, and a chain of grantors */
	"CREATE TABLE shop.chain (x int, y int); GRANT INSERT, UPDATE ON shop.chain TO a WITH GRANT"
	"  OPTION; GRANT INSERT ON shop.chain TO \"o'dd \"\" role\" WITH GRANT OPTION;"
	/* columns, with and without a list of the table */
	"CREATE TABLE shop.columns (x int, y int, \"Z z\" int); GRANT UPDATE (x, \"Z z\"), INSERT "
	"(x),"
	"  SELECT (y) ON shop.columns TO a; GRANT UPDATE (x) ON shop.columns TO b;"
	"CREATE TABLE shop.both (x int, y int); GRANT INSERT, SELECT ON shop.both TO a;"
	"  GRANT INSERT (y) ON shop.both TO a, c; GRANT UPDATE (y) ON shop.both TO PUBLIC;"
	"CREATE TABLE shop.parent (x int) PARTITION BY LIST (x); GRANT ALL ON shop.parent TO a;"
	"CREATE TABLE shop.leaf PARTITION OF shop.parent DEFAULT; GRANT ALL ON shop.leaf TO b;"
	/* in the name of one whose role ours cannot take */
	"CREATE TABLE shop.foreign (x int); GRANT INSERT ON shop.foreign TO b WITH GRANT OPTION;"
	"  GRANT SELECT, UPDATE ON shop.foreign TO a;"
	/* the same, and an entry before it would come back behind it */
	"CREATE TABLE shop.stuck (x int); GRANT INSERT ON shop.stuck TO b WITH GRANT OPTION;"
	"  GRANT UPDATE ON shop.stuck TO a; RESET ROLE;"
	"SET ROLE a; GRANT INSERT ON shop.chain TO b; GRANT UPDATE (y) ON shop.chain TO c; RESET "
	"ROLE;"
	"SET ROLE \"o'dd \"\" role\"; GRANT INSERT ON shop.chain TO b; RESET ROLE;"
	"SET ROLE b; GRANT INSERT ON shop.foreign, shop.stuck TO c; RESET ROLE";

static const char picture_sql[] =
	"SELECT string_agg(x, E'\\n' ORDER BY x) FROM ("
	"SELECT relname || ' ' || coalesce(relacl::text, 'NULL') AS x FROM pg_class"
	" WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p') "
	"UNION ALL SELECT attrelid::regclass || '.' || attname || ' ' || coalesce(attacl::text,"
	" 'NULL') FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid"
	" WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0) s";

/* Who may still write what, other than superusers. */
static const char writers_sql[] =
	"SELECT coalesce(string_agg(r || ' on ' || relname, ', ' ORDER BY r, relname), '') "
	"FROM pg_class, unnest('{we,a,b,c}'::text[]) r "
	"WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p')"
	" AND (has_any_column_privilege(r, oid, 'INSERT, UPDATE')"
	"  OR has_table_privilege(r, oid, 'DELETE, TRUNCATE'))";

static int schema(void **state)
{
	struct scene *scene = *state;

	if (strcmp(ask(scene, scene->admin, "SELECT count(*) FROM pg_roles WHERE rolname = 'we'"),
	           "0") == 0)
		must(scene->admin, roles_sql);
	must(scene->admin, schema_sql);
	memset(&scene->err, 0, sizeof scene->err);
	return 0;
}

static void revoke(struct scene *scene, PGconn *session, bool keep_ours, struct acl_report *report)
{
	if (!acl_revoke(session, NULL, keep_ours, &scene->arena, report, &scene->err))
		fail_msg("%s", scene->err.text);
	assert_int_equal(PQtransactionStatus(session), PQTRANS_IDLE);
}

static void restore(struct scene *scene, PGconn *session, struct acl_report *report)
{
	if (!acl_restore(session, &scene->arena, report, &scene->err))
		fail_msg("%s", scene->err.text);
	assert_int_equal(PQtransactionStatus(session), PQTRANS_IDLE);
}

static void a_plain_owner_gives_back_every_byte(void **state)
{
	struct scene *scene = *state;
	PGconn *we = scene_session(scene, "we");
	const char *before = ask(scene, scene->admin, picture_sql);
	struct acl_report report;

	revoke(scene, we, false, &report);
	print_message("%zu of %zu changed; left: %s\n", report.changed, report.tables, report.left);
	/* The default list stays, and what b granted, with what that stands on. */
	assert_string_equal(ask(scene, scene->admin, writers_sql),
	                    "a on stuck, b on foreign, b on stuck, c on foreign, c on stuck, "
	                    "we on columns, we on defaults, we on stuck");
	assert_int_equal(report.changed, 9);
	assert_non_null(strstr(report.left, "shop.stuck ("));
	restore(scene, we, &report);
	assert_string_equal(report.drifted, "");
	assert_string_equal(ask(scene, scene->admin, picture_sql), before);
	assert_string_equal(ask(scene, scene->admin, "SELECT count(*) FROM plan_replication.acl"),
	                    "0");
	PQfinish(we);
}

static void a_superuser_gives_back_every_byte_too(void **state)
{
	struct scene *scene = *state;
	const char *before = ask(scene, scene->admin, picture_sql);
	struct acl_report report;

	revoke(scene, scene->admin, true, &report);
	assert_string_equal(report.left, "");
	assert_string_equal(ask(scene, scene->admin, writers_sql), "we on columns, we on defaults");
	restore(scene, scene->admin, &report);
	assert_string_equal(ask(scene, scene->admin, picture_sql), before);
}

static void our_own_rights_can_stay(void **state)
{
	struct scene *scene = *state;
	PGconn *we = scene_session(scene, "we");
	struct acl_report report;
	struct fence fence = {.arena = &scene->arena};
	struct fence_report fenced;

	/* An owner needs at least the right to make triggers, or has no fence. */
	must(we, "DROP TABLE shop.nobody; GRANT TRIGGER ON shop.self TO we");
	const char *before = ask(scene, scene->admin, picture_sql);
	if (!fence_raise(we, &fence, &fenced, &scene->err))
		fail_msg("%s", scene->err.text);
	revoke(scene, we, true, &report);
	must(we, "BEGIN");
	assert_true(fence_pass(we, &scene->err));
	must(we, "INSERT INTO shop.usual VALUES (1); DELETE FROM shop.usual; ROLLBACK");
	/* The role a is ours as well, as we are its member. */
	assert_non_null(strstr(ask(scene, scene->admin, writers_sql), "a on usual"));
	assert_null(strstr(ask(scene, scene->admin, writers_sql), "b on leaf"));
	restore(scene, we, &report);
	assert_true(fence_lower(we, &fence, &fenced, &scene->err));
	assert_string_equal(ask(scene, scene->admin, picture_sql), before);
	PQfinish(we);
}

static void both_may_be_repeated(void **state)
{
	struct scene *scene = *state;
	PGconn *we = scene_session(scene, "we");
	const char *before = ask(scene, scene->admin, picture_sql);
	struct acl_report report;

	restore(scene, we, &report);
	revoke(scene, we, false, &report);
	revoke(scene, we, false, &report);
	assert_int_equal(report.changed, 0);
	must(we, "DROP TABLE shop.self; ALTER TABLE shop.usual RENAME TO renamed");
	restore(scene, we, &report);
	restore(scene, we, &report);
	assert_int_equal(report.changed, 0);
	must(we, "ALTER TABLE shop.renamed RENAME TO usual; CREATE TABLE shop.self (x int);"
	         "GRANT INSERT ON shop.self TO a; REVOKE ALL ON shop.self FROM we;"
	         "GRANT SELECT, INSERT ON shop.self TO we");
	assert_string_equal(ask(scene, scene->admin, picture_sql), before);
	PQfinish(we);
}

static void what_somebody_granted_meanwhile_stays_and_is_named(void **state)
{
	struct scene *scene = *state;
	PGconn *we = scene_session(scene, "we");
	struct acl_report report;

	revoke(scene, we, false, &report);
	must(we, "GRANT SELECT ON shop.usual TO c");
	restore(scene, we, &report);
	assert_string_equal(report.drifted, "shop.usual");
	assert_string_equal(ask(scene, scene->admin,
	                        "SELECT relacl FROM pg_class WHERE oid = 'shop.usual'::regclass"),
	                    "{we=arwdDxt/we,a=arwd/we,c=r/we}");
	PQfinish(we);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_plain_owner_gives_back_every_byte, schema),
		cmocka_unit_test_setup(a_superuser_gives_back_every_byte_too, schema),
		cmocka_unit_test_setup(our_own_rights_can_stay, schema),
		cmocka_unit_test_setup(both_may_be_repeated, schema),
		cmocka_unit_test_setup(what_somebody_granted_meanwhile_stays_and_is_named, schema),
	};

	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
