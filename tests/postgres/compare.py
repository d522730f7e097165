# SPDX-License-Identifier: MIT
"""postgres.compare: a replication that runs, an application that writes, and rows that were changed behind its back.

usage: compare.py PLAN"""
import glob
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from cluster import Cluster, Failed, wait_until

HEAD = """plan: 1
name: {name}
summary: Test.
secrets:
  s: {{env: S}}
  t: {{env: T}}
connections:
  source: {{uses: postgres, url: "${{secrets.s}}"}}
  target: {{uses: postgres, url: "${{secrets.t}}"}}
steps:
"""
REPLICATE = """  replicate:
    uses: postgres.replicate
    with: {source: source, target: target, workers: 2}
    postconditions:
      - {check: replication.lag, below: 5s, stable_for: 1s, within: 5m}
  hold:
    uses: wait
    needs: [replicate]
    with: {for: 1h}
"""
TABLES = """
CREATE TABLE num (id int PRIMARY KEY, v text, n numeric, f float8, j jsonb, a int[], big text);
CREATE TABLE lk (a text, b uuid, v text, PRIMARY KEY (a, b));
CREATE TABLE tenant (t int, name text, v int, twice int GENERATED ALWAYS AS (v * 2) STORED, PRIMARY KEY (t, name));
CREATE TABLE words (w text PRIMARY KEY, n int);
CREATE TABLE nokey (a int, b text);
CREATE TABLE hot (id int PRIMARY KEY, n bigint NOT NULL);
CREATE TABLE "Odd ""name" ("k ey" bigint PRIMARY KEY, "a:b" text);
CREATE TABLE nothing (id int PRIMARY KEY);
"""
ROWS = """
INSERT INTO num SELECT g, 'v' || g, g, g / 3.0, jsonb_build_object('g', g), ARRAY[g, NULL, g], repeat(md5(g::text), 8)
  FROM generate_series(1, 60000) g;
INSERT INTO lk SELECT chr(65 + g % 26) || chr(97 + g % 25) || g % 100, md5(g::text)::uuid, 'x' FROM generate_series(1, 9000) g;
INSERT INTO tenant (t, name, v) SELECT g % 7, CASE WHEN g % 2 = 0 THEN 'N' ELSE 'n' END || g, g FROM generate_series(1, 9000) g;
INSERT INTO words SELECT CASE g % 3 WHEN 0 THEN 'Zeta' WHEN 1 THEN 'zeta' ELSE 'ätsch' END || g, g FROM generate_series(1, 9000) g;
INSERT INTO nokey SELECT g % 100, 'x' || g % 3 FROM generate_series(1, 3000) g;
INSERT INTO hot SELECT g, 0 FROM generate_series(1, 20) g;
INSERT INTO "Odd ""name" SELECT g, 'x' FROM generate_series(1, 100) g;
"""
# The application leaves alone what is changed behind its back.
LOAD = [
    "UPDATE hot SET n = n + 1 WHERE id = {small}",
    "BEGIN; UPDATE num SET n = n + 1, v = 'w{i}' WHERE id = {low}; DELETE FROM num WHERE id = {low2}; COMMIT",
    "INSERT INTO num VALUES ({low2}, 'new', {i}, 'NaN', '{{}}', NULL, '') ON CONFLICT (id) DO UPDATE SET n = num.n + 1",
    "UPDATE num SET id = {high} WHERE id = {low} AND NOT EXISTS (SELECT FROM num WHERE id = {high})",
    "BEGIN; INSERT INTO lk VALUES ('k{i}', gen_random_uuid(), 'y'); UPDATE hot SET n = n + 1 WHERE id = {small}; COMMIT",
    "DELETE FROM lk WHERE a = 'k{earlier}'",
    "UPDATE tenant SET v = v + 1, name = name || 'x' WHERE t = 1 AND name = 'n{low}'",
    "UPDATE words SET w = upper(w) WHERE n = {low}",
    "UPDATE nokey SET a = a + 1 WHERE a = {small}",
    "INSERT INTO nokey VALUES ({small}, 'x1'), ({small}, 'x1')",
]


