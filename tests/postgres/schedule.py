# SPDX-License-Identifier: MIT
"""A replication whose statements a test orders: see scheduled.c.

    with Schedule(program, source, target, tables) as run:
        run.hold("second chunk", "ctid >= '(1,0)'")     # before that statement
        run.begin()                                     # plan apply, up to following
        run.reached("second chunk")
        source.sql("VACUUM FULL t")
        run.go("second chunk")
        run.follows()
        run.equal()
"""
import os
import shutil
import signal
import subprocess
import tempfile
import time

from cluster import wait_until

HEAD = """plan: 1
name: {name}
summary: A replication that a test disturbs.
secrets:
  source: {{env: SOURCE_URL}}
  target: {{env: TARGET_URL}}
connections:
  source: {{uses: postgres, url: "${{secrets.source}}"}}
  target: {{uses: postgres, url: "${{secrets.target}}"}}
"""
PLAN = HEAD.format(name="handoff") + """steps:
  replicate:
    uses: postgres.replicate
    with: {source: source, target: target, workers: 1}
  forever:
    uses: wait
    needs: [replicate]
    with: {for: 1h}
"""
PATIENCE = 120  # seconds
SMALL_CHUNKS = [("4096", "1")]

class Schedule:
    """plan is another one than the above; urls are those of proxies in front of both sides."""

    def __init__(self, program, source, target, rewrite=(), small=True, plan=PLAN, urls=None):
        self.program, self.source, self.target = program, source, target
        self.plan, self.urls = plan, urls or (source.url(), target.url())
        self.directory = tempfile.mkdtemp(prefix="plan-schedule-")
        self.process = None
        self.rules = [*(SMALL_CHUNKS if small else []), *rewrite]

    def __enter__(self):
        os.mkdir(self.path("events"))
        with open(self.path("handoff.yaml"), "w") as out:
            out.write(self.plan)
        self.rewrite(self.rules)
        return self

    def __exit__(self, *_):
        self.end()
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    # ---- Ordering ----

    def rewrite(self, rules):
        with open(self.path("events/rewrite"), "w") as out:
            out.write("".join(f"{what}\t{by}\n" for what, by in rules))

    def event(self, name, kind, text):
        with open(self.path(f"events/{name}.{kind}.new"), "w") as out:
            out.write(text)
        os.rename(self.path(f"events/{name}.{kind}.new"), self.path(f"events/{name}.{kind}"))

    def hold(self, name, text):
        self.event(name, "hold", text)

    def after(self, name, text):
        self.event(name, "after", text)

    def die(self, name, text):
        self.event(name, "die", text)

    def dead(self, name, text):
        self.event(name, "dead", text)

    def reached(self, name, within=None):
        wait_until(lambda: os.path.exists(self.path(f"events/{name}.reached")) or self.process.poll() is not None,
                   f"{name} is reached", within or PATIENCE)
        if not os.path.exists(self.path(f"events/{name}.reached")):
            raise AssertionError(f"it ended before {name}: {self.log()}")

    def go(self, name):
        open(self.path(f"events/{name}.go"), "w").close()

    # ---- Running ----

    def begin(self):
        with open(self.path("log"), "a") as log:
            self.process = subprocess.Popen(
                [self.program, "apply", "--yes", self.path("handoff.yaml")], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True,
                env={**os.environ, "SOURCE_URL": self.urls[0], "TARGET_URL": self.urls[1], "NO_COLOR": "1",
                     "PLAN_SCHEDULE": self.path("events")})

    def log(self):
        with open(self.path("log")) as text:
            return text.read()

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self):
        if self.process and self.process.poll() is None:
            for name in os.listdir(self.path("events")):
                if name.endswith(".reached"):
                    self.go(name[:-len(".reached")])
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def follows(self, within=None):
        """Every table follows."""
        wait_until(lambda: self.phases() == ["following"] or self.process.poll() is not None,
                   "every table follows", within or PATIENCE)
        if self.process.poll() is not None:
            raise AssertionError(f"it ended: {self.log()}")

    def phases(self):
        if self.target.value("SELECT to_regclass('plan_replication.relation') IS NULL") == "t":
            return []
        return [row[0] for row in self.target.rows("SELECT DISTINCT phase FROM plan_replication.relation")]

    def settles(self, within=None):
        """All that is committed now is applied."""
        logs = self.source.rows("SELECT 'plan_replication.' || relname FROM pg_class WHERE relnamespace = "
                                "'plan_replication'::regnamespace AND relname ~ '^log_'")
        query = " UNION ALL ".join(f"SELECT 1 FROM {row[0]}" for row in logs)
        until = time.monotonic() + (within or PATIENCE)
        while self.source.value(f"SELECT count(*) FROM ({query}) x") != "0":
            if time.monotonic() > until or self.process.poll() is not None:
                raise AssertionError(f"the log is not applied: {self.log()}")
            time.sleep(0.1)
        # The keys are gone from the log only after the target has committed.

    def differences(self, *tables):
        """Table by table, rows that one side has more often than the other."""
        found = {}
        for table in tables or ("t",):
            sql = f"SELECT x::text, count(*) FROM {table} x GROUP BY 1 ORDER BY 1"
            here, there = ({tuple(row) for row in side.rows(sql)} for side in (self.source, self.target))
            if here != there:
                found[table] = {"source": sorted(here - there)[:5], "target": sorted(there - here)[:5]}
        return found

    def equal(self, *tables, within=None):
        self.settles(within)
        found = self.differences(*tables)
        if found:
            raise AssertionError(f"they differ: {found}\n{self.log()}")
