# SPDX-License-Identifier: MIT
"""A follower that is 5,000 commits behind holds stop-traffic back, says so, and lets it go on once it caught up."""
import datetime
import json
import re
import time

import region
from region import Users, World, check, wait_until

COMMITS = 5000
LIMIT = 200
WAITS = re.compile(r"heroku\.postgres\.lag of (\S+) is ([\d,]+) commits, must be below 200 commits")


def follower_of(world):
    for addon in world.call("GET", "/apps/targetapp/addons"):
        if addon["addon_service"]["name"] == "heroku-postgresql":
            if world.call("GET", f"/client/v11/databases/{addon['id']}").get("following"):
                return addon["name"]
    raise AssertionError("there is no follower")


def write_commits(world):
    world.sql_file(world.source_database, "".join(
        f"UPDATE orders SET what = 'again {number}' WHERE id = {number % region.ROWS + 1};\n"
        for number in range(COMMITS)))


def it_waits(world, follower):
    """status and explain show what was measured and the limit."""
    def lag(*command):
        found = WAITS.search(world.run(0, *command))
        return found and int(found.group(2).replace(",", "")) >= COMMITS and found
    found = wait_until(lambda: lag("status", world.file), "status shows the lag")
    check(found.group(1) == follower, f"the lag of {found.group(1)}, not of {follower}")
    output = world.run(0, "explain", world.file, "stop-traffic")
    check("stop-traffic is waiting" in output and lag("explain", world.file, "stop-traffic"), output)
    steps = json.loads(world.run(0, "status", "--json", world.file))["steps"]
    state = next(one for one in steps if one["step"] == "stop-traffic")
    check(state["state"] == "waiting" and state["live"]["conditions"], state)


def it_keeps_waiting(world, apply, seconds):
    effects = world.ledger()
    with Users(world) as users:
        time.sleep(seconds)
        wait_until(lambda: len(users.acknowledged) > 10 or users.refused, "users write")
        check(apply.poll() is None, f"it did not wait: {world.log()}")
    check(world.ledger() == effects, "it acted all the same")
    check(len(users.acknowledged) > 10 and users.refused == 0, "users were shut out")


def acted_at(world):
    when = next(one["at"] for one in world.ledger()
                if one["what"] == "maintenance on" and one["app"] == "sourceapp")
    return datetime.datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp()


def what_was_measured(world):
    """The evidence in the journal, of the moment before it acted."""
    for line in world.run(0, "journal", "--json", world.file).splitlines():
        record = json.loads(line)
        if record["kind"] == "intent" and record["step"] == "stop-traffic":
            return record["body"]["conditions"]
    raise AssertionError("there is no intent of stop-traffic in the journal")


def held_back(plan):
    with World(plan) as world:
        world.approve("copy-scheduler")
        world.apply(4)
        follower = follower_of(world)
        world.call("POST", "/_sim/replication", {"addon": follower, "paused": True})
        write_commits(world)
        for step in ("stop-traffic", "retire-source"):
            world.approve(step)
        with world.begin("apply", "--yes", world.file) as apply:
            it_waits(world, follower)
            it_keeps_waiting(world, apply, 3)
            resumed = time.time()
            world.call("POST", "/_sim/replication", {"addon": follower, "paused": False})
            check(apply.wait(60) == 4, f"exit {apply.returncode}: {world.log()}")
        check("retire-source: it waits for 1 of 2 approvals" in world.log(), world.log())
        check(acted_at(world) - resumed >= 1, f"after {acted_at(world) - resumed:.2f} s: not stable for 1 s")
        lag = next(one for one in what_was_measured(world) if one["check"] == "heroku.postgres.lag")
        check(int(re.match(r"\d+", lag["is"]).group()) < LIMIT and lag["holds"], lag)
        new = world.config("targetapp")["DATABASE_URL"]
        check(world.sql(new, "SELECT count(*) FROM orders WHERE what LIKE 'again %'") == str(region.ROWS), "lost")


region.main(held_back)
