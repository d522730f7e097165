# SPDX-License-Identifier: MIT
"""The module `postgres.schema`: what is on the target afterwards, what is held, and what is left when it does not work.

PLAN_LEVEL=release tries newer targets too: PLAN_TEST_NEWER_PG_BINS lists directories with their initdb and postgres,
separated by colons.

usage: schema.py PLAN [SCENARIO...]"""
import os
import subprocess
import sys

import scene
from cluster import PASSWORD, Cluster, wait_until
from scene import Scene, check, run_scenarios

scene.PLAN = os.path.abspath(sys.argv[1])
FINISH = os.environ.get("FINISH_SCHEMA") or os.path.join(os.path.dirname(scene.PLAN), "../tests/postgres/finish_schema")
HERE = os.path.dirname(os.path.abspath(__file__))
EXTENSIONS = ("citext", "hstore", "pg_trgm", "btree_gist")
# What an owner of a database may have made.
THERE = """SELECT count(*) FROM (SELECT oid FROM pg_class WHERE relnamespace::regnamespace::text !~ '^pg_|^inf|^public'
 UNION ALL SELECT oid FROM pg_proc WHERE pronamespace::regnamespace::text !~ '^pg_|^inf|^public'
 UNION ALL SELECT oid FROM pg_type WHERE typnamespace::regnamespace::text !~ '^pg_|^inf|^public'
 UNION ALL SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace
 UNION ALL SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_|^inf|^public' UNION ALL SELECT oid FROM pg_cast WHERE
 oid > 16384 AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_cast'::regclass AND objid = pg_cast.oid
 AND deptype = 'e')) x"""