def check(truth, what):
    if not truth:
        raise AssertionError(what)


class Application(threading.Thread):
    """Writes to a database until it is stopped; hot rows are written again and again."""

    def __init__(self, database, statements=LOAD):
        super().__init__(daemon=True)
        self.statements = statements
        self.database, self.ended, self.count, self.problem = database, threading.Event(), 0, None

    def run(self):
        try:
            with self.database.session() as session:
                while not self.ended.is_set():
                    self.count += 1
                    i = self.count
                    numbers = {"i": i, "small": random.randint(1, 20), "low": random.randint(1, 2000),
                               "low2": random.randint(1, 2000), "high": random.randint(10**7, 2 * 10**7),
                               "earlier": max(0, i - 50)}
                    session.run(self.statements[i % len(self.statements)].format(**numbers))
        except Exception as error:  # for the main thread
            self.problem = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        check(not self.problem, f"the application failed: {self.problem}")


class Lag(threading.Thread):
    """How far the target is behind, sampled."""

    def __init__(self, target):
        super().__init__(daemon=True)
        self.target, self.ended, self.samples = target, threading.Event(), []

    def run(self):
        with self.target.session() as session:
            while not self.ended.is_set():
                self.samples.append(float(session.run("SELECT extract(epoch FROM clock_timestamp() - applied_at)"
                                                      " FROM plan_replication.stream")))
                time.sleep(0.02)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def words(self):
        ordered = sorted(self.samples)
        return f"lag {ordered[len(ordered) // 2]:.2f} s in the middle, {ordered[-1]:.2f} s at most ({len(ordered)} samples)"


class Scene:
    def __init__(self, plan, source, target):
        self.plan, self.source, self.target = os.path.abspath(plan), source, target
        self.directory = tempfile.mkdtemp(prefix="plan-compare-")
        self.environment = {**os.environ, "S": source.url(), "T": target.url()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)

    def write(self, name, steps):
        path = os.path.join(self.directory, f"{name}.yaml")
        with open(path, "w") as out:
            out.write(HEAD.format(name=name) + steps)
        return path

    def compare(self, wanted, fields="of: \"source:target\"", more=""):
        """What it said, and the outputs of the step when it was done."""
        for one in glob.glob(os.path.join(self.directory, ".plan", "compare*")):
            os.unlink(one)  # each time it is a run of its own
        path = self.write("compare", f"  compare:\n    uses: postgres.compare\n    with: {{{fields}}}\n{more}")
        done = subprocess.run([self.plan, "apply", "--yes", path], env=self.environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=300)
        said = done.stdout + done.stderr
        check(done.returncode in wanted, f"ended with {done.returncode}, not {wanted}:\n{said}")
        journal = subprocess.run([self.plan, "journal", "--json", path], env=self.environment, capture_output=True,
                                 text=True, check=True).stdout
        for line in journal.splitlines():
            record = json.loads(line)
            if record["kind"] == "done":
                return said, record["body"]["outputs"]
        return said, {}


class Replication:
    """The service, in the background."""

    def __init__(self, scene):
        self.scene = scene

    def __enter__(self):
        path = self.scene.write("replicate", REPLICATE)
        self.said = os.path.join(self.scene.directory, "replicate.log")
        self.process = subprocess.Popen([self.scene.plan, "apply", "--yes", path], env=self.scene.environment,
                                        stdin=subprocess.DEVNULL, stdout=open(self.said, "w"), stderr=subprocess.STDOUT)
        wait_until(self.follows, "the replication", 120)
        return self

    def follows(self):
        check(self.process.poll() is None, f"the replication ended: {self.log()}")
        try:
            return self.scene.target.value("SELECT count(*) FILTER (WHERE phase <> 'following') = 0 AND count(*) > 0 AND"
                                           " (SELECT applied_at IS NOT NULL FROM plan_replication.stream)"
                                           " FROM plan_replication.relation") == "t"
        except Failed:
            return False

    def log(self):
        with open(self.said) as file:
            return file.read()

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# ---- Cases ----

