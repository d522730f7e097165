# SPDX-License-Identifier: MIT
"""A replication that everything happens to: connections that break at any byte, servers that crash, processes that are
killed, a full disk, commits whose answer is lost; in every phase of it, while an application writes. After all of it
both sides are the same, and while it follows the target never was anything but a moment of the source.

    faults.py PLAN PLAN_SCHEDULED [SEED ... | broken]

A seed chooses what happens, where and when. PLAN_LEVEL=release takes more seeds, and more faults of each."""
import os
import random
import re
import subprocess
import sys
import time

from cluster import Cluster, Failed, wait_until
from disk import Disk
from load import Reader, Writers, make
from proxy import Proxy, Trap
from schedule import HEAD, Schedule
import processes

PROGRAM = os.path.abspath(sys.argv[2])
RELEASE = os.environ.get("PLAN_LEVEL") == "release"
SEEDS = range(1, 11) if RELEASE else range(1, 4)
SNAPSHOTS = 10000 if RELEASE else 300  # of one seed, at least
MORE = 6 if RELEASE else 0  # faults besides one of each kind
ARCHIVES, ARCHIVE_ROWS = 6, 1000
PATIENCE = 180
PLAN = HEAD.format(name="faults") + """defaults:
  retry: {attempts: 100, backoff: 500ms to 2s}
steps:
  schema:
    uses: postgres.schema
    with: {source: source, target: target}
  replicate:
    uses: postgres.replicate
    needs: [schema]
    with: {source: source, target: target, workers: 2}
  forever:
    uses: wait
    needs: [replicate]
    with: {for: 1h}
"""
# A chunk is six pages.
CHUNKS = [("p / 4096", "p / 6"), ("p + 4096", "p + 6"), ("- 1, 4096)", "- 1, 6)")]

# What our sessions say in a stage: side, who, text.
STAGES = {
    "copying": [("source", "plan copy", b"pg_relation_filenode"), ("source", "plan copy", b"COPY (SELECT"),
                ("source", "plan copy", b"pg_current_wal_insert_lsn()"), ("target", "plan copy", b"FOR SHARE OF r SKIP"),
                ("target", "plan copy", b" FROM STDIN"), ("target", "plan copy", b"SET done = true"),
                ("target", "plan copy", b"SET phase = 'copied'"), ("target", "plan replicate", b"phase <> 'following'")],
    "finalising": [("source", "plan copy", b"BEGIN ISOLATION LEVEL"), ("source", "plan copy", b"pg_current_wal_flush_lsn()"),
                   ("target", "plan copy", b"SET phase = 'finalised'")],
    "indexing": [("target", "plan copy", b"SELECT done FROM plan_replication.held"), ("target", "plan copy", b"ADD CONSTRAINT"),
                 ("target", "plan copy", b"SET done = true, error"), ("target", "plan copy", b"ANALYZE public."),
                 ("target", "plan copy", b"SET phase = 'following'")],
    "following": [("target", "plan follow", b"AND NOT paused FOR UPDATE"), ("source", "plan follow", b"BEGIN ISOLATION LEVEL"),
                  ("source", "plan follow", b"COPY (WITH d AS"), ("target", "plan follow", b"COPY pg_temp.zz_plan_stage"),
                  ("target", "plan follow", b"DELETE FROM ONLY"), ("target", "plan follow", b"SET mark = mark + 1"),
                  ("source", "plan follow", b"COMMIT\0"), ("target", "plan replicate", b"phase <> 'following'")],
}
COMMITS = {
    "lost_commit_source": {"copying": ("source", "plan copy", b"COMMIT\0"), "finalising": ("source", "plan copy", b"COMMIT\0"),
                           "indexing": ("source", "plan copy", b"COMMIT\0"), "following": ("source", "plan follow", b"COMMIT\0")},
    "lost_commit_target": {"copying": ("target", "plan copy", b"COMMIT\0"),
                           "finalising": ("target", "plan copy", b"SET phase = 'finalised'"),
                           "indexing": ("target", "plan copy", b"COMMIT\0"),
                           "following": ("target", "plan follow", b"SET mark = mark + 1")},
}
# The phases in which a stage may still come.
BEFORE = {"copying": {"new", "copying"}, "finalising": {"new", "copying", "copied"},
          "indexing": {"new", "copying", "copied", "finalised"}}
