# SPDX-License-Identifier: MIT
"""What a replication seldom meets: odd keys and types, rows that move between partitions, tables that shrink and grow,
writers that wait for each other, commits that a crash takes back, DDL of every kind while it follows. Each loses or
doubles rows in a design that did not think of it.

usage: rarities.py PLAN PLAN_SCHEDULED [CASE...]; PLAN_LEVEL=release tries more cases"""
import os
import sys

from cluster import Cluster, Failed, wait_until
from handoff import PLAN_WITH_RETRY, PROGRAM, Scene, check, prepare
from schedule import Schedule


def clear(*sides):
    for side in sides:
        side.sql("DROP SCHEMA IF EXISTS plan_replication CASCADE; DROP SCHEMA IF EXISTS \"Odd.Schema 'x'\" CASCADE; "
                 "DROP OWNED BY current_user; ")
        side.super("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO public")


class Follows:
    """The tables are on both sides, the rows on the source; it follows when this begins."""

    def __init__(self, source, target, tables, rows="", plan=PLAN_WITH_RETRY, **options):
        clear(source, target)
        for side in (source, target):
            side.sql(tables)
        source.sql(rows)
        self.run = Schedule(PROGRAM, source, target, plan=plan, **options)

    def __enter__(self):
        self.run.__enter__()
        self.run.begin()
        self.run.follows()
        return self.run

    def __exit__(self, *_):
        self.run.__exit__()


# ---- Orders of things ----

def a_table_shrinks_and_grows_while_it_is_copied(source, target):
    """Its last pages go, and others come behind the last chunk that was planned."""
    with Scene(source, target, page=5) as scene:
        source.sql("DELETE FROM t WHERE id > 50")
        source.super("VACUUM (TRUNCATE) t")
        source.sql("INSERT INTO t SELECT n, 'behind', repeat('x', 700) FROM generate_series(1000, 1300) n")
        scene.finish()
        check(target.value("SELECT count(*) FROM t WHERE v = 'behind'") == "301", "rows behind the end are lost")


