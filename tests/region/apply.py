# SPDX-License-Identifier: MIT
"""The whole region migration, undisturbed, under write load; then looks, drift, and applying it again."""
import re

import region
from region import ROWS, Users, World, check, run_quiet


def names(items, key="name"):
    return sorted(one[key] for one in items)


def the_target_is_like_the_source(world):
    app = world.call("GET", "/apps/targetapp")
    check(app["region"]["name"] == "eu" and app["stack"]["name"] == "heroku-24", app)
    check(not app["maintenance"], "the target is in maintenance")
    config = world.config("targetapp")
    check({key: config[key] for key in ("RACK_ENV", "SECRET_KEY", "LANG")}
          == {"RACK_ENV": "production", "SECRET_KEY": "canary-value", "LANG": "en_US.UTF-8"}, config)
    check("REPORTS_URL" not in config, "a value that points at the source database was copied")
    for key, value in config.items():
        check(world.source_database not in value, f"{key} points at the source database")
    packs = [one["buildpack"]["url"] for one in world.call("GET", "/apps/targetapp/buildpack-installations")]
    check(packs == region.SEED["apps"][0]["buildpacks"], packs)
    people = [one["user"]["email"] for one in world.call("GET", "/apps/targetapp/collaborators")]
    check("ann@example.com" in people, people)
    features = [one["name"] for one in world.call("GET", "/apps/targetapp/features") if one["enabled"]]
    check(features == ["http-session-affinity"], features)
    drains = names(world.call("GET", "/apps/targetapp/log-drains"), "url")
    check(drains == ["syslog+tls://logs.example.com:6514"], drains)
    check(world.call("GET", "/apps/targetapp/pipeline-couplings")["stage"] == "production", "the pipeline")
    plans = sorted(one["plan"]["name"] for one in world.call("GET", "/apps/targetapp/addons"))
    check(plans == ["heroku-postgresql:standard-0", "heroku-redis:mini", "scheduler:standard"], plans)
    check(world.formation("targetapp") == {"web": 1, "worker": 1}, world.formation("targetapp"))
    hooks = [(one["url"], one["level"]) for one in world.call("GET", "/apps/targetapp/webhooks")]
    check(hooks == [("https://hooks.example.com/canary-value", "notify")], hooks)
    attached = {one["name"]: one for one in world.call("GET", "/apps/targetapp/addon-attachments")}
    pool = attached["DATABASE_CONNECTION_POOL"]
    check(pool["addon"] == attached["DATABASE"]["addon"] and pool["namespace"] == "connection-pooling:default", pool)
    schedules = world.call("GET", f"/client/v11/databases/{pool['addon']['id']}/transfer-schedules")
    check([(one["name"], one["hour"], one["timezone"]) for one in schedules] == [("DATABASE_URL", 2, "UTC")], schedules)


def the_inventory_is_taken(world):
    """What stays behind stops the plan, by name, until it is accepted; what came along is told."""
    output = world.apply(3)
    check("not carried over: config:REPORTS_URL (it points at the same place as DATABASE_" in output, output)
    check("accept: [\"config:REPORTS_URL\"]" in output, output)
    world.edit_plan("accept: []", "accept: [\"config:REPORTS_URL\"]")
    output = world.run(2, "diff", "--detailed-exitcode", world.file)
    check("config:REPORTS_URL       not carried" in output and "accepted)" in output, output)
    world.apply(4, "--amend")
    journal = world.run(0, "journal", "--json", world.file)
    for line in ("copied: config:LANG, config:RACK_ENV, config:SECRET_KEY", "domain:www.example.com (by the step move-domain)",
                 "attachment:DATABASE_CONNECTION_POOL (by the step promote)",
                 "manual: jobs:source-jobs (Scheduler has no API", "review-app:fix-login (it belongs to the pipeline",
                 "not carried: config:REPORTS_URL (it points at the same place"):
        check(line in journal, f"{line!r} is not in the journal\n{journal}")


def the_domain_leads_to_the_target(world):
    here = world.domain("targetapp")
    check(world.domain("sourceapp") is None, "the domain is on both apps")
    check(here["cname"] != world.old_target, "the DNS target is the old one")
    endpoint = world.call("GET", "/apps/targetapp/sni-endpoints")[0]
    check(here["sni_endpoint"] and here["sni_endpoint"]["name"] == endpoint["name"],
          f"the domain has no certificate: {here}")
    check(world.dig("www.example.com", "CNAME") == [(3600, here["cname"])], "DNS")
    remotes = run_quiet("git", "-C", world.directory, "remote", "-v")
    check("heroku\thttps://git.heroku.com/targetapp.git (push)" in remotes
          and "old\thttps://git.heroku.com/sourceapp.git (push)" in remotes, remotes)


