# SPDX-License-Identifier: MIT
"""heroku.run and heroku.restart: one dyno and one restart, whatever is lost on the way.

usage: dynos.py PLAN"""
import os
import signal
import sys

from scene import Scene, check, must_be, play, says, wait_until

APP = [{"name": "oneapp", "slug": {"commit": "abc", "process_types": {"web": "bin/web"}}, "formation": {"web": 2}}]
GONE = "irreversible: It has run."


def run(command, more=""):
    return f"  it: {{uses: heroku.run, with: {{app: oneapp, command: {command}{more}}}, {GONE}}}\n"


RESTART = "  it: {uses: heroku.restart, with: {app: oneapp}}\n"


def scene(steps, attempts=1):
    return Scene(sys.argv[1], APP, steps, attempts)


def started(place):
    return [what for what in place.effects() if what.startswith("run ")]


def a_lost_reply_starts_no_second_dyno():
    with scene(run("rake db:migrate"), attempts=3) as place:
        place.fault("POST", "/apps/oneapp/dynos", "drop", "after")
        place.apply(0)
        must_be(len(started(place)), 1, "dynos")
        place.apply(0)
        must_be(started(place), [], "dynos of the second apply")


def a_lost_request_is_sent_again():
    with scene(run("rake db:migrate"), attempts=3) as place:
        place.fault("POST", "/apps/oneapp/dynos", "drop", "before")
        place.apply(0)
        must_be(len(started(place)), 1, "dynos")


def a_crash_while_it_runs_is_gone_on_from():
    """Also when the dyno has ended before anybody looks again."""
    for command, early in (("sleep 3", False), ("sleep 0.5", True)):
        with scene(run(command)) as place:
            running = place.begin("apply", "--yes")
            wait_until(lambda: any(what.startswith("run ") for what in place.ledger()), "a dyno")
            running.send_signal(signal.SIGKILL)
            running.wait()
            if early:
                wait_until(lambda: not [one for one in place.call("GET", "/apps/oneapp/dynos") if one["type"] == "run"],
                           "the end of the dyno")
            place.apply(0)
            must_be(len(started(place)), 1, "dynos")


def a_status_that_is_not_zero_fails_and_is_told_once():
    with scene(run("exit 3")) as place:
        says(place.apply(1), "ended with exit status 3", "heroku logs -a oneapp -d run.")
        must_be(len(started(place)), 1, "dynos")
        says(place.apply(1), "ended with exit status 3")
        must_be(len(started(place)), 1, "dynos of a person's second try")


def without_a_log_the_status_is_not_known():
    with scene(run("rake db:migrate")) as place:
        place.fault("POST", "/apps/oneapp/log-sessions", "500", nth=0)
        says(place.apply(1), "the log of oneapp does not say how", "unknown_status: accept")
        must_be(len(started(place)), 1, "dynos")
        says(place.apply(3), "It is not run again")
        must_be(started(place), [], "dynos of the second apply")
    with scene(run("rake db:migrate", ", unknown_status: accept")) as place:
        place.fault("POST", "/apps/oneapp/log-sessions", "500", nth=0)
        place.apply(0)
        must_be(len(started(place)), 1, "dynos")


def what_cannot_be_proven_is_not_run_again():
    """The request may have arrived, no dyno is there, and the log cannot be read."""
    with scene(run("rake db:migrate"), attempts=3) as place:
        place.fault("POST", "/apps/oneapp/dynos", "drop", "before")
        place.fault("POST", "/apps/oneapp/log-sessions", "500", nth=0)
        says(place.apply(1), "whether the command was started is not known")
        says(place.apply(3), "It is not run again")
        must_be(started(place), [], "dynos")
        place.no_faults()
        place.apply(0)
        must_be(len(started(place)), 1, "dynos once the log proves that there was none")


def the_way_back_runs_the_undo_once():
    steps = "  it: {uses: heroku.run, with: {app: oneapp, command: rake db:migrate, undo: rake db:rollback}}\n"
    with scene(steps) as place:
        place.apply(0)
        place.fault("POST", "/apps/oneapp/dynos", "drop", "after")
        place.back()
        must_be([what.split(" #")[0] for what in started(place)], ["run rake db:migrate", "run rake db:rollback"], "runs")