def equal_while_both_sides_change(scene, replication):
    for fields in ("of: \"source:target\"", "of: \"source:target\", chunk_rows: 1500"):
        with Application(scene.source) as application, Lag(scene.target) as lag:
            began, first = time.monotonic(), application.count
            _, outputs = scene.compare([0], fields, "    postconditions:\n"
                                                    "      - {check: compare.different_rows, equals: 0 rows}\n")
            took = time.monotonic() - began

        check(outputs["different_rows"] == 0 and outputs["tables"] == 8 and outputs["rows"] > 80000, f"{outputs}")
        check(application.count - first > 50, "the application stood still")
        check(max(lag.samples) < 5, lag.words())
        print(f"  {outputs['rows']} rows in {took:.1f} s, {application.count - first} writes meanwhile; {lag.words()}",
              flush=True)
    check("serialize" not in replication.log(), replication.log())


BEHIND = {  # statement on the target -> what must be told; and how to mend it
    "UPDATE num SET v = 'other' WHERE id = 50000": ['num: id = 50000 differs in v$'],
    "DELETE FROM num WHERE id = 50001": ['num: id = 50001 is only in source$'],
    "INSERT INTO num (id) VALUES (-7)": ['num: id = -7 is only in target$'],
    "UPDATE num SET n = 50002.0, big = NULL WHERE id = 50002": ['num: id = 50002 differs in n, big$'],
    "UPDATE num SET f = '-0' WHERE id = 50003": ['num: id = 50003 differs in f$'],
    "UPDATE num SET j = '{\"g\": \"50004\"}' WHERE id = 50004": ['num: id = 50004 differs in j$'],
    "UPDATE num SET a = '[0:2]={50005,NULL,50005}' WHERE id = 50005": ['num: id = 50005 differs in a$'],
    "UPDATE num SET v = '' WHERE id = 50006": ['num: id = 50006 differs in v$'],
    "UPDATE lk SET v = 'z' WHERE b = md5('77')::uuid": ['lk: a = [A-Z][a-z]77, b = [-0-9a-f]{36} differs in v$'],
    "UPDATE lk SET a = lower(a) WHERE b = md5('78')::uuid": ['lk: a = [A-Z][a-z]78, b = [-0-9a-f]{36} is only in source$',
                                                            'lk: a = [a-z]{2}78, b = [-0-9a-f]{36} is only in target$'],
    "UPDATE tenant SET v = v + 1 WHERE t = 6 AND name = 'n8007'": ['tenant: t = 6, name = n8007 differs in v, twice$'],
    "UPDATE words SET w = 'ZETA8001x' WHERE n = 8001": ['words: w = Zeta8001 is only in source$',
                                                        'words: w = ZETA8001x is only in target$'],
    "DELETE FROM words WHERE n IN (8002, 8003)": ['words: w = zeta8002 is only in source$',
                                                   'words: w = ätsch8003 is only in source$'],
    "INSERT INTO nokey VALUES (99, 'x0')": [r'nokey: the row at \(\d+,\d+\) is only in target$'],
    "DELETE FROM nokey WHERE ctid = (SELECT min(ctid) FROM nokey WHERE a = 98)":
        [r'nokey: the row at \(\d+,\d+\) is only in source$'],
    "UPDATE \"Odd \"\"name\" SET \"a:b\" = 'y' WHERE \"k ey\" = 5": [r'"Odd ""name": k ey = 5 differs in a:b$'],
    "INSERT INTO nothing VALUES (2147483647)": ['nothing: id = 2147483647 is only in target$'],
}


