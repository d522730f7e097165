# SPDX-License-Identifier: MIT
"""After stop-traffic something fails, or the budget is used up: the way back is taken without being asked."""
import re

import region
from region import ROWS, Users, World, check, wait_until


def the_source_serves(world, undone):
    """As before stop-traffic: users, dynos, domain, certificate and DNS are where they were."""
    check(not world.maintenance("sourceapp"), "the source is in maintenance")
    check(world.formation("sourceapp") == {"web": 1, "worker": 1}, world.formation("sourceapp"))
    here = world.domain("sourceapp")
    check(here and world.domain("targetapp") is None, "the domain is not on the source")
    check(here["sni_endpoint"], f"the domain has lost its certificate: {here}")
    check(world.dig("www.example.com", "CNAME") == [(1, here["cname"])],
          f"DNS leads to {world.dig('www.example.com', 'CNAME')}, the domain answers at {here['cname']}")
    wait_until(lambda: all(one["state"] == "up" for one in world.call("GET", "/apps/sourceapp/dynos")), "dynos up")
    check(world.maintenance("targetapp"), "the target is open")
    status = world.run(0, "status", world.file)
    for step in undone:
        check(re.search(rf"undone +{re.escape(step)}\n", status), f"{step} is not undone\n{status}")
    check(re.search(r"(done|pending|ready) +create-follower\b", status), status)


def users_write_again(world):
    with Users(world) as users:
        wait_until(lambda: len(users.acknowledged) > 3, "users can write to the source")
    keys = set(world.sql(world.source_database, "SELECT key FROM visits").split())
    check(users.acknowledged <= keys, "a write after the way back is not in the source database")
    return users.acknowledged


def carry_it_out_after_all(world, acknowledged):
    """The next apply makes a new follower, which has what was written meanwhile."""
    world.no_faults()
    output = world.apply(0)
    check("follows no longer; those stay, and cost, until somebody removes them" in output, output)
    new = world.config("targetapp")["DATABASE_URL"]
    check(world.sql(new, "SELECT count(*) FROM orders") == str(ROWS), "rows of orders")
    keys = set(world.sql(new, "SELECT key FROM visits").split())
    check(acknowledged <= keys, f"lost: {sorted(acknowledged - keys)[:5]}")
    check(world.dig("www.example.com", "CNAME") == [(3600, world.domain("targetapp")["cname"])], "DNS")
    check(not world.maintenance("targetapp"), "the target is in maintenance")
    world.run(0, "diff", "--detailed-exitcode", world.file)


def promote_fails(plan):
    with World(plan) as world:
        world.approve_all()
        world.fault("500", "POST", "/addon-attachments")
        output = world.apply(5)
        check("promote" in output and "HTTP 500" in output, output)
        the_source_serves(world, ["stop-traffic", "stop-writers", "promote"])
        check(re.search(r"passed over +unfollow", output), output)
        carry_it_out_after_all(world, users_write_again(world))


def formation_fails(plan):
    with World(plan) as world:
        world.approve_all()
        world.fault("500", "PATCH", "/apps/targetapp/formation")
        output = world.apply(5)
        check("scale-target" in output and "HTTP 500" in output, output)
        the_source_serves(world, ["stop-traffic", "stop-writers", "promote", "scale-target"])
        users_write_again(world)


def budget_is_used_up(plan):
    """The domain has moved already, and the answer to that never comes."""
    with World(plan) as world:
        world.edit_plan("budget: 5m", "budget: 25s")
        world.approve_all()
        world.fault("hang", "POST", "/apps/targetapp/domains", when="after", nth=1)
        output = world.apply(5)
        check("the downtime budget of 25 s is used up" in output, output)
        the_source_serves(world, ["stop-traffic", "stop-writers", "promote", "scale-target",
                                  "move-domain[www.example.com]"])
        users_write_again(world)


region.main(promote_fails, formation_fails, budget_is_used_up)
