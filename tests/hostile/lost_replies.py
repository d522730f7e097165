# SPDX-License-Identifier: MIT
"""The region migration while replies to its writes are lost. usage: lost_replies.py PLAN

Every write with an effect in an undisturbed run is struck once, by each kind of fault in turn; PLAN_LEVEL=release
strikes every write by every kind. However it goes, in the end the world is the undisturbed one and no effect was
brought about twice."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "region"))
import region  # noqa: E402
import compare  # noqa: E402
from region import Users, World, check  # noqa: E402

KINDS = [("closed before the effect", "drop", "before"), ("dropped after the effect", "drop", "after"),
         ("half a reply", "half", "after"), ("503 after the effect", "503", "after"), ("429", "429", "before"),
         ("slow", "slow", "after")]
TURNS = range(len(KINDS)) if os.environ.get("PLAN_LEVEL") == "release" else range(1)
APPLIES = 4


def writes_of(ledger):
    """[(method, pattern of the path, which one of these)], one an effect."""
    found, count = [], {}
    for effect in ledger:
        path = re.sub(compare.UUID + r"|\b[a-z]+-[a-z]*-?\d+\b", "*", effect["path"])
        endpoint = effect["method"], path
        count[endpoint] = count.get(endpoint, 0) + 1
        found.append((*endpoint, count[endpoint]))
    return found


def strike(world, writes, turn):
    """{id of the fault: what it is}"""
    placed = {}
    numbered = list(enumerate(writes))
    # The last of an endpoint first: each counts the requests that those before it let pass.
    for i, (method, path, nth) in sorted(numbered, key=lambda one: -one[1][2]):
        kind, action, when = KINDS[(i + turn) % len(KINDS)]
        placed[world.fault(action, method, path, when=when, nth=nth)] = f"{method} {path} {nth}: {kind}"
    return placed


def carried_out(plan, writes=(), turn=0):
    """(ledger of the run, world, effects, what was struck)"""
    with World(plan) as world:
        world.approve_all()
        before = len(world.ledger())
        faults = strike(world, writes, turn)
        with Users(world) as users:
            for _ in range(APPLIES):
                process = world.begin("apply", "--yes", world.file)
                code = process.wait(600)
                if code == 0:
                    break
                print(f"turn {turn}: again after exit {code}", flush=True)
        check(code == 0, f"it never comes to its end: {world.log()}")
        struck = {faults[one["id"]] for one in world.call("GET", "/_sim/faults") if one["hit"]}
        world.no_faults()
        ledger = world.ledger()[before:]
        new = world.config("targetapp")["DATABASE_URL"]
        keys = set(world.sql(new, "SELECT key FROM visits").split())
        check(users.acknowledged and users.acknowledged <= keys, f"lost: {sorted(users.acknowledged - keys)[:5]}")
        world.run(0, "journal", "--verify", world.file)
        world.run(0, "diff", "--detailed-exitcode", world.file)
        # One request may have two effects, and then there is no second request.
        missed = {fault for fault in set(faults.values()) - struck if " 1: " in fault}
        check(not missed, f"not struck: {sorted(missed)}")
        return ledger, compare.state_of(world), compare.effects_of(ledger), struck


def replies_are_lost(plan):
    ledger, world, effects, _ = carried_out(plan)
    writes = writes_of(ledger)
    check(len(writes) > 20, writes)
    struck = set()
    for turn in TURNS:
        _, world_after, effects_after, hit = carried_out(plan, writes, turn)
        check(effects_after == effects,
              f"turn {turn}: more {effects_after - effects}, fewer {effects - effects_after}")
        compare.same(f"turn {turn}", world_after, world)
        struck |= hit
    print(f"{len(struck)} faults at {len(writes)} writes to {len({write[:2] for write in writes})} endpoints", flush=True)


region.main(replies_are_lost)
