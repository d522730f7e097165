# SPDX-License-Identifier: MIT
"""`plan apply` and `plan rollback` killed at one call to Heroku and one record of the journal after the other, or
interrupted, and run again.

The call is held before or after its effect, the record is about to be made or durable, when the whole process
group gets SIGKILL. In the end the world is that of a run that nobody disturbed, and no effect was brought about
twice. PLAN_LEVEL=release kills at every call with an effect and at every record, and again while it takes the run
up after a kill."""
import itertools
import json
import os
import random
import signal
import subprocess
import sys

import backup
import region
from compare import effects_of, same, state_of
from region import ROWS, Users, World, check, wait_until

CRASHING = os.path.abspath(sys.argv[2])  # the plan that kills itself at a record
RELEASE = os.environ.get("PLAN_LEVEL") == "release"
DOUBLE_KILLS = 50  # of each plan and command, at the release level: 200 of two plans and two commands
WORLDS = {"region-migration": World, "region-migration-backup": backup.world_of}

# ---- Killing ----

def killed_at(world, command, when, nth):
    """True when it was killed at the nth write, record or tenth of a second; False when it came to its end."""
    if when == "never":
        world.run(0, *command)
        return False
    if when == "signal":
        return interrupted(world, command, nth)
    return killed_at_record(world, command, nth) if when == "record" else killed_at_write(world, command, when, nth)


def interrupted(world, command, nth):
    """By SIGINT or SIGTERM after nth tenths of a second; it leaves a whole journal and says how to go on."""
    process = world.begin(*command)
    which, wanted = ((signal.SIGINT, 130), (signal.SIGTERM, 143))[nth % 2]
    try:
        process.wait(nth / 10)
    except subprocess.TimeoutExpired:
        process.send_signal(which)
    process.wait(150)
    check(process.returncode in (0, wanted, -which), f"{command[0]}: exit {process.returncode}: {world.log()}")
    if process.returncode == 0:
        return False
    if process.returncode == -which:  # it had not come as far as listening for signals
        return True
    world.run(0, "journal", "--verify", world.file)
    check(f"Next: plan {command[0]} " in world.log().rstrip().splitlines()[-1], world.log())
    return True


def killed_at_record(world, command, nth):
    """An odd nth: before it is durable; an even one: after."""
    process = world.begin(*command, program=CRASHING, PLAN_CRASH_AT_APPEND=str(nth))
    process.wait(150)
    wait_until(lambda: group_is_gone(process.pid), "all of its processes are gone")
    check(process.returncode in (0, -signal.SIGKILL), f"{command[0]}: exit {process.returncode}: {world.log()}")
    return process.returncode != 0


def killed_at_write(world, command, when, nth):
    fault = world.fault("hang", "WRITE", "/*", when=when, nth=nth)
    process = world.begin(*command)

    def caught():
        hit = any(one["id"] == fault and one["hit"] for one in world.call("GET", "/_sim/faults"))
        return hit or process.poll() is not None
    wait_until(caught, f"the write number {nth} or the end", within=150)
    ended = process.poll() is not None
    if not ended:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
    wait_until(lambda: group_is_gone(process.pid), "all of its processes are gone")
    world.no_faults()
    if ended:
        check(process.returncode == 0, f"{command[0]}: exit {process.returncode}: {world.log()}")
    return not ended


def group_is_gone(group):
    try:
        os.killpg(group, 0)
        return False
    except ProcessLookupError:
        return True


def kill_again_and_again(world, command, points):
    """Until it comes to its end; points gives the (when, nth) that come next in a world. The number of kills."""
    for kills, (when, nth) in enumerate(points(world)):
        if not killed_at(world, command, when, nth):
            return kills
        check(kills < 2000, "it never comes to its end")
    return 0


# ---- Where ----

def never(_):
    yield "never", 0


def repeat(*points):
    return lambda _: itertools.cycle(points)


def signals(first, stride):
    return lambda _: (("signal", tenths) for tenths in itertools.count(first, stride))


def records(stride):
    """Before and after in turn."""
    return repeat(("record", stride), ("record", stride + 1))


def acknowledged(world):
    """How far it is: what the journal says of each step, once."""
    lines = map(json.loads, world.run(0, "journal", "--json", world.file).splitlines())
    return len({(one["kind"], one.get("step")) for one in lines})


def every_record(world):
    """Each one before and after it is durable: one record later each time, from the first again once it is further.

    So it is killed also at each record that it makes while it takes the run up."""
    far, nth = acknowledged(world), 0
    while True:
        now = acknowledged(world)
        nth = 1 if now > far else nth + 1
        far = now
        yield "record", nth


