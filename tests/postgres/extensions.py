# SPDX-License-Identifier: MIT
"""The module postgres.extensions: what it makes where, what it cannot make, and what it takes back.

usage: extensions.py PLAN [SCENARIO...]"""
import os
import sys

import scene
from cluster import Cluster
from preflight_scene import Pair
from scene import Scene, check, run_scenarios

scene.PLAN = os.path.abspath(sys.argv[1])


def pair():
    return Pair(source, target)


def place(both, more=""):
    return Scene(f"  it: {{uses: postgres.extensions, with: {{source: source, target: target{more}}}}}\n",
                 source.url(database=both.name), target.url(database=both.name))


def on_target(both):
    return {row[0]: row[1] for row in both.on_target("SELECT extname, extnamespace::regnamespace FROM pg_extension"
                                                     " WHERE extname <> 'plpgsql'")}


def those_that_are_missing_are_made_and_taken_back():
    both = pair()
    both.super_source('CREATE SCHEMA heroku_ext; CREATE SCHEMA "Odd ""one"; CREATE EXTENSION cube SCHEMA heroku_ext;'
                      ' CREATE EXTENSION citext SCHEMA "Odd ""one"; CREATE EXTENSION hstore; CREATE EXTENSION "uuid-ossp"')
    both.on_target("CREATE EXTENSION hstore")
    with place(both) as one:
        said = one.run(2, "diff", "--detailed-exitcode", says=["+ cube", "+ uuid-ossp"])
        check("hstore" not in said and on_target(both) == {"hstore": "public"}, said)
        one.apply(0)
        made = {"hstore": "public", "cube": "heroku_ext", "citext": '"Odd ""one"', "uuid-ossp": "public"}
        check(on_target(both) == made, f"{on_target(both)}")
        check(sorted(one.outputs("it")["extensions"]) == sorted(made), f"{one.outputs('it')}")
        one.run(0, "diff", "--detailed-exitcode")
        one.run(0, "rollback", "--to", "it", "--yes")
        check(on_target(both) == {"hstore": "public"}, f"{on_target(both)}")
        check(both.on_target("SELECT nspname FROM pg_namespace WHERE nspname IN ('heroku_ext', 'Odd \"one')") == [],
              "a schema that it made is left")


def what_uses_one_keeps_it():
    both = pair()
    both.super_source("CREATE EXTENSION citext")
    with place(both) as one:
        one.apply(0)
        both.on_target("CREATE TABLE t (name citext)")
        one.run(6, "rollback", "--to", "it", "--yes", says=["drop the extension citext", "other objects depend on it"])
        check(on_target(both) == {"citext": "public"}, "it is gone")
        both.on_target("DROP TABLE t")
        one.run(0, "rollback", "--to", "it", "--yes")
        check(on_target(both) == {}, "it is left")


def what_cannot_be_made_is_listed_with_what_can_be_done():
    both = pair()
    both.super_source("CREATE EXTENSION pg_stat_statements; CREATE EXTENSION citext; CREATE EXTENSION pageinspect;"
                      " INSERT INTO pg_extension SELECT 99999, 'not_there', 10, 2200, true, '1.0', NULL, NULL")
    with place(both) as one:
        one.apply(3, ["extensions of the target: not_there is not to be had there", "`except`"])
        check(on_target(both) == {}, "some were made")
    with place(both, ", except: [not_there]") as one:
        one.apply(3, ["pg_stat_statements: permission denied", "pageinspect: permission denied", "have them enabled where"])
        check(on_target(both) == {"citext": "public"}, f"{on_target(both)}")
        both.super_target("CREATE EXTENSION pg_stat_statements; CREATE EXTENSION pageinspect")
        one.apply(0)
    with place(both, ", except: [not_there, pg_stat_statements, pageinspect]") as one:
        one.run(0, "diff", "--detailed-exitcode")


def another_schema_is_told():
    both = pair()
    both.on_source("CREATE SCHEMA a; CREATE EXTENSION citext SCHEMA a")
    both.on_target("CREATE SCHEMA b; CREATE EXTENSION citext SCHEMA b")
    with place(both) as one:
        one.apply(3, ["citext is in the schema b, not a (ALTER EXTENSION citext SET SCHEMA a)"])


def one_that_needs_another_comes_after_it():
    both = pair()
    both.super_source("CREATE EXTENSION cube; CREATE EXTENSION earthdistance")
    both.super_target("GRANT CREATE ON DATABASE " + both.name + " TO app_owner")
    with place(both, ", except: []") as one:
        said = one.apply(3, ["earthdistance: permission denied"])
        check("cube:" not in said and on_target(both) == {"cube": "public"}, said)


with Cluster("source") as source, Cluster("target") as target:
    run_scenarios(those_that_are_missing_are_made_and_taken_back, what_uses_one_keeps_it,
                  what_cannot_be_made_is_listed_with_what_can_be_done, another_schema_is_told,
                  one_that_needs_another_comes_after_it, only=sys.argv[2:])
