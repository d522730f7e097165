/* SPDX-License-Identifier: MIT */
/* Foreign keys, triggers and rules, parked and restored. */
#include "scene.h"
#include "steps/postgres/foreign.h"

#include <stdio.h>
#include <stdlib.h>

static const char schema_sql[] =
	"DROP SCHEMA IF EXISTS plan_replication, shop, other CASCADE; CREATE SCHEMA shop;"
	"CREATE SCHEMA other;"
	"CREATE TABLE shop.a (id int PRIMARY KEY, b int, UNIQUE (id, b));"
	"CREATE TABLE shop.b (id int PRIMARY KEY, a int REFERENCES shop.a ON DELETE CASCADE);"
	"ALTER TABLE shop.a ADD CONSTRAINT cycle FOREIGN KEY (b) REFERENCES shop.b"
	"  DEFERRABLE INITIALLY DEFERRED;"
	"CREATE TABLE other.o (id int, a int, b int, self int, PRIMARY KEY (id));"
	"ALTER TABLE other.o ADD CONSTRAINT \"o'dd \"\" key\" FOREIGN KEY (a, b) REFERENCES shop.a "
	"(id, b)  MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE,"
	"  ADD CONSTRAINT self FOREIGN KEY (self) REFERENCES other.o ON DELETE SET DEFAULT;"
	"COMMENT ON CONSTRAINT self ON other.o IS 'it''s itself';"
	"CREATE TABLE shop.old (a int);"
	"INSERT INTO shop.old VALUES (99);"
	"ALTER TABLE shop.old ADD CONSTRAINT unfit FOREIGN KEY (a) REFERENCES shop.a NOT VALID;"
	"CREATE TABLE shop.p (id int, a int REFERENCES shop.a, PRIMARY KEY (id))"
	"  PARTITION BY RANGE (id);"
	"CREATE TABLE shop.p1 PARTITION OF shop.p FOR VALUES FROM (0) TO (10);"
	"CREATE TABLE shop.p2 PARTITION OF shop.p FOR VALUES FROM (10) TO (100)"
	"  PARTITION BY RANGE (id);"
	"CREATE TABLE shop.p21 PARTITION OF shop.p2 FOR VALUES FROM (10) TO (20);"
	"CREATE TABLE shop.named (id int, a int, CONSTRAINT its_own FOREIGN KEY (a) "
	"  REFERENCES shop.a);"
	"ALTER TABLE shop.named ALTER id SET NOT NULL, ADD PRIMARY KEY (id);"
	"ALTER TABLE shop.p ATTACH PARTITION shop.named FOR VALUES FROM (200) TO (300);"
	"COMMENT ON CONSTRAINT p_a_fkey ON shop.p IS 'of the parent';"
	"COMMENT ON CONSTRAINT its_own ON shop.named IS 'of a leaf';"
	"CREATE TABLE shop.r (p int REFERENCES shop.p);"
	"CREATE TABLE shop.rp (id int, p int, CONSTRAINT two FOREIGN KEY (p) REFERENCES shop.p"
	"  DEFERRABLE) PARTITION BY LIST (id);"
	"CREATE TABLE shop.rp1 PARTITION OF shop.rp FOR VALUES IN (1);"
	"CREATE TABLE shop.empty (a int REFERENCES shop.a) PARTITION BY LIST (a);"
	"INSERT INTO shop.a VALUES (1), (2); INSERT INTO shop.b VALUES (1, 1);"
	"UPDATE shop.a SET b = 1 WHERE id = 1; INSERT INTO other.o VALUES (1, 1, 1, 1);"
	"INSERT INTO shop.p VALUES (1, 1), (11, 2), (201, 1); INSERT INTO shop.r VALUES (11);"
	"INSERT INTO shop.rp VALUES (1, 201);"
	"SET CONSTRAINTS ALL IMMEDIATE;"
	/* Triggers and rules */
	"CREATE TABLE shop.log (t text);"
	"CREATE FUNCTION shop.log() RETURNS trigger LANGUAGE plpgsql AS "
	"  $$ BEGIN INSERT INTO shop.log VALUES (TG_NAME); RETURN NEW; END $$;"
	"CREATE TRIGGER origin BEFORE INSERT OR UPDATE ON shop.a FOR EACH ROW"
	"  EXECUTE FUNCTION shop.log();"
	"CREATE TRIGGER always AFTER INSERT ON shop.a EXECUTE FUNCTION shop.log();"
	"CREATE TRIGGER replica AFTER INSERT ON shop.a EXECUTE FUNCTION shop.log();"
	"CREATE TRIGGER \"dis'abled\" AFTER INSERT ON shop.a EXECUTE FUNCTION shop.log();"
	"CREATE TRIGGER zz_plan_ours AFTER INSERT ON shop.a EXECUTE FUNCTION shop.log();"
	"ALTER TABLE shop.a ENABLE ALWAYS TRIGGER always, ENABLE REPLICA TRIGGER replica,"
	"  DISABLE TRIGGER \"dis'abled\";"
	"CREATE CONSTRAINT TRIGGER late AFTER INSERT ON shop.b DEFERRABLE INITIALLY DEFERRED"
	"  FOR EACH ROW EXECUTE FUNCTION shop.log();"
	"CREATE TRIGGER each AFTER INSERT ON shop.p FOR EACH ROW EXECUTE FUNCTION shop.log();"
	"ALTER TABLE shop.p1 DISABLE TRIGGER each;"
	"ALTER TABLE shop.p21 ENABLE ALWAYS TRIGGER each;"
	"CREATE RULE too AS ON INSERT TO shop.old DO ALSO INSERT INTO shop.log VALUES ('too');"
	"CREATE RULE once AS ON DELETE TO shop.old DO INSTEAD NOTHING;"
	"ALTER TABLE shop.old ENABLE ALWAYS RULE once;"
	"TRUNCATE shop.log";

