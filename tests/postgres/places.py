# SPDX-License-Identifier: MIT
"""The copy hand-off matrix: every way to change a row, on rows whose chunk is not copied yet, is in flight (read, and not
committed on the target), or is done; with a key, and at the level of a release without; and the same between two such places. usage: places.py
PLAN PLAN_SCHEDULED"""
import os
import sys

from cluster import Cluster
from handoff import PROGRAM, check, hold_key, prepare
from schedule import Schedule

HELD = 5  # the chunk that is in flight, or comes next; a chunk is a page


def ids_of(source, page):
    return [int(row[0]) for row in source.rows(
        f"SELECT id FROM t WHERE ctid >= '({page},0)' AND ctid < '({page + 1},0)' ORDER BY id")]


def swap(one, other):
    return (f"BEGIN; UPDATE t SET id = -1 WHERE id = {one}; UPDATE t SET id = {one} WHERE id = {other}; "
            f"UPDATE t SET id = {other} WHERE id = -1; COMMIT")


def deeds(ids, mark):
    """One of each, on rows of their own."""
    a, b, c, d, e, f, g = ids[:7]
    row = "repeat('x', 700)"
    return {
        "insert": f"INSERT INTO t VALUES ({mark}, 'insert', {row})",
        "update": f"UPDATE t SET v = 'update' WHERE id = {a}",
        "delete": f"DELETE FROM t WHERE id = {b}",
        "key change": f"UPDATE t SET id = {mark + 1} WHERE id = {c}",
        "key swap": swap(d, e),
        "delete and reinsert": f"BEGIN; DELETE FROM t WHERE id = {f}; INSERT INTO t VALUES ({f}, 'again', {row}); COMMIT",
        "delete, then reinsert": f"DELETE FROM t WHERE id = {g}; INSERT INTO t VALUES ({g}, 'later', {row})",
    }


def hold(run, place):
    """The name of what it is held at."""
    if place == "in flight":
        run.hold("chunk", f"AND generation = 1 AND number = {HELD}")
    else:
        run.after("chunk", f"generation = 1 AND number = {HELD - 1}")


PAGES = {"not yet": HELD + 2, "in flight": HELD, "done": 1}


def one_place(source, target, place, key):
    prepare(source, target, key)
    page = ids_of(source, PAGES[place])
    with Schedule(PROGRAM, source, target) as run:
        hold(run, place)
        run.begin()
        run.reached("chunk")
        if key:
            hold_key(target)
        for sql in deeds(page, 1000).values():
            source.sql(sql)
        run.go("chunk")
        run.follows()
        run.equal()
        changed = source.value("SELECT count(*) FROM t WHERE v IN ('insert', 'update', 'again', 'later') OR id > 1000")
        check(changed == "5", f"{changed} rows were changed")


def between_places(source, target, key):
    """Keys change hands between a row that is copied, one in flight, and one that is not."""
    prepare(source, target, key)
    done, flying, later = (ids_of(source, page) for page in (PAGES["done"], PAGES["in flight"], PAGES["not yet"]))
    with Schedule(PROGRAM, source, target) as run:
        hold(run, "in flight")
        run.begin()
        run.reached("chunk")
        if key:
            hold_key(target)
        for number, (one, other) in enumerate(((done, flying), (done, later), (flying, later))):
            source.sql(swap(one[number], other[number]))
            # The place of one row is taken by the other's key: deleted there, inserted here.
            source.sql(f"BEGIN; DELETE FROM t WHERE id IN ({one[number + 3]}, {other[number + 3]}); "
                       f"INSERT INTO t VALUES ({other[number + 3]}, 'moved', ''); COMMIT")
        run.go("chunk")
        run.follows()
        run.equal()


def rewritten(source, target, key):
    """Between two chunks the table is rewritten or emptied, and rows are changed before and after that."""
    for statement in ("VACUUM FULL t", "CLUSTER t USING by_v", "TRUNCATE t"):
        prepare(source, target, key)
        source.sql("CREATE INDEX by_v ON t (v)")
        done, later = ids_of(source, PAGES["done"]), ids_of(source, PAGES["not yet"])
        with Schedule(PROGRAM, source, target) as run:
            hold(run, "done")
            run.begin()
            run.reached("chunk")
            if key:
                hold_key(target)
            for sql in (*deeds(done, 1000).values(), statement, *deeds(later, 2000).values()):
                source.sql(sql)
            run.go("chunk")
            run.follows()
            run.equal()


with Cluster("source") as source, Cluster("target") as target:
    for key in (True, False) if os.environ.get("PLAN_LEVEL") == "release" else (True,):
        for place in PAGES:
            one_place(source, target, place, key)
            print(f"{place}, {'with' if key else 'without'} a key: {', '.join(deeds(range(7), 0))}", flush=True)
        between_places(source, target, key)
        rewritten(source, target, key)
        print(f"between places, and rewritten, {'with' if key else 'without'} a key", flush=True)
print("ok")
