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


play(foreseen_before_the_new_app_is_there, what_stays_behind_stops_the_plan, what_a_person_would_do_can_be_refused)