def nothing_is_lost(world, users):
    """Every row of the old database, and every write that a user was told of, is in the new one."""
    new = world.config("targetapp")["DATABASE_URL"]
    check(world.sql(new, "SELECT count(*) FROM orders") == str(ROWS), "rows of orders")
    old_keys = set(world.sql(world.source_database, "SELECT key FROM visits").split())
    new_keys = set(world.sql(new, "SELECT key FROM visits").split())
    check(len(old_keys) > 20, f"too little was written to prove anything: {len(old_keys)}")
    check(old_keys <= new_keys, f"rows lost: {sorted(old_keys - new_keys)[:5]}")
    check(users.acknowledged <= new_keys, f"acknowledged, lost: {sorted(users.acknowledged - new_keys)[:5]}")
    before = users.acknowledged & old_keys
    check(before and users.acknowledged - before, "users did not write to both apps")


def carried_out(world, users):
    """Up to the last approval; each person's yes is waited for by name."""
    world.edit_plan("accept: [\"config:REPORTS_URL\"]", "accept: []")
    output = world.apply(4)
    check("copy-scheduler: it waits for 0 of 1 approvals" in output, output)
    check(world.call("GET", "/apps/targetapp")["region"]["name"] == "eu", "the fork")
    world.approve("copy-scheduler")
    the_inventory_is_taken(world)
    output = world.apply(4)
    check("stop-traffic: it waits for 0 of 1 approvals: Users see the maintenance page" in output, output)
    check(not world.maintenance("sourceapp") and world.maintenance("targetapp"), "maintenance")
    with users:
        world.approve("stop-traffic")
        output = world.apply(4)
    check("retire-source: it waits for 0 of 2 approvals" in output, output)
    check(re.search(r"downtime \d+\.\d s of a budget of 5 min", output), output)


def a_change_behind_our_back_is_named(world, change, step, line):
    change()
    output = world.run(2, "diff", "--detailed-exitcode", world.file)
    check(f"~ {step} (" in output and line in output, f"{step}: {line!r} is not named\n{output}")
    check("2 steps would act" in output and "~ retire-source (" in output, output)


def drift_is_named(world):
    """With the old app still there, so that the new one can be compared with it."""
    a_change_behind_our_back_is_named(
        world, lambda: world.call("PATCH", "/apps/targetapp/config-vars", {"RACK_ENV": "staging"}),
        "copy-config", "~ RACK_ENV")
    world.call("PATCH", "/apps/targetapp/config-vars", {"RACK_ENV": "production"})
    target = world.domain("targetapp")["cname"]
    a_change_behind_our_back_is_named(
        world, lambda: world.nsupdate("update delete www.example.com. CNAME",
                                      "update add www.example.com. 3600 CNAME elsewhere.example.net."),
        "point-dns[www.example.com]", "elsewhere.example.net")
    world.nsupdate("update delete www.example.com. CNAME", f"update add www.example.com. 3600 CNAME {target}.")
    output = world.run(2, "diff", "--detailed-exitcode", world.file)
    check("1 steps would act" in output and "~ retire-source (" in output, output)


def retired(world):
    """Two people must say yes, and one who says it twice is one."""
    second = region.other_person()
    if not second:
        world.edit_plan("by: 2", "by: 1")
        print("note: no user namespaces here: a second person cannot be told from the first")
        world.approve("retire-source")
        world.run(0, "apply", "--yes", "--amend", world.file)
        return
    world.approve("retire-source")
    world.approve("retire-source")
    output = world.apply(4)
    check("retire-source: it waits for 1 of 2 approvals" in output, output)
    check(names(world.call("GET", "/apps")) == ["sourceapp", "targetapp"], "the source is gone already")
    world.approve("retire-source", second)
    world.apply(0)
    check(names(world.call("GET", "/apps")) == ["targetapp"], world.call("GET", "/apps"))


def again(world):
    """No difference, and nothing to do; what changes later is named."""
    output = world.run(0, "diff", "--detailed-exitcode", world.file)
    check(output == "region-migration: no difference\n", output)
    effects = world.ledger()
    zone = world.dig("example.com", "SOA")
    world.apply(0)
    check(world.ledger() == effects and world.dig("example.com", "SOA") == zone, "a second apply has effects")
    world.call("PATCH", "/apps/targetapp", {"maintenance": True})
    world.nsupdate("update delete www.example.com. CNAME",
                   "update add www.example.com. 3600 CNAME elsewhere.example.net.")
    output = world.run(2, "diff", "--detailed-exitcode", world.file)
    check("~ open-target (" in output and "~ point-dns[www.example.com] (" in output, output)
    check("2 steps would act" in output, output)


def undisturbed(plan):
    with World(plan) as world:
        users = Users(world)
        output = world.run(2, "diff", "--detailed-exitcode", world.file)
        check("= open-target (heroku.maintenance): as wanted now\n      point of no return: Users write" in output
              and "2 points of no return" in output, output)
        carried_out(world, users)
        nothing_is_lost(world, users)
        the_target_is_like_the_source(world)
        the_domain_leads_to_the_target(world)
        drift_is_named(world)
        retired(world)
        the_target_is_like_the_source(world)
        again(world)


region.main(undisturbed)