def behind_the_back(scene):
    """Rows that were changed on the target while nobody looked: each told by its key, and nothing else; values of other
    columns are not shown."""
    target = scene.target
    wanted = [pattern for patterns in BEHIND.values() for pattern in patterns]
    with Application(scene.source):
        for statement in BEHIND:
            target.sql(statement)
        said, outputs = scene.compare([0], "of: \"source:target\", limit: 100, on_difference: report",
                                      "    postconditions:\n      - {check: compare.different_rows, equals: "
                                      f"{len(wanted)} rows}}\n")
        told = outputs["differences"]
        for pattern in wanted:
            check(any(re.search(pattern, one) for one in told), f"not told: {pattern}\n" + "\n".join(told))
        check(len(told) == len(wanted) == outputs["different_rows"], "\n".join(told))
        said, _ = scene.compare([1, 3], "of: \"source:target\", limit: 3")
        check(f"{len(wanted)} rows of 7 tables differ" in said and f"and {len(wanted) - 3} more" in said, said)
        check("other" not in said, said)
        said, outputs = scene.compare([0], "of: \"source:target\", tables: [hot, public.tenant], on_difference: report")
        check(outputs["tables"] == 2 and outputs["different_rows"] == 1, f"{outputs}")
    print(f"  {len(told)} differences: " + "; ".join(told), flush=True)


def a_stream_that_is_paused(scene):
    """It waits, and goes on."""
    scene.target.sql("UPDATE plan_replication.stream SET paused = true")
    timer = threading.Timer(3, lambda: scene.target.sql("UPDATE plan_replication.stream SET paused = false"))
    timer.start()
    began = time.monotonic()
    scene.compare([0], "of: \"source:target\", tables: [hot]")
    timer.join()
    check(time.monotonic() - began > 2.5, "it did not wait")


def tables_that_are_left_out(scene):
    scene.source.sql("CREATE TABLE later (id int)")
    scene.target.sql("CREATE TABLE extra (id int)")
    said, _ = scene.compare([1, 3], "of: \"source:target\", tables: [later, extra]")
    check("later: the table is only in source" in said and "extra: the table is only in target" in said, said)
    said, _ = scene.compare([64], "of: \"source:target\", tables: [nowhere]")
    check("there is no table nowhere" in said, said)
    scene.source.sql("DROP TABLE later")
    scene.target.sql("DROP TABLE extra")


def after_the_switch(scene):
    """The way back is compared, in its direction."""
    path = scene.write("switch", "  switch:\n    uses: postgres.switch\n    with: {of: \"source:target\"}\n")
    done = subprocess.run([scene.plan, "apply", "--yes", path], env=scene.environment, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120)
    check(done.returncode == 0, done.stdout + done.stderr)
    with Application(scene.target, ["UPDATE hot SET n = n + 1 WHERE id = {small} AND id <> 20"]):
        _, outputs = scene.compare([0], "of: \"source:target\", tables: [hot]")
        check(outputs["rows"] == 20, f"{outputs}")
        scene.source.sql("SELECT set_config('plan_replication.pass', token, false) FROM plan_replication.fence;"
                         "UPDATE hot SET n = -1 WHERE id = 20")
        said, _ = scene.compare([1, 3], "of: \"source:target\", tables: [hot]")
        check("hot: id = 20 differs in n" in said, said)


def databases_at_rest(scene):
    fields = "source: source, target: target, on_difference: report, tables: [num, words, nokey, one, other]"
    scene.source.sql("CREATE TABLE one (id int PRIMARY KEY, a int, b int); CREATE TABLE other (id int)")
    scene.target.sql("CREATE TABLE one (id int PRIMARY KEY, b int, c int)")
    _, outputs = scene.compare([0], fields)
    told = "\n".join(outputs["differences"])
    for words in ("one: the column a is only in source", "one: the column c is only in target",
                  "other: the table is only in source"):
        check(words in told, told)
    done = subprocess.run([scene.plan, "diff", "--detailed-exitcode", os.path.join(scene.directory, "compare.yaml")],
                          env=scene.environment, capture_output=True, text=True)
    check(done.returncode == 0 and "no difference" in done.stdout, done.stdout + done.stderr)
    scene.source.sql("DROP TABLE one, other")
    scene.target.sql("DROP TABLE one")


