# SPDX-License-Identifier: MIT
"""The region migration without a follower, for a database that cannot be followed: the data is copied while users
are shut out. Whole, and with a copy that fails."""
import copy
import re
import subprocess

import region
from region import ROWS, Users, World, check, wait_until

SEED = copy.deepcopy(region.SEED)
SEED["apps"][0]["addons"][0] = {"plan": "heroku-postgresql:essential-0", "name": "source-db", "as": "DATABASE",
                                "schedules": [{"hour": 2, "timezone": "UTC"}]}
STARTED = "pg_dump to pg_restore"


def world_of(plan):
    return World(plan, SEED, "region-migration-backup")


def copies(world):
    return [effect["what"] for effect in world.ledger()].count(STARTED)


def hit(world, fault):
    return any(one["id"] == fault and one["hit"] for one in world.call("GET", "/_sim/faults"))


def forked(world):
    """Up to where people say that users may be shut out."""
    world.approve("copy-scheduler")
    output = world.apply(4)
    check("stop-traffic: it waits for 0 of 1 approvals" in output, output)
    check(copies(world) == 1, "the fork has its copy")


def nothing_is_lost(world, acknowledged):
    new = world.config("targetapp")["DATABASE_URL"]
    check(new != world.source_database, "the target writes to the old database")
    check(world.sql(new, "SELECT count(*) FROM orders") == str(ROWS), "rows of orders")
    keys = set(world.sql(new, "SELECT key FROM visits").split())
    check(acknowledged and acknowledged <= keys, f"lost: {sorted(acknowledged - keys)[:5]}")


def open_again(world):
    check(not world.maintenance("sourceapp"), "the source is in maintenance")
    check(world.formation("sourceapp") == {"web": 1, "worker": 1}, world.formation("sourceapp"))
    check(world.domain("sourceapp") and not world.domain("targetapp"), "the domain is not on the source")
    with Users(world) as users:
        wait_until(lambda: len(users.acknowledged) > 3, "users can write to the source")
    return users.acknowledged


def whole(plan):
    with world_of(plan) as world:
        forked(world)
        users = Users(world)
        world.sql(world.config("targetapp")["DATABASE_URL"], "DELETE FROM orders; CREATE TABLE tried (id int)")
        with users:
            wait_until(lambda: len(users.acknowledged) > 3, "users write to the source")
            world.approve("stop-traffic")
            output = world.apply(4)
        check("retire-source: it waits for 0 of 2 approvals" in output, output)
        check(re.search(r"downtime [0-9.]+ m?s of a budget of 1 h", output), output)
        check(copies(world) == 2, f"{copies(world)} copies")
        nothing_is_lost(world, users.acknowledged)
        addons = world.call("GET", "/apps/targetapp/addons")
        plans = sorted(one["plan"]["name"] for one in addons)
        check(plans == ["heroku-postgresql:essential-0", "heroku-redis:mini", "scheduler:standard"], plans)
        effects = world.ledger()
        world.apply(4)
        check(world.ledger() == effects, "a second apply has effects")
        output = world.run(2, "diff", "--detailed-exitcode", world.file)
        check("1 steps would act" in output and "~ retire-source (" in output, output)


def the_copy_is_refused(plan):
    """Heroku says no to it; the next apply copies what was written meanwhile, too."""
    with world_of(plan) as world:
        forked(world)
        world.fault("500", "POST", "/client/v11/databases/*/transfers")
        world.approve("stop-traffic")
        output = world.apply(5)
        check("copy-data" in output and "HTTP 500" in output, output)
        check(re.search(r"passed over +copy-data|undone +stop-traffic", output), output)
        acknowledged = open_again(world)
        world.no_faults()
        world.approve("stop-traffic")
        world.apply(4)
        check(copies(world) == 2, f"{copies(world)} copies")
        nothing_is_lost(world, acknowledged)


def the_copy_breaks_off(plan):
    """Somebody holds a lock in the source, and the dump is ended, each time."""
    with world_of(plan) as world:
        forked(world)
        world.approve("stop-traffic")
        psql = ["psql", "-XAtq", "-d", world.source_database]
        held = subprocess.Popen(psql, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        held.stdin.write("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n")
        held.stdin.flush()
        check(held.stdout.readline().strip() == "locked", "no lock")
        running = world.begin("apply", "--yes", world.file)
        for ended in (1, 2):
            wait_until(lambda: world.sql(world.source_database, "SELECT pg_terminate_backend(pid) FROM "
                                         "pg_stat_activity WHERE application_name = 'pg_dump'"), f"dump {ended}")
        code = running.wait(90)
        held.communicate("")
        check(code == 5, f"exit {code}\n{world.log()}")
        check(copies(world) == 3, f"{copies(world)} copies")
        check("terminating connection" in world.log(), world.log())
        open_again(world)


def a_row_is_missing(plan):
    """What was copied is counted: one row less, and the way back is taken."""
    with world_of(plan) as world:
        forked(world)
        world.approve("stop-traffic")
        copying = world.fault("hang", "POST", "/client/v11/databases/*/transfers", nth=1)
        running = world.begin("apply", "--yes", world.file)
        wait_until(lambda: hit(world, copying), "copy-data begins", 60)
        promoting = world.fault("hang", "GET", "/apps/targetapp/addon-attachments", nth=1)
        world.call("DELETE", f"/_sim/faults/{copying}")
        wait_until(lambda: hit(world, promoting), "promote begins", 60)
        world.sql(world.config("targetapp")["DATABASE_URL"], "DELETE FROM orders WHERE id = 7")
        world.no_faults()
        code = running.wait(90)
        check(code == 5, f"exit {code}\n{world.log()}")
        check(f"1 rows of" in world.log() and "in public.orders" in world.log(), world.log())
        open_again(world)


def the_source_is_changed_before_the_cut_over(plan):
    """While the yes of a person was waited for: users are let in again before anything else is done."""
    with world_of(plan) as world:
        forked(world)
        world.call("PATCH", "/apps/sourceapp/config-vars", {"RACK_ENV": "staging"})
        world.approve("stop-traffic")
        output = world.apply(5)
        check("heroku.inventory.drift of take-inventory is 1 thing: config:RACK_ENV (with another value)" in output, output)
        check(copies(world) == 1 and world.config("targetapp")["RACK_ENV"] == "production", "more was done")
        open_again(world)
        world.call("PATCH", "/apps/targetapp/config-vars", {"RACK_ENV": "staging"})
        world.approve("stop-traffic")
        world.apply(4)
        check(world.maintenance("sourceapp") and not world.maintenance("targetapp"), "the cut-over was not done")


if __name__ == "__main__":
    region.main(whole, the_source_is_changed_before_the_cut_over, the_copy_is_refused,
                the_copy_breaks_off, a_row_is_missing)
