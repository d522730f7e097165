# SPDX-License-Identifier: MIT
"""An application whose every moment can be told from a mixture of two: money that moves between tables and keeps its
sum, lists that only grow; and rows that come, go, change and swap their keys, a table that is emptied and loaded."""
import random
import threading
import time

from cluster import Failed

SCHEMA = """
CREATE TABLE account (id int PRIMARY KEY, owner text NOT NULL UNIQUE, balance bigint NOT NULL, filler text);
CREATE TABLE vault (label text, balance bigint NOT NULL);
CREATE TABLE safe (day int NOT NULL, n int NOT NULL, balance bigint NOT NULL, PRIMARY KEY (day, n)) PARTITION BY RANGE (day);
CREATE TABLE safe_1 PARTITION OF safe FOR VALUES FROM (0) TO (100);
CREATE TABLE safe_2 PARTITION OF safe FOR VALUES FROM (100) TO (200);
CREATE TABLE list (id int PRIMARY KEY, items text NOT NULL DEFAULT '');
CREATE TABLE goods (id int PRIMARY KEY, code text NOT NULL UNIQUE, v text, filler text);
CREATE TABLE bulk (id int PRIMARY KEY, v text);
CREATE INDEX ON account (balance); CREATE INDEX ON goods (v);
INSERT INTO account SELECT n, 'owner ' || n, 1000, repeat('a', 200) FROM generate_series(1, 2000) n;
INSERT INTO vault SELECT 'v' || n, 1000 FROM generate_series(1, 200) n;
INSERT INTO vault SELECT 'double', 0 FROM generate_series(1, 20) n;
INSERT INTO safe SELECT n % 200, n, 1000 FROM generate_series(1, 400) n;
INSERT INTO list (id) SELECT n FROM generate_series(1, 30) n;
INSERT INTO goods SELECT n, 'code ' || n, 'v', repeat('g', 200) FROM generate_series(1, 4000) n;
INSERT INTO bulk SELECT n, 'first' FROM generate_series(1, 300) n;
"""
TOTAL = 1000 * (2000 + 200 + 400)
ARCHIVE = """
CREATE TABLE archive_{n} (id int PRIMARY KEY, code text UNIQUE, filler text);
INSERT INTO archive_{n} SELECT n, 'code ' || n, repeat('x', 300) FROM generate_series(1, {rows}) n;
"""
TABLES = ["account", "vault", "safe_1", "safe_2", "list", "goods", "bulk"]


def make(cluster, archives, rows):
    """The tables, filled; their names."""
    cluster.sql(SCHEMA + "".join(ARCHIVE.format(n=n, rows=rows) for n in range(1, archives + 1)))
    return TABLES + [f"archive_{n}" for n in range(1, archives + 1)]


# ---- Writers ----

DEBIT_AND_CREDIT = [
    ("account", lambda chance: f"id = {chance.randint(1, 2000)}"),
    ("vault", lambda chance: f"label = 'v{chance.randint(1, 200)}'"),
    ("safe", lambda chance: f"n = {chance.randint(1, 400)}"),
]


def transfer(chance, number):
    """All or nothing: a row whose key another transaction changes at this moment is not found."""
    (here, one), (there, other) = chance.choice(DEBIT_AND_CREDIT), chance.choice(DEBIT_AND_CREDIT)
    amount = chance.randint(1, 50)
    return (f"DO $$BEGIN UPDATE {here} SET balance = balance - {amount} WHERE {one(chance)}; IF NOT FOUND THEN RAISE 'gone'; "
            f"END IF; UPDATE {there} SET balance = balance + {amount} WHERE {other(chance)}; IF NOT FOUND THEN RAISE 'gone'; "
            "END IF; END$$")


def append(chance, number):
    a, b = sorted(chance.sample(range(1, 31), 2))
    return f"UPDATE list SET items = items || ' {number}' WHERE id = {a}; UPDATE list SET items = items || ' {number}' WHERE id = {b}"


def swap(chance, number):
    a, b = sorted(chance.sample(range(1, 2001), 2))
    return (f"SELECT 1 FROM account WHERE id IN ({a}, {b}) ORDER BY id FOR UPDATE; UPDATE account SET id = -{a} WHERE id = {a}; "
            f"UPDATE account SET id = {a} WHERE id = {b}; UPDATE account SET id = {b} WHERE id = -{a}")


def move(chance, number):
    """A row goes to the other partition."""
    return f"UPDATE safe SET day = (day + 100) % 200 WHERE n = {chance.randint(1, 400)}"


def insert(chance, number):
    return (f"INSERT INTO goods VALUES ({10000 + number}, 'new {number}', 'v', repeat('n', 300)); "
            f"INSERT INTO vault VALUES ('double', 0); INSERT INTO account VALUES ({10000 + number}, 'new {number}', 0, '')")


def delete(chance, number):
    return (f"DELETE FROM goods WHERE id IN (SELECT id FROM goods WHERE id >= {chance.randint(1, 14000)} ORDER BY id LIMIT 3); "
            "DELETE FROM vault WHERE ctid IN (SELECT ctid FROM vault WHERE label = 'double' LIMIT 1); "
            f"DELETE FROM account WHERE id IN (SELECT max(id) FROM account WHERE id > 10000)")


