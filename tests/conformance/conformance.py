# SPDX-License-Identifier: MIT
"""Every module of the registry keeps the contract of engine/step.h. For each one, with a small plan of its own:

  the look shows a difference; apply; the look shows none; a second apply makes no call that could change
  anything; the way back restores what was there, also when it is killed before it is recorded, and undoes nothing
  twice then; or the module has no inverse and the preview says so; apply works again; and without its journal, on
  the changed world, nothing happens twice.

usage: conformance.py PLAN PLAN_CRASH [MODULE...]"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from place import Place, check, differences, region

DATABASE = {"plan": "heroku-postgresql:standard-0", "as": "DATABASE"}
CODE = {"commit": "abc", "process_types": {"web": "bin/web", "worker": "bin/worker"}}
HOOK = {"url": "https://hooks.example.com/releases", "include": ["api:release"], "level": "notify"}
NIGHTLY = {"hour": 2, "timezone": "UTC", "schedule_name": "DATABASE_URL"}
NO_RETURN = "Held to its contract; it cannot be undone."


class Row:
    """What a module needs to be held to its contract. Apps are named after the module: its name with -old and -new.

    seed(old, new)   the apps to begin with
    steps            the plan; the step under test is `it`
    irreversible     it has no inverse
    reads            it changes nothing, so there is nothing to undo or to repeat
    broken(place)    makes the world so that a check does not hold
    person           somebody must say yes
    trace            False: nothing that lasts says that it was done; only the journal knows
    options          what `apply`, `diff` and `rollback` need besides
    adopts           without a journal: True, it takes what is there for its own; else the words of the refusal"""

    def __init__(self, steps, seed=None, irreversible=False, reads=False, broken=None, person=False, adopts=True,
                 prepare=None, trace=True, options=()):
        self.trace, self.options = trace, options
        self.steps, self.seed, self.irreversible, self.reads = steps, seed, irreversible, reads
        self.broken, self.person, self.adopts, self.prepare = broken, person, adopts, prepare


def two(old=None, new=None):
    """Both apps, with what each has."""
    return lambda a, b: [{"name": a, "region": "us", **(old or {})}, {"name": b, "region": "eu", **(new or {})}]


def one(**old):
    return lambda a, b: [{"name": a, "region": "us", **old}]


def lends(old, new):
    """The old app has an add-on that the new one may see."""
    return [{"name": old, "region": "us", "addons": [{"plan": "heroku-redis:mini", "name": f"{old}-redis"}]},
            {"name": new, "region": "eu"}]


def slow_shutdown(place, names):
    place.call("PATCH", f"/apps/{names[0]}", {"maintenance": True})


def both_have_code(place, names):
    """The new app runs something else: the way back has something to go back to."""
    for app, commit in zip(names, ("newer", "older")):
        slug = place.call("POST", f"/apps/{app}/slugs", {"process_types": {"web": "bin/web"}, "commit": commit})
        place.call("POST", f"/apps/{app}/releases", {"slug": slug["id"]})


def spare_database(place, names):
    """The old app gets a second database, under a colour."""
    place.call("POST", f"/apps/{names[0]}/addons", {"plan": "heroku-postgresql:standard-0", "name": f"{names[0]}-second"})
    region.wait_until(lambda: place.call("GET", f"/addons/{names[0]}-second")["state"] == "provisioned", "a database")


def follower(place, names):
    leader = place.config(names[0])["DATABASE_URL"]
    place.call("POST", f"/apps/{names[1]}/addons", {"plan": "heroku-postgresql:standard-0", "config": {"follow": leader},
                                                   "name": f"{names[1]}-follower"})
    addon = f"{names[1]}-follower"
    region.wait_until(lambda: place.call("GET", f"/addons/{addon}")["state"] == "provisioned"
                      and place.follows(place.call("GET", f"/addons/{addon}")["id"]), "a follower")


def name_is_taken(place, names):
    """The name leads to another add-on, which has a second one."""
    place.call("POST", f"/apps/{names[1]}/addons", {"plan": "heroku-redis:mini", "name": f"{names[1]}-cache"})
    region.wait_until(lambda: place.call("GET", f"/addons/{names[1]}-cache")["state"] == "provisioned", "an add-on")
    place.call("POST", "/addon-attachments", {"addon": f"{names[1]}-cache", "app": names[1], "name": "SHARED"})


def source_has_extensions(place, names):
    place.databases.sql("source", "CREATE SCHEMA more; CREATE EXTENSION citext SCHEMA more; CREATE EXTENSION hstore")


def source_has_large_object(place, names):
    place.databases.sql("source", "SELECT lo_create(0)")


def same_rows(place, names):
    for side in ("source", "target"):
        place.databases.sql(side, "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT g, 'x' FROM"
                                  " generate_series(1, 100) g")


def another_row(place, names):
    place.databases.sql("target", "UPDATE t SET v = 'y' WHERE id = 50")


def one_more_var(place, names):
    """The old app has a config var that was not carried over."""
    place.call("PATCH", f"/apps/{names[0]}/config-vars", {"MORE": "1"})


def tables_and_more(place, names):
    """The source has something to carry."""
    place.databases.sql("source", "CREATE TABLE a (id int PRIMARY KEY, b int REFERENCES a, c serial); CREATE INDEX ON a (b);"
                                  "CREATE VIEW v AS SELECT count(*) FROM a; CREATE TYPE e AS ENUM ('x', 'y')")


def plan_is_gone(place, names):
    """An add-on that is not offered where the app shall go."""
    place.call("POST", f"/apps/{names[0]}/addons", {"plan": "komrade:test"})


TABLE = {
    "command": Row("  it: {uses: command, with: {run: [touch, made], check: [test, -e, made], undo: [rm, made]}}\n",
                   options=["--allow-commands"]),
    "dns.record": Row("  it: {uses: dns.record, with: {name: www.example.com, type: CNAME, value: new.herokudns.com,"
                      " ttl: 1s}}\n"),
    "dns.ttl": Row("  it: {uses: dns.ttl, with: {names: [ns.example.com], ttl: 1s}}\n"),
    "git.remotes": Row("  it: {uses: git.remotes, with: {rename: {heroku: old},"
                       " set: {heroku: \"https://git.heroku.com/targetapp.git\"}}}\n"),
    "heroku.addons.check": Row("  it: {uses: heroku.addons.check, with: {app: OLD, region: eu}}\n",
                               seed=one(addons=[{"plan": "heroku-redis:mini"}]), reads=True, broken=plan_is_gone),
    "heroku.app": Row("  it: {uses: heroku.app, with: {app: NEW, like: OLD, region: eu}}\n", seed=one(),
                      adopts="this plan did not make it"),
    "heroku.buildpacks": Row("  it: {uses: heroku.buildpacks, with: {app: NEW, like: OLD}}\n",
                             seed=two({"buildpacks": ["https://github.com/heroku/heroku-buildpack-ruby"]},
                                      {"buildpacks": ["https://github.com/heroku/heroku-buildpack-go"]})),
    "heroku.config": Row("  it: {uses: heroku.config, with: {app: NEW, like: OLD, set: {MORE: \"1\"}}}\n",
                         seed=two({"config": {"RACK_ENV": "production", "KEY": "canary-value"}},
                                  {"config": {"RACK_ENV": "staging", "OWN": "stays"}})),
    "heroku.addons": Row("  it: {uses: heroku.addons, with: {app: NEW, like: OLD}}\n",
                         seed=two({"addons": [{"plan": "heroku-redis:mini"}, {"plan": "scheduler:standard"}]})),
    "heroku.release": Row("  it: {uses: heroku.release, with: {app: NEW, like: OLD}}\n",
                          seed=two(), prepare=both_have_code),
    "heroku.collaborators": Row("  it: {uses: heroku.collaborators, with: {app: NEW, like: OLD}}\n",
                                seed=two({"collaborators": ["ann@example.com", "bob@example.com"]},
                                         {"collaborators": ["bob@example.com"]})),
    "heroku.features": Row("  it: {uses: heroku.features, with: {app: NEW, like: OLD}}\n",
                           seed=two({"features": ["http-session-affinity"], "pipeline": {"stage": "production"},
                                     "drains": ["syslog+tls://logs.example.com:6514"]})),
    "heroku.webhooks": Row("  it: {uses: heroku.webhooks, with: {app: NEW, like: OLD}}\n",
                           seed=two({"webhooks": [HOOK, {**HOOK, "level": "sync"}]}, {"webhooks": [HOOK]})),
    "heroku.inventory": Row("  it: {uses: heroku.inventory, with: {app: NEW, like: OLD, accept: [formation]}}\n",
                            seed=two({"config": {"RACK_ENV": "production"}, "webhooks": [HOOK]},
                                     {"config": {"RACK_ENV": "production"}, "webhooks": [HOOK]}),
                            reads=True, broken=one_more_var),
    "heroku.certificate": Row("  it: {uses: heroku.certificate, with: {app: OLD,"
                              " chain: {file: server.crt}, key: \"${secrets.tls}\"}}\n",
                              seed=one()),
    "heroku.postgres.follower": Row("  it: {uses: heroku.postgres.follower, with: {leader_app: OLD, app: NEW,"
                                    " plan: \"heroku-postgresql:standard-0\"}}\n", seed=two({"addons": [DATABASE]})),
    "heroku.postgres.unfollow": Row("  it: {uses: heroku.postgres.unfollow, with: {database: NEW-follower},"
                                    f" irreversible: {NO_RETURN}}}\n", seed=two({"addons": [DATABASE]}),
                                    prepare=follower, irreversible=True),
    "heroku.postgres.promote": Row("  it: {uses: heroku.postgres.promote, with: {app: OLD, database: OLD-second}}\n",
                                   seed=one(addons=[DATABASE]), prepare=spare_database),
    "heroku.postgres.copy": Row("  it: {uses: heroku.postgres.copy, with: {from_app: OLD, app: NEW,"
                                " plan: \"heroku-postgresql:standard-0\"}}\n", seed=two({"addons": [DATABASE]}),
                                adopts="this run did not make it"),
    "heroku.postgres.schedules": Row("  it: {uses: heroku.postgres.schedules, with: {from_app: OLD,"
                                     " database: NEW-db}}\n",
                                     seed=lambda a, b: two({"addons": [{**DATABASE, "schedules": [NIGHTLY]}]},
                                                           {"addons": [{**DATABASE, "name": b + "-db", "schedules":
                                                                        [{**NIGHTLY, "hour": 9}]}]})(a, b)),
    "heroku.maintenance": Row("  it: {uses: heroku.maintenance, with: {app: OLD, enabled: true}}\n", seed=one()),
    "heroku.formation": Row("  it: {uses: heroku.formation, with: {app: OLD, scale: {all: 0}}}\n",
                            seed=one(slug=CODE, formation={"web": 2, "worker": 1})),
    "heroku.domain": Row("  it: {uses: heroku.domain, with: {domain: move.example.com, from: OLD, to: NEW}}\n",
                         seed=two({"domains": ["move.example.com"]})),
    "heroku.attachment": Row("  it: {uses: heroku.attachment, with: {app: NEW, addon: OLD-redis, as: SHARED, replace: true,"
                             " namespace: \"credential:reports\"}}\n",
                             seed=lends, prepare=name_is_taken),
    "heroku.restart": Row("  it: {uses: heroku.restart, with: {app: OLD}}\n",
                          seed=one(slug=CODE, formation={"web": 2}), trace=False),
    "heroku.run": Row("  it: {uses: heroku.run, with: {app: OLD, command: rake db:migrate, undo: rake db:rollback}}\n",
                      seed=one(slug=CODE)),
    "heroku.addon.destroyed": Row(f"  it: {{uses: heroku.addon.destroyed, with: {{app: OLD, attachment: REDIS}},"
                                  f" irreversible: {NO_RETURN}}}\n", seed=one(addons=[{"plan": "heroku-redis:mini"}]),
                                  irreversible=True),
    "heroku.app.destroyed": Row(f"  it: {{uses: heroku.app.destroyed, with: {{app: OLD}}, irreversible: {NO_RETURN}}}\n",
                                seed=one(), irreversible=True),
    "http.check": Row("  it: {uses: http.check, with: {url: \"%(router)s/OLD/\", status: 200}}\n",
                      seed=one(slug=CODE, formation={"web": 1}), reads=True, broken=slow_shutdown),
    "manual": Row("  it: {uses: manual, with: {text: Call somebody.}}\n", person=True),
    "postgres.compare": Row("  it: {uses: postgres.compare, with: {source: source, target: target}}\n", reads=True,
                            prepare=same_rows, broken=another_row),
    "postgres.extensions": Row("  it: {uses: postgres.extensions, with: {source: source, target: target}}\n",
                               prepare=source_has_extensions),
    "postgres.preflight": Row("  it: {uses: postgres.preflight, with: {source: source, target: target}}\n", reads=True,
                              broken=source_has_large_object),
    "postgres.schema": Row("  it: {uses: postgres.schema, with: {source: source, target: target}}\n",
                           prepare=tables_and_more),
    "postgres.sql": Row("  it: {uses: postgres.sql, with: {connection: source, run: CREATE TABLE made (id int),"
                        " check: SELECT to_regclass('made') IS NOT NULL, undo: DROP TABLE made}}\n"),
    "wait": Row("  it: {uses: wait, with: {for: 200ms}}\n", reads=True),
}


# Three steps of one replication, each of which needs the one before: tests/postgres/journey.py goes there and back.
ELSEWHERE = {"postgres.replicate", "postgres.switch", "postgres.complete"}


class Case:
    """One module in its place."""

    def __init__(self, place, module, row):
        short = module.replace(".", "-")
        self.place, self.module, self.row = place, module, row
        self.apps = [f"{short}-old", f"{short}-new"]
        self.directory = place.directory_of(short)
        if row.seed:
            seed = row.seed(*self.apps)
            place.call("POST", "/_sim/seed", {"apps": seed})
            region.wait_until(lambda: place.databases_are_known([app["name"] for app in seed]), "the databases")
        place.choose_databases(module)
        if module.startswith("git."):
            place.repository(self.directory)
        if row.prepare:
            row.prepare(place, self.apps)
        steps = re.sub(r"\b(OLD|NEW)\b", lambda found: self.apps[found.group(1) == "NEW"], row.steps)
        self.file = place.plan_file(self.directory, steps)
        for name in ("server.crt", "server.key"):
            shutil.copy(os.path.join(place.directory, "secrets", name), self.directory)

    def say(self, text):
        raise AssertionError(f"{self.module}: {text}")

    def run(self, wanted, command, *arguments):
        allowed = self.row.options if command in ("apply", "diff", "rollback") else ()
        return self.place.run(wanted, command, *allowed, *arguments)

    def done(self):
        return self.place.done(self.directory)

    def state(self):
        return self.place.state(self.apps, self.directory)

    def must_be(self, wanted, got, what):
        lines = differences(wanted, got)
        if lines:
            self.say(f"{what}:\n  " + "\n  ".join(lines))

    # ---- The contract ----

    def apply(self):
        if self.row.person:
            output = self.run(4, "apply", "--yes", self.file)
            check("plan approve" in output, f"{self.module}: nobody is asked\n{output}")
            self.run(0, "approve", self.file, "it")
        return self.run(0, "apply", "--yes", self.file)

    def shows_no_difference(self):
        output = self.run(0, "diff", "--detailed-exitcode", self.file)
        check("no difference" in output, f"{self.module}: {output}")

    def repeats_nothing(self, what, wanted=0):
        before = self.done()
        output = self.run(wanted, "apply", "--yes", self.file)
        self.must_be(before, self.done(), what)
        return output

    def looks_and_applies(self):
        before = self.done()
        self.run(2, "diff", "--detailed-exitcode", self.file)
        self.must_be(before, self.done(), "the look changed something")
        self.apply()
        self.shows_no_difference()
        self.repeats_nothing("a second apply did something")

    def goes_back(self, former):
        preview = self.run(0, "rollback", "--to", "it", "--preview", self.file)
        if self.row.irreversible:
            check(re.search(rf"stop at +it: {re.escape(NO_RETURN)}", preview), f"{self.module}: {preview}")
            before = self.done()
            output = self.run(3, "rollback", "--to", "it", "--yes", self.file)
            check("cannot be undone" in output, f"{self.module}: {output}")
            self.must_be(before, self.done(), "the way back did something that the preview does not say")
            return
        check(re.search(r"undo +it\n", preview), f"{self.module}: {preview}")
        self.dies_before_it_is_recorded()
        self.must_be(former, self.state(), "the way back did not restore")
        before = self.done()
        self.run(0, "rollback", "--to", "it", "--yes", self.file)
        self.must_be(before, self.done(), "what was undone already was undone once more")

    def dies_before_it_is_recorded(self):
        """The way back, killed when all is undone and the journal does not say so."""
        process = self.place.begin("rollback", *self.row.options, "--to", "it", "--yes", self.file,
                                   program=self.place.crashing, PLAN_CRASH_BEFORE="undone")
        check(process.wait(150) == -signal.SIGKILL, f"{self.module}: it was not killed: {self.place.log()}")

    def works_without_its_journal(self):
        shutil.rmtree(os.path.join(self.directory, ".plan"))
        if self.row.person or not self.row.trace:
            return  # only the journal knows what a person said
        if self.row.adopts is True:
            self.repeats_nothing("without its journal it did something twice")
            self.shows_no_difference()
            return
        output = self.repeats_nothing("without its journal it did something twice", 3)
        check(self.row.adopts in output, f"{self.module}: {output}")

    def keeps_the_contract(self):
        former = self.state()
        self.looks_and_applies()
        changed = self.state()
        if not self.row.person and self.row.trace:
            check(differences(former, changed), f"{self.module}: apply changed nothing")
        self.goes_back(former)
        if self.row.irreversible:
            self.repeats_nothing("apply after the refused way back did something")
        else:
            self.apply()
            self.shows_no_difference()
        self.must_be(changed, self.state(), "the second time gave something else")
        self.works_without_its_journal()

    def reads_only(self):
        before = self.done()
        self.run(0, "apply", "--yes", self.file)
        self.shows_no_difference()
        self.run(0, "apply", "--yes", self.file)
        preview = self.run(0, "rollback", "--to", "it", "--preview", self.file)
        check("nothing is to be undone" in preview, f"{self.module}: {preview}")
        shutil.rmtree(os.path.join(self.directory, ".plan"))
        self.run(0, "apply", "--yes", self.file)
        self.must_be(before, self.done(), "it did something")
        if not self.row.broken:
            return
        self.row.broken(self.place, self.apps)
        shutil.rmtree(os.path.join(self.directory, ".plan"))
        before = self.done()
        done = subprocess.run([self.place.plan, "apply", "--yes", self.file], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env=self.place.environment())
        check(done.returncode in (1, 3), f"{self.module}: the check holds where it must not\n{done.stdout}{done.stderr}")
        self.must_be(before, self.done(), "a check that failed did something")


def every_module_has_a_row(plan):
    listed = subprocess.run([plan, "steps"], capture_output=True, text=True, check=True).stdout
    modules = {line.split()[0] for line in listed.splitlines() if line and not line[0].isspace()}
    check(len(modules) > 10, f"plan steps: {listed}")
    held = set(TABLE) | ELSEWHERE
    check(modules == held, f"without a row: {sorted(modules - held)}; no module: {sorted(held - modules)}")


def main():
    region.require_tools()
    plan, crashing = (os.path.abspath(path) for path in sys.argv[1:3])
    chosen = sys.argv[3:] or list(TABLE)
    every_module_has_a_row(plan)
    broken = []
    with Place(plan) as place:
        place.crashing = crashing
        for module in chosen:
            began = time.monotonic()
            try:
                case = Case(place, module, TABLE[module])
                case.reads_only() if case.row.reads else case.keeps_the_contract()
                print(f"{module}: {time.monotonic() - began:.1f} s", flush=True)
            except AssertionError as error:
                broken.append(module)
                print(f"FAILED {module}\n{error}", flush=True)
    check(not broken, f"{len(broken)} modules do not keep the contract: {', '.join(broken)}")
    print("ok")


main()
