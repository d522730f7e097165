# SPDX-License-Identifier: MIT
"""`plan apply` and `plan rollback` killed at one call to Heroku and one record of the journal after the other, or
interrupted, and run again.

The call is held before or after its effect, the record is about to be made or durable, when the whole process
group gets SIGKILL. In the end the world is that of a run that nobody disturbed, and no effect was brought about
twice. PLAN_LEVEL=release kills at more points."""
import itertools
import os
import signal
import subprocess
import sys

import region
from compare import effects_of, same, state_of
from region import ROWS, Users, World, check, wait_until

CRASHING = os.path.abspath(sys.argv[2])  # the plan that kills itself at a record
RELEASE = os.environ.get("PLAN_LEVEL") == "release"

# ---- Killing ----

def killed_at(world, command, when, nth):
    """True when it was killed at the nth write, record or tenth of a second; False when it came to its end."""
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
    process.wait(10)
    check(process.returncode in (0, wanted), f"{command[0]}: exit {process.returncode}: {world.log()}")
    if process.returncode == 0:
        return False
    world.run(0, "journal", "--verify", world.file)
    check(f"Next: plan {command[0]} " in world.log().rstrip().splitlines()[-1], world.log())
    return True


def killed_at_record(world, command, nth):
    """An odd nth: before it is durable; an even one: after."""
    process = world.begin(*command, program=CRASHING, PLAN_CRASH_AT_APPEND=str(nth))
    process.wait(90)
    wait_until(lambda: group_is_gone(process.pid), "all of its processes are gone")
    check(process.returncode in (0, -signal.SIGKILL), f"{command[0]}: exit {process.returncode}: {world.log()}")
    return process.returncode != 0


def killed_at_write(world, command, when, nth):
    fault = world.fault("hang", "WRITE", "/*", when=when, nth=nth)
    process = world.begin(*command)

    def caught():
        hit = any(one["id"] == fault and one["hit"] for one in world.call("GET", "/_sim/faults"))
        return hit or process.poll() is not None
    wait_until(caught, f"the write number {nth} or the end", within=90)
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
    """Until it comes to its end; points gives (when, nth). The number of kills."""
    for kills, (when, nth) in enumerate(points):
        if not killed_at(world, command, when, nth):
            return kills
        check(kills < 100, "it never comes to its end")
    return 0


def repeat(*points):
    return itertools.cycle(points)


def records(stride):
    """Before and after in turn."""
    return repeat(("record", stride), ("record", stride + 1))


# ---- Apply ----

def carried_out(plan, points):
    """(kills, world, effects) of a whole run under write load."""
    with World(plan) as world:
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


def apply_is_killed(plan):
    _, world, effects = carried_out(plan, [("before", 1000)])
    check(sum(effects.values()) > 20, effects)
    for name, points, least in (("before", repeat(("before", 2 if RELEASE else 4)), 4),
                                ("after", repeat(("after", 1 if RELEASE else 2)), 4),
                                ("record", records(9 if RELEASE else 21), 4),
                                ("signal", (("signal", tenths) for tenths in itertools.count(3, 4)), 3)):
        kills, world_after, effects_after = carried_out(plan, points)
        print(f"killed {kills} times: {name}", flush=True)
        check(kills >= (20 if RELEASE else least), f"only {kills} kills")
        check(effects_after == effects, f"{name}: more {effects_after - effects}, fewer {effects - effects_after}")
        same(name, world_after, world)


# ---- Rollback ----

def gone_back(plan, points):
    """Up to the last moment at which there is a way back, and all of it back again."""
    with World(plan) as world:
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


def rollback_is_killed(plan):
    _, at_first, world = gone_back(plan, [("before", 1000)])
    for kind in at_first:
        if kind not in ("transfers", "ledger"):
            same("undisturbed", {kind: world[kind]}, {kind: at_first[kind]})
    for name, points in (("a call", repeat(("before", 2), ("after", 1 if RELEASE else 2))),
                         ("a record", records(7 if RELEASE else 9)),
                         ("a signal", (("signal", tenths) for tenths in itertools.count(1)))):
        kills, _, world_after = gone_back(plan, points)
        print(f"killed {kills} times on the way back, at {name}", flush=True)
        check(kills >= (1 if name == "a signal" else 10), f"only {kills} kills")
        same(name, world_after, world)


region.main({"apply": apply_is_killed, "rollback": rollback_is_killed}[sys.argv[3]])
