# SPDX-License-Identifier: MIT
"""heroku.addons and heroku.addons.check: what becomes of a plan that the region does not offer.

usage: addons.py PLAN"""
import sys

from scene import Scene, must_be, play, says

OLD = {"name": "oldapp", "region": "us",
       "addons": [{"plan": "heroku-redis:mini", "name": "old-redis"}, {"plan": "komrade:test", "name": "old-komrade"}]}
NEW = {"name": "newapp", "region": "eu"}


def steps(more):
    return (f"  check: {{uses: heroku.addons.check, with: {{app: oldapp, region: eu{more}}}}}\n"
            f"  it: {{uses: heroku.addons, needs: [check], with: {{app: newapp, like: oldapp{more}}}}}\n")


def plans(here):
    return sorted(one["plan"]["name"] for one in here.call("GET", "/apps/newapp/addons"))


def it_stops_before_anything_is_made():
    with Scene(sys.argv[1], [OLD, NEW], steps("")) as here:
        says(here.run(1, "diff"), "komrade:test (not offered in the region)", "unavailable: {komrade:test: OTHER}")
        says(here.apply(3), "check: compare: add-ons that cannot be had in eu: komrade:test")
        must_be(here.effects(), [], "effects")
        # Without that check the other module says it by itself, and makes nothing either.
        here.write("  it: {uses: heroku.addons, with: {app: newapp, like: oldapp}}\n")
        says(here.run(1, "diff"), "komrade:test: not offered in the region")
        here.forget()
        says(here.apply(3), "komrade:test: not offered in the region; write `unavailable: {komrade:test: OTHER}`")
        must_be(here.effects(), [], "effects")


def skip_leaves_it_out():
    with Scene(sys.argv[1], [OLD, NEW], steps(", unavailable: skip")) as here:
        here.run(0, "diff")
        here.apply(0)
        must_be(plans(here), ["heroku-redis:mini"], "plans")
        says(here.run(0, "journal", "--json"), "left out, since they cannot be had in eu: komrade:test")
        says(here.run(0, "diff"), "no difference")
        here.back()
        must_be(plans(here), [], "plans after the way back")


def a_substitute_takes_its_place():
    with Scene(sys.argv[1], [OLD, NEW], steps(', unavailable: {"komrade:test": "memcachier:dev"}')) as here:
        here.apply(0)
        must_be(plans(here), ["heroku-redis:mini", "memcachier:dev"], "plans")
        must_be(here.attachments("newapp").keys(), here.attachments("oldapp").keys(), "attachments")


def a_substitute_must_be_had_as_well():
    with Scene(sys.argv[1], [OLD, NEW], steps(', unavailable: {"komrade:test": "komrade:other"}')) as here:
        says(here.apply(3), "komrade:test (its substitute komrade:other: the plan is gone)")
        must_be(here.effects(), [], "effects")


def the_region_of_an_app_to_come_is_not_known_yet():
    """A look before the new app is there shows what would be made; the check knows the region from the plan."""
    create = "  create: {uses: heroku.app, with: {app: newapp, like: oldapp, region: eu}}\n"
    more = create + "  it: {uses: heroku.addons, with: {app: \"${steps.create.app}\", like: oldapp, unavailable: skip}}\n"
    with Scene(sys.argv[1], [OLD], more) as here:
        here.run(0, "diff")
        here.apply(0)
        must_be(plans(here), ["heroku-redis:mini"], "plans")


play(it_stops_before_anything_is_made, skip_leaves_it_out, a_substitute_takes_its_place,
     a_substitute_must_be_had_as_well, the_region_of_an_app_to_come_is_not_known_yet)
