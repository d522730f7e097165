# SPDX-License-Identifier: MIT
"""heroku.postgres.follower: what cannot work is said by the look, before anything is made.

usage: postgres_follower.py PLAN"""
import sys

from scene import Scene, must_be, play, says
from sandbox import check

STEPS = ("  it: {uses: heroku.postgres.follower, with: {leader_app: oldapp, app: newapp,"
         " plan: \"heroku-postgresql:%s\"}}\n")


def scene(leader="standard-0", plan="standard-0", attempts=1):
    return Scene(sys.argv[1], [{"name": "oldapp", "addons": [
        {"plan": f"heroku-postgresql:{leader}", "name": "leader-db", "as": "DATABASE"}]},
        {"name": "newapp", "region": "eu"}], STEPS % plan, attempts)


def refused(here, *texts, look=1):
    """By the look and by apply, in the same words, and nothing is made."""
    says(here.run(look, "diff"), *texts)
    says(here.apply(3 if look == 1 else look), *texts)
    must_be(here.effects(), [], "effects")


def a_leader_without_fork_and_follow():
    with scene(leader="essential-0") as here:
        refused(here, "heroku-postgresql:essential-0 of oldapp cannot be followed", "Fork/Follow: Unsupported", "upgrade")


def a_leader_that_says_so_itself():
    """Whatever the plan is called."""
    with scene() as here:
        here.call("POST", "/_sim/info", {"addon": "leader-db", "info": {"Fork/Follow": "Unsupported"}})
        refused(here, "cannot be followed", "Fork/Follow: Unsupported")
        here.call("POST", "/_sim/info", {"addon": "leader-db", "info": {"Fork/Follow": "Temporarily Unavailable"}})
        says(here.run(1, "diff"), "cannot be followed yet (Fork/Follow: Temporarily Unavailable)")
        says(here.apply(1), "cannot be followed yet")
        must_be(here.effects(), [], "effects")


def a_plan_that_is_too_small():
    with scene(leader="standard-2") as here:
        refused(here, "heroku-postgresql:standard-0 is smaller than heroku-postgresql:standard-2 of oldapp", "class 2")


def a_plan_without_followers():
    with scene(plan="essential-0") as here:
        refused(here, "heroku-postgresql:essential-0 cannot be a follower")


def another_tier_of_the_same_class():
    with scene(plan="premium-0") as here:
        here.apply(0)
        must_be(len(here.effects()), 1, "effects")
        here.run(0, "diff", "--detailed-exitcode")


def a_leader_in_another_version():
    """The version is compared once there are two."""
    with scene() as here:
        here.call("POST", "/_sim/info", {"addon": "leader-db", "info": {"PG Version": "13.9"}})
        says(here.apply(3), "PostgreSQL 15", "its leader 13", "one major version")
        made = here.effects()
        must_be(len(made), 1, "effects")
        here.back()
        must_be([one.split()[0] for one in here.effects()], ["destroy"], "the way back")
        check(not here.attachments("newapp"), here.attachments("newapp"))


def a_follower_of_another_database():
    with scene() as here:
        here.apply(0)
        here.addon("oldapp", "other-db")
        here.call("POST", "/addon-attachments", {"app": "oldapp", "addon": "leader-db", "name": "FORMER"})
        here.call("POST", "/addon-attachments", {"app": "oldapp", "addon": "other-db", "name": "DATABASE",
                                                 "confirm": "oldapp"})
        says(here.run(1, "diff"), "follows leader-db, not the DATABASE of oldapp")


play(a_leader_without_fork_and_follow, a_leader_that_says_so_itself, a_plan_that_is_too_small,
     a_plan_without_followers, another_tier_of_the_same_class, a_leader_in_another_version,
     a_follower_of_another_database)
