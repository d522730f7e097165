# SPDX-License-Identifier: MIT
"""`plan rollback` from every prefix of a region migration restores the world before it.

One world after the other is carried out through a step and brought back whole, so that what one way back left
behind would show in the next. Past open-target the way back stops where the preview said it would. At the
release level every step is an end of a prefix, otherwise some."""
import json
import os
import re
import sys

import backup
import region
from compare import same, state_of
from region import World, check

WORLD = {"region-migration": World, "region-migration-backup": backup.world_of}[sys.argv[2]]
RELEASE = os.environ.get("PLAN_LEVEL") == "release"
FIRST = "check-addons"
STRIDE = 1 if RELEASE else 14
# A release stays in an app's history, a finished transfer and an effect are not taken back.
HISTORY = ("ledger", "transfers", "releases", "slugs")


def order_of(world):
    """The steps in the order in which they can run."""
    return [one["step"] for one in json.loads(world.run(0, "status", "--json", world.file))["steps"]]


def without_history(state):
    return {kind: items for kind, items in state.items() if kind not in HISTORY}


def remotes(world):
    with open(os.path.join(world.directory, ".git", "config")) as config:
        return config.read()


def back(world, step, at_first):
    preview = world.run(0, "rollback", "--preview", "--to", FIRST, world.file)
    check("stop at" not in preview, f"{step}: {preview}")
    world.run(0, "rollback", "--yes", "--to", FIRST, world.file)
    check(remotes(world) == at_first["git"], f"{step}: .git/config\n{remotes(world)}")
    check(world.dig("www.example.com", "CNAME") == [(2, world.domain("sourceapp")["cname"])],
          f"{step}: {world.dig('www.example.com', 'CNAME')}")
    same(step, without_history(state_of(world)), at_first["heroku"])


def every_prefix(plan):
    with WORLD(plan) as world:
        at_first = {"heroku": without_history(state_of(world)), "git": remotes(world)}
        world.approve_all()
        steps = order_of(world)
        end = steps.index("open-target")
        tried = steps[:end:STRIDE] + steps[end - 1:end]
        for step in tried:
            world.approve("copy-scheduler")  # what a person did was undone with the rest
            world.apply(0, "--through", step)
            back(world, step, at_first)
        print(f"there and back {len(tried)} times", flush=True)
        past_the_point(world)


def past_the_point(world):
    """It names what cannot be undone, and undoes nothing before that."""
    world.approve("copy-scheduler")
    world.apply(0, "--through", "rename-remotes")
    preview = world.run(0, "rollback", "--preview", "--to", FIRST, world.file)
    stop = re.search(r"^ *stop at +(\S+)", preview, re.MULTILINE)
    check(stop and stop.group(1).startswith("open-target"), preview)
    before = state_of(world)
    world.run(3, "rollback", "--yes", "--to", FIRST, world.file)
    same("after open-target", without_history(state_of(world)), without_history(before))


region.main(every_prefix)
