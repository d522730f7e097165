# SPDX-License-Identifier: MIT
"""plans/copy-database.yaml between two real servers, under write load: there, back with every row, there again, and
completed with nothing left behind. PLAN_LEVEL=release writes 100,000 rows on the target before the way back.
PLAN_TEST_SOURCE_PG_BIN and PLAN_TEST_TARGET_PG_BIN are directories with initdb and postgres of other versions."""
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time

from cluster import Cluster, Failed, wait_until

PLAN = os.path.abspath(sys.argv[1])
WRITTEN = 100000 if os.environ.get("PLAN_LEVEL") == "release" else 3000
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

SCHEMA = """
CREATE TYPE mood AS ENUM ('sad', 'fine');
CREATE SCHEMA "Odd Names";
CREATE TABLE accounts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner text NOT NULL UNIQUE,
  balance numeric NOT NULL DEFAULT 0, feels mood, twice numeric GENERATED ALWAYS AS (balance * 2) STORED);
CREATE TABLE entries (id serial PRIMARY KEY, account bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
  amount numeric NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON entries (account, at);
CREATE TABLE "Odd Names"."dots.and ""quotes"" too" ("the key" text, n uuid, "Väl" jsonb, PRIMARY KEY ("the key", n));
CREATE TABLE nokey (a int, b text);
CREATE TABLE measured (day date NOT NULL, n int NOT NULL, v float8, PRIMARY KEY (day, n)) PARTITION BY RANGE (day);
CREATE TABLE measured_1 PARTITION OF measured FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE measured_2 PARTITION OF measured FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE audit (id bigserial PRIMARY KEY, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO public.audit (what) VALUES (TG_OP || ' ' || COALESCE(NEW.owner, OLD.owner)); RETURN NULL; END $$;
CREATE TRIGGER noted AFTER INSERT OR DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION note();
CREATE VIEW rich AS SELECT owner FROM accounts WHERE balance > 100;
INSERT INTO accounts (owner, balance, feels) SELECT 'owner ' || n, 1000, 'fine' FROM generate_series(1, 2000) n;
INSERT INTO entries (account, amount) SELECT 1 + n % 2000, 0 FROM generate_series(1, 20000) n;
INSERT INTO "Odd Names"."dots.and ""quotes"" too" SELECT 'k' || n, gen_random_uuid(), '{"a": [1, null]}' FROM generate_series(1, 500) n;
INSERT INTO nokey SELECT n % 50, 'same' FROM generate_series(1, 300) n;
INSERT INTO measured SELECT date '2026-01-01' + n % 59, n, n / 3.0 FROM generate_series(1, 2000) n;
"""

# Every table row for row; the order of rows without a key does not matter.
CONTENTS = """
SELECT 'accounts', count(*), md5(string_agg(x::text, ',' ORDER BY x.id)) FROM accounts x UNION ALL
SELECT 'entries', count(*), md5(string_agg(x::text, ',' ORDER BY x.id)) FROM entries x UNION ALL
SELECT 'odd', count(*), md5(string_agg(x::text, ',' ORDER BY x::text)) FROM "Odd Names"."dots.and ""quotes"" too" x UNION ALL
SELECT 'nokey', count(*), md5(string_agg(x::text, ',' ORDER BY x::text)) FROM nokey x UNION ALL
SELECT 'measured_1', count(*), md5(string_agg(x::text, ',' ORDER BY x::text)) FROM measured_1 x UNION ALL
SELECT 'measured_2', count(*), md5(string_agg(x::text, ',' ORDER BY x::text)) FROM measured_2 x UNION ALL
SELECT 'audit', count(*), md5(string_agg(x::text, ',' ORDER BY x.id)) FROM audit x
"""
KEYS = "SELECT conrelid::regclass || ' ' || conname || ' ' || convalidated FROM pg_constraint WHERE contype = 'f' ORDER BY 1"
TRIGGERS = "SELECT tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"


def check(truth, text):
    if not truth:
        raise AssertionError(text)


class Writers:
    """An application: transfers that keep the sum, key changes, rows that move between partitions, TRUNCATE. It
    writes to the database that it is pointed at, and goes on when it is refused."""

    def __init__(self, cluster):
        self.cluster, self.leaving, self.committed, self.refused = cluster, threading.Event(), 0, 0
        self.longest, self.last = 0.0, time.monotonic()
        self.thread = threading.Thread(target=self.write)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.leaving.set()
        self.thread.join()

    def statements(self, chance, number):
        a, b = chance.randint(1, 2000), chance.randint(1, 2000)
        some = [
            f"UPDATE accounts SET balance = balance - 1 WHERE id = {a}; "
            f"UPDATE accounts SET balance = balance + 1 WHERE id = {b}; "
            f"INSERT INTO entries (account, amount) SELECT id, -1 FROM accounts WHERE id = {a}",
            f"INSERT INTO accounts (owner, balance) VALUES ('new {number} {chance.random()}', 0)",
            f"DELETE FROM entries WHERE id = {chance.randint(1, 20000)}",
            f"UPDATE \"Odd Names\".\"dots.and \"\"quotes\"\" too\" SET \"the key\" = 'moved {number}' WHERE \"the key\" = 'k{a % 500}'",
            f"UPDATE nokey SET a = a + 1 WHERE a = {a % 50}",
            f"UPDATE measured SET day = CASE WHEN day < '2026-02-01' THEN day + 31 ELSE day - 31 END WHERE n = {a} AND day <> '2026-01-29'",
            f"DELETE FROM accounts WHERE owner LIKE 'new%' AND id IN (SELECT max(id) FROM accounts)",
        ]
        return chance.choice(some)

    def write(self):
        chance = random.Random(7)
        session, number = None, 0
        while not self.leaving.is_set():
            number += 1
            try:
                session = session or self.cluster.session()
                session.run(f"BEGIN; {self.statements(chance, number)}; COMMIT")
                now = time.monotonic()
                self.longest, self.last = max(self.longest, now - self.last), now
                self.committed += 1
            except Failed:
                self.refused += 1
                session and session.close()
                session = None
                time.sleep(0.05)
            time.sleep(0.005)
        session and session.close()


