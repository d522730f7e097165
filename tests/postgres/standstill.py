# SPDX-License-Identifier: MIT
"""A replication that does not get on: a person paused it, in the copy and while it follows; or somebody holds what it
waits for, and people are told who.

usage: standstill.py PLAN PLAN_SCHEDULED"""
import json
import os
import subprocess
import sys
import time

from cluster import Cluster, wait_until
from handoff import PROGRAM, check, hold_key, prepare
from schedule import Schedule

PLAN = os.path.abspath(sys.argv[1])


def say(run, *arguments):
    """What a person says from another terminal."""
    done = subprocess.run([PLAN, *arguments, run.path("handoff.yaml")], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, env={**os.environ, "SOURCE_URL": run.urls[0], "TARGET_URL": run.urls[1],
                                                         "NO_COLOR": "1"})
    check(done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}")
    return done.stdout


def told(run, *words):
    """The progress of the step, once it says all of these."""
    def progress():
        status = json.loads(say(run, "status", "--json"))
        text = json.dumps(status)
        return all(word in text for word in words) and text
    return wait_until(progress, f"{words} is said: {say(run, 'status')}", 60)


def sessions(target, name):
    """The backends of those of ours."""
    return [row[0] for row in target.super(
        f"SELECT pid FROM pg_stat_activity WHERE application_name = '{name}' ORDER BY 1")]


def chunks_done(target):
    return target.value("SELECT count(*) FROM plan_replication.chunk WHERE done")


def rests(run, source, target):
    """Nobody of ours works, and what users do meanwhile is kept."""
    wait_until(lambda: not sessions(target, "plan copy") and not sessions(target, "plan follow"), "it rests")
    done, copied = chunks_done(target), target.value("SELECT count(*) FROM t")
    source.sql("UPDATE t SET v = v || ' paused' WHERE id % 9 = 0; DELETE FROM t WHERE id % 11 = 0")
    time.sleep(1)
    check((chunks_done(target), target.value("SELECT count(*) FROM t")) == (done, copied), "it goes on")
    check("paused" in say(run, "status"), say(run, "status"))
    return int(done)


def paused_in_the_copy_and_while_it_follows(source, target):
    prepare(source, target)
    with Schedule(PROGRAM, source, target) as run:
        run.after("chunk", "generation = 1 AND number = 4")
        run.begin()
        run.reached("chunk")
        hold_key(target)
        say(run, "pause")
        told(run, "nothing is lost meanwhile")
        run.go("chunk")
        done = rests(run, source, target)
        check(0 < done < 10, f"{done} chunks were copied when it paused")
        say(run, "resume")
        run.follows()
        run.equal()
        generations = target.rows("SELECT DISTINCT generation FROM plan_replication.chunk")
        check(generations == [["1"]], f"the copy began anew: {generations}")


def somebody_holds_the_table(source, target):
    prepare(source, target)
    with Schedule(PROGRAM, source, target) as run:
        run.begin()
        run.follows()
        with target.session() as other:
            other.run("BEGIN; LOCK TABLE t IN SHARE MODE")
            source.sql("UPDATE t SET v = 'held' WHERE id = 7")
            told(run, "on the target we wait for", f"pid {other.pid}", "idle in transaction", "LOCK TABLE t IN SHARE MODE")
            check(f"pid {other.pid}" in say(run, "journal"), "the journal does not say who")
            other.run("ROLLBACK")
        run.equal()
        told(run, "1 tables follow")


def main():
    with Cluster("source") as source, Cluster("target") as target:
        paused_in_the_copy_and_while_it_follows(source, target)
        somebody_holds_the_table(source, target)
    print("ok")


main()
