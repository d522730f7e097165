# SPDX-License-Identifier: MIT
"""`plan sandbox` as a context: its url while it runs."""
import re
import signal
import subprocess


def check(truth, text):
    if not truth:
        raise AssertionError(text)


class Sandbox:
    def __init__(self, plan):
        self.plan = plan

    def __enter__(self):
        self.process = subprocess.Popen([self.plan, "sandbox"], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            found = re.search(r"HEROKU_HOST=(http://127\.0\.0\.1:\d+)", line)
            if found:
                self.url = found.group(1)
                return self
        raise AssertionError("the sandbox did not say where it is")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        self.process.stdout.close()
