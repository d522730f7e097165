# SPDX-License-Identifier: MIT
"""heroku.postgres.promote: the connection pool moves along, and a release phase that fails is told.

usage: postgres_promote.py PLAN"""
import sys

from scene import Scene, must_be, play, says
from sandbox import check

STEPS = "  it: {uses: heroku.postgres.promote, with: {app: theapp, database: second-db}}\n"
POOL = "DATABASE_CONNECTION_POOL"
NAMESPACE = "connection-pooling:default"


def scene(attempts=1, **app):
    return Scene(sys.argv[1], [{"name": "theapp", "addons": [
        {"plan": "heroku-postgresql:standard-0", "name": "first-db", "as": "DATABASE"},
        {"plan": "heroku-postgresql:standard-0", "name": "second-db", "as": "HEROKU_POSTGRESQL_BLUE"}], **app}],
        STEPS, attempts)


def pool(on, addon="first-db"):
    on.call("POST", "/addon-attachments", {"app": "theapp", "addon": addon, "name": POOL, "namespace": NAMESPACE})
    on.effects()


def namespace(on, name):
    return next(one["namespace"] for one in on.call("GET", "/apps/theapp/addon-attachments") if one["name"] == name)


def the_pool_moves_along():
    with scene() as here:
        pool(here)
        former = here.attachments("theapp")
        says(here.run(0, "diff"), "database", "pool")
        here.apply(0)
        now = here.attachments("theapp")
        must_be((now["DATABASE"], now[POOL], namespace(here, POOL)), ("second-db", "second-db", NAMESPACE), "attachments")
        check(namespace(here, "DATABASE") is None, "DATABASE is in a namespace")
        check(any(addon == "first-db" for addon in now.values()), f"the old database has no name left: {now}")
        here.effects()
        here.run(0, "diff", "--detailed-exitcode")
        here.back()
        must_be(here.attachments("theapp"), former, "the way back")
        must_be(namespace(here, POOL), NAMESPACE, "the namespace after the way back")


def no_pool_is_made_where_none_was():
    with scene() as here:
        here.apply(0)
        check(POOL not in here.attachments("theapp"), here.attachments("theapp"))


def a_pool_left_behind_is_a_difference():
    """As after a crash, or a promotion by hand that forgot it."""
    with scene() as here:
        pool(here)
        here.call("POST", "/addon-attachments", {"app": "theapp", "addon": "first-db", "name": "OLD"})
        here.call("POST", "/addon-attachments", {"app": "theapp", "addon": "second-db", "name": "DATABASE",
                                                 "confirm": "theapp"})
        here.effects()
        says(here.run(2, "diff", "--detailed-exitcode"), "pool")
        here.apply(0)
        must_be(here.effects(), [f"Detach {POOL}", f"attach second-db as {POOL}"], "effects")


def a_lost_reply_is_looked_up():
    for nth in (1, 2, 3):
        with scene(attempts=3) as here:
            pool(here)
            here.fault("POST", "/addon-attachments", "drop", "after", nth)
            here.apply(0)
            now = here.attachments("theapp")
            must_be((now["DATABASE"], now[POOL]), ("second-db", "second-db"), "attachments")
            done = here.effects()
            must_be(len(done), len(set(done)), f"an effect twice: {done}")


def a_release_phase_that_fails_is_told():
    with scene(slug={"commit": "abc", "process_types": {"web": "bin/web", "release": "false"}}) as here:
        output = here.apply(1)
        says(output, "Attach DATABASE", "release phase", "failed", "releases:output", "theapp")
        must_be(here.attachments("theapp")["DATABASE"], "second-db", "DATABASE")
        here.effects()
        says(here.run(2, "diff", "--detailed-exitcode"), "release")
        says(here.apply(1), "Attach DATABASE", "failed")
        must_be(here.effects(), [], "nothing is attached again")
        slug = here.call("POST", "/apps/theapp/slugs", {"process_types": {"web": "bin/web"}})
        here.call("POST", "/apps/theapp/releases", {"slug": slug["id"]})
        here.effects()
        here.run(0, "diff")
        here.apply(0)
        must_be(here.effects(), [], "a newer release that is good is enough")


def a_release_phase_does_not_block_the_way_back():
    with scene(slug={"commit": "abc", "process_types": {"web": "bin/web", "release": "false"}}) as here:
        former = here.attachments("theapp")
        here.apply(1)
        says(here.back(), "release phase", "failed")
        must_be(here.attachments("theapp"), former, "the way back")


def a_release_phase_is_waited_for():
    """A pool is attached last: its release is the newest, and not the one that counts."""
    with scene(slug={"commit": "abc", "process_types": {"web": "bin/web", "release": "bin/migrate"}}) as here:
        pool(here)
        here.apply(0)
        attached = [one for one in here.call("GET", "/apps/theapp/releases")
                    if one["description"] == "Attach DATABASE (@ref:second-db)"]
        must_be([one["status"] for one in attached], ["succeeded"], "the release of the attachment")


play(the_pool_moves_along, no_pool_is_made_where_none_was, a_pool_left_behind_is_a_difference,
     a_lost_reply_is_looked_up, a_release_phase_that_fails_is_told,
     a_release_phase_does_not_block_the_way_back, a_release_phase_is_waited_for)