NETWORK = ["reset", "finish", "half", "hole", "delay", "drip"]
SERVERS = ["crash_source", "crash_target", "terminate_source", "terminate_target", "disk_full"]
KILLS = ["kill_engine", "kill_step", "kill_member"]
KINDS = [*NETWORK, *SERVERS, *KILLS, *COMMITS]


class Scene:
    """One run of the plan between proxies, with an application on the source."""

    def __init__(self, source, target, disk, seed, rewrite=(), archives=ARCHIVES, pause=0.03):
        self.chance = random.Random(seed)
        self.disk, self.seed = disk, seed
        self.sides = {"source": source, "target": target}
        for name, side in self.sides.items():
            side.database = side.add_database(f"app_{seed}".replace(" ", "_"), disk.database_option() if name == "target" else "")
        self.tables = make(source, archives, ARCHIVE_ROWS)
        self.proxies = {name: Proxy(side) for name, side in self.sides.items()}
        self.run = Schedule(PROGRAM, source, target, [*CHUNKS, *rewrite], small=False, plan=PLAN,
                            urls=[self.proxies[name].url() for name in ("source", "target")])
        self.writers, self.reader = Writers(source, seed, pause=pause), Reader(target)
        self.faults, self.may_end, self.runs = [], False, 0

    def __enter__(self):
        for proxy in self.proxies.values():
            proxy.__enter__()
        self.run.__enter__()
        self.writers.__enter__()
        self.reader.__enter__()
        return self

    def __exit__(self, *_):
        self.reader.stop()
        self.writers.stop()
        for proxy in self.proxies.values():
            proxy.disarm()
            proxy.release()
        self.run.__exit__()
        for proxy in self.proxies.values():
            proxy.__exit__()

    def apply(self):
        self.run.begin()
        self.runs, self.may_end = self.runs + 1, False

    # ---- Waiting ----

    def goes_on(self):
        """Begins the plan again after it was killed, which is the only reason for its end; nothing else is wrong."""
        if self.run.process.poll() is not None:
            if not self.may_end:
                raise AssertionError(f"the plan has ended by itself, with {self.run.process.returncode}")
            self.apply()
        if self.reader.wrong:
            raise AssertionError("a snapshot of the target is no moment of the source: " + self.reader.wrong[0])
        for proxy in self.proxies.values():
            if proxy.error:
                raise AssertionError(f"the proxy: {proxy.error}")

    def wait(self, truth, what, within=PATIENCE):
        def look():
            self.goes_on()
            return truth()
        wait_until(look, what, within)

    def phases(self):
        try:
            return set(self.run.phases())
        except Failed:
            return {"unknown"}  # the server does not answer at this moment

    def follows(self):
        self.wait(lambda: self.phases() == {"following"}, "every table follows")

    # ---- One fault ----

    def place(self, kind, stage):
        if kind in COMMITS:
            return COMMITS[kind][stage]
        return self.chance.choice(STAGES[stage])

    def trap(self, kind, stage):
        side, who, text = self.place(kind, stage)
        action = kind if kind in NETWORK else "lost" if kind in COMMITS else "hold"
        after = self.chance.choice([0, 1, 4, self.chance.randrange(300), self.chance.randrange(6000)])
        if stage in ("finalising", "indexing"):
            after = min(after, 30)
        skip = self.chance.randrange(5) if stage in ("copying", "following") else 0
        return side, Trap(action, who, text, down=self.chance.random() < 0.5, after=after, skip=skip,
                          seconds=self.chance.uniform(0.2, 2))

    def meets(self, side, trap, stage):
        """Arms it; False when the stage is over and it was not met."""
        self.proxies[side].arm(trap)
        looked = [time.monotonic()]

        def met_or_over():
            if trap.reached.is_set() or stage == "following":
                return trap.reached.is_set()
            if time.monotonic() - looked[0] < 0.5:
                return False
            looked[0] = time.monotonic()
            phases = self.phases()
            return bool(phases) and "unknown" not in phases and not phases & BEFORE[stage]
        self.wait(met_or_over, f"{stage}: {trap}")
        if not trap.reached.is_set():
            self.proxies[side].disarm()
        return trap.reached.is_set()

    def inject(self, kind, stage):
        side, trap = self.trap(kind, stage)
        if not self.meets(side, trap, stage):
            stage = "following"
            side, trap = self.trap(kind, stage)
            self.meets(side, trap, stage)
        self.faults.append((stage, kind, f"{side}: {trap}"))
        if kind in ("hole", "delay"):
            time.sleep(trap.seconds)  # how long it lasts, not for something to happen
        if kind == "disk_full":
            self.proxies[side].release()  # whoever is held there may have locked what the deed wants
        if kind not in NETWORK and kind not in COMMITS:
            getattr(self, kind)()
        self.proxies[side].release()
        if kind == "disk_full":
            self.disk_is_noticed()
        elif kind == "kill_step":
            self.step_is_missed()

    # ---- Deeds ----

    def crash(self, name):
        self.sides[name].stop("immediate")
        self.sides[name].start()

    def crash_source(self):
        self.crash("source")

    def crash_target(self):
        self.crash("target")

    def terminate(self, name):
        side = self.sides[name]
        pids = [row[0] for row in side.super("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'plan%' ORDER BY 1")]
        side.super(f"SELECT pg_terminate_backend({self.chance.choice(pids)})")

    def terminate_source(self):
        self.terminate("source")

    def terminate_target(self):
        self.terminate("target")

    def disk_full(self):
        self.noticed_before = self.run.log().count("53100")
        self.disk.fill(self.sides["target"])

    def disk_is_noticed(self):
        try:
            self.wait(lambda: self.run.log().count("53100") > self.noticed_before, "the full disk is noticed")
        finally:
            self.disk.empty(self.sides["target"])

    def kill_engine(self):
        self.may_end = True
        tree = processes.tree(self.run.process.pid)
        self.run.process.kill()
        self.run.process.wait()
        wait_until(lambda: not any(processes.lives(pid) for pid in tree), "its processes end with it")

    def kill_step(self):
        self.may_end = True
        self.step = processes.service(self.run.process.pid)
        processes.kill(self.step)

    def step_is_missed(self):
        """While it copies, that ends the plan; while it serves, it is started again."""
        wait_until(lambda: self.run.process.poll() is not None or
                   processes.service(self.run.process.pid) not in (None, self.step), "the killed step is missed", PATIENCE)
        if self.run.process.poll() is None:
            self.may_end = False

    def kill_member(self):
        step = processes.service(self.run.process.pid)
        processes.kill(self.chance.choice(sorted(processes.children(step))))

    # ---- The end ----

    def settle(self, snapshots=SNAPSHOTS):
        """Everything that was committed is on the other side, row for row."""
        self.follows()
        self.wait(lambda: self.reader.count >= snapshots, f"{snapshots} snapshots")
        self.writers.stop()
        logs = [row[0] for row in self.sides["source"].rows(
            "SELECT 'plan_replication.' || relname FROM pg_class WHERE relnamespace = 'plan_replication'::regnamespace"
            " AND relname ~ '^log_'")]
        query = " UNION ALL ".join(f"SELECT 1 FROM {log}" for log in logs)
        self.wait(lambda: self.sides["source"].value(f"SELECT count(*) FROM ({query}) x") == "0", "the log is empty")
        self.reader.stop()
        found = self.run.differences(*self.tables)
        if found:
            raise AssertionError(f"both sides differ: {found}")
        self.reader.finish(self.sides["source"])
        self.goes_on()

    def kept_its_copies(self):
        """Only the table that the application empties may have begun anew."""
        anew = self.sides["target"].rows("SELECT name FROM plan_replication.relation WHERE generation > 1 AND name <> 'bulk'")
        if anew:
            raise AssertionError(f"copied anew: {anew}")

    def plan(self, *arguments):
        done = subprocess.run([PROGRAM, *arguments, self.run.path("handoff.yaml")], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE,
                              env={**os.environ, "SOURCE_URL": self.run.urls[0], "TARGET_URL": self.run.urls[1], "NO_COLOR": "1"})
        if done.returncode != 0:
            raise AssertionError(f"plan {arguments[0]}: exit {done.returncode}: {done.stdout}")

    def goes_back(self):
        """Nothing of ours is left, and the journal holds."""
        self.run.end()
        self.plan("rollback", "--yes", "--to", "schema")
        self.plan("journal", "--verify")
        for name, side in self.sides.items():
            left = side.rows("SELECT nspname FROM pg_namespace WHERE nspname = 'plan_replication' UNION ALL "
                             "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'zz_plan_%'")
            if left:
                raise AssertionError(f"left behind on the {name}: {left}")