/* Everything the catalogue has on them, without oids, and without two things that nobody sees: that
 * a key of a leaf was there before its parent's (connoinherit), and that what points to the single
 * partitions of a partitioned table was never validated by itself. */
static const char picture_sql[] =
	"SELECT string_agg(x, E'\\n' ORDER BY x) FROM ("
	"SELECT concat_ws(' | ', k.conrelid::regclass, k.conname, k.condeferrable, k.condeferred,"
	" k.convalidated OR k.conrelid = p.conrelid, k.confrelid::regclass,"
	" CASE WHEN k.conrelid = p.conrelid THEN replace(pg_get_constraintdef(k.oid),"
	"  ' NOT VALID', '') ELSE pg_get_constraintdef(k.oid) END, k.conislocal, k.coninhcount,"
	" CASE WHEN p.oid IS NULL THEN k.connoinherit END, p.conrelid::regclass, p.conname,"
	" obj_description(k.oid, 'pg_constraint')) AS x "
	"FROM pg_constraint k LEFT JOIN pg_constraint p ON p.oid = k.conparentid "
	"WHERE k.contype = 'f' "
	"UNION ALL SELECT concat_ws(' | ', tgrelid::regclass, CASE WHEN tgisinternal THEN '' ELSE"
	" tgname END, tgenabled, tgisinternal, tgfoid::regproc, tgdeferrable, tginitdeferred,"
	" pg_get_triggerdef(oid) NOT LIKE '%RI_%', tgparentid <> 0) FROM pg_trigger "
	"UNION ALL SELECT concat_ws(' | ', ev_class::regclass, rulename, ev_enabled)"
	" FROM pg_rewrite WHERE ev_class::regclass::text LIKE 'shop.%') s";

static int schema(void **state)
{
	struct scene *scene = *state;

	must(scene->admin, schema_sql);
	memset(&scene->err, 0, sizeof scene->err);
	return 0;
}

static void print_missing(const char *sign, const char *lines, const char *in)
{
	char line[1000];

	while (*lines) {
		size_t length = strcspn(lines, "\n");
		snprintf(line, sizeof line, "%.*s", (int)length, lines);
		if (!strstr(in, line))
			print_message("%s %s\n", sign, line);
		lines += length + (lines[length] == '\n');
	}
}

static void is_as_it_was(struct scene *scene, const char *before)
{
	const char *after = ask(scene, scene->admin, picture_sql);

	if (strcmp(after, before) == 0)
		return;
	print_missing("-", before, after);
	print_missing("+", after, before);
	fail_msg("the catalogue is not as it was");
}

static struct foreign_report report;

static void call(struct scene *scene, bool (*what)(PGconn *, const struct foreign *,
                                                   struct foreign_report *, struct error *))
{
	struct foreign foreign = {.arena = &scene->arena};

	if (!what(scene->admin, &foreign, &report, &scene->err))
		fail_msg("%s", scene->err.text);
}

static void everything_comes_back_as_it_was(void **state)
{
	struct scene *scene = *state;
	const char *before = ask(scene, scene->admin, picture_sql);

	call(scene, foreign_park);
	print_message("%zu keys, %zu triggers, %zu rules parked\n", report.keys, report.triggers,
	              report.rules);
	assert_string_equal(
		ask(scene, scene->admin, "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"),
		"0");
	assert_string_equal(ask(scene, scene->admin,
	                        "SELECT string_agg(tgname, ',') FROM pg_trigger WHERE "
	                        "NOT tgisinternal AND tgenabled <> 'D'"),
	                    "zz_plan_ours");
	/* Rows come in any order and nothing acts. */
	must(scene->admin, "INSERT INTO shop.b VALUES (5, 77); DELETE FROM shop.b WHERE id = 5;"
	                   "INSERT INTO shop.p VALUES (12, 2); INSERT INTO shop.old VALUES (1);"
	                   "SET session_replication_role = replica; INSERT INTO shop.a VALUES (3);"
	                   "RESET session_replication_role");
	assert_string_equal(ask(scene, scene->admin, "SELECT count(*) FROM shop.log"), "0");
	call(scene, foreign_restore);
	assert_true(report.triggers > 5);
	assert_int_equal(report.rules, 2);
	call(scene, foreign_validate);
	assert_string_equal(report.invalid, "");
	is_as_it_was(scene, before);
	assert_string_equal(
		ask(scene, scene->admin, "SELECT count(*) FROM plan_replication.parked"), "0");
}

