# SPDX-License-Identifier: MIT
"""The ordering matrix on real servers, see matrix.c; also with the xid epoch moved, and with a design that loses rows,
which must be caught. usage: matrix.py PLAN MATRIX

PLAN_LEVEL=release carries out every order and many more interleavings."""
import os
import subprocess
import sys

from cluster import Cluster, as_account
from schedule import Schedule

PROGRAM, MATRIX = (os.path.abspath(path) for path in sys.argv[1:3])
RELEASE = os.environ.get("PLAN_LEVEL") == "release"
EVERY, COUNT = ("1", "5000") if RELEASE else ("24", "60")
SCHEMA = "CREATE TABLE m (id int{key}, v text); CREATE TABLE n (owner int, v text)"
ROWS = """INSERT INTO m SELECT n, 'row ' || n FROM generate_series(1, 9) n;
INSERT INTO n SELECT n % 3, 'twice' FROM generate_series(0, 5) n"""


def check(truth, text):
    if not truth:
        raise AssertionError(text)


def begin(source, target):
    """Both tables follow, and nobody carries the replication out."""
    for side in (source, target):
        side.sql("DROP TABLE IF EXISTS m, n; DROP SCHEMA IF EXISTS plan_replication CASCADE")
    source.sql(SCHEMA.format(key=" PRIMARY KEY") + ";" + ROWS)
    target.sql(SCHEMA.format(key=" PRIMARY KEY"))
    with Schedule(PROGRAM, source, target) as run:
        run.begin()
        run.follows()


def matrix(source, target, *arguments):
    done = subprocess.run([MATRIX, source.url(), target.url(), *arguments], capture_output=True, text=True)
    print(done.stdout + done.stderr, end="", flush=True)
    return done.returncode


def move_epoch(cluster, epoch):
    """The next transaction is one of that epoch: xids above 2^32."""
    cluster.stop()
    subprocess.run([f"{cluster.bin}/pg_resetwal", "-e", str(epoch), cluster.data], check=True, stdout=subprocess.DEVNULL,
                   env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, cwd=cluster.directory, **as_account())
    cluster.start()
    xid = int(cluster.super("SELECT pg_current_xact_id()")[0][0])
    check(xid >> 32 == epoch, f"xid {xid}")


with Cluster("source") as source, Cluster("target") as target:
    begin(source, target)
    check(matrix(source, target, EVERY, "random", COUNT, str(os.getpid())) == 0, "the target was another one")
    move_epoch(source, 5)
    move_epoch(target, 9)
    begin(source, target)
    check(matrix(source, target, "4" if RELEASE else "48", "random", COUNT, "5") == 0, "with the epoch moved")
    begin(source, target)
    check(matrix(source, target, "1", "lose") == 1, "a watermark of ids was not caught")
print("ok")