def a_writer_waits_for_another(source, target):
    """READ COMMITTED: the second goes on with the row as the first has left it."""
    prepare(source, target)
    with Schedule(PROGRAM, source, target) as run, source.session() as first, source.session() as second:
        run.begin()
        run.follows()
        for row, then in ((1, "v = 'after'"), (2, "id = id + 7")):
            first.run(f"BEGIN; UPDATE t SET id = id + 100 WHERE v = 'value {row}'")
            second.send(f"UPDATE t SET {then} WHERE v = 'value {row}'")
            wait_until(lambda: source.value("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0", "the second waits")
            first.run("COMMIT")
            second.finish()
            run.equal()


def a_commit_that_a_crash_takes_back(source, target, rewrite=()):
    """The writer did not wait for the disk; what we read must be on it before we keep it."""
    prepare(source, target)
    source.configure(wal_writer_delay="10s")
    source.restart()
    with Schedule(PROGRAM, source, target, plan=PLAN_WITH_RETRY, rewrite=rewrite) as run:
        run.begin()
        run.follows()
        run.after("kept", "rows_applied = rows_applied + 1")
        source.sql("SET synchronous_commit = off; UPDATE t SET v = 'soon gone' WHERE id = 1")
        run.reached("kept")  # the target has committed, the source has not
        source.stop("immediate")
        source.start()
        run.go("kept")
        run.equal(within=60)


def an_unsafe_commit_is_noticed(source, target):
    """The same, were nothing waited for: a row that the source has lost stays on the target."""
    try:
        a_commit_that_a_crash_takes_back(source, target, rewrite=[
            ("SELECT pg_catalog.pg_current_wal_flush_lsn() >= $1::pg_catalog.pg_lsn",
             "SELECT $1::pg_catalog.pg_lsn IS NOT NULL")])
    except AssertionError as caught:
        check("differ" in str(caught), caught)
        return
    raise SystemExit("nobody noticed that the WAL was not waited for")


# ---- Shapes of tables ----

PARTED = """
CREATE TABLE p (id int NOT NULL, region text NOT NULL, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a');
CREATE TABLE p_b PARTITION OF p FOR VALUES IN ('b') PARTITION BY HASH (id);
CREATE TABLE p_b0 PARTITION OF p_b FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE p_b1 PARTITION OF p_b FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE p_rest PARTITION OF p DEFAULT;
CREATE TABLE parent (id int PRIMARY KEY, v text);
CREATE TABLE child (more int, PRIMARY KEY (id)) INHERITS (parent);
"""
PARTED_ROWS = """
INSERT INTO p SELECT n, CASE n % 3 WHEN 0 THEN 'a' WHEN 1 THEN 'b' ELSE 'c' END, repeat('x', 500) FROM generate_series(1, 300) n;
INSERT INTO parent SELECT n, 'parent' FROM generate_series(1, 50) n;
INSERT INTO child SELECT n, 'child', n FROM generate_series(1, 50) n;
"""
MOVES = """
UPDATE p SET region = CASE region WHEN 'a' THEN 'b' WHEN 'b' THEN 'c' ELSE 'a' END WHERE id % 4 = 0;
UPDATE p SET id = id + 1000 WHERE id % 5 = 0;
DELETE FROM p WHERE id % 11 = 0;
UPDATE parent SET v = v || '!' WHERE id % 2 = 0;
DELETE FROM ONLY parent WHERE id = 7;
"""


def rows_move_between_partitions(source, target):
    """While they are copied, and while it follows; a parent of INHERITS has rows of its own."""
    clear(source, target)
    for side in (source, target):
        side.sql(PARTED)
    source.sql(PARTED_ROWS)
    leaves = ("p_a", "p_b0", "p_b1", "p_rest", "ONLY parent", "ONLY child")
    with Schedule(PROGRAM, source, target, plan=PLAN_WITH_RETRY) as run:
        run.after("chunk", "generation = 1 AND number = 2")
        run.begin()
        run.reached("chunk")
        source.sql(MOVES)
        run.go("chunk")
        run.follows()
        run.equal(*leaves)
        source.sql(MOVES.replace("% 4 = 0", "% 4 = 1").replace("% 11", "% 13"))
        source.sql("TRUNCATE p_b; INSERT INTO p VALUES (5000, 'b', 'after the truncate')")
        run.equal(*leaves)
        source.sql("TRUNCATE p")
        run.equal(*leaves)


TYPES = """
CREATE SCHEMA "Odd.Schema 'x'";
CREATE TYPE feeling AS ENUM ('sad', 'it''s fine');
CREATE TYPE spot AS (x float8, "y;" numeric);
CREATE DOMAIN short AS varchar(9) CHECK (length(VALUE) > 1);
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE many (id uuid PRIMARY KEY, n numeric, f float8, r real, ts timestamptz, d date, i interval, b bytea, j jsonb,
  js json, a int[], feels feeling, fs feeling[], s spot, ss spot[], k short, rng int4range, mrng nummultirange,
  reg regclass, regs regtype[], inet inet, x xml, bits varbit(20), m money, p point, tsv tsvector, nothing text,
  twice numeric GENERATED ALWAYS AS (n * 2) STORED);
CREATE TABLE by_case (k text COLLATE any_case PRIMARY KEY, v int);
CREATE TABLE by_feeling (k feeling, s short, PRIMARY KEY (k, s));
CREATE TABLE by_time (at timestamptz, f float8, PRIMARY KEY (at, f));
CREATE TABLE by_many (a text, "B c" bigint, c uuid, v text, PRIMARY KEY (a, "B c", c));
CREATE TABLE keyless (a timestamptz, b json, p point, f float8);
CREATE TABLE always (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
CREATE TABLE "Odd.Schema 'x'"."tab ""le" ("a""b" int PRIMARY KEY, "Ünïcödé 😀" text, "select" int);
CREATE TABLE "LONG" ("LONG" int PRIMARY KEY);
CREATE TABLE unkeyed (id int UNIQUE NOT NULL, v text);
ALTER TABLE unkeyed REPLICA IDENTITY NOTHING;
CREATE TABLE later (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text);
""".replace("LONG", "n" * 63)
TYPES_ROWS = """
INSERT INTO many (id, n, f, r, ts, d, i, b, j, js, a, feels, fs, s, ss, k, rng, mrng, reg, regs, inet, x, bits, m, p, tsv) VALUES
 (gen_random_uuid(), 'NaN', 'NaN', '-0', 'infinity', '-infinity', '-1 mon 3 days -00:00:00.000001', '\\x00ff', '{"a": [1, null]}',
  '{"a":1, "a":2}', '{{1,2},{3,NULL}}', 'it''s fine', '{sad,NULL}', '(1,2)', ARRAY[ROW(1, NULL)::spot], 'kk', '[1,5)', '{[1,2],(5,6)}',
  'by_time', '{text,feeling}', '::1/64', '<a>b</a>', B'101', '12.34', '(1,-2)', 'a:1 b:2A'),
 (gen_random_uuid(), '1e-1000', 'infinity', '1e-40', '0001-01-01 BC', '4713-01-01 BC', '178000000 years', '', 'null', 'null', '{}',
  'sad', '{}', NULL, '{}', 'long one', 'empty', '{}', 'many', '{}', '1.2.3.4', '<a/>', B'', '-0.01', '(1e300,0)', ''),
 (gen_random_uuid(), 9::numeric ^ 900, 1e-300, 1, '2026-03-29 01:30:00+00', '2026-02-28', '0', repeat('z', 9000)::bytea,
  jsonb_build_object('long', repeat('y', 9000)), '[1]', ARRAY[1], 'sad', '{sad,sad}', '("NaN",)', NULL, 'xx', NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO by_case SELECT 'Key ' || n, n FROM generate_series(1, 40) n;
INSERT INTO by_feeling VALUES ('sad', 'one'), ('it''s fine', 'two');
INSERT INTO by_time VALUES ('infinity', 'NaN'), ('2026-01-01', '-0'), ('-infinity', 'infinity');
INSERT INTO by_many SELECT 'a' || n % 7, n, gen_random_uuid(), NULL FROM generate_series(1, 200) n;
INSERT INTO keyless SELECT '2026-07-01 12:00+00', '{"a": 1}', '(1,2)', 1.1 FROM generate_series(1, 5);
INSERT INTO keyless VALUES (NULL, NULL, NULL, 'NaN'), ('infinity', 'null', '(0,0)', '-0');
INSERT INTO always (v) SELECT 'v' FROM generate_series(1, 20);
INSERT INTO "Odd.Schema 'x'"."tab ""le" SELECT n, 'ü' || n, n FROM generate_series(1, 20) n;
INSERT INTO "LONG" SELECT generate_series(1, 20);
INSERT INTO unkeyed SELECT n, 'v' FROM generate_series(1, 20) n;
INSERT INTO later SELECT n, 'v' || n FROM generate_series(1, 20) n;
""".replace("LONG", "n" * 63)

def changes_of_types():
    return """
SET timezone = 'Asia/Kathmandu'; SET extra_float_digits = 0; SET datestyle = 'German'; SET intervalstyle = 'iso_8601';
SET bytea_output = 'escape'; SET search_path = pg_temp;
UPDATE public.many SET n = -n, f = -f, feels = NULL, reg = 'public.by_many', s = '(3,4)', ts = ts - interval '1 second';
UPDATE public.by_case SET k = lower(k) WHERE v % 2 = 0;
UPDATE public.by_case SET k = upper(k), v = v + 1 WHERE v % 3 = 0;
UPDATE public.by_feeling SET k = 'it''s fine', s = 'three' WHERE s = 'one';
UPDATE public.by_time SET f = 0 WHERE at = '2026-01-01 00:00:00+00';
DELETE FROM public.by_time WHERE f = 'NaN';
UPDATE public.by_many SET a = a || ';', "B c" = -"B c" WHERE "B c" % 3 = 0;
DELETE FROM public.keyless WHERE ctid IN (SELECT ctid FROM public.keyless WHERE f = 1.1 LIMIT 2);
UPDATE public.keyless SET f = 1.2 WHERE f = 'NaN';
INSERT INTO public.keyless VALUES ('2026-07-01 12:00+00', '{"a": 1}', '(1,2)', 1.1);
INSERT INTO public.always OVERRIDING SYSTEM VALUE VALUES (900, 'mine');
UPDATE public.always SET v = 'w' WHERE id % 2 = 0;
UPDATE "Odd.Schema 'x'"."tab ""le" SET "a""b" = "a""b" + 100, "Ünïcödé 😀" = '''; DROP' WHERE "select" % 2 = 0;
UPDATE public."LONG" SET "LONG" = -"LONG";
UPDATE public.unkeyed SET id = id + 50, v = NULL WHERE id % 2 = 0;
UPDATE public.later SET id = 21 - id;
""".replace("LONG", "n" * 63)


TABLES = ("many", "by_case", "by_feeling", "by_time", "by_many", "keyless", "always", "\"Odd.Schema 'x'\".\"tab \"\"le\"",
          f'"{"n" * 63}"', "unkeyed", "later")


def every_kind_of_key_and_value(source, target):
    with Follows(source, target, TYPES, TYPES_ROWS) as run:
        run.equal(*TABLES)
        source.sql(changes_of_types())
        run.equal(*TABLES)
        source.sql("DELETE FROM many; TRUNCATE by_case, later; DELETE FROM keyless WHERE f = 1.1")
        run.equal(*TABLES)


def a_table_without_columns_is_refused(source, target):
    clear(source, target)
    for side in (source, target):
        side.sql("CREATE TABLE good (id int PRIMARY KEY); CREATE TABLE bare ()")
    with Schedule(PROGRAM, source, target) as run:
        run.begin()
        check(run.process.wait(60) == 3, run.log())
        says(run, "public.bare has no column that could be copied")
        check(source.value("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == "0", "a table was captured already")


# ---- DDL while it follows ----

def says(run, *words):
    wait_until(lambda: all(word in run.log() for word in words), f"it says {words}: {run.log()[-1500:]}", 120)


def a_key_stays_as_it_is(source, target):
    """PostgreSQL refuses to change its type while it is captured. It does not refuse another name, and then refuses the
    application's writes, until the name is back: a limit of ours, which the README tells."""
    with Follows(source, target, "CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'a')") as run:
        for ddl, word in (("ALTER TABLE t ALTER id TYPE bigint", "zz_plan_key"),
                          ("BEGIN; ALTER TABLE t RENAME id TO number; INSERT INTO t VALUES (3, 'c')", 'no field "id"')):
            try:
                source.sql(ddl)
                raise SystemExit(f"{ddl}: that was allowed")
            except Failed as refused:
                check(word in str(refused), refused)
        source.sql("INSERT INTO t VALUES (2000000000, 'goes on')")
        run.equal()


def a_column_goes_and_one_gets_another_name(source, target):
    tables = "CREATE TABLE t (id int PRIMARY KEY, v text, w text)"
    for ddl, word in (("ALTER TABLE t DROP COLUMN w", "w"), ("ALTER TABLE t RENAME v TO value", "value")):
        with Follows(source, target, tables, "INSERT INTO t SELECT n, 'v', 'w' FROM generate_series(1, 50) n") as run:
            source.sql(f"{ddl}; INSERT INTO t VALUES (1000, 'after')")
            says(run, "public.t", word)
            run.end()
            target.sql(ddl)
            run.begin()
            run.follows()
            run.equal()


def a_trigger_of_ours_is_disabled_or_gone(source, target):
    """What was written meanwhile is in no log: the table is copied anew, or it stops."""
    tables, rows = "CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t SELECT n, 'v' FROM generate_series(1, 50) n"
    with Follows(source, target, tables, rows) as run:
        source.sql("ALTER TABLE t DISABLE TRIGGER USER; UPDATE t SET v = 'unseen' WHERE id = 3; ALTER TABLE t ENABLE TRIGGER USER; "
                   "UPDATE t SET v = 'seen' WHERE id = 4")
        wait_until(lambda: target.value("SELECT v FROM t WHERE id = 3") == "unseen" or run.process.poll() is not None,
                   f"it is copied anew: {run.log()[-1500:]}", 120)
        if run.process.poll() is None:
            run.follows()
            run.equal()
        else:
            check("trigger" in run.log(), run.log())


def a_partition_full_of_rows_is_attached(source, target):
    """No log knows its rows: they are copied, or people are told before the switch that they are not."""
    tables = ("CREATE TABLE p (id int, PRIMARY KEY (id)) PARTITION BY RANGE (id); "
              "CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (100)")
    with Follows(source, target, tables, "INSERT INTO p SELECT generate_series(1, 50)") as run:
        source.sql("CREATE TABLE p_2 (id int NOT NULL PRIMARY KEY); INSERT INTO p_2 SELECT generate_series(100, 150); "
                   "ALTER TABLE p ATTACH PARTITION p_2 FOR VALUES FROM (100) TO (200); INSERT INTO p VALUES (60), (160)")
        says(run, "public.p_2")


ALWAYS = [an_unsafe_commit_is_noticed, rows_move_between_partitions, every_kind_of_key_and_value,
          a_table_without_columns_is_refused, a_trigger_of_ours_is_disabled_or_gone]
AT_RELEASE = [a_table_shrinks_and_grows_while_it_is_copied, a_writer_waits_for_another, a_commit_that_a_crash_takes_back,
              a_key_stays_as_it_is, a_column_goes_and_one_gets_another_name, a_partition_full_of_rows_is_attached]


def main():
    chosen = sys.argv[3:]
    with Cluster("source") as source, Cluster("target") as target:
        for case in ALWAYS + AT_RELEASE:
            if case.__name__ in chosen or (not chosen and (case in ALWAYS or os.environ.get("PLAN_LEVEL") == "release")):
                print(case.__name__, flush=True)
                case(source, target)
    print("ok")


main()
