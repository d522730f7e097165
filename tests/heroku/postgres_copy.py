# SPDX-License-Identifier: MIT
"""heroku.postgres.copy: a transfer that failed is told, and started anew only by a retry; one that runs is awaited.

usage: postgres_copy.py PLAN"""
import signal
import subprocess
import sys

from scene import Scene, must_be, play, says, wait_until
from sandbox import check

STEPS = ("  it: {uses: heroku.postgres.copy, with: {from_app: oldapp, app: newapp,"
         " plan: \"heroku-postgresql:standard-0\"}}\n")
TRANSFERS = "/client/v11/apps/newapp/transfers"
START = "/client/v11/databases/*/transfers"


class Held:
    """Somebody locks a table of the source: a dump of it does not end, and can be ended."""

    def __init__(self, here):
        self.url = here.config("oldapp")["DATABASE_URL"]
        self.psql = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url]

    def __enter__(self):
        self.process = subprocess.Popen([*self.psql], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write("BEGIN; LOCK TABLE visits IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n")
        self.process.stdin.flush()
        check(self.process.stdout.readline().strip() == "locked", "no lock")
        return self

    def __exit__(self, *_):
        self.process.communicate("")

    def dumps(self):
        return int(self.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump'"))

    def end_dump(self):
        wait_until(self.dumps, "a dump begins")
        self.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'")

    def ask(self, statement):
        return subprocess.run([*self.psql, "-c", statement], check=True, capture_output=True, text=True).stdout.strip()


def scene(attempts=1):
    return Scene(sys.argv[1], [
        {"name": "oldapp", "addons": [{"plan": "heroku-postgresql:standard-0", "name": "source-db", "as": "DATABASE"}]},
        {"name": "newapp", "region": "eu"}], STEPS, attempts)


def transfers(here):
    return here.call("GET", TRANSFERS)


def started(here):
    return here.effects().count("pg_dump to pg_restore")


def running(here):
    return [one for one in transfers(here) if one["started_at"] and not one["finished_at"]]


def status(here):
    return subprocess.run([here.plan, "status", here.file], capture_output=True, text=True,
                          env=here.environment()).stdout


def a_failure_is_told_and_ends_the_step():
    """No retry in the plan, no second transfer; who applies again wants one."""
    with scene() as here:
        with Held(here) as held:
            plan = subprocess.Popen([here.plan, "apply", "--yes", here.file], stdin=subprocess.DEVNULL, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=here.environment())
            held.end_dump()
            output = plan.communicate(timeout=60)[0]
            must_be(plan.returncode, 1, output)
            failed = transfers(here)[0]
            says(output, f"transfer 1 ({failed['uuid']}) failed", "its log ends", "terminating connection")
            must_be(started(here), 1, "transfers started")
        here.apply(0)
        must_be(started(here), 1, "transfers started by the second apply")
        here.run(0, "diff", "--detailed-exitcode")


def a_retry_that_the_plan_allows_starts_another():
    with scene(attempts=2) as here:
        with Held(here) as held:
            plan = subprocess.Popen([here.plan, "apply", "--yes", here.file], stdin=subprocess.DEVNULL, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=here.environment())
            held.end_dump()
            wait_until(lambda: len(transfers(here)) == 2, "the second transfer")
        output = plan.communicate(timeout=60)[0]
        must_be(plan.returncode, 0, output)
        says(output, "transfer 1", "terminating connection", "try 2 of 2")
        must_be(started(here), 2, "transfers started")


def a_lost_reply_is_looked_up():
    for attempts, when in ((1, "after"), (2, "before")):
        with scene(attempts) as here:
            here.fault("POST", START, "drop", when)
            here.apply(0)
            must_be(started(here), 1, f"transfers started, reply dropped {when}")


def one_that_runs_after_a_crash_is_awaited():
    with scene() as here:
        with Held(here) as held:
            plan = here.begin("apply", "--yes")
            wait_until(lambda: running(here), "a transfer runs")
            wait_until(held.dumps, "a dump begins")
            plan.send_signal(signal.SIGKILL)
            plan.wait()
            again = here.begin("apply", "--yes")
            wait_until(lambda: "copied" in status(here), "the second plan waits for it")
            must_be(len(transfers(here)), 1, "transfers")
        must_be(again.wait(60), 0, "the second apply")
        must_be(started(here), 1, "transfers started")


def one_that_failed_while_nobody_looked_is_told_first():
    with scene() as here:
        with Held(here) as held:
            plan = here.begin("apply", "--yes")
            wait_until(held.dumps, "a dump begins")
            plan.send_signal(signal.SIGKILL)
            plan.wait()
            held.end_dump()
            wait_until(lambda: transfers(here)[0]["finished_at"], "it fails")
        says(here.apply(1), "transfer 1", "terminating connection")
        must_be(started(here), 1, "transfers started")
        here.apply(0)
        must_be(started(here), 1, "transfers started once it was told")


def one_that_was_cancelled_is_told():
    """And is not waited for until the end of days."""
    with scene(attempts=3) as here:
        with Held(here) as held:
            plan = subprocess.Popen([here.plan, "apply", "--yes", here.file], stdin=subprocess.DEVNULL, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=here.environment())
            wait_until(held.dumps, "a dump begins")
            here.call("POST", f"{TRANSFERS}/{running(here)[0]['uuid']}/actions/cancel")
            output = plan.communicate(timeout=60)[0]
        must_be(plan.returncode, 1, output)
        says(output, "was cancelled")
        must_be(started(here), 1, "transfers started")


def a_log_shows_no_password():
    """pg_dump names the connection it lost."""
    with scene() as here:
        with Held(here) as held:
            plan = here.begin("apply", "--yes")
            held.end_dump()
            must_be(plan.wait(60), 1, "exit")
        password = held.url.split(":")[2].split("@")[0]
        journal = here.run(0, "journal", "--json")
        check(password not in journal, "the password of the source is in the journal")


play(a_failure_is_told_and_ends_the_step, a_retry_that_the_plan_allows_starts_another, a_lost_reply_is_looked_up,
     one_that_runs_after_a_crash_is_awaited, one_that_failed_while_nobody_looked_is_told_first,
     one_that_was_cancelled_is_told, a_log_shows_no_password)
