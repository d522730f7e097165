# SPDX-License-Identifier: MIT
"""heroku.config and heroku.addons: nothing that leads to the old app's data gets to the new one by itself.

usage: config.py PLAN"""
import sys

from scene import Scene, must_be, play, says
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


play(no_value_that_points_at_the_source_is_copied, a_key_that_an_add_on_owns_is_never_copied,
     a_shared_database_is_excepted_as_well, a_pool_stays_a_pool)