def what_heroku_cannot_take_is_refused_offline():
    with scene(run('"a\\nb"')) as place:
        says(place.run(64, "check"), "one line")
        place.write(run("rake", ", time_to_live: 25h"))
        says(place.run(64, "check"), "between 1s and 24h")
        place.write(run('"rake ${secrets.token}"'))
        says(place.run(64, "check"), "secret")
        place.write("  it: {uses: heroku.run, with: {app: oneapp, command: rake}}\n")
        says(place.run(64, "check"), "heroku.run cannot be undone by itself", "its field `undo`")


def restarts(place):
    return [what for what in place.effects() if what.startswith("restart ")]


def a_lost_reply_restarts_once():
    with scene(RESTART, attempts=3) as place:
        before = {one["id"] for one in place.call("GET", "/apps/oneapp/dynos")}
        place.fault("DELETE", "/apps/oneapp/dynos", "drop", "after")
        place.apply(0)
        must_be(restarts(place), ["restart all dynos"], "restarts")
        dynos = place.call("GET", "/apps/oneapp/dynos")
        check(not before & {one["id"] for one in dynos}, "an old dyno is left")
        must_be({one["state"] for one in dynos}, {"up"}, "states")
        place.apply(0)
        must_be(restarts(place), [], "restarts of the second apply")


def a_lost_restart_is_sent_again():
    with scene(RESTART, attempts=3) as place:
        place.fault("DELETE", "/apps/oneapp/dynos", "drop", "before")
        place.apply(0)
        must_be(restarts(place), ["restart all dynos"], "restarts")


def a_crash_after_the_restart_is_gone_on_from():
    with scene(RESTART) as place:
        held = place.fault("DELETE", "/apps/oneapp/dynos", "hang", "after")
        running = place.begin("apply", "--yes")
        wait_until(lambda: any(what.startswith("restart ") for what in place.ledger()), "a restart")
        running.send_signal(signal.SIGKILL)
        running.wait()
        place.call("DELETE", f"/_sim/faults/{held}")
        place.apply(0)
        must_be(restarts(place), ["restart all dynos"], "restarts")
        check(os.path.exists(os.path.join(place.directory, ".plan")), "there is no journal")


def only_a_type_or_one_dyno():
    for more, effect in (("type: web", "restart all dynos of web"), ("dyno: web.2", "stop dyno web.2")):
        with scene(f"  it: {{uses: heroku.restart, with: {{app: oneapp, {more}}}}}\n") as place:
            place.apply(0)
            must_be(place.effects(), [effect], more)


def condition(app):
    return (f"  it:\n    uses: wait\n    with: {{for: 1s}}\n    preconditions:\n"
            f"      - {{check: heroku.dynos_up, of: {app}, equals: all, within: 5s}}\n")


def an_app_scaled_to_0_is_up():
    """All of no dynos: what is like an app that was scaled to 0 is what it shall be."""
    web = [{**APP[0], "formation": {"web": 0}}]
    with Scene(sys.argv[1], web, condition("oneapp")) as place:
        place.apply(0)
        says(place.run(0, "journal", "--json"), '"is":"0 of 0"')


def an_app_without_code_is_not_up():
    with Scene(sys.argv[1], [{"name": "oneapp"}], condition("oneapp")) as place:
        says(place.apply(1), "heroku.dynos_up of oneapp is 0 of 0, without any process type and must be all")


play(a_lost_reply_starts_no_second_dyno, a_lost_request_is_sent_again, a_crash_while_it_runs_is_gone_on_from,
     a_status_that_is_not_zero_fails_and_is_told_once, without_a_log_the_status_is_not_known,
     what_cannot_be_proven_is_not_run_again, the_way_back_runs_the_undo_once,
     what_heroku_cannot_take_is_refused_offline, a_lost_reply_restarts_once, a_lost_restart_is_sent_again,
     a_crash_after_the_restart_is_gone_on_from, only_a_type_or_one_dyno,
     an_app_scaled_to_0_is_up, an_app_without_code_is_not_up)
