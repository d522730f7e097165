# SPDX-License-Identifier: MIT
"""Plans against throw-away databases: a directory with a plan, and what `plan` says of it."""
import json
import os
import shutil
import subprocess
import tempfile
import time

PLAN = None  # set by main()
HEAD = """\
plan: 1
name: %(name)s
summary: A scene with databases.
secrets: {source: {env: SOURCE_URL}, target: {env: TARGET_URL}, more: {env: MORE_SECRET}}
connections:
  source: {uses: postgres, url: "${secrets.source}"}
  target: {uses: postgres, url: "${secrets.target}"}
steps:
"""
MORE_SECRET = "canary-value-2207"


def check(truth, text):
    if not truth:
        raise AssertionError(text)


class Scene:
    """with Scene(steps, source=URL) as scene: scene.apply(0, says=[...])"""

    def __init__(self, steps, source, target=None, environment=None, **files):
        self.environment = {**os.environ, "SOURCE_URL": source, "TARGET_URL": target or source, "NO_COLOR": "1",
                            "MORE_SECRET": MORE_SECRET, **(environment or {})}
        self.directory = tempfile.mkdtemp(prefix="plan-scene-")
        self.file = self.path("p.yaml")
        for name, text in {"p.yaml": HEAD % {"name": "scene"} + steps, **files}.items():
            self.write(name, text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)

    def begin(self, *arguments):
        return subprocess.Popen([PLAN, *arguments, self.file], text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment)

    def finish(self, process, wanted, says=(), within=240):
        output = process.communicate(timeout=within)[0]
        check(process.returncode == wanted, f"exit {process.returncode}, not {wanted}\n{output}")
        for secret in [self.environment["SOURCE_URL"], self.environment["TARGET_URL"], MORE_SECRET]:
            check(secret not in output, f"a secret is shown\n{output}")
        for text in says:
            check(text in output, f"{text!r} is not said\n{output}")
        return output

    def run(self, wanted, *arguments, says=(), within=240):
        return self.finish(self.begin(*arguments), wanted, says, within)

    def apply(self, wanted, says=(), *options):
        return self.run(wanted, "apply", "--yes", *options, says=says)

    def forget(self):
        """The next apply is a new run."""
        shutil.rmtree(self.path(".plan"), ignore_errors=True)

    def records(self):
        """The journal, a dictionary for each record."""
        return [json.loads(line) for line in self.run(0, "journal", "--json").splitlines() if line.startswith("{")]

    def outputs(self, step):
        """Of the last time that it was done."""
        return [one for one in self.records() if one["kind"] == "done" and one.get("step") == step][-1]["body"]["outputs"]

    def journal_holds(self, text):
        self.run(0, "journal", "--json")
        for name in os.listdir(self.path(".plan")):
            with open(self.path(os.path.join(".plan", name)), "rb") as file:
                if text.encode() in file.read():
                    return True
        return False


def run_scenarios(*scenarios, only=None):
    for scenario in scenarios:
        if only and scenario.__name__ not in only:
            continue
        began = time.monotonic()
        scenario()
        print(f"{scenario.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    print("ok")
