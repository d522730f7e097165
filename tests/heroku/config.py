# SPDX-License-Identifier: MIT
"""heroku.config and heroku.addons: nothing that leads to the old app's data gets to the new one by itself, and a key
is taken from an attachment only where that is safe.

usage: config.py PLAN"""
import sys

from scene import Scene, kill, must_be, play, says, wait_until
from sandbox import check

CONFIG = "  it: {uses: heroku.config, with: {app: newapp, like: oldapp}}\n"
ADDONS = "  it: {uses: heroku.addons, with: {app: newapp, like: oldapp%s}}\n"
DATABASE = {"plan": "heroku-postgresql:standard-0", "name": "source-db", "as": "DATABASE"}


def scene(steps, more=(), addons=(DATABASE,), **old):
    return Scene(sys.argv[1], [*more, {"name": "oldapp", "addons": list(addons), **old},
                               {"name": "newapp", "region": "eu"}], steps)


def hostile(url):
    """The same database, as nobody expects it."""
    rest = url.split("://")[1]
    login, place = rest.split("@")
    host, tail = place.split(":")
    port, name = tail.split("/")
    return {
        "AS_IT_IS": url, "POOL": url + "?pool=25", "SCHEME": "postgresql://" + rest, "LOUD": "POSTGRES://" + rest,
        "OTHER_CASE": f"postgres://{login}@{host.upper()}:{tail}", "DOT": f"postgres://{login}@{host}.:{tail}",
        "OTHER_USER": f"postgres://readonly:other@{place}", "NO_USER": f"postgres://{place}",
        "NO_DATABASE": f"postgres://{login}@{host}:{port}", "JDBC": f"jdbc:postgresql://{place}?user=u&password=p",
        "SQLALCHEMY": f"postgresql+psycopg2://{rest}", "ECTO": f"ecto://{rest}",
        "QUERY": f"postgres:///{name}?host={host}&port={port}&pool=3",
        "KEYWORDS": f"host={host} port={port} dbname={name}", "HOST_AND_PORT": f"{host}:{port}",
        "TWO": f"postgres://u@other.example.com/x,postgres://{rest}", "ESCAPED": f"postgres://{login}@{host}:{port}/%64{name[1:]}",
        "MY_PASSWORD": login.split(":")[1]}


def harmless(url):
    place = url.split("@")[1].split("/")[0]
    return {"RACK_ENV": "production", "SECRET_KEY": "canary-value", "OTHER_DB": f"postgres://u:p@{place}/another",
            "ELSEWHERE": "postgres://u:p@db.example.com:5432/mine", "SITE": "https://www.example.com/", "SMTP": "localhost"}


def no_value_that_points_at_the_source_is_copied():
    with scene(CONFIG) as here:
        url = here.config("oldapp")["DATABASE_URL"]
        here.call("POST", "/addon-attachments", {"app": "oldapp", "addon": "source-db", "name": "REPORTS"})
        bad, good = hostile(url), harmless(url)
        here.call("PATCH", "/apps/oldapp/config-vars", {**bad, **good})
        here.effects()
        says(here.apply(0), "POOL is not copied: it points at the same place as", "MY_PASSWORD is not copied")
        must_be(here.config("newapp"), good, "config vars of the new app")
        here.run(0, "diff", "--detailed-exitcode")


def a_key_that_an_add_on_owns_is_never_copied():
    """Nor the value of one that the new app's own add-on owns already."""
    with scene(CONFIG, addons=[DATABASE, {"plan": "heroku-redis:mini"}]) as here:
        here.call("POST", "/addon-attachments", {"app": "oldapp", "addon": "source-db", "name": "ANALYTICS"})
        here.addon("newapp", "new-db", attachment={"name": "CACHE"})
        here.call("PATCH", "/apps/oldapp/config-vars", {"CACHE_URL": "postgres://u:p@db.example.com/x", "KEEP": "1"})
        before = here.config("newapp")
        here.effects()
        here.apply(0)
        must_be(here.config("newapp"), {**before, "KEEP": "1"}, "config vars of the new app")


