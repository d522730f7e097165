# SPDX-License-Identifier: MIT
"""Validates the journals of a run that succeeds, one that fails and goes back, and one that is taken up again.

usage: journal_schema.py PLAN"""
import copy
import json
import os
import signal
import subprocess
import sys

import jsonschema

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "heroku"))
from scene import Scene, play, wait_until  # noqa: E402
from sandbox import check  # noqa: E402

SUCCEEDS = """\
  create: {uses: heroku.app, with: {app: newapp, like: oldapp, region: eu}}
  config: {uses: heroku.config, with: {app: "${steps.create.app}", like: oldapp}}
  person: {uses: manual, needs: [config], with: {text: Call somebody.}}
  rest:
    uses: wait
    needs: [person]
    with: {for: 100ms}
    preconditions: [{check: time.since, of: person, at_least: 1s, within: 30s}]
"""

FAILS = """\
  close: {uses: heroku.maintenance, with: {app: oldapp, enabled: true}}
  kept:
    uses: heroku.config
    needs: [close]
    with: {app: oldapp, set: {MOVED: "yes"}}
    rollback: {nothing: It does no harm.}
  stop:
    uses: heroku.formation
    needs: [kept]
    with: {app: oldapp, scale: {all: 0}}
    on_failure: roll back to close
"""

APPS = [{"name": "oldapp", "config": {"KEY": "canary-value"}, "formation": {"web": 1},
         "slug": {"commit": "abc", "process_types": {"web": "bin/web"}},
         "addons": [{"plan": "heroku-redis:mini", "name": "old-redis", "as": "REDIS"}]}]

plan = os.path.abspath(sys.argv[1])
schema = json.loads(subprocess.run([plan, "schema", "--journal"], capture_output=True, check=True).stdout)
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
seen = {}


def journal(here):
    return [json.loads(line) for line in here.run(0, "journal", "--json").splitlines()]


def must_be_valid(here, *kinds):
    records = journal(here)
    for record in records:
        for error in validator.iter_errors(record):
            raise AssertionError(f"{json.dumps(record)}\n{error.message}\n"
                                 + "\n".join(one.message for one in error.context or ()))
        seen.setdefault(record["kind"], record)
    found = {record["kind"] for record in records}
    check(set(kinds) <= found, f"the run has no {sorted(set(kinds) - found)}")


def a_run_that_succeeds():
    with Scene(plan, APPS, SUCCEEDS) as here:
        url = here.config("oldapp")["REDIS_URL"]
        here.call("PATCH", "/apps/oldapp/config-vars", {"CACHE": url})
        here.apply(4)
        here.run(0, "approve", after=["person"])
        here.apply(0)
        must_be_valid(here, "begin", "start", "pin", "wait", "intent", "done", "approval", "note", "end")
        here.run(0, "rollback", "--yes", "--to", "create")
        must_be_valid(here, "undo-intent", "undone")


def a_run_that_fails_and_goes_back():
    with Scene(plan, APPS, FAILS) as here:
        here.fault("PATCH", "/apps/oldapp/formation", "500", "before", 0)
        here.apply(5)
        must_be_valid(here, "failed", "passed", "undone", "end")
        here.no_faults()
        here.apply(0)
        here.fault("PATCH", "/apps/oldapp/formation", "500", "before", 0)
        here.run(6, "rollback", "--yes", "--to", "close")
        must_be_valid(here, "undo-failed")


def a_run_that_is_taken_up_again():
    with Scene(plan, APPS, FAILS) as here:
        here.fault("PATCH", "/apps/oldapp/config-vars", "hang", "after", 1)
        running = here.begin("apply", "--yes")
        wait_until(lambda: any(one["hit"] for one in here.call("GET", "/_sim/faults")), "it hangs")
        running.send_signal(signal.SIGKILL)
        running.wait()
        here.no_faults()
        here.write(FAILS.replace("all: 0", "web: 0"))
        wait_until(lambda: subprocess.run([plan, "apply", "--yes", "--amend", here.file], capture_output=True,
                                          stdin=subprocess.DEVNULL, env=here.environment()).returncode == 0,
                   "the lock is free and the run is done")
        must_be_valid(here, "amend", "intent", "done", "end")


def every_kind_was_seen():
    described = {one["properties"]["kind"]["const"] for one in schema["oneOf"]}
    check(described == set(seen), f"never seen: {sorted(described - set(seen))}")


def what_is_wrong_is_not_valid():
    for kind, record in seen.items():
        for key in record["body"]:
            wrong = copy.deepcopy(record)
            wrong["body"][key + "_"] = wrong["body"].pop(key)
            check(not validator.is_valid(wrong), f"{kind}: {key} may have any name")
        for change in ({"kind": "nothing"}, {"seq": "1"}, {"more": 1}, {"step": "" if record["step"] else "it"}):
            check(not validator.is_valid({**record, **change}), f"{kind} with {change} is valid")


play(a_run_that_succeeds, a_run_that_fails_and_goes_back, a_run_that_is_taken_up_again, every_kind_was_seen,
     what_is_wrong_is_not_valid)
