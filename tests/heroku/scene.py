# SPDX-License-Identifier: MIT
"""A sandbox with one plan against it: what the tests of single Heroku modules share."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from sandbox import Sandbox, check

CANARIES = ("canary-token", "canary-value")
HEAD = """\
plan: 1
name: scene
summary: One module against the sandbox.
secrets: {token: {env: TOKEN}}
connections:
  heroku: {uses: heroku, token: "${secrets.token}", url: "%(url)s", data_url: "%(url)s"}
defaults: {retry: {attempts: %(attempts)d, backoff: 100ms to 300ms}}
steps:
"""


def wait_until(truth, what, within=120):
    until, pause = time.monotonic() + within, 0.03
    while time.monotonic() < until:
        found = truth()
        if found:
            return found
        time.sleep(pause)
        pause = min(pause * 1.3, 0.3)  # to look costs, too
    raise AssertionError(f"not within {within} s: {what}")


class Scene(Sandbox):
    """with Scene(plan, seed, steps) as scene: ..."""

    def __init__(self, plan, apps, steps, attempts=1):
        super().__init__(os.path.abspath(plan))
        self.apps, self.steps, self.attempts = apps, steps, attempts

    def __enter__(self):
        super().__enter__()
        self.directory = tempfile.mkdtemp(prefix="plan-scene-")
        self.file = os.path.join(self.directory, "p.yaml")
        self.call("POST", "/_sim/seed", {"apps": self.apps})
        self.write(self.steps)
        wait_until(self.databases_are_known, "the Data API knows the databases")
        self.at = len(self.ledger())
        return self

    def __exit__(self, *details):
        super().__exit__(*details)
        shutil.rmtree(self.directory, ignore_errors=True)

    def databases_are_known(self):
        try:
            for app in self.apps:
                for one in self.call("GET", f"/apps/{app['name']}/addons"):
                    if one["addon_service"]["name"] == "heroku-postgresql":
                        self.call("GET", f"/client/v11/databases/{one['id']}")
            return True
        except urllib.error.HTTPError:
            return False

    def write(self, steps):
        with open(self.file, "w") as out:
            out.write(HEAD % {"url": self.url, "attempts": self.attempts} + steps)

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            self.url + path, method=method, data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json", "Authorization": "Bearer x",
                     "Accept": "application/vnd.heroku+json; version=3"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def fault(self, method, path, action, when="before", nth=1):
        return self.call("POST", "/_sim/faults", {"method": method, "path": path, "action": action, "when": when,
                                                  "nth": nth})["id"]

    def no_faults(self):
        self.call("DELETE", "/_sim/faults")

    def ledger(self):
        return [effect["what"] for effect in self.call("GET", "/_sim/ledger")]

    def effects(self):
        """Those since it was last asked."""
        whole = self.ledger()
        new, self.at = whole[self.at:], len(whole)
        return new

    def attachments(self, app):
        return {one["name"]: one["addon"]["name"] for one in self.call("GET", f"/apps/{app}/addon-attachments")}

    def config(self, app):
        return self.call("GET", f"/apps/{app}/config-vars")

    def addon(self, app, name, **more):
        """Makes one and waits until it is there."""
        self.call("POST", f"/apps/{app}/addons", {"plan": "heroku-postgresql:standard-0", "name": name, **more})
        wait_until(lambda: self.call("GET", f"/addons/{name}")["state"] == "provisioned", name)

    def environment(self):
        return {**os.environ, "TOKEN": "canary-token", "NO_COLOR": "1"}

    def run(self, wanted, *arguments, after=()):
        """The plan's file comes last, but for what stands after it."""
        done = subprocess.run([self.plan, *arguments, self.file, *after], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env=self.environment(), timeout=120)
        output = done.stdout + done.stderr
        check(done.returncode == wanted, f"{arguments}: exit {done.returncode}, not {wanted}\n{output}")
        for canary in CANARIES:
            check(canary not in output, f"{arguments}: {canary} is shown\n{output}")
        return output

    def apply(self, wanted, *options):
        return self.run(wanted, "apply", "--yes", *options)

    def back(self, wanted=0):
        return self.run(wanted, "rollback", "--yes", "--to", "it")

    def begin(self, *arguments):
        """A plan that runs on, in a process group of its own."""
        return subprocess.Popen([self.plan, *arguments, self.file], stdin=subprocess.DEVNULL, env=self.environment(),
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def forget(self):
        """The journal is lost."""
        shutil.rmtree(os.path.join(self.directory, ".plan"), ignore_errors=True)


def group_is_gone(group):
    try:
        os.killpg(group, 0)
        return False
    except ProcessLookupError:
        return True


def kill(process):
    """It and all it has started, as `begin` began it."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    wait_until(lambda: group_is_gone(process.pid), "all of its processes are gone")


def says(output, *texts):
    for text in texts:
        check(text in output, f"{text!r} is not said:\n{output}")


def must_be(got, wanted, what):
    check(got == wanted, f"{what}: {got}, not {wanted}")


def play(*scenarios):
    for scenario in scenarios:
        began = time.monotonic()
        scenario()
        print(f"{scenario.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    print("ok")