def a_shared_database_is_excepted_as_well():
    """It belongs to a third app, so the list of the old app's add-ons does not have it."""
    third = {"name": "thirdapp", "addons": [{**DATABASE, "name": "shared-db"}]}
    for extra, wanted in ((", except: [heroku-postgresql]", {}), ("", {"SHARED": "shared-db"})):
        with scene(ADDONS % extra, more=[third], addons=[]) as here:
            here.call("POST", "/addon-attachments", {"app": "oldapp", "addon": "shared-db", "name": "SHARED"})
            here.effects()
            here.apply(0)
            must_be(here.attachments("newapp"), wanted, "attachments of the new app")


def a_pool_stays_a_pool():
    with scene(ADDONS % "") as here:
        here.call("POST", "/addon-attachments", {"app": "oldapp", "addon": "source-db", "namespace": "connection-pooling:default",
                                                 "name": "DATABASE_CONNECTION_POOL"})
        here.effects()
        here.apply(0)
        found = {one["name"]: one["namespace"] for one in here.call("GET", "/apps/newapp/addon-attachments")}
        must_be(found, {"DATABASE": None, "DATABASE_CONNECTION_POOL": "connection-pooling:default"}, "attachments")
        check(len(set(here.attachments("newapp").values())) == 1, "two databases were made")


# ---- Keys that are taken from an attachment ----

ELSEWHERE = "redis://u:canary-value@cache.example.com:6379/0"
REDIS = {"plan": "heroku-redis:mini", "name": "one-redis"}


def taking(value=ELSEWHERE, key="REDIS_URL", replace="true"):
    return (f"  it: {{uses: heroku.config, with: {{app: oneapp, replace_attachments: {replace},"
            f" set: {{{key}: \"{value}\"}}}}}}\n")


class Held(Scene):
    """An app in maintenance with a cache that has two names; no database."""

    def __init__(self, steps=None, names=("SPARE",), attempts=1, addon=(), **app):
        super().__init__(sys.argv[1], [
            {"name": "oneapp", "maintenance": True, "addons": [{**REDIS, **dict(addon)}],
             "slug": {"commit": "abc", "process_types": {"web": "bin/web"}}, "formation": {"web": 2}, **app},
            {"name": "twoapp", "addons": [{**REDIS, "name": "two-redis"}]}], steps or taking(), attempts)
        self.names = names

    def __enter__(self):
        super().__enter__()
        for name in self.names:
            self.attach("one-redis", name)
        self.effects()
        self.former = self.attached(), self.config("oneapp")
        return self

    def attach(self, addon, name, **more):
        self.call("POST", "/addon-attachments", {"addon": addon, "app": "oneapp", "name": name, **more})

    def attached(self):
        return {one["name"]: (one["addon"]["name"], one["namespace"])
                for one in self.call("GET", "/apps/oneapp/addon-attachments")}

    def is_as_before(self):
        must_be((self.attached(), self.config("oneapp")), self.former, "what was there before")


def a_key_is_taken_from_its_attachment_and_given_back():
    with Held() as here:
        says(here.run(2, "diff", "--detailed-exitcode"), "REDIS_URL", "taken from attachment REDIS (add-on one-redis), set)")
        here.apply(0)
        must_be(here.effects(), ["Detach REDIS", "config REDIS_URL"], "effects")
        must_be(here.config("oneapp")["REDIS_URL"], ELSEWHERE, "REDIS_URL")
        newest = max(one["version"] for one in here.call("GET", "/apps/oneapp/releases"))
        must_be({one["release"]["version"] for one in here.call("GET", "/apps/oneapp/dynos")}, {newest}, "releases of dynos")
        says(here.run(0, "diff", "--detailed-exitcode"), "no difference")
        here.back()
        must_be(here.effects(), ["config REDIS_URL", "attach one-redis as REDIS"], "effects of the way back")
        here.is_as_before()


def what_goes_with_it_is_named():
    with Held(addon={"more_vars": ["TLS_URL"]}.items()) as here:
        says(here.run(0, "diff"), "- REDIS_TLS_URL", "goes with attachment REDIS")
        here.apply(0)
        check("REDIS_TLS_URL" not in here.config("oneapp"), "it is still there")
        here.run(0, "diff", "--detailed-exitcode")
        here.back()
        here.is_as_before()