class Run:
    def __init__(self, source, target):
        self.source, self.target = source, target
        self.directory = tempfile.mkdtemp(prefix="plan-journey-")
        self.file = os.path.join(self.directory, "copy-database.yaml")
        with open(os.path.join(SOURCE, "plans", "copy-database.yaml")) as plan:
            text = plan.read()
        check(text.count("stable_for: 10s") == 2, "the plan is another one")
        with open(self.file, "w") as out:
            out.write(text.replace("stable_for: 10s", "stable_for: 1s"))

    def begin(self, *arguments):
        return subprocess.Popen([PLAN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                stdin=subprocess.DEVNULL, env={**os.environ, "SOURCE_URL": self.source.url(),
                                                               "TARGET_URL": self.target.url(), "NO_COLOR": "1"})

    def run(self, wanted, *arguments, within=170):
        doing = self.begin(*arguments)
        try:
            output, _ = doing.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            self.tell()
            doing.kill()
            raise
        check(doing.returncode == wanted, f"{arguments}: exit {doing.returncode}, not {wanted}\n{output}")
        check(self.source.password not in output, f"{arguments}: the password is shown")
        return output

    def tell(self):
        """What a run that does not end is at."""
        for command in ("status", "journal"):
            print(self.begin(command, self.file).communicate(timeout=60)[0][-5000:], flush=True)
        for side in (self.source, self.target):
            for row in side.rows("SELECT pid, application_name, state, wait_event, now() - xact_start, left(query, 300) "
                                 "FROM pg_stat_activity WHERE backend_type = 'client backend'"):
                print(side.name, row, flush=True)


def equal(source, target):
    here, there = sorted(source.rows(CONTENTS)), sorted(target.rows(CONTENTS))
    check(here == there, f"source {here}\ntarget {there}")
    return here


def there(run, source, target, before):
    """The application writes to the source until it is refused; both sides are equal then, and the keys hold."""
    run.run(0, "approve", run.file, "switch")
    with Writers(source) as writers:
        output = run.run(4, "apply", "--yes", run.file)
        check("complete: it waits for 0 of 1 approvals" in output, output)
        print(re.findall(r"nobody could write for .*", run.run(0, "journal", run.file))[-1], flush=True)
        check(writers.committed > 20, "nobody wrote")
        refused = writers.refused
        wait_until(lambda: writers.refused > refused + 2, "the source refuses writes")
    print(equal(source, target), flush=True)
    check(target.rows(KEYS) == before[0], f"{target.rows(KEYS)}, not {before[0]}")


def back(run, source, target, before):
    """What users write on the target meanwhile comes back, to the last row, and nobody writes there any more."""
    target.sql("INSERT INTO accounts (owner, balance) SELECT 'there ' || n, n "
               f"FROM generate_series(1, {WRITTEN}) n; "
               "DELETE FROM entries WHERE id % 7 = 0; UPDATE nokey SET b = 'there' WHERE a < 10")
    with Writers(target) as writers:
        wait_until(lambda: writers.committed > 20, "users write to the target")
        run.run(0, "rollback", "--yes", "--to", "switch", run.file)
        refused = writers.refused
        wait_until(lambda: writers.refused > refused + 2, "the target refuses writes")
    equal(source, target)
    check(source.value("SELECT count(*) FROM accounts WHERE owner LIKE 'there%'") == str(WRITTEN), "rows of the target are lost")
    now = (source.rows(KEYS), without_ours(source.rows(TRIGGERS)))
    check(now == before, f"{now}, not {before}")
    source.sql("INSERT INTO accounts (owner) VALUES ('the source takes writes')")


def begun_anew(run, target):
    """After the way back, when the target is closed to others, the copy itself can be undone, too."""
    run.run(0, "rollback", "--yes", "--to", "replicate", run.file)
    check(target.value("SELECT count(*) FROM accounts") == "0", "the target has rows still")


def without_ours(rows):
    return [row for row in rows if "zz_plan_" not in row[0]]


def main():
    with Cluster("source", bin=os.environ.get("PLAN_TEST_SOURCE_PG_BIN")) as source, \
            Cluster("target", bin=os.environ.get("PLAN_TEST_TARGET_PG_BIN")) as target:
        print(" to ".join(side.value("SHOW server_version") for side in (source, target)), flush=True)
        run = Run(source, target)
        source.sql(SCHEMA)
        before = (source.rows(KEYS), source.rows(TRIGGERS))
        there(run, source, target, before)
        back(run, source, target, before)
        begun_anew(run, target)
        there(run, source, target, before)
        run.run(0, "approve", run.file, "complete")
        run.run(0, "apply", "--yes", run.file)
        equal(source, target)
        for side in (source, target):
            check(side.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'plan_replication'") == "0", side.name)
            check((side.rows(KEYS), side.rows(TRIGGERS)) == before, f"{side.name}: {side.rows(KEYS)} {side.rows(TRIGGERS)}")
    print("ok")


if __name__ == "__main__":
    main()
