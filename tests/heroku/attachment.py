# SPDX-License-Identifier: MIT
"""heroku.attachment: names that are free, held by others, lost on the way, or taken meanwhile.

usage: attachment.py PLAN"""
import sys

from scene import Scene, must_be, play, says

APPS = [{"name": "oneapp", "addons": [{"plan": "heroku-redis:mini", "name": "one-redis"}]},
        {"name": "twoapp", "addons": [{"plan": "heroku-redis:mini", "name": "two-redis"}]}]


def scene(more="", attempts=1):
    steps = f"  it: {{uses: heroku.attachment, with: {{app: twoapp, addon: one-redis, as: CACHE{more}}}}}\n"
    return Scene(sys.argv[1], APPS, steps, attempts)


def attach(place, addon, name="CACHE", **more):
    place.call("POST", "/addon-attachments", {"addon": addon, "app": "twoapp", "name": name, **more})


def another_apps_addon_is_attached_and_detached():
    with scene() as place:
        place.apply(0)
        must_be(place.effects(), ["attach one-redis as CACHE"], "effects")
        place.back()
        must_be(place.attachments("twoapp"), {"REDIS": "two-redis"}, "attachments")


def a_lost_reply_is_looked_up():
    with scene() as place:
        place.fault("POST", "/addon-attachments", "drop", "after")
        place.apply(0)
        must_be(place.effects(), ["attach one-redis as CACHE"], "effects")


def a_name_that_is_held_is_taken_only_when_the_plan_says_so():
    with scene() as place:
        attach(place, "two-redis")
        place.effects()
        says(place.apply(3), "CACHE of twoapp is an attachment of two-redis already", "replace: true")
        must_be(place.effects(), [], "effects")
    with scene(", replace: true") as place:
        attach(place, "two-redis")
        place.apply(0)
        must_be(place.attachments("twoapp")["CACHE"], "one-redis", "holder")
        place.back()
        must_be(place.attachments("twoapp")["CACHE"], "two-redis", "holder after the way back")


def a_namespace_is_part_of_it():
    with scene(', namespace: "credential:reports", replace: true') as place:
        attach(place, "one-redis")
        place.apply(0)
        found = place.call("GET", "/apps/twoapp/addon-attachments/CACHE")
        must_be((found["addon"]["name"], found["namespace"]), ("one-redis", "credential:reports"), "attachment")
        place.back()
        must_be(place.call("GET", "/apps/twoapp/addon-attachments/CACHE")["namespace"], None, "namespace")


def what_somebody_else_put_there_is_left_alone():
    with scene() as place:
        place.apply(0)
        attach(place, "two-redis", confirm="twoapp")
        place.effects()
        says(place.run(6, "rollback", "--yes", "--to", "it"), "this step did not make")
        must_be(place.effects(), [], "effects")


def the_last_name_of_an_addon_stays():
    """Heroku's own rule, told before anything is done."""
    with scene(", replace: true") as place:
        place.write("  it: {uses: heroku.attachment, with: {app: twoapp, addon: one-redis, as: REDIS, replace: true}}\n")
        says(place.apply(1), "last attachment")
        must_be(place.effects(), [], "effects")
        must_be(place.attachments("twoapp"), {"REDIS": "two-redis"}, "attachments")


def a_name_is_one():
    with scene() as place:
        place.write("  it: {uses: heroku.attachment, with: {app: twoapp, addon: one-redis, as: my-cache}}\n")
        says(place.run(64, "check"), "A-Z, 0-9 and _")


def second(of="REDIS", more=""):
    return f"  it: {{uses: heroku.attachment, with: {{app: twoapp, of: {of}, as: OLD{more}}}}}\n"


def a_name_gets_a_second_one_beside_it():
    with scene() as place:
        place.write(second())
        says(place.run(2, "diff", "--detailed-exitcode"), "+ OLD", "two-redis")
        place.apply(0)
        must_be(place.effects(), ["attach two-redis as OLD"], "effects")
        place.run(0, "diff", "--detailed-exitcode")
        place.back()
        must_be(place.attachments("twoapp"), {"REDIS": "two-redis"}, "attachments")


def the_second_one_is_of_the_same_part():
    with scene() as place:
        attach(place, "one-redis", namespace="credential:reports")
        place.write(second("CACHE"))
        place.apply(0)
        found = place.call("GET", "/apps/twoapp/addon-attachments/OLD")
        must_be((found["addon"]["name"], found["namespace"]), ("one-redis", "credential:reports"), "attachment")


def a_name_that_was_given_up_since_is_no_difference():
    """Neither with the journal nor without; and the way back still knows what it made."""
    with scene() as place:
        attach(place, "two-redis", "SPARE")
        place.write(second())
        place.apply(0)
        place.call("DELETE", f"/addon-attachments/{place.call('GET', '/apps/twoapp/addon-attachments/REDIS')['id']}")
        place.effects()
        place.run(0, "diff", "--detailed-exitcode")
        place.back()
        must_be(place.attachments("twoapp"), {"SPARE": "two-redis"}, "attachments")
        attach(place, "two-redis", "OLD")
        place.forget()
        place.effects()
        place.apply(0)
        must_be(place.effects(), [], "effects without a journal")


def a_name_that_is_not_there_has_no_second_one():
    with scene() as place:
        place.write(second("NOWHERE"))
        says(place.run(0, "diff"), "+ OLD", "not there yet")
        says(place.apply(1), "twoapp has no attachment NOWHERE")
        must_be(place.effects(), [], "effects")


def either_an_addon_or_a_name_is_given():
    with scene() as place:
        for steps, words in ((second(more=", addon: one-redis"), "either `addon:` or `of:`"),
                             (second("OLD"), "another name than `of:`"), (second("old"), "A-Z, 0-9 and _")):
            place.write(steps)
            says(place.run(64, "check"), words)


play(another_apps_addon_is_attached_and_detached, a_lost_reply_is_looked_up,
     a_name_that_is_held_is_taken_only_when_the_plan_says_so, a_namespace_is_part_of_it,
     what_somebody_else_put_there_is_left_alone, the_last_name_of_an_addon_stays, a_name_is_one,
     a_name_gets_a_second_one_beside_it, the_second_one_is_of_the_same_part,
     a_name_that_was_given_up_since_is_no_difference, a_name_that_is_not_there_has_no_second_one,
     either_an_addon_or_a_name_is_given)