def it_is_refused(steps, *texts, diff=True, **held):
    with Held(steps, **held) as here:
        if diff:
            says(here.run(1, "diff"), *texts)
        says(here.apply(3), *texts)
        must_be(here.effects(), [], "effects")
        here.is_as_before()


def nothing_is_taken_that_the_plan_does_not_say():
    it_is_refused(taking(replace="false"), "REDIS_URL belongs to the attachment REDIS of add-on one-redis",
                  "replace_attachments: true")


def users_do_not_see_that_it_is_taken():
    it_is_refused(taking(), "oneapp is not in maintenance", "heroku.maintenance", diff=False, maintenance=False)


def the_last_name_is_not_taken():
    with Held(names=()) as here:
        says(here.run(0, "diff"), "by then one-redis must have another name here")
        says(here.apply(3), "REDIS is the only name of the add-on one-redis on oneapp", "heroku.attachment", "of: REDIS")
        must_be(here.effects(), [], "effects")


def nothing_is_taken_when_one_of_two_may_not_be():
    with Held(names=("SPARE",), addons=[REDIS, {**REDIS, "name": "second-redis", "as": "SECOND"}]) as here:
        here.write(taking().replace("}}}", f", SECOND_URL: \"{ELSEWHERE}\"}}}}}}"))
        says(here.apply(3), "SECOND is the only name of the add-on second-redis")
        must_be(here.effects(), [], "effects")
        here.attach("second-redis", "THIRD")
        here.effects()
        here.former = here.attached(), here.config("oneapp")
        here.apply(0)
        must_be(here.effects(), ["Detach REDIS", "Detach SECOND", "config REDIS_URL, SECOND_URL"], "effects")
        here.back()
        here.is_as_before()


def a_pool_is_no_other_name():
    with Held(names=()) as here:
        here.attach("one-redis", "POOL", namespace="connection-pooling:default")
        here.effects()
        says(here.apply(3), "REDIS is the only name")
        must_be(here.effects(), [], "effects")


def what_goes_on_leading_there_is_named():
    with Held() as here:
        url = here.config("oneapp")["REDIS_URL"]
        here.call("PATCH", "/apps/oneapp/config-vars", {"BY_HAND": url + "?pool=25", "OTHER": ELSEWHERE})
        here.attach("one-redis", "POOL", namespace="connection-pooling:default")
        says(here.run(0, "diff"), "taken from attachment REDIS (add-on one-redis), set; still leading there: POOL_URL, BY_HAND)")


def another_apps_addon_needs_no_other_name():
    with Held(taking(key="LENT_URL")) as here:
        here.attach("two-redis", "LENT", namespace="credential:reports")
        here.effects()
        here.former = here.attached(), here.config("oneapp")
        here.apply(0)
        must_be(here.config("oneapp")["LENT_URL"], ELSEWHERE, "LENT_URL")
        here.back()
        here.is_as_before()


def it_does_not_lead_back_to_where_it_leaves():
    for more in ("", "?pool=25"):
        with Held() as here:
            here.write(taking(here.config("oneapp")["REDIS_URL"] + more))
            says(here.run(1, "diff"), "the value for REDIS_URL points at the same place as REDIS_URL of oneapp")
            says(here.apply(3), "the value for REDIS_URL points at the same place as REDIS_URL of oneapp")
            must_be(here.effects(), [], "effects")


def killed_between_the_two(here):
    held = here.fault("PATCH", "/apps/oneapp/config-vars", "hang")
    running = here.begin("apply", "--yes")
    wait_until(lambda: here.call("GET", "/_sim/faults")[0]["hit"], "the config var is about to be set")
    kill(running)
    here.call("DELETE", f"/_sim/faults/{held}")
    check("REDIS_URL" not in here.config("oneapp"), "it has a value")
    must_be(here.effects(), ["Detach REDIS"], "effects")


def a_key_without_a_value_gets_it_at_once():
    """Whatever became of the maintenance meanwhile."""
    with Held() as here:
        killed_between_the_two(here)
        here.call("PATCH", "/apps/oneapp", {"maintenance": False})
        here.effects()
        here.apply(0)
        must_be(here.effects(), ["config REDIS_URL"], "effects")
        here.back()
        here.is_as_before()