CUT = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'plan compare' AND query ~ 'FROM ONLY'"


def cut_once(side, over, ended):
    """Ends its sessions as soon as they read the table."""
    with side.session(side.superuser, side.database) as session:
        while not over.is_set():
            if session.run(CUT) != "0":
                ended.append(side.name)
                return


def a_lost_connection(scene):
    """What was compared stays so, and the rest is compared."""
    over, ended = threading.Event(), []
    cutters = [threading.Thread(target=cut_once, args=(side, over, ended)) for side in (scene.target, scene.source)]
    for cutter in cutters:
        cutter.start()
    _, outputs = scene.compare([0], "of: \"source:target\", chunk_rows: 500, tables: [num, tenant]")
    rows = scene.source.value("SELECT (SELECT count(*) FROM num) + (SELECT count(*) FROM tenant)")
    over.set()
    for cutter in cutters:
        cutter.join()
    check(len(ended) == 2 and outputs["rows"] == int(rows), f"{ended} {outputs} {rows}")


def many_rows(scene):
    """All of a large table differ: counted, and told up to the limit."""
    scene.target.sql("UPDATE num SET v = v || ' ' WHERE id BETWEEN 10001 AND 40000; DELETE FROM words")
    _, outputs = scene.compare([0], "of: \"source:target\", tables: [num, words], on_difference: report, limit: 5")
    check(outputs["different_rows"] >= 30000 + 9000, f"{outputs}")
    check(len(outputs["differences"]) == 5, f"{outputs}")
    print(f"  {outputs['different_rows']} differ: {outputs['differences']}", flush=True)


def other_encodings_and_locales(scene):
    """Texts whose order both sides agree upon, and texts that are other bytes in another encoding."""
    source = scene.source
    for name, options in (("bytes", "LOCALE 'C.UTF-8' ENCODING 'UTF8'"), ("latin", "LOCALE 'C' ENCODING 'LATIN1'")):
        source.add_database(name, f"TEMPLATE template0 {options}")
        source.sql(TABLES, database=name)
        for table in ("words", "lk", "num"):
            source.sql(f"SET client_encoding = 'UTF8'; INSERT INTO {table} VALUES " + ", ".join(
                "(" + ", ".join("NULL" if field is None else "$q$" + field + "$q$" for field in row) + ")"
                for row in source.rows(f"SELECT * FROM {table} LIMIT 2000")), database=name)
        scene.environment["T"] = source.url(database=name)
        fields = "source: source, target: target, tables: [words, lk, num], limit: 0, on_difference: report, chunk_rows: 99"
        _, outputs = scene.compare([0], fields)
        missing = sum(int(source.value(f"SELECT count(*) - 2000 FROM {table}")) for table in ("words", "lk", "num"))
        check(outputs["different_rows"] == missing and outputs["differences"] == [], f"{name}: {outputs}, not {missing}")


def main():
    with Cluster("source") as source, \
            Cluster("target", initdb=("-E", "UTF8", "--locale-provider=icu", "--icu-locale=en-US",
                                      "--locale=C.UTF-8")) as target, Scene(sys.argv[1], source, target) as scene:
        source.sql(TABLES + ROWS)
        target.sql(TABLES)
        with Replication(scene) as replication:
            for case in (lambda: equal_while_both_sides_change(scene, replication),
                         lambda: a_lost_connection(scene), lambda: behind_the_back(scene),
                         lambda: a_stream_that_is_paused(scene), lambda: tables_that_are_left_out(scene),
                         lambda: many_rows(scene), lambda: after_the_switch(scene)):
                began = time.monotonic()
                case()
                print(f"{case.__code__.co_names[0]}: {time.monotonic() - began:.1f} s", flush=True)
        databases_at_rest(scene)
        other_encodings_and_locales(scene)
    print("ok")


main()