def twice(seed):
    """Killed at a write, and again at one of the first records after that."""
    chance = random.Random(seed)

    def points(_):
        for number in itertools.count():
            yield ("before", 2) if (number + seed) % 2 else ("after", 1)
            yield "record", chance.randint(1, 8)
    return points


# ---- Apply ----

def carried_out(plan, migration, points):
    """(kills, world, effects) of a whole run under write load."""
    with WORLDS[migration](plan) as world:
        world.approve_all()
        before = len(world.ledger())
        with Users(world) as users:
            kills = kill_again_and_again(world, ["apply", "--yes", world.file], points)
        effects = effects_of(world.ledger()[before:])
        new = world.config("targetapp")["DATABASE_URL"]
        check(world.sql(new, "SELECT count(*) FROM orders") == str(ROWS), "rows of orders")
        keys = set(world.sql(new, "SELECT key FROM visits").split())
        check(users.acknowledged and users.acknowledged <= keys, f"lost: {sorted(users.acknowledged - keys)[:5]}")
        check(world.dig("www.example.com", "CNAME") == [(3600, world.domain("targetapp")["cname"])], "DNS")
        world.run(0, "journal", "--verify", world.file)
        world.run(0, "diff", "--detailed-exitcode", world.file)
        return kills, state_of(world), effects


class Apply:
    """What is killed, and what it ends like when nobody disturbs it."""

    def __init__(self, plan, migration):
        self.plan, self.migration = plan, migration
        _, self.world, self.effects = carried_out(plan, migration, never)
        check(sum(self.effects.values()) > 20, self.effects)

    def killed(self, name, points, least):
        kills, world, effects = carried_out(self.plan, self.migration, points)
        print(f"{self.migration}: apply killed {kills} times: {name}", flush=True)
        check(kills >= least, f"only {kills} kills")
        check(effects == self.effects, f"{name}: more {effects - self.effects}, fewer {self.effects - effects}")
        same(name, world, self.world)
        return kills


# ---- Rollback ----

def gone_back(plan, migration, points):
    """(kills, world before, world after) of the way from the last moment at which there is one, to the first step."""
    with WORLDS[migration](plan) as world:
        at_first = state_of(world)
        world.approve_all()
        world.apply(0, "--through", "point-dns")
        check(world.call("GET", "/apps/targetapp") and world.maintenance("sourceapp"), "it did not get that far")
        kills = kill_again_and_again(world, ["rollback", "--yes", "--to", "create-target", world.file], points)
        check(world.dig("www.example.com", "CNAME") == [(2, world.domain("sourceapp")["cname"])],
              f"DNS: {world.dig('www.example.com', 'CNAME')}")
        with Users(world) as users:
            wait_until(lambda: len(users.acknowledged) > 3, "users can write to the source")
        return kills, at_first, state_of(world)


class Rollback:
    def __init__(self, plan, migration):
        self.plan, self.migration = plan, migration
        _, at_first, self.world = gone_back(plan, migration, never)
        for kind in at_first:
            if kind not in ("transfers", "ledger"):
                same("undisturbed", {kind: self.world[kind]}, {kind: at_first[kind]})

    def killed(self, name, points, least):
        kills, _, world = gone_back(self.plan, self.migration, points)
        print(f"{self.migration}: rollback killed {kills} times: {name}", flush=True)
        check(kills >= least, f"only {kills} kills")
        same(name, world, self.world)
        return kills


# ---- How often ----

def some(what):
    """At the default level: with some strides; signals are left to tests/cli/signals.sh."""
    if isinstance(what, Apply):
        what.killed("a call", repeat(("before", 3), ("after", 3)), 6)
        what.killed("a record", records(31), 3)
    else:
        what.killed("a call", repeat(("before", 2), ("after", 2)), 10)
        what.killed("a record", records(15), 5)


def everywhere(what):
    what.killed("before each call's effect", repeat(("before", 2)), 15)
    what.killed("after each call's effect", repeat(("after", 1)), 15)
    what.killed("before and after each record", every_record, 60)
    what.killed("a signal", signals(1, 1), 1)
    pairs, seed = 0, 0
    while pairs < DOUBLE_KILLS:
        seed += 1
        pairs += what.killed("each time a second time while it is taken up", twice(seed), 10) // 2
    print(f"{what.migration}: {pairs} double kills", flush=True)


def is_killed(plan):
    what = {"apply": Apply, "rollback": Rollback}[sys.argv[3]](plan, sys.argv[4])
    (everywhere if RELEASE else some)(what)


region.main(is_killed)