def a_key_without_a_value_is_given_back():
    with Held() as here:
        killed_between_the_two(here)
        here.back()
        must_be(here.effects(), ["attach one-redis as REDIS"], "effects")
        here.is_as_before()


def a_name_that_somebody_else_took_is_left_alone():
    with Held() as here:
        here.apply(0)
        here.call("PATCH", "/apps/oneapp/config-vars", {"REDIS_URL": None})
        here.attach("two-redis", "REDIS")
        here.effects()
        says(here.run(6, "rollback", "--yes", "--to", "it"), "REDIS of oneapp is now an attachment of two-redis")
        must_be(here.effects(), [], "effects")


def a_release_that_failed_before_it_was_told_is_no_success():
    """The config var is set, and plan is killed before the release phase is over."""
    with Held(slug={"commit": "abc", "process_types": {"web": "bin/web", "release": "false"}}) as here:
        here.fault("GET", "/apps/oneapp/releases", "hang", nth=0)
        running = here.begin("apply", "--yes")
        wait_until(lambda: here.config("oneapp").get("REDIS_URL") == ELSEWHERE, "it is set")
        kill(running)
        here.no_faults()
        wait_until(lambda: here.call("GET", "/apps/oneapp/releases")[-1]["status"] == "failed", "it fails")
        here.effects()
        says(here.apply(1), "the release phase of v", "failed", "releases:output -a oneapp")
        must_be(here.effects(), [], "effects")
        slug = here.call("POST", "/apps/oneapp/slugs", {"process_types": {"web": "bin/web"}})
        here.call("POST", "/apps/oneapp/releases", {"slug": slug["id"]})
        here.effects()
        here.apply(0)
        must_be(here.effects(), [], "effects once a newer release is good")


def dynos_that_go_on_are_told():
    with Held(features=["preboot"], one_off=["sleep 60"]) as here:
        here.apply(0)
        says(here.run(0, "journal"), "oneapp has preboot", "1 one-off dynos of oneapp go on with what they had")


def dynos_are_up_with_the_newest_release():
    """A failed one does not count, a pending one is waited for."""
    steps = ("  it: {uses: heroku.maintenance, with: {app: oneapp, enabled: false},"
             " postconditions: [{check: heroku.dynos_up, of: oneapp, equals: all%s}]}\n")
    for command, within, code in (("false", ", within: 20s", 0), ("rake", "", 1), ("rake", ", within: 20s", 0)):
        with Held(steps % within, slug={"commit": "abc", "process_types": {"web": "bin/web", "release": command}}) as here:
            wait_until(lambda: {one["state"] for one in here.call("GET", "/apps/oneapp/dynos")} == {"up"}, "dynos")
            held = here.fault("PATCH", "/apps/oneapp", "hang", "after")
            running = here.begin("apply", "--yes")
            wait_until(lambda: here.call("GET", "/_sim/faults")[0]["hit"], "it opens")
            here.call("PATCH", "/apps/oneapp/config-vars", {"A": "1"})
            here.call("DELETE", f"/_sim/faults/{held}")
            must_be(running.wait(40), code, f"{command}{within}")


play(no_value_that_points_at_the_source_is_copied, a_key_that_an_add_on_owns_is_never_copied,
     a_shared_database_is_excepted_as_well, a_pool_stays_a_pool,
     a_key_is_taken_from_its_attachment_and_given_back, what_goes_with_it_is_named,
     nothing_is_taken_that_the_plan_does_not_say, users_do_not_see_that_it_is_taken, the_last_name_is_not_taken,
     nothing_is_taken_when_one_of_two_may_not_be,
     a_pool_is_no_other_name, what_goes_on_leading_there_is_named, another_apps_addon_needs_no_other_name, it_does_not_lead_back_to_where_it_leaves,
     a_key_without_a_value_gets_it_at_once, a_key_without_a_value_is_given_back,
     a_name_that_somebody_else_took_is_left_alone, a_release_that_failed_before_it_was_told_is_no_success,
     dynos_that_go_on_are_told, dynos_are_up_with_the_newest_release)
