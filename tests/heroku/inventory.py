# SPDX-License-Identifier: MIT
"""heroku.inventory: what it says before the new app is there, what stops a plan, and what lets it go on.

usage: inventory.py PLAN"""
import sys

from scene import Scene, must_be, play, says

OLD = {"name": "oldapp", "config": {"RACK_ENV": "production", "KEY": "canary-value"},
       "webhooks": [{"url": "https://hooks.example.com/canary-value", "include": ["api:release"], "level": "notify"}],
       "drains": ["https://me:canary-value@logs.example.com/"],
       "addons": [{"plan": "heroku-postgresql:standard-0", "name": "old-db", "as": "DATABASE", "pool": True,
                   "credentials": ["reports"]}, {"plan": "scheduler:standard", "name": "old-jobs"}]}


def steps(more):
    return f"  it: {{uses: heroku.inventory, with: {{app: newapp, like: oldapp{more}}}}}\n"


def foreseen_before_the_new_app_is_there():
    """Only what no step can carry over; a look stops at nothing and changes nothing."""
    create = "  create: {uses: heroku.app, with: {app: newapp, like: oldapp, region: eu}}\n"
    inventory = "  it: {uses: heroku.inventory, with: {app: \"${steps.create.app}\", like: oldapp}}\n"
    with Scene(sys.argv[1], [OLD], create + inventory) as here:
        output = here.run(2, "diff", "--detailed-exitcode")
        says(output, "credential:reports", "attachment:CREDENTIAL_1", "heroku pg:credentials:create --name reports",
             "it stops the plan", "jobs:old-jobs", "manual")
        for quiet in ("config:RACK_ENV", "webhook:", "data:DATABASE"):
            must_be(quiet in output, False, quiet)
        must_be(here.effects(), [], "effects of a look")


def what_stays_behind_stops_the_plan():
    with Scene(sys.argv[1], [OLD, {"name": "newapp", "region": "eu", "config": {"RACK_ENV": "production"}}],
               steps("")) as here:
        output = here.apply(3)
        says(output, "copied: config:RACK_ENV", "manual: jobs:old-jobs (", "not carried: config:KEY (",
             "data:DATABASE (", "webhook:hooks.example.com notify api:release", "drain:https://logs.example.com/",
             "attachment:DATABASE_CONNECTION_POOL (")
        here.write(steps(", accept: [config, data, webhook, drain, addon, attachment, credential]"))
        here.apply(0, "--amend")
        must_be(here.effects(), [], "effects")


def what_a_person_would_do_can_be_refused():
    seed = [{**OLD, "addons": [OLD["addons"][1]], "webhooks": [], "drains": []},
            {"name": "newapp", "config": OLD["config"], "addons": [{"plan": "scheduler:standard"}]}]
    with Scene(sys.argv[1], seed, steps(", refuse: [jobs]")) as here:
        says(here.apply(3), "not carried over: jobs:old-jobs")
        here.write(steps(""))
        here.apply(0, "--amend")
        here.write(steps(", accept: [webhoks]"))
        says(here.run(64, "check"), "there is no kind of things webhoks; did you mean webhook")


MOVE = """\
  move:
    for_each: [%s]
    uses: heroku.domain
    needs: [it]
    with: {domain: "${each}", from: oldapp, to: newapp}
"""


def a_domain_that_no_step_moves_stops_the_plan():
    """The list of the plan is compared with what the old app has; also at the first look."""
    old = {"name": "oldapp", "domains": ["www.example.com", "api.example.com"]}
    create = "  create: {uses: heroku.app, with: {app: newapp, like: oldapp, region: eu}}\n"
    take = steps(", later: {domain: move}%s").replace("{uses", "{needs: [create], uses")
    left = "domain:api.example.com (it is on the old app, and the step move does not carry it over)"
    with Scene(sys.argv[1], [old], create + take % "" + MOVE % "www.example.com") as here:
        output = here.run(2, "diff", "--detailed-exitcode")
        says(output, "domain:api.example.com", "the step move does not carry it over; it stops the plan")
        must_be("domain:www.example.com" in output, False, "what is carried over is said before its time")
        says(here.apply(3), f"not carried over: {left}; see to it", 'accept: ["domain:api.example.com"]')
        must_be([one for one in here.effects() if "domain" in one], [], "effects")
        here.write(create + take % "" + MOVE % "www.example.com, api.example.com")
        output = here.run(2, "diff", "--detailed-exitcode")
        says(output, "domain:www.example.com   later", "domain:api.example.com   later")
        here.apply(0, "--amend")
        must_be([one["hostname"] for one in here.call("GET", "/apps/oldapp/domains") if one["kind"] == "custom"], [],
                "domains left")


