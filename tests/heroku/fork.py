# SPDX-License-Identifier: MIT
"""Forks an app for real against the sandbox: apply, look, apply again, lost replies, the way back.

usage: fork.py PLAN"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

plan = sys.argv[1]
scratch = tempfile.mkdtemp()
os.environ["TOKEN"] = "canary-token"

PLAN = """\
plan: 1
name: fork
summary: A second app like the first, without its data.
secrets: {token: {env: TOKEN}}
connections:
  heroku: {uses: heroku, token: "${secrets.token}", url: "%(url)s", data_url: "%(url)s"}
defaults: {retry: {attempts: 4, backoff: 100ms to 500ms}}
steps:
  create: {uses: heroku.app, with: {app: targetapp, like: sourceapp, region: eu}}
  buildpacks: {uses: heroku.buildpacks, with: {app: "${steps.create.app}", like: sourceapp}}
  config: {uses: heroku.config, with: {app: "${steps.create.app}", like: sourceapp}}
  people: {uses: heroku.collaborators, with: {app: "${steps.create.app}", like: sourceapp}}
  features: {uses: heroku.features, with: {app: "${steps.create.app}", like: sourceapp}}
  release: {uses: heroku.release, needs: [config, buildpacks], with: {app: "${steps.create.app}", like: sourceapp}}
  close: {uses: heroku.maintenance, needs: [release, people, features], with: {app: sourceapp, enabled: true}}
  stop: {uses: heroku.formation, needs: [close], with: {app: sourceapp, scale: {all: 0}, stop_one_off: true}}
  scale: {uses: heroku.formation, needs: [stop], with: {app: "${steps.create.app}", like: "${steps.stop.before}"}}
  domain: {uses: heroku.domain, needs: [scale], with: {domain: www.example.com, from: sourceapp, to: "${steps.create.app}"}}
"""

SEED = {"apps": [{
    "name": "sourceapp", "region": "us", "stack": "heroku-24",
    "buildpacks": ["https://github.com/heroku/heroku-buildpack-ruby"],
    "config": {"RACK_ENV": "production", "SECRET_KEY": "canary-value"},
    "collaborators": ["ann@example.com"], "features": [], "drains": ["syslog+tls://logs.example.com:6514"],
    "domains": ["www.example.com"], "formation": {"web": 2, "worker": 1},
    "slug": {"commit": "abc", "process_types": {"web": "bin/web", "worker": "bin/worker"}}}]}


def nameless(effects):
    """What was done, without ids that differ from run to run."""
    return sorted(re.sub(r"[0-9a-f-]{36}", "ID", effect["what"]) for effect in effects)


def check(truth, text):
    if not truth:
        raise AssertionError(text)


class Sandbox:
    def __enter__(self):
        self.process = subprocess.Popen([plan, "sandbox"], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            found = re.search(r"HEROKU_HOST=(http://127\.0\.0\.1:\d+)", line)
            if found:
                self.url = found.group(1)
                return self
        raise AssertionError("the sandbox did not say where it is")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, method=method,
                                         data=json.dumps(body).encode() if body is not None else None,
                                         headers={"Content-Type": "application/json", "Authorization": "Bearer x",
                                                  "Accept": "application/vnd.heroku+json; version=3"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def ledger(self):
        return self.call("GET", "/_sim/ledger")


def run(name, wanted, *arguments):
    done = subprocess.run([plan, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    output = done.stdout + done.stderr
    check(done.returncode == wanted, f"{name}: exit {done.returncode}, not {wanted}\n{output}")
    for canary in ("canary-token", "canary-value"):
        check(canary not in output, f"{name}: {canary} is shown\n{output}")
    return output


def fresh(name):
    directory = os.path.join(scratch, name)
    os.mkdir(directory)
    return os.path.join(directory, "p.yaml")


def start(sandbox, name):
    sandbox.call("POST", "/_sim/seed", SEED)
    file = fresh(name)
    with open(file, "w") as out:
        out.write(PLAN % {"url": sandbox.url})
    return file


def undisturbed():
    with Sandbox() as sandbox:
        file = start(sandbox, "undisturbed")
        run("look", 2, "diff", "--detailed-exitcode", file)
        before = len(sandbox.ledger())
        run("apply", 0, "apply", "--yes", file)
        effects = sandbox.ledger()[before:]
        check(len(effects) >= 8, f"too few effects: {effects}")
        run("look again", 0, "diff", "--detailed-exitcode", file)
        run("apply again", 0, "apply", "--yes", file)
        check(len(sandbox.ledger()) == before + len(effects), "a second apply has effects")
        sandbox.call("PATCH", "/apps/targetapp/config-vars", {"RACK_ENV": "changed"})
        check("config" in run("look at drift", 2, "diff", "--detailed-exitcode", file), "drift is not named")
        run("back", 0, "rollback", "--yes", "--to", "create", file)
        return nameless(effects)


def lost_replies(kinds):
    """The reply to one write after the other is lost once its effect is there: nothing happens twice."""
    for nth in range(1, len(kinds) + 1, 3):
        with Sandbox() as sandbox:
            file = start(sandbox, f"lost-{nth}")
            before = len(sandbox.ledger())
            for method in ("POST", "PATCH", "PUT"):
                sandbox.call("POST", "/_sim/faults", {"method": method, "path": "/*", "nth": nth,
                                                      "when": "after", "action": "drop"})
            run(f"lost reply {nth}", 0, "apply", "--yes", file)
            whats = nameless(sandbox.ledger()[before:])
            check(whats == kinds, f"lost reply {nth}: {whats} instead of {kinds}")


lost_replies(undisturbed())
print("ok")