# ---- Runs ----

def order(chance):
    """Every kind once, and some more; when."""
    kinds = KINDS + [chance.choice(KINDS) for _ in range(MORE)]
    chance.shuffle(kinds)
    parts = {"copying": len(kinds) // 3, "finalising": 2, "indexing": 2}
    stages = [stage for stage, count in parts.items() for _ in range(count)]
    return list(zip(kinds, stages + ["following"] * (len(kinds) - len(stages))))


def report(scene):
    print(f"seed {scene.seed}; {len(scene.faults)} faults:", flush=True)
    for stage, kind, text in scene.faults:
        print(f"  {stage}: {kind}: {text}")
    print(scene.run.log(), flush=True)


def everything_happens(source, target, disk, seed):
    with Scene(source, target, disk, seed) as scene:
        try:
            scene.apply()
            for kind, stage in order(scene.chance):
                scene.inject(kind, stage)
            scene.settle()
            scene.kept_its_copies()
            scene.goes_back()
        except BaseException:
            report(scene)
            raise
        by_stage = {stage: sum(1 for one in scene.faults if one[0] == stage) for stage in STAGES}
        print(f"seed {seed}: {len(scene.faults)} faults {by_stage}, {scene.reader.count} snapshots, "
              f"{sum(scene.writers.committed)} transactions, plan apply {scene.runs} times", flush=True)
        return len(scene.faults), scene.reader.count


# ---- Designs that lose or double rows: each is made by rewriting statements, and must be caught ----

def while_it_follows(scene):
    scene.follows()
    scene.settle(400)


def killed_before_the_target_commits(scene):
    """Without the reader, who would see a mixture sooner: what is lost is lost."""
    scene.reader.stop()
    scene.follows()
    for _ in range(3):
        trap = Trap("hold", "plan follow", b"SET mark = mark + 1")
        if scene.meets("target", trap, "following"):
            scene.kill_member()
        scene.proxies["target"].release()
    scene.settle(0)


def lost_after_the_record(scene):
    for _ in range(2):
        scene.meets("target", Trap("reset", "plan copy", b"SET done = true", down=True), "copying")
    scene.settle(0)


BROKEN = {
    "batch in READ COMMITTED": (while_it_follows, [("BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN")],
                                "no moment of the source|both sides differ"),
    "log emptied before the target commits": (killed_before_the_target_commits, [("BEGIN ISOLATION LEVEL REPEATABLE READ;", "")],
                                              "both sides differ"),
    "rows of a chunk committed apart from its record": (
        lost_after_the_record, [("UPDATE plan_replication.chunk SET done", "COMMIT; BEGIN; UPDATE plan_replication.chunk SET done")],
        "both sides differ|could not create unique index|rows of the target are not unique"),
}
TRIES = 3


def must_be_caught(source, target, disk, name):
    deed, rules, sign = BROKEN[name]
    for number in range(1, TRIES + 1):
        seed = f"broken {list(BROKEN).index(name)} {number}"
        with Scene(source, target, disk, seed, rewrite=rules, archives=1, pause=0.003) as scene:
            try:
                scene.apply()
                deed(scene)
            except (AssertionError, Failed) as caught:
                said = re.search(sign, f"{caught} {scene.run.log()}")
                if not said:
                    report(scene)
                    raise
                print(f"caught: {name}, try {number}: {said[0]}", flush=True)
                return
    raise SystemExit(f"{name}: nobody noticed")


def main():
    chosen = [int(one) for one in sys.argv[3:] if one.isdigit()] or ([] if sys.argv[3:] else SEEDS)
    usual = list(BROKEN)[:None if RELEASE else 1]
    broken = [name for name in BROKEN if name in (sys.argv[3:] or usual) or "broken" in sys.argv[3:]]
    settings = {"deadlock_timeout": "200ms", "log_min_messages": "fatal"}
    with Disk() as disk, Cluster("source", settings=settings) as source, Cluster("target", settings=settings) as target:
        disk.prepare(target)
        sums = [0, 0]
        for seed in chosen:
            for i, number in enumerate(everything_happens(source, target, disk, seed)):
                sums[i] += number
        print(f"{sums[0]} faults, {sums[1]} snapshots", flush=True)
        for name in broken:
            must_be_caught(source, target, disk, name)
    print("ok")


if __name__ == "__main__":
    main()