def a_domain_that_is_let_go_is_accepted():
    old = {"name": "oldapp", "domains": ["www.example.com", "api.example.com"]}
    take = steps(", later: {domain: move}, accept: [\"domain:api.example.com\"]")
    with Scene(sys.argv[1], [old, {"name": "newapp"}], take + MOVE % "www.example.com") as here:
        says(here.apply(0), "domain:www.example.com (by the step move)",
             "not carried: domain:api.example.com (it is on the old app, and the step move does not carry it over; accepted)")


def a_step_that_is_left_out_carries_nothing():
    old = {"name": "oldapp", "domains": ["www.example.com"]}
    with Scene(sys.argv[1], [old, {"name": "newapp"}], steps(", later: {domain: move}") + MOVE % "") as here:
        says(here.apply(3), "domain:www.example.com (it is on the old app, and the step move does not carry it over)")


GATE = """\
  call: {uses: manual, needs: [it], with: {text: Say when.}}
  gate:
    uses: wait
    needs: [call]
    with: {for: 10ms}
    preconditions:
      - {check: heroku.inventory.drift, of: it, equals: 0 things, within: 1s}
"""
CODE = {"commit": "abc", "process_types": {"web": "bin/web"}}


def what_changes_after_the_inventory_is_drift():
    """What is otherwise on purpose is not: it was so when the inventory was taken, or is accepted."""
    old = {"name": "oldapp", "domains": ["www.example.com"], "slug": CODE,
           "config": {"RACK_ENV": "production", "FLAG": "1", "MODE": "old", "LEFT": "1"}}
    new = {"name": "newapp", "config": {"RACK_ENV": "production", "FLAG": "1", "MODE": "new"}}
    more = ', later: {domain: move}, accept: ["config:LEFT"]'
    move = (MOVE % "www.example.com").replace("needs: [it]", "needs: [gate]")
    copy = "  copy: {uses: heroku.release, with: {app: newapp, like: oldapp}}\n"
    take = steps(more).replace("{uses", "{needs: [copy], uses")
    with Scene(sys.argv[1], [old, new], copy + take + GATE + move) as here:
        here.apply(4)
        here.run(0, "approve", after=["call"])
        here.call("PATCH", "/apps/oldapp/config-vars", {"RACK_ENV": "canary-value", "FLAG": None, "MORE": "1"})
        here.call("POST", "/apps/oldapp/domains", {"hostname": "api.example.com", "sni_endpoint": None})
        slug = here.call("POST", "/apps/oldapp/slugs", {**CODE, "commit": "def"})
        here.call("POST", "/apps/oldapp/releases", {"slug": slug["id"]})
        said = here.apply(1)
        says(said, "heroku.inventory.drift of it is 5 things: ", "config:RACK_ENV (with another value)",
             "config:MORE (the new app has no such config var)", "config:FLAG (it is gone from the old app)",
             "domain:api.example.com (it is on the old app, and the step move does not carry it over)", "release:v")
        must_be("config:MODE" in said or "config:LEFT" in said, False, "what is otherwise on purpose is told")
        here.call("PATCH", "/apps/oldapp/config-vars", {"RACK_ENV": "production", "FLAG": "1", "MORE": None})
        here.call("DELETE", "/apps/oldapp/domains/api.example.com")
        slug = here.call("GET", "/apps/newapp/releases")[-1]["slug"]["id"]
        here.call("POST", "/apps/oldapp/releases", {"slug": slug})
        here.apply(0)


play(foreseen_before_the_new_app_is_there, what_stays_behind_stops_the_plan, what_a_person_would_do_can_be_refused,
     a_domain_that_no_step_moves_stops_the_plan, a_domain_that_is_let_go_is_accepted,
     a_step_that_is_left_out_carries_nothing, what_changes_after_the_inventory_is_drift)