def change(chance, number):
    """A key changes, and a value that must be unique goes from one row to another."""
    a = chance.randint(1, 4000)
    return (f"UPDATE goods SET id = id + 20000 WHERE id = {a}; UPDATE goods SET v = 'changed {number}' WHERE id = {a + 1}; "
            f"DELETE FROM goods WHERE code = 'code {a + 2}'; UPDATE goods SET code = 'code {a + 2}' WHERE id = {a + 3}")


def give_up(chance, number):
    return (f"UPDATE account SET balance = balance + 1000000 WHERE id = {chance.randint(1, 2000)}; SAVEPOINT a; "
            "DELETE FROM list; ROLLBACK TO a; ROLLBACK; BEGIN")


def old_row(chance, number):
    return f"UPDATE archive_1 SET filler = 'again {number}' WHERE id = {chance.randint(1, 400)}"


def empty_and_load(chance, number):
    return (f"TRUNCATE bulk; INSERT INTO bulk SELECT n, 'load {number}' FROM generate_series(1, {chance.randint(1, 400)}) n")


DOINGS = [transfer] * 8 + [append] * 4 + [swap, move, insert, insert, delete, change, give_up, old_row]


class Writers:
    """Some sessions, each with a seed of its own; they go on after whatever happens to the source."""

    def __init__(self, cluster, seed, count=3, pause=0.03):
        self.cluster, self.pause, self.leaving = cluster, pause, threading.Event()
        self.committed = [0] * count
        self.threads = [threading.Thread(target=self.work, args=(seed, n), daemon=True) for n in range(count)]

    def __enter__(self):
        for one in self.threads:
            one.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.leaving.set()
        for one in self.threads:
            one.join()

    def work(self, seed, n):
        chance, session, number = random.Random(f"{seed} {n}"), None, n
        while not self.leaving.is_set():
            number += len(self.threads)
            doing = empty_and_load if n == 0 and number % 199 == 0 else chance.choice(DOINGS)
            try:
                if not session:
                    session = self.cluster.session()
                    # What one of them commits may be gone after a crash of the source.
                    session.run(f"SET synchronous_commit = {'off' if n == 0 else 'on'}")
                session.run(f"BEGIN; {doing(chance, number)}; COMMIT")
                self.committed[n] += 1
            except Failed as refused:
                session = self.again(session, str(refused))
            except OSError:  # psql is gone
                session = self.again(session, "")
            time.sleep(self.pause)
        if session:
            session.close()

    def again(self, session, said):
        """The session, if it may go on."""
        if session and "ERROR:  " in said and "FATAL:  " not in said and session.process.poll() is None:
            try:
                session.run("ROLLBACK")
                return session
            except (Failed, OSError):
                pass
        if session:
            session.close()
        time.sleep(0.05)
        return None


# ---- The reader ----

SNAPSHOT = """BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT count(*) FILTER (WHERE phase <> 'following'), sum(generation), (SELECT mark FROM plan_replication.stream)
 FROM plan_replication.relation;
SELECT sum(balance) FROM account; SELECT sum(balance) FROM vault; SELECT sum(balance) FROM safe;
SELECT id || items FROM list ORDER BY id;
COMMIT"""


class Reader:
    """Takes snapshots of the target as fast as it can, and remembers what is wrong with them.

    The target is a moment of the source when every table follows and a batch was applied that knew so: one that had
    begun before may come as the next mark, so it is the one after that."""

    def __init__(self, cluster):
        self.cluster, self.leaving = cluster, threading.Event()
        self.count, self.wrong, self.lists = 0, [], {}
        self.following = None  # (generations, mark) when all was seen to follow
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.leaving.set()
        self.thread.join()

    def work(self):
        session = None
        while not self.leaving.is_set():
            try:
                session = session or self.cluster.session()
                self.judge(session.run(SNAPSHOT).split("\n"))
            except (Failed, OSError):
                if session:
                    session.close()
                session = None
                time.sleep(0.05)
            except Exception as error:  # a test whose reader is gone would see nothing any more
                self.wrong.append(f"the reader: {error!r}")
                raise
        if session:
            session.close()

    def judge(self, lines):
        if "" in lines[0].replace("\x1d", "").split("\x1f"):
            return  # no table is registered yet
        left, generations, mark = (int(field) for field in lines[0].split("\x1f"))
        if left or not self.following or self.following[0] != generations:
            self.following = None if left else (generations, mark)
            return
        if mark < self.following[1] + 2:
            return
        self.count += 1
        total = sum(int(one or 0) for one in lines[1:4])
        if total != TOTAL:
            self.wrong.append(f"mark {mark}: the sum is {total}, not {TOTAL}: {lines[1:4]}")
        self.judge_lists(mark, lines[4:])

    def judge_lists(self, mark, rows):
        if len(rows) != 30:
            self.wrong.append(f"mark {mark}: {len(rows)} lists of 30")
        for row in rows:
            name, _, items = row.partition(" ")
            known = self.lists.get(name, "")
            if not (items + " ").startswith(known + " " if known else ""):
                self.wrong.append(f"mark {mark}: list {name} was ...{known[-60:]!r}, is ...{items[-60:]!r}")
            self.lists[name] = items

    def finish(self, source):
        """What was seen last is a beginning of what the source has."""
        for row in source.rows("SELECT id || items FROM list"):
            name, _, items = row[0].partition(" ")
            if not (items + " ").startswith(self.lists.get(name, "") + " " if self.lists.get(name) else ""):
                self.wrong.append(f"list {name} of the target is no beginning of the source's: {self.lists[name][-60:]!r}")
