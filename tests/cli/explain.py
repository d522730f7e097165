# SPDX-License-Identifier: MIT
"""plan explain: one scene for each kind of wait, in the sentence for people and in the facts of --json.

What is waited for is asked for until it is seen, so that a slow machine only takes longer.

usage: explain.py PLAN SOURCE"""
import datetime
import getpass
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

PLAN = os.path.abspath(sys.argv[1])
ME = f"{getpass.getuser()}@{socket.gethostname()}"
WITHIN_S = 120
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HEAD = """\
plan: 1
name: explained
summary: To explain.
inputs:
  flag: {type: bool, default: false, text: A flag.}
  kind: {type: string, default: small, text: A kind.}
  hosts: {type: list of string, default: [], text: Hosts.}
windows: {night: {days: [%s], from: "02:00", to: "02:01", zone: UTC}}
"""


def check(truth, *what):
    if not truth:
        raise AssertionError(" ".join(map(str, what)))


def far_away():
    """A day on which the window is not open soon."""
    return DAYS[(datetime.datetime.now(datetime.timezone.utc).weekday() + 3) % 7]


class Place:
    """A directory with one plan, and the processes that carry it out."""

    def __init__(self, steps, head=""):
        self.directory = tempfile.mkdtemp(prefix="plan-explain-")
        self.file = os.path.join(self.directory, "p.yaml")
        self.running = []
        self.write(steps, head)

    def __enter__(self):
        return self

    def __exit__(self, *details):
        for one in self.running:
            if one.poll() is None:
                one.kill()
            one.wait()
        if details[0]:
            print(open(os.path.join(self.directory, "log")).read() if self.running else "", file=sys.stderr)
        shutil.rmtree(self.directory, ignore_errors=True)

    def write(self, steps, head=""):
        with open(self.file, "w") as out:
            out.write(HEAD % far_away() + head + "steps:\n" + steps)

    def run(self, code, command, *more):
        done = subprocess.run([PLAN, command, self.file, *more], capture_output=True, text=True, timeout=WITHIN_S,
                              stdin=subprocess.DEVNULL)
        check(done.returncode == code, command, *more, "gave", done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def begin(self, *more):
        log = open(os.path.join(self.directory, "log"), "a")
        self.running.append(subprocess.Popen([PLAN, "apply", "--yes", "--allow-commands", self.file, *more],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return self.running[-1]

    def facts(self, step, *more):
        facts = json.loads(self.run(0, "explain", step, "--json", *more))
        check(facts["format"] == 1 and facts["plan"] == "explained" and facts["next"], facts)
        check(all(one["kind"] and one["text"] for one in facts["because"]), facts)
        return facts

    def says(self, name, state, kind, *words, next=None, **wanted):
        """`plan explain` says so at last; gives the reason of that kind as --json has it."""
        until = time.monotonic() + WITHIN_S
        while True:
            facts, text = self.facts(name), self.run(0, "explain", name)
            reason = next_of(facts, kind, wanted)
            missing = [word for word in words if not re.search(word, text)]
            if facts["state"] == state and f"{name} is {state}\n" in text and reason and not missing and \
                    (not next or (facts["next"] == next and f"Next: {', then '.join(next)}\n" in text)):
                return reason
            check(time.monotonic() < until, f"{name}: not {state}, {kind}, {wanted}, {missing}, {next}:\n", text,
                  json.dumps(facts, indent=1))
            time.sleep(0.1)

    def command(self, *words):
        return " ".join(["plan", words[0], self.file, *words[1:]])


def next_of(facts, kind, wanted):
    for one in facts["because"]:
        if one["kind"] == kind and all(one.get(key) == value for key, value in wanted.items()):
            return one
    return None


def soon(reason, key, least_s, most_s):
    """The moment lies so far ahead, give or take what a slow machine takes."""
    ahead = reason[key] / 1000 - time.time()
    check(least_s - WITHIN_S < ahead <= most_s, key, ahead, reason)


# ---- Scenes ----

def no_run_has_begun():
    with Place("""\
  person: {uses: manual, with: {text: Call somebody.}}
  bridge: {uses: wait, needs: [person], with: {for: 1ms}}
  later: {uses: wait, needs: [bridge], with: {for: 1ms}}
  bare: {uses: wait, if: "${inputs.flag}", with: {for: 1ms}}
  large: {uses: wait, if: {input: kind, equals: large}, with: {for: 1ms}}
  hosts: {uses: wait, for_each: "${inputs.hosts}", with: {for: 1ms}}
""") as here:
        apply = [here.command("apply")]
        here.says("person", "ready", "run", "no run of this plan has begun", next=apply)
        here.says("later", "pending", "needs", "needs bridge, which waits for person; person is ready", next=apply,
                  step="bridge", root="person", chain=["bridge", "person"])
        here.says("bare", "left out", "if", r"\$\{inputs.flag\}, and the input flag is false", next=apply)
        here.says("large", "left out", "if", "the input kind is small")
        here.says("hosts", "left out", "for_each", "list of nothing")
        check("did you mean person?" in here.run(64, "explain", "persn"))


def people_and_needs():
    with Place("""\
  person: {uses: manual, with: {text: Call somebody.}}
  approved:
    uses: wait
    title: It matters
    with: {for: 1ms}
    approval: {by: 2, from: [nobody-else, somebody], text: Read it first.}
  bridge: {uses: wait, needs: [person], with: {for: 1ms}}
  later: {uses: wait, needs: [bridge, approved], with: {for: 1ms}}
""") as here:
        here.begin("--wait")
        approve = [here.command("approve", "person")]
        here.says("person", "waiting", "person", "a person does it and then says so", "0 of 1 approvals: Call somebody.",
                  next=approve, needed=1, given=0)
        here.says("approved", "waiting", "approval", "0 of 2 approvals: Read it first.; who may: nobody-else, somebody",
                  next=[here.command("approve", "approved")], needed=2, given=0, **{"from": ["nobody-else", "somebody"]})
        here.says("later", "pending", "needs", "needs bridge, which waits for person; person is waiting: a person does it",
                  root="person", root_state="waiting")
        here.says("later", "pending", "needs", "needs approved, which is waiting: 0 of 2 approvals", root="approved")
        here.says("bridge", "pending", "needs", next=approve)
        here.says("bridge", "pending", "run", "`plan apply` by", pid=here.running[0].pid)
        here.run(0, "approve", "approved")
        here.says("approved", "waiting", "approval", "does not count, the plan does not name them: " + ME, not_named=[ME])
        here.run(0, "approve", "person")
        here.says("person", "done", "done", "it acted and was done at", changed=True)
        check(re.search("done +person\n.*waiting +approved: 0 of 2", here.run(0, "status"), re.S))


def conditions():
    with Place("""\
  first: {uses: wait, with: {for: 1ms}}
  closed:
    uses: wait
    with: {for: 1ms}
    preconditions: [{check: window, of: night, within: 7d}]
  too-late:
    uses: wait
    with: {for: 1ms}
    preconditions: [{check: window, of: night, within: 1h}]
  since:
    uses: wait
    needs: [first]
    with: {for: 1ms}
    preconditions: [{check: time.since, of: first, at_least: 50m, within: 2h}]
  stable:
    uses: wait
    needs: [first]
    with: {for: 1ms}
    preconditions:
      - {check: time.since, of: first, at_least: 1ms, stable_for: 50m, within: 2h}
      - {check: time.since, of: first, at_least: 0 ms, within: 2h}
  after:
    uses: manual
    with: {text: Do it.}
    postconditions: [{check: window, of: night, within: 7d}]
    approval: {by: 1, text: Do it.}
""") as here:
        here.run(0, "approve", "after")
        apply = here.begin("--wait")
        opens = here.says("closed", "waiting", "precondition", "window of night is closed, must be true",
                          r"will hold at \S+T02:00:00Z \(in \d+ d", r"waited for until \S+Z \(in [67] d", holds=False,
                          check="window", of="night", must_be="true", next=[here.command("status --watch")])
        soon(opens, "holds_at_ms", 2 * 86400, 4 * 86400)
        soon(opens, "deadline_ms", 7 * 86400, 7 * 86400)
        here.says("too-late", "waiting", "precondition", r"after its deadline, \S+Z \(in \d+ min")
        since = here.says("since", "waiting", "precondition", r"time.since of first is .*, must be at least 50m",
                          r"will hold at \S+Z \(in 4\d min", "waited for until", must_be="at least 50m", holds=False)
        soon(since, "holds_at_ms", 3000, 3000)
        soon(since, "deadline_ms", 7200, 7200)
        stable = here.says("stable", "waiting", "precondition", r"it has held for .* and must for 50 min, 4\d min .* to go",
                           holds=True, stable_for_ms=3000000)
        check(0 < stable["held_since_ms"] <= time.time() * 1000, stable)
        here.says("stable", "waiting", "precondition", "at least 0 ms; it holds", must_be="at least 0 ms", holds=True)
        here.says("after", "waiting", "postcondition", "window of night is closed", "it began to act at", check="window",
                  holds=False)
        apply.send_signal(signal.SIGTERM)
        check(apply.wait(WITHIN_S) == 143, apply.returncode)
        here.says("since", "waiting", "precondition", "the last run ended at .*, interrupted", holds=False,
                  next=[here.command("apply")])


def a_window_parks_the_run():
    with Place("""\
  closed:
    uses: wait
    with: {for: 1ms}
    preconditions: [{check: window, of: night, within: 7d}]
""") as here:
        check("it waits until" in here.run(4, "apply", "--yes"))
        here.says("closed", "waiting", "run", "will hold at", "the last run ended at .*, parked", outcome="parked",
                  next=[here.command("apply")])


def running_and_retrying():
    with Place("""\
  program:
    uses: command
    with: {run: ["/bin/sh", "-c", "echo halfway; exec sleep 600"], check: ["/bin/false"], limit: 40m}
    timeout: 50m
    irreversible: It ran.
  rest: {uses: wait, timeout: 20m, with: {for: 50m}}
  web:
    uses: http.check
    with: {url: "http://127.0.0.1:9/"}
    retry: {attempts: 5, backoff: 50m to 60m}
""") as here:
        apply = here.begin()
        ran = here.says("program", "running", "running", "it began to act at .*: run: halfway", "no way back: It ran",
                        "its timeout of 50 min is over at", progress="run: halfway")
        check(0 < ran["since_ms"] <= time.time() * 1000, ran)
        soon(here.says("program", "running", "timeout", timeout_ms=3000000), "timeout_at_ms", 3000, 3000)
        soon(here.says("rest", "running", "time", r"it waits until \S+Z \(in 4\d min"), "until_ms", 3000, 3000)
        here.says("rest", "running", "timeout", "its timeout of 20 min does not run while it waits")
        again = here.says("web", "retrying", "retry", r"try 1 of 5 failed: .*127.0.0.1 port 9.*; the next one is at \S+Z",
                          tries=1, tries_most=5)
        soon(again, "next_at_ms", 3000, 3000)
        check("127.0.0.1 port 9" in again["error"], again)
        check(re.search("running +program", here.run(0, "status")))
        apply.kill()
        apply.wait()
        here.says("program", "in doubt", "in doubt", "no result is recorded", "It will be looked up first",
                  "stopped without a word; `plan apply` takes it up", next=[here.command("apply")])
        here.says("web", "ready", "turn", "all it needs is done")
        check(re.search("in doubt +program", here.run(0, "status")))


def one_job():
    with Place("""\
  first: {uses: wait, with: {for: 50m}}
  second: {uses: wait, with: {for: 1ms}}
""") as here:
        here.begin("--jobs", "1")
        reason = here.says("second", "ready", "jobs", r"the one job is taken: first \(acting\); --jobs gives more", jobs=1)
        check([one["step"] for one in reason["running"]] == ["first"], reason)


def only_through():
    with Place("""\
  first: {uses: wait, with: {for: 50m}}
  second: {uses: wait, with: {for: 1ms}}
""") as here:
        here.begin("--through", "first")
        here.says("second", "ready", "through", "`--through first` leaves it for a later `plan apply`", through="first")


def paused_and_stopped():
    with Place("""\
  first: {uses: wait, with: {for: 50m}}
  second: {uses: manual, with: {text: Do it.}}
  third: {uses: wait, needs: [second], with: {for: 1ms}}
""") as here:
        apply = here.begin("--wait")
        here.says("first", "running", "time")
        here.says("second", "waiting", "person")
        here.run(0, "pause")
        both = [here.command("approve", "second"), here.command("resume")]
        here.says("second", "waiting", "paused", f"{ME} paused the run at", who=ME)
        here.says("third", "pending", "paused", next=both[1:])
        here.run(0, "approve", "second")
        here.says("second", "waiting", "paused", next=both[1:])
        here.run(0, "stop")
        here.says("first", "in doubt" if apply.wait(WITHIN_S) == 4 else "", "stop", f"{ME} asked the run to stop at", who=ME)
        # Whoever takes it up is bound by the pause, until somebody says resume.
        check("the run is paused" in here.run(4, "apply", "--yes"))
        here.says("third", "pending", "paused", next=[here.command("resume"), here.command("apply")])
        here.run(0, "resume")
        here.begin()
        here.says("third", "done", "done")


def failed_and_ending():
    with Place("""\
  bad: {uses: command, with: {run: ["/bin/false"], check: ["/bin/false"]}, irreversible: It ran.}
  after: {uses: wait, needs: [bad], with: {for: 1ms}}
  slow: {uses: wait, with: {for: 50m}}
  person: {uses: manual, with: {text: Do it.}}
""") as here:
        here.begin("--wait")
        here.says("bad", "failed", "failed", r"it failed at .*: `run` ended with exit code 1", "mend the cause",
                  error_kind="failed", error="`run` ended with exit code 1", next=[here.command("status --watch")])
        here.says("after", "pending", "needs", "it needs bad, which is failed: it failed at .*exit code 1",
                  root_state="failed")
        here.says("after", "pending", "ending", "the run is ending, because this failed: bad", failed=["bad"])
        here.running[0].send_signal(signal.SIGTERM)
        here.running[0].wait()
        here.says("bad", "failed", "run", next=[here.command("apply")], outcome="interrupted")


def undone_and_passed_over():
    with Place("""\
  close: {uses: manual, with: {text: Close.}}
  kept: {uses: manual, needs: [close], with: {text: Keep.}, rollback: {nothing: It does no harm.}}
  last: {uses: wait, needs: [kept], with: {for: 1ms}}
""") as here:
        for step in ("close", "kept"):
            here.run(0, "approve", step)
        here.run(0, "apply", "--yes")
        here.says("kept", "done", "run", "the last run ended at .*, done", outcome="done", next=[here.command("diff")])
        here.run(0, "rollback", "--yes", "--to", "close")
        here.says("close", "undone", "undone", "the way back undid it at .*; `plan apply` does it again",
                  next=[here.command("apply")])
        here.says("kept", "passed over", "passed over", "passed over it at .*: It does no harm.", why="It does no harm.")


def users_are_shut_out():
    with Place("""\
  close: {uses: manual, with: {text: Close.}}
  slow: {uses: manual, needs: [close], with: {text: Be quick.}}
  open: {uses: wait, needs: [slow], with: {for: 1ms}}
""", "downtime: {begins: close, ends: open, budget: 50m}\n") as here:
        here.run(0, "approve", "close")
        here.begin("--wait")
        reason = here.says("open", "pending", "downtime", r"users have been shut out for .* of a budget of 50 min, 4\d min .*"
                           "left; the way back is taken in time", budget_ms=3000000)
        check(reason["downtime_ms"] > 0, reason)


def approvals_are_void_when_the_plan_changes():
    steps = """\
  gate: {uses: wait, with: {for: 1ms}, approval: {by: 2, text: It matters.}}
  other: {uses: wait, needs: [gate], with: {for: 1ms}}
"""
    with Place(steps) as here:
        here.run(4, "apply", "--yes")
        here.run(0, "approve", "gate")
        here.says("gate", "waiting", "approval", "to be counted: " + ME, not_read_yet_from=[ME], given=0)
        here.run(4, "apply", "--yes")
        both = [here.command("approve", "gate"), here.command("apply")]
        here.says("gate", "waiting", "approval", "1 of 2 approvals, by " + ME, given=1, approved_by=[ME], next=both)
        here.write(steps.replace("1ms", "2ms"))
        both[1] = here.command("apply --amend")
        here.says("gate", "waiting", "approval", "0 of 2 approvals", "void, because the plan .* changed.*: " + ME, given=0,
                  void_of=[ME], next=both)
        here.says("gate", "waiting", "changed", "--amend takes it up")


def commands_can_be_pasted():
    """Names with blanks are quoted, and the inputs that were set are set again: an approval is for them."""
    with Place('  each: {uses: manual, for_each: ["a b", "c"], with: {text: "Do ${each}."}}\n') as here:
        here.run(0, "approve", "each[c]", "--set", "kind=my own")
        here.run(4, "apply", "--yes", "--set", "kind=my own")
        facts = here.facts("each", "--set", "kind=my own")
        check(facts["step"] == "each[a b]" and facts["state"] == "waiting", facts)
        check(next_of(facts, "for_each", {"count": 2, "done": 1}), facts)
        check(facts["next"][0] == here.command("approve", "'each[a b]'", "--set", "'kind=my own'"), facts)
        done = subprocess.run(facts["next"][0].replace("plan", PLAN, 1), shell=True, capture_output=True)
        check(done.returncode == 0, done)
        here.run(0, "apply", "--yes", "--set", "kind=my own")


def services():
    """No module of today is one: what the engine shows of it is put in its place (tests/engine has the rest)."""
    with Place("""\
  stream: {uses: wait, with: {for: 1ms}}
  user: {uses: manual, needs: [stream], with: {text: Use it.}}
""") as here:
        here.begin("--wait")
        here.says("user", "waiting", "person")
        at_ms = int(time.time() * 1000)
        show(here, "stream", {"state": "serving", "at_ms": at_ms, "since_ms": at_ms})
        here.says("stream", "serving", "service", "runs on since .* until these are done: user", until_done=["user"])
        show(here, "stream", {"state": "restarting", "at_ms": at_ms, "error": "it died", "tries": 3,
                              "next_at_ms": at_ms + 3000000})
        here.says("stream", "restarting", "restart", r"ended before its time \(it died\).* for the 3. time, at .*\(in 4\d min",
                  tries=3, error="it died", next_at_ms=at_ms + 3000000)


def show(here, step, live):
    with sqlite3.connect(os.path.join(here.directory, ".plan", "explained.db"), timeout=60) as journal:
        journal.execute("UPDATE live SET body = ? WHERE step = ?", (json.dumps(live), step))
    journal.close()


for scene in (no_run_has_begun, people_and_needs, conditions, a_window_parks_the_run, running_and_retrying, one_job, only_through,
              paused_and_stopped, failed_and_ending, undone_and_passed_over, users_are_shut_out,
              approvals_are_void_when_the_plan_changes, commands_can_be_pasted, services):
    began = time.monotonic()
    scene()
    print(f"{scene.__name__}: {time.monotonic() - began:.1f} s", flush=True)