class Pair:
    """A database of one name on both servers."""

    def __init__(self, name, sql="", extensions=()):
        self.name = name
        for side in (source, target):
            side.add_database(name)
            for extension in extensions:
                side.super(f"CREATE EXTENSION {extension}", name)
        if sql:
            source.sql(sql, database=name)
        self.source, self.target = source.url(database=name), target.url(database=name)

    def there(self):
        return int(target.value(THERE, database=self.name))

    def on_target(self, sql):
        return target.rows(sql, database=self.name)

    def scene(self, schemas=None, **environment):
        more = f", schemas: {schemas}" if schemas else ""
        return Scene(f"  it: {{uses: postgres.schema, with: {{source: source, target: target{more}}}}}\n", self.source,
                     self.target, environment)

    def finish(self, wanted=0):
        """Builds all that is held; gives the differences that are left."""
        done = subprocess.run([FINISH, self.source, self.target], capture_output=True, text=True)
        check(done.returncode == wanted, f"{done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def fails(self, wanted, says, **environment):
        """And the target is as it was."""
        before = self.there()
        with self.scene(**environment) as place:
            place.apply(wanted, says)
        check(self.there() == before, f"{self.there()} objects are left, there were {before}")


def zoo():
    with open(os.path.join(HERE, "zoo.sql"), encoding="utf-8") as file:
        return file.read()


ROWS = """INSERT INTO shop.customers (id, email, name, parent) OVERRIDING SYSTEM VALUE
 VALUES (1, 'a@b', 'ax', NULL), (2, 'c@d', 'bx', 1);
INSERT INTO shop.orders (id, customer, placed_at) VALUES ('00000000-0000-0000-0000-000000000001', 1, now());
INSERT INTO shop.lines (order_id, n) VALUES ('00000000-0000-0000-0000-000000000001', -1);
INSERT INTO shop.events SELECT n, date '2023-01-01' + n, CASE n % 3 WHEN 0 THEN 'a' ELSE 'b' END, 1 + n % 2
 FROM generate_series(1, 900) n;
INSERT INTO shop.dogs VALUES (1, 'x', 2)"""


def one_of_everything_is_equal_when_all_is_built():
    pair = Pair("zoo", zoo(), EXTENSIONS)
    with pair.scene() as place:
        place.run(2, "diff", "--detailed-exitcode", says=["shop.customers", "operator", "materialized view"])
        check(pair.there() == 0, "the look made something")
        place.apply(0, ["zoo_missing"])
        done = [one for one in place.records() if one["kind"] == "done"][-1]
        check("SELECT on shop.keyless to zoo_missing" in str(done), f"{done}")
        place.run(0, "diff", "--detailed-exitcode")
        check(pair.on_target("SELECT count(*) FROM pg_index WHERE indrelid::regclass::text ~ '^shop'") == [["0"]], "an index")
        check(pair.on_target("SELECT count(*) FROM pg_trigger WHERE tgrelid::regclass::text ~ '^shop'") == [["0"]],
              "a trigger")
        early = pair.on_target("SELECT string_agg(name, ' ') FROM plan_replication.held WHERE stage = 'key' AND relation = ''")
        check(early == [[None]], f"keys of no table: {early}")
        pair.on_target(ROWS)
        left = pair.finish()
        check(left == "", left)
        undone = pair.on_target("SELECT * FROM plan_replication.held WHERE NOT done OR built_at IS NULL")
        check(undone == [], f"{undone}")
        # Before 18 the server leaves those it makes itself for each partition as they are.
        invalid = pair.on_target("SELECT conname FROM pg_constraint WHERE NOT convalidated AND contype = 'f' AND conparentid = 0")
        check(invalid == [["latest_line"]], f"not valid on the source is latest_line alone: {invalid}")
        place.run(0, "diff", "--detailed-exitcode")
        check("0 changed" in place.apply(0), "a second apply did something")
        place.forget()
        check("0 changed" in place.apply(0), "without its journal it did something")


# What somebody may have done to the target, and what the comparison says of it.
SPOILT = [
    ("ALTER TYPE shop.mood ADD VALUE 'more'", "enum shop.mood is different"),
    ("ALTER DOMAIN shop.email SET DEFAULT 'x@y'", "domain shop.email is different"),
    ("ALTER DOMAIN shop.short DROP CONSTRAINT later", "domain constraint shop.short.later is missing"),
    ("ALTER TYPE shop.\"Point 3D\" RENAME ATTRIBUTE y TO yy CASCADE", "column shop.\"Point 3D\".y is missing"),
    ("CREATE OR REPLACE FUNCTION shop.add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE"
     " AS 'SELECT a - b'", "function shop.add(integer,integer) is different"),
    ("DROP OPERATOR shop.=== (shop.\"Point 3D\", shop.\"Point 3D\")", "operator shop.===("),
    ("DROP CAST (int AS shop.mood)", "cast (integer AS shop.mood) is missing"),
    ("ALTER TABLE shop.customers SET (fillfactor = 71)", "table shop.customers is different"),
    ("ALTER TABLE shop.customers ALTER added SET DEFAULT now() + '1s'", "column shop.customers.added is different"),
    ("ALTER TABLE shop.orders ALTER amount DROP NOT NULL", "column shop.orders.amount is different"),
    ("ALTER TABLE shop.keyless ALTER b TYPE jsonb", "column shop.keyless.b is different"),
    ("ALTER TABLE shop.orders ADD COLUMN extra int", "table shop.orders is different"),
    ("ALTER TABLE shop.customers ALTER id SET GENERATED BY DEFAULT", "column shop.customers.id is different"),
    ("ALTER TABLE shop.events DETACH PARTITION shop.events_rest", "table shop.events_rest is different"),
    ("ALTER TABLE shop.dogs NO INHERIT shop.animals", "table shop.dogs is different"),
    ("ALTER TABLE shop.customers DROP CONSTRAINT \"named; check\"", "check constraint shop.customers.\"named; check\" is missing"),
    ("ALTER TABLE shop.animals ADD CHECK (id > 0)", "check constraint shop.animals.animals_id_check is surplus"),
    ("ALTER SEQUENCE shop.free MINVALUE -5", "sequence shop.free is different"),
    ("CREATE OR REPLACE VIEW shop.richer WITH (security_barrier) AS SELECT r.* FROM shop.rich r WHERE orders > 2",
     "view shop.richer is different"),
    ("COMMENT ON COLUMN shop.customers.name IS 'other'", "comment table column shop.customers.name is different"),
    ("REVOKE SELECT ON shop.orders FROM zoo_reader CASCADE", "privilege SELECT on shop.orders to zoo_reader is missing"),
    ("DROP INDEX shop.orders_note", "index shop.orders_note is missing"),
    ("CREATE INDEX more ON shop.orders (latest)", "index shop.more is surplus"),
    ("ALTER TABLE shop.orders DROP CONSTRAINT orders_customer_fkey", "constraint shop.orders.orders_customer_fkey is missing"),
    ("ALTER TABLE shop.lines ALTER CONSTRAINT line_of NOT DEFERRABLE", "constraint shop.lines.line_of is different"),
    ("ALTER TABLE shop.orders ENABLE TRIGGER \"on\"", "trigger shop.orders.\"on\" is different"),
    ("ALTER TABLE shop.events_2023 ENABLE TRIGGER every", "trigger shop.events_2023.every is missing"),
    ("DROP RULE \"no; delete\" ON shop.customers", "rule shop.customers.\"no; delete\" is missing"),
    ("ALTER POLICY anyone ON shop.customers USING (false)", "policy shop.customers.anyone is different"),
    ("ALTER TABLE shop.customers DISABLE ROW LEVEL SECURITY", "row security shop.customers is missing"),
    ("ALTER TABLE shop.keyless ENABLE ROW LEVEL SECURITY", "row security shop.keyless is surplus"),
    ("DROP STATISTICS shop.expression_stats", "statistics shop.expression_stats is missing"),
    ("REFRESH MATERIALIZED VIEW shop.totals WITH NO DATA", "rows of a materialized view shop.totals is different"),
    ("COMMENT ON TRIGGER \"on\" ON shop.orders IS NULL", "comment on what is late trigger \"on\" on shop.orders is missing"),
    ("ALTER TABLE shop.by_index REPLICA IDENTITY DEFAULT", "index shop.by_index_a is different"),
]


def every_difference_is_seen():
    pair = Pair("spoilt", zoo(), EXTENSIONS)
    with pair.scene() as place:
        place.apply(0)
    check(pair.finish() == "", "it is not equal")
    pair.on_target("; ".join(sql for sql, _ in SPOILT))
    said = pair.finish()
    unseen = [text for _, text in SPOILT if text not in said]
    check(not unseen, f"not seen: {unseen}\n{said}")


def the_way_back_takes_all_and_nothing_else():
    pair = Pair("back", zoo(), EXTENSIONS)
    pair.on_target("CREATE SCHEMA other; CREATE TABLE other.stays (id int)")
    before = pair.there()
    with pair.scene() as place:
        place.apply(0)
        pair.on_target("INSERT INTO shop.animals VALUES (1)")
        place.run(6, "rollback", "--to", "it", "--yes", says=["table shop.animals has rows"])
        pair.on_target("DELETE FROM shop.animals; CREATE VIEW other.sees AS SELECT name FROM shop.animals")
        place.run(6, "rollback", "--to", "it", "--yes", says=["view other.sees, which this plan did not make"])
        pair.on_target("DROP VIEW other.sees; ALTER TABLE other.stays ADD mood shop.mood")
        place.run(6, "rollback", "--to", "it", "--yes", says=["other.stays"])
        check(pair.on_target("SELECT count(*) FROM plan_replication.held") != [["0"]], "half of it is gone")
        pair.on_target("ALTER TABLE other.stays DROP mood")
        place.run(0, "rollback", "--to", "it", "--yes")
        check(pair.there() == before, f"{pair.there()} objects, {before} before")
        place.apply(0)
        pair.finish()
        place.run(0, "rollback", "--to", "it", "--yes")
        check(pair.there() == before, f"{pair.there()} objects, {before} before")


def what_cannot_be_made_leaves_nothing():
    """Each names the object and says what the server said."""
    table = "CREATE SCHEMA a; CREATE TABLE a.t (id int PRIMARY KEY); CREATE TYPE a.e AS ENUM ('x'); "
    pair = Pair("no_extension", table + "CREATE TABLE a.z (c int)")
    source.super("CREATE EXTENSION citext; CREATE EXTENSION hstore", pair.name)
    pair.fails(3, ["the target lacks extensions of the source: citext, hstore", "postgres.extensions"])
    target.super("CREATE SCHEMA elsewhere; CREATE EXTENSION citext SCHEMA elsewhere; CREATE EXTENSION hstore", pair.name)
    pair.fails(3, ["in another schema than on the source: citext (public there, elsewhere here)"])

    pair = Pair("no_language", table)
    source.super("CREATE FUNCTION a.f(int, int) RETURNS int LANGUAGE internal IMMUTABLE AS 'int4pl';"
                 f"ALTER FUNCTION a.f OWNER TO {source.owner}; CREATE VIEW a.v AS SELECT a.f(1, 2)", pair.name)
    source.super(f"ALTER VIEW a.v OWNER TO {source.owner}", pair.name)
    pair.fails(3, ["make FUNCTION a.f", "permission denied for language internal"])

    pair = Pair("no_role", table + "CREATE POLICY p ON a.t TO zoo_missing USING (true)")
    pair.fails(1, ["POLICY p of a.t could not be built later", "role \"zoo_missing\" does not exist"])

    pair = Pair("no_table", table + "CREATE TABLE public.other (t int REFERENCES a.t)")
    with pair.scene(schemas="[public]") as place:
        place.apply(1, ["FK CONSTRAINT other_t_fkey of public.other could not be built later", "schema \"a\" does not exist"])
    check(pair.there() == 0, "something is left")
    with pair.scene(schemas="[nowhere]") as place:
        place.apply(64, ["the source has no schema nowhere"])


def what_is_there_already_is_refused_by_name():
    pair = Pair("there", "CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE VIEW v AS SELECT 1 AS one")
    pair.on_target("CREATE TABLE a (id int); INSERT INTO a VALUES (1); CREATE TABLE b (x text)")
    pair.fails(3, ["table public.a (with rows), table public.b; drop them, or take an empty database"])
    pair.on_target("DROP TABLE a, b; CREATE VIEW v AS SELECT 1 AS one")
    pair.fails(3, ["view public.v"])


def only_the_schemas_of_the_plan_are_carried():
    pair = Pair("chosen", "CREATE SCHEMA one; CREATE SCHEMA \"T.wo\"; CREATE TABLE one.a (id int PRIMARY KEY);"
                        "CREATE TABLE \"T.wo\".b (id int); CREATE TABLE c (id int); CREATE TYPE one.e AS ENUM ('x');"
                        "CREATE FUNCTION one.f(int) RETURNS one.e LANGUAGE sql AS 'SELECT NULL::one.e';"
                        "CREATE CAST (int AS one.e) WITH FUNCTION one.f(int)")
    with pair.scene(schemas="[one, \"T.wo\"]") as place:
        place.apply(0)
        place.run(0, "diff", "--detailed-exitcode")
        found = pair.on_target("SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND oid > 16384 ORDER BY 1::text")
        check(sorted(found) == [["\"T.wo\".b"], ["one.a"], ["plan_replication.held"]], f"{found}")
        check(pair.on_target("SELECT count(*) FROM pg_cast WHERE oid > 16384") == [["0"]], "a cast is in no schema")


def changes_of_the_source_since_are_told():
    pair = Pair("drift", "CREATE TABLE a (id int PRIMARY KEY)")
    with pair.scene() as place:
        place.apply(0)
        source.sql("ALTER TABLE a ADD more text; CREATE TABLE b (id int)", database=pair.name)
        place.run(2, "diff", "--detailed-exitcode", says=["public.b", "public.a.more"])
        place.forget()
        place.apply(3, ["the schema was made already", "make the same change on the target"])
        pair.on_target("ALTER TABLE a ADD more text; CREATE TABLE b (id int)")
        place.run(0, "diff", "--detailed-exitcode")


def a_held_object_that_fails_says_so_and_is_built_later():
    pair = Pair("held", "CREATE TABLE a (id int PRIMARY KEY, b int); CREATE INDEX ON a (b);"
                        "CREATE TABLE z (id int PRIMARY KEY)")
    with pair.scene() as place:
        place.apply(0)
    pair.on_target("INSERT INTO a VALUES (1), (1)")
    said = pair.finish(1)
    for text in ("build CONSTRAINT a_pkey of public.a", "Key (id)=(1) is duplicated", "do not just try again"):
        check(text in said, said)
    state = "SELECT name, done, error IS NULL FROM plan_replication.held ORDER BY id"
    check(pair.on_target(state)[0] == ["a_pkey", "f", "f"], f"{pair.on_target(state)}")
    pair.on_target("DELETE FROM a")
    check(pair.finish() == "", "it is not equal")
    check({tuple(row[1:]) for row in pair.on_target(state)} == {("t", "t")}, f"{pair.on_target(state)}")


WRAPPER = """#!/bin/sh
for one in "$@"; do echo "argument $one"; done >>"$0.log"
env | sed 's/^/variable /' >>"$0.log"
%s
exec /usr/lib/postgresql/15/bin/$(basename "$0") "$@"
"""


def wrap(place, first=""):
    """Programs that write down how they are started."""
    for name in ("pg_dump", "pg_restore"):
        place.write(name, WRAPPER % first)
        os.chmod(place.path(name), 0o755)
    place.environment["PLAN_PG_BIN"] = place.directory


def no_secret_is_in_an_argument_and_nothing_on_a_disk():
    pair = Pair("secret", "CREATE TABLE a (id int)")
    with pair.scene() as place:
        wrap(place)
        os.mkdir(place.path("tmp"))
        place.environment["TMPDIR"] = place.path("tmp")
        place.apply(0)
        check(os.listdir(place.path("tmp")) == [], "something is in TMPDIR")
        with open(place.path("pg_dump.log")) as file:
            lines = file.read().splitlines()
        given = [line for line in lines if line.startswith("argument")]
        check(given and not any(PASSWORD in line or "postgres://" in line or source.owner in line for line in given), f"{given}")
        check(f"variable PGPASSWORD={PASSWORD}" in lines and f"variable PGDATABASE={pair.name}" in lines, f"{lines}")
        check(not any("TARGET_URL" in line or "SOURCE_URL" in line for line in lines), "it inherits our environment")


def an_old_pg_dump_is_refused_with_what_to_install():
    pair = Pair("old", "CREATE TABLE a (id int)")
    with pair.scene() as place:
        wrap(place, "echo 'pg_dump (PostgreSQL) 12.3 (Debian 12.3-1)'; exit 0")
        place.apply(3, ["the newest pg_dump here is 12", "install postgresql-client-15"])
        wrap(place, "[ \"$1\" = --version ] || { echo 'pg_dump: error: it broke' >&2; exit 1; }")
        place.apply(1, ["pg_dump ended with exit code 1: pg_dump: error: it broke"])
        check(pair.there() == 0, "something is left")


# What a command of that kind in the database waits for.
GATE = """CREATE SCHEMA gate; CREATE FUNCTION gate.wait() RETURNS event_trigger LANGUAGE plpgsql
 AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(4711); END'; CREATE EVENT TRIGGER gate ON ddl_command_end WHEN TAG IN ('{tag}')
 EXECUTE FUNCTION gate.wait()"""
AT_THE_GATE = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted"
OF_SCHEMA = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'plan schema'"


def a_kill_leaves_all_of_it_or_nothing():
    """In the midst of the tables, at the first index, and when all held objects are being tried."""
    pair = Pair("killed", zoo(), EXTENSIONS)
    before = pair.there()
    with pair.scene() as place:
        for tag in ("CREATE TABLE", "CREATE INDEX", "CREATE TRIGGER"):
            target.super(GATE.format(tag=tag), pair.name)
            with target.session(target.superuser, pair.name) as gate:
                gate.run("SELECT pg_advisory_lock(4711)")
                process = place.begin("apply", "--yes")
                wait_until(lambda: target.super(AT_THE_GATE), f"the first {tag}")
                process.kill()
                process.communicate(timeout=30)
            wait_until(lambda: target.super(OF_SCHEMA)[0][0] == "0", "the end of its sessions")
            target.super("DROP EVENT TRIGGER gate; DROP SCHEMA gate CASCADE", pair.name)
            check(pair.there() == before, f"{pair.there()} objects, {before} before")
        place.apply(0)
        check(pair.finish() == "", "it is not equal")


def newer_targets_have_the_same_schema():
    if os.environ.get("PLAN_LEVEL") != "release":
        return
    for directory in filter(None, os.environ.get("PLAN_TEST_NEWER_PG_BINS", "").split(":")):
        with Cluster("newer", bin=directory) as newer:
            newer.super("CREATE ROLE zoo_reader")
            for extension in EXTENSIONS:
                newer.super(f"CREATE EXTENSION {extension}", newer.database)
            steps = "  it: {uses: postgres.schema, with: {source: source, target: target}}\n"
            with Scene(steps, source.url(database="zoo"), newer.url()) as place:
                place.apply(0)
                newer.rows(ROWS)
                left = subprocess.run([FINISH, source.url(database="zoo"), newer.url()], capture_output=True, text=True)
                check(left.returncode == 0 and left.stdout == "", f"{directory}: {left.stdout}")
                place.run(0, "diff", "--detailed-exitcode")
        print(f"  {directory}")


with Cluster("source") as source, Cluster("target") as target:
    for one in (source, target):
        one.super("CREATE ROLE zoo_reader")
    source.super("CREATE ROLE zoo_missing")
    run_scenarios(one_of_everything_is_equal_when_all_is_built, every_difference_is_seen,
                  the_way_back_takes_all_and_nothing_else, what_cannot_be_made_leaves_nothing,
                  what_is_there_already_is_refused_by_name, only_the_schemas_of_the_plan_are_carried,
                  changes_of_the_source_since_are_told, a_held_object_that_fails_says_so_and_is_built_later,
                  no_secret_is_in_an_argument_and_nothing_on_a_disk, an_old_pg_dump_is_refused_with_what_to_install,
                  a_kill_leaves_all_of_it_or_nothing, newer_targets_have_the_same_schema, only=sys.argv[2:])
