# SPDX-License-Identifier: MIT
"""A real git repository in a temporary directory, and `plan diff` run in it with nothing around:
no environment, and no network where `unshare` may take it away."""
import atexit
import json
import os
import shutil
import subprocess
import tempfile

AUTHOR = {"GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@example.com",
          "GIT_COMMITTER_NAME": "test", "GIT_COMMITTER_EMAIL": "test@example.com",
          "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
          "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "PATH": os.environ["PATH"]}


def _without_network():
    command = ["unshare", "--net", "--map-root-user"]
    try:
        works = subprocess.run(command + ["true"], capture_output=True).returncode == 0
    except OSError:
        works = False
    return command if works else []


UNSHARE = _without_network()


class Repository:
    def __init__(self, plan):
        self.plan = os.path.abspath(plan)
        self.path = tempfile.mkdtemp(prefix="plan-diff-")
        atexit.register(shutil.rmtree, self.path, ignore_errors=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *words, ok=True):
        done = subprocess.run(["git", *words], cwd=self.path, env=AUTHOR, capture_output=True)
        if ok and done.returncode:
            raise SystemExit("git %s: %s" % (" ".join(words), done.stderr.decode()))
        return done.stdout.decode().strip()

    def write(self, name, text):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())

    def remove(self, name):
        os.unlink(os.path.join(self.path, name))

    def commit(self, message, tag=None):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        if tag:
            self.git("tag", tag)

    def diff(self, *words, under=""):
        """Exit code, stdout, stderr as text; a sanitizer's report is an error."""
        done = subprocess.run(UNSHARE + [self.plan, "diff", *words], env={}, capture_output=True,
                              cwd=os.path.join(self.path, under), timeout=120)
        errors = done.stderr.decode(errors="replace")
        if "Sanitizer" in errors or "runtime error" in errors or done.returncode < 0:
            raise SystemExit("plan diff %s: %d\n%s" % (" ".join(words), done.returncode, errors))
        return done.returncode, done.stdout.decode(), errors

    def compare(self, *words, **more):
        return json.loads(self.diff(*words, "--json", **more)[1])
