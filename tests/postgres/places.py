# SPDX-License-Identifier: MIT
"""The copy hand-off matrix: every way to change a row, on rows whose chunk is not copied yet, is in flight (read, and not
committed on the target), or is done; with a key, and at the level of a release without; and the same between two such places.

usage: places.py PLAN PLAN_SCHEDULED"""
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


def run_held(source, target, key, place, *statements):
    """The statements, while the copy is held there; then the rest of it, and both sides are equal."""
    with Schedule(PROGRAM, source, target) as run:
        hold(run, place)
        run.begin()
        run.reached("chunk")
        if key:
            hold_key(target)
        for sql in statements:
            source.sql(sql)
        run.go("chunk")
        run.follows()
        run.equal()


def one_place(source, target, place, key):
    prepare(source, target, key)
    run_held(source, target, key, place, *deeds(ids_of(source, PAGES[place]), 1000).values())
    changed = source.value("SELECT count(*) FROM t WHERE v IN ('insert', 'update', 'again', 'later') OR id > 1000")
    check(changed == "5", f"{changed} rows were changed")


def hand_over(one, other):
    """A swap of two keys; and a row whose place is taken by the other's key: deleted there, inserted here."""
    return [swap(one[0], other[0]), f"BEGIN; DELETE FROM t WHERE id IN ({one[1]}, {other[1]}); "
                                    f"INSERT INTO t VALUES ({other[1]}, 'moved', ''); COMMIT"]


def between_places(source, target, key):
    """Keys change hands between a row that is copied, one in flight, and one that is not."""
    prepare(source, target, key)
    done, flying, later = (ids_of(source, page) for page in (PAGES["done"], PAGES["in flight"], PAGES["not yet"]))
    run_held(source, target, key, "in flight", *hand_over(done, flying), *hand_over(done[2:], later),
             *hand_over(flying[2:], later[2:]))


def rewritten(source, target, key):
    """Between two chunks the table is rewritten or emptied, and rows are changed before and after that."""
    for statement in ("VACUUM FULL t", "CLUSTER t USING by_v", "TRUNCATE t"):
        prepare(source, target, key)
        source.sql("CREATE INDEX by_v ON t (v)")
        done, later = ids_of(source, PAGES["done"]), ids_of(source, PAGES["not yet"])
        run_held(source, target, key, "done", *deeds(done, 1000).values(), statement, *deeds(later, 2000).values())


with Cluster("source") as source, Cluster("target") as target:
    for key in (True, False) if os.environ.get("PLAN_LEVEL") == "release" else (True,):
        for place in PAGES:
            one_place(source, target, place, key)
            print(f"{place}, {'with' if key else 'without'} a key: {', '.join(deeds(range(7), 0))}", flush=True)
        between_places(source, target, key)
        rewritten(source, target, key)
        print(f"between places, and rewritten, {'with' if key else 'without'} a key", flush=True)
print("ok")
