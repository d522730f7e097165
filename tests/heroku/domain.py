# SPDX-License-Identifier: MIT
"""heroku.domain: whatever happens to a request or its reply, the name is on one app, and soon.

usage: domain.py PLAN"""
import re
import sys

from scene import Scene, must_be, play, says
from sandbox import check

NAME = "www.example.com"
STEPS = "  it: {uses: heroku.domain, with: {domain: www.example.com, from: oldapp, to: newapp}}\n"
ADD_NEW, ADD_OLD = "/apps/newapp/domains", "/apps/oldapp/domains"
REMOVE_OLD, REMOVE_NEW = ADD_OLD + "/*", ADD_NEW + "/*"
FAULTS = (("drop", "after"), ("drop", "before"), ("half", "after"), ("503", "after"), ("503", "before"), ("500", "before"))


def scene(attempts=1):
    return Scene(sys.argv[1], [{"name": "oldapp", "domains": [NAME]}, {"name": "newapp", "region": "eu"}], STEPS, attempts)


def where(here):
    return [app for app in ("oldapp", "newapp")
            if any(one["hostname"] == NAME for one in here.call("GET", f"/apps/{app}/domains"))]


def moves(here):
    """What was done, without ids and DNS targets."""
    return [re.sub(r" -> .*", "", one) for one in here.effects()]


def one_unsure_answer_is_settled_at_once():
    """Adding or removing, lost before or after its effect: the same try ends with the name on the new app."""
    for method, path in (("POST", ADD_NEW), ("DELETE", REMOVE_OLD)):
        for action, when in FAULTS:
            with scene(attempts=2 if method == "DELETE" and when == "before" else 1) as here:
                here.fault(method, path, action, when)
                here.apply(0)
                must_be(where(here), ["newapp"], f"{method} {action} {when}")
                done = moves(here)
                must_be(len(done), 2, f"{method} {action} {when}: {done}")
                here.run(0, "diff", "--detailed-exitcode")


def when_it_cannot_be_added_it_goes_back_at_once():
    """It is not left on neither app while the plan waits to try again, or for a person."""
    for action in ("drop", "503"):
        with scene() as here:
            fault = here.fault("POST", ADD_NEW, action, "before", 0)
            output = here.apply(1)
            must_be(where(here), ["oldapp"], f"{action}: after the failure")
            says(output, "add it to newapp")
            here.call("DELETE", f"/_sim/faults/{fault}")
            here.apply(0)
            must_be(where(here), ["newapp"], f"{action}: after the next apply")


def a_rate_limit_is_waited_for():
    with scene() as here:
        here.fault("POST", ADD_NEW, "429", "before", 1)
        here.apply(0)
        must_be(where(here), ["newapp"], "after a 429")


def a_name_on_a_third_app_is_left_there():
    with scene(attempts=3) as here:
        here.call("DELETE", f"{ADD_OLD}/{NAME}")
        here.call("POST", "/_sim/seed", {"apps": [{"name": "thirdapp", "domains": [NAME]}]})
        here.effects()
        says(here.apply(1), "currently in use by another app", "on neither app now")
        must_be(here.effects(), [], "effects")


def neither_app_takes_it():
    """All that can be said is where it is; the next try goes on from there, in either direction."""
    for way in ("apply", "rollback"):
        with scene() as here:
            here.fault("POST", ADD_NEW, "503", "before", 0)
            here.fault("POST", ADD_OLD, "503", "before", 0)
            output = here.apply(1)
            must_be(where(here), [], "the name")
            says(output, "on neither app", "plan apply", "plan rollback")
            here.no_faults()
            if way == "apply":
                here.apply(0)
                must_be(where(here), ["newapp"], "after the next apply")
                here.back()
            else:
                here.back()
            must_be(where(here), ["oldapp"], "after the way back")


def after_a_gap_it_still_goes_back_when_refused():
    """The next try finds it on neither app, and the new one still does not take it: the old one gets it."""
    with scene() as here:
        here.fault("POST", ADD_NEW, "503", "before", 0)
        back = here.fault("POST", ADD_OLD, "503", "before", 0)
        here.apply(1)
        must_be(where(here), [], "the name")
        here.call("DELETE", f"/_sim/faults/{back}")
        here.apply(1)
        must_be(where(here), ["oldapp"], "after the next try")


def the_look_up_fails_as_well():
    """The service does not answer at all for a while: the retries of the plan settle it."""
    with scene(attempts=5) as here:
        here.fault("POST", ADD_NEW, "drop", "before", 1)
        for _ in range(4):  # a request that one of them strikes is not counted by the others
            here.fault("GET", ADD_NEW, "503", "before", 3)
        here.apply(0)
        check(all(one["hit"] == 1 for one in here.call("GET", "/_sim/faults")), "a fault did not strike")
        here.no_faults()
        must_be(where(here), ["newapp"], "the name")


def a_retry_does_nothing_twice():
    with scene(attempts=3) as here:
        here.fault("POST", ADD_NEW, "drop", "after", 1)
        here.apply(0)
        done = moves(here)
        must_be(len(done), 2, str(done))
        here.apply(0)
        must_be(moves(here), [], "a second apply")


def the_way_back_is_as_sure():
    for method, path in (("POST", ADD_OLD), ("DELETE", REMOVE_NEW)):
        for action, when in FAULTS:
            with scene() as here:
                here.apply(0)
                here.effects()
                here.fault(method, path, action, when)
                here.back()
                must_be(where(here), ["oldapp"], f"{method} {action} {when}")
                done = moves(here)
                must_be(len(done), 2, f"{method} {action} {when}: {done}")


def the_way_back_meets_an_app_that_does_not_take_it():
    """It stays where it works, a person is told, and the next rollback goes on."""
    with scene() as here:
        here.apply(0)
        fault = here.fault("POST", ADD_OLD, "503", "before", 0)
        here.back(6)
        must_be(where(here), ["newapp"], "the name")
        here.call("DELETE", f"/_sim/faults/{fault}")
        here.back()
        must_be(where(here), ["oldapp"], "the name")


play(one_unsure_answer_is_settled_at_once, when_it_cannot_be_added_it_goes_back_at_once,
     a_rate_limit_is_waited_for,
     a_name_on_a_third_app_is_left_there, neither_app_takes_it, after_a_gap_it_still_goes_back_when_refused,
     the_look_up_fails_as_well, a_retry_does_nothing_twice, the_way_back_is_as_sure,
     the_way_back_meets_an_app_that_does_not_take_it)