static void keys_hold_for_new_rows_before_they_are_validated(void **state)
{
	struct scene *scene = *state;
	char sqlstate[6];
	static const char *const wrong[] = {
		"INSERT INTO shop.b VALUES (9, 77)", "INSERT INTO shop.p VALUES (13, 77)",
		"INSERT INTO shop.p VALUES (4, 77)", "INSERT INTO shop.rp VALUES (1, 77)",
		"DELETE FROM shop.p WHERE id = 201", "DELETE FROM shop.a WHERE id = 2",
		"INSERT INTO shop.old VALUES (77)",
	};

	call(scene, foreign_park);
	call(scene, foreign_restore);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		if (strcmp(state_of(scene->admin, wrong[i], sqlstate), "23503") != 0)
			fail_msg("'%s': %s", sqlstate, wrong[i]);
	call(scene, foreign_validate);
}

static void rows_that_do_not_fit_are_named_and_all_else_is_done(void **state)
{
	struct scene *scene = *state;
	struct foreign foreign = {.arena = &scene->arena};
	const char *before = ask(scene, scene->admin, picture_sql);
	int64_t left;

	call(scene, foreign_park);
	must(scene->admin, "INSERT INTO shop.b VALUES (5, 77); INSERT INTO shop.p VALUES (14, 78)");
	call(scene, foreign_restore);
	assert_false(foreign_validate(scene->admin, &foreign, &report, &scene->err));
	assert_int_equal(scene->err.kind, ERROR_FAILED);
	assert_string_equal(report.invalid,
	                    "foreign key b_a_fkey of shop.b, foreign key p_a_fkey of shop.p21");
	assert_true(foreign_count(scene->admin, &left, &scene->err));
	assert_int_equal(left, 4); /* both, and the two levels above p21 */
	must(scene->admin, "DELETE FROM shop.b WHERE id = 5; DELETE FROM shop.p WHERE id = 14");
	call(scene, foreign_validate);
	is_as_it_was(scene, before);
}

/* Killed after each of its transactions in turn, and begun again, or gone the other way. */
static void it_may_be_killed_between_any_two_transactions(void **state)
{
	struct scene *scene = *state;
	const char *before = ask(scene, scene->admin, picture_sql);
	const char *level = getenv("PLAN_LEVEL");
	int stride = level && strcmp(level, "release") == 0 ? 1 : 10;
	size_t rounds = 0;
	static bool (*const calls[])(PGconn *, const struct foreign *, struct foreign_report *,
	                             struct error *) = {foreign_park, foreign_restore,
	                                                foreign_validate};
	must(scene->admin,
	     "DROP SEQUENCE IF EXISTS public.budget; CREATE SEQUENCE public.budget;"
	     "CREATE OR REPLACE FUNCTION public.spend() RETURNS event_trigger LANGUAGE plpgsql AS "
	     "$$ BEGIN IF nextval('public.budget') > current_setting('test.budget', true)::int THEN"
	     " RAISE 'out of budget'; END IF; END $$;"
	     "CREATE EVENT TRIGGER spend ON ddl_command_end WHEN TAG IN ('ALTER TABLE') "
	     "EXECUTE FUNCTION public.spend()");
	for (int budget = 1; budget <= 40; budget += stride)
		for (size_t i = 0; i < 3; i++) {
			struct foreign foreign = {.arena = &scene->arena};
			struct error err = {0};
			char sql[100];
			for (size_t j = 0; j <= i; j++) {
				snprintf(sql, sizeof sql,
				         "SELECT setval('public.budget', 1, false), "
				         "set_config('test.budget', '%d', false)",
				         j == i ? budget : 1000);
				must(scene->admin, sql);
				calls[j](scene->admin, &foreign, &report, &err);
				assert_int_equal(PQtransactionStatus(scene->admin), PQTRANS_IDLE);
			}
			must(scene->admin, "SELECT set_config('test.budget', '1000000', false)");
			if (rounds++ % 2) {
				call(scene, foreign_park);
				call(scene, foreign_park);
			}
			call(scene, foreign_restore);
			call(scene, foreign_restore);
			call(scene, foreign_validate);
			is_as_it_was(scene, before);
		}
	must(scene->admin, "DROP EVENT TRIGGER spend");
	print_message("%zu interrupted runs\n", rounds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(everything_comes_back_as_it_was, schema),
		cmocka_unit_test_setup(keys_hold_for_new_rows_before_they_are_validated, schema),
		cmocka_unit_test_setup(rows_that_do_not_fit_are_named_and_all_else_is_done, schema),
		cmocka_unit_test_setup(it_may_be_killed_between_any_two_transactions, schema),
	};

	return cmocka_run_group_tests(tests, scene_open, scene_close);
}
