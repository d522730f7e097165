# SPDX-License-Identifier: MIT
"""The region guide's commands, modernised, by the official Heroku CLI; then the same move by `plan apply`.

Both begin with the same seed and must end in the same state of the simulated Heroku. In the end the CLI reads back
what `plan` did.

usage: guide.py PLAN DIRECTORY (where tests/heroku_cli/install put the CLI)"""
import copy
import os
import re
import sys

for _area in ("region", "heroku"):
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", _area))

import compare
import official
import proxy
import region
import verdict
from region import ROWS, Users, World, check, wait_until

STANDARD = "heroku-postgresql:standard-0"
BUILDPACKS = region.SEED["apps"][0]["buildpacks"]
DRAIN = region.SEED["apps"][0]["drains"][0]
FEATURE = region.SEED["apps"][0]["features"][0]
OWN_CONFIG = region.SEED["apps"][0]["config"]


def says(output, *texts):
    for text in texts:
        check(re.search(text, output, re.MULTILINE), f"{text!r} is not said:\n{output}")


def info(heroku, app):
    """{config var, or several: {name: value}} of `pg:info`."""
    found, current = {}, None
    heroku("pg:info", "-a", app)
    for line in heroku.said.splitlines():
        if line.startswith("=== "):
            current = found.setdefault(line[4:].strip(), {})
        elif ":" in line:
            name, value = line.split(":", 1)
            current[name.strip()] = value.strip()
    return found


# ---- By hand: the guide ----

def fork(heroku, world):
    """What `heroku fork` did; it is no command any more."""
    heroku("apps:create", "targetapp", "--region", "eu", "--stack", "heroku-24", "--no-remote")
    says(heroku("buildpacks", "-a", "sourceapp"), *BUILDPACKS)
    heroku("buildpacks:set", BUILDPACKS[0], "-a", "targetapp")
    heroku("buildpacks:add", BUILDPACKS[1], "-a", "targetapp")
    config = heroku.json("config", "-a", "sourceapp")
    heroku("config:set", *(f"{key}={config[key]}" for key in OWN_CONFIG), "-a", "targetapp")
    heroku("config:set", "TYPO=1", "-a", "targetapp")
    heroku("config:unset", "TYPO", "-a", "targetapp")
    heroku("addons:plans", "heroku-redis")
    says(heroku("addons", "-a", "sourceapp"), r"source-redis.*\$3/month")
    heroku("addons:create", "scheduler:standard", "-a", "targetapp", "--wait")
    heroku("addons:create", "heroku-redis:mini", "-a", "targetapp", "--wait")
    says(heroku("addons:create", STANDARD, "-a", "targetapp", "--wait"), r"postgresql-round-\d+ as DATABASE_URL")
    wait_until(lambda: database_is_known(heroku), "the Data API knows the copy")
    says(heroku("pg:copy", "sourceapp::DATABASE_URL", "DATABASE_URL", "-a", "targetapp", "--confirm", "DATABASE"),
         "Copying")
    # No command releases the slug of another app: pipelines:promote wants the one app upstream of the other.
    slug = next(one["slug"] for one in reversed(world.call("GET", "/apps/sourceapp/releases")) if one["slug"])
    world.call("POST", "/apps/targetapp/releases", {"slug": slug["id"], "description": "Deploy"})


def database_is_known(heroku):
    try:
        return heroku("pg:wait", "-a", "targetapp") is not None and info(heroku, "targetapp")["DATABASE_URL"]
    except AssertionError:
        return False


def settings(heroku):
    for person in region.SEED["apps"][0]["collaborators"]:
        says(heroku("access", "-a", "sourceapp"), person)
        heroku("access:add", person, "-a", "targetapp")
    says(heroku("features", "-a", "sourceapp"), rf"\[\+\] {FEATURE}")
    heroku("features:enable", FEATURE, "-a", "targetapp")
    says(heroku("labs", "-a", "sourceapp"), r"\[ \] log-runtime-metrics")
    heroku("labs:enable", "log-runtime-metrics", "-a", "targetapp")
    heroku("labs:disable", "log-runtime-metrics", "-a", "targetapp")
    says(heroku("drains", "-a", "sourceapp"), re.escape(DRAIN))
    heroku("drains:add", "https://logs.example.com/typo", "-a", "targetapp")
    heroku("drains:remove", "https://logs.example.com/typo", "-a", "targetapp")
    heroku("drains:add", DRAIN, "-a", "targetapp")
    says(heroku("pipelines"), "sourceapp")
    heroku("pipelines:add", "sourceapp", "-a", "targetapp", "-s", "production")
    says(heroku("pipelines:info", "sourceapp"), "owner@example.com", r"sourceapp\s+production", r"targetapp\s+production")
    says(heroku("certs:add", "secrets/server.crt", "secrets/server.key", "-a", "targetapp"), "www.example.com")
    says(heroku("apps:info", "-a", "targetapp"), r"Region: +eu", r"Stack: +heroku-24")


def prepare(heroku, world):
    """The target is tried, then closed; the follower catches up; the TTL goes down."""
    check(region.urllib.request.urlopen(world.call("GET", "/apps/targetapp")["web_url"], timeout=20).status == 200,
          "the fork does not answer")
    heroku("maintenance:on", "-a", "targetapp")
    leader = heroku("config:get", "DATABASE_URL", "-a", "sourceapp").strip()
    says(heroku("addons:create", STANDARD, "-a", "targetapp", "--wait", "--", "--follow", leader), "Created")
    wait_until(lambda: follower_is_there(heroku), "the follower has caught up")
    says(str(info(heroku, "sourceapp")), "'Followers': ")


def follower_is_there(heroku):
    """pg:wait waits for it, but the Data API has to know it first."""
    try:
        heroku("pg:wait", "HEROKU_POSTGRESQL_BLUE", "-a", "targetapp")
        about = info(heroku, "targetapp")["HEROKU_POSTGRESQL_BLUE_URL"]
    except AssertionError:
        return False
    return about["Following"] and about["Behind By"] == "0 commits"


def cut_over(heroku, world):
    says(heroku("ps", "-a", "sourceapp"), r"web\.1: up", r"worker\.1: up")
    says(heroku("maintenance:on", "-a", "sourceapp"), "done")
    says(heroku("maintenance", "-a", "sourceapp"), "^on$")
    says(heroku("ps:scale", "web=0", "worker=0", "-a", "sourceapp"), "web at 0", "worker at 0")
    wait_until(lambda: follower_is_there(heroku), "nothing is left to replay")
    says(heroku("pg:unfollow", "HEROKU_POSTGRESQL_BLUE", "-a", "targetapp", "--confirm", "targetapp"), "done")
    heroku("pg:wait", "HEROKU_POSTGRESQL_BLUE", "-a", "targetapp")
    check("Following" not in info(heroku, "targetapp")["HEROKU_POSTGRESQL_BLUE_URL"], "it still follows")
    says(heroku("pg:promote", "HEROKU_POSTGRESQL_BLUE", "-a", "targetapp"), "alternate alias.*HEROKU_POSTGRESQL_RED_URL",
         "Promoting .* to DATABASE_URL on targetapp... done")
    heroku("ps:scale", "web=1:standard-1x", "worker=1", "-a", "targetapp")
    endpoint = re.search(r"falcon-\d+", heroku("certs", "-a", "targetapp")).group()
    heroku("domains:remove", "www.example.com", "-a", "sourceapp")
    says(heroku("domains:add", "www.example.com", "-a", "targetapp", "--cert", endpoint, "--wait"), "herokudns.com")
    heroku("domains:wait", "www.example.com", "-a", "targetapp")
    world.nsupdate("update delete www.example.com. CNAME",
                   f"update add www.example.com. 3600 CNAME {world.domain('targetapp')['cname']}.")
    says(heroku("maintenance:off", "-a", "targetapp"), "done")


def settle(heroku, world):
    copy = info(heroku, "targetapp")["HEROKU_POSTGRESQL_RED_URL"]["Add-on"]
    heroku("addons:destroy", copy, "-a", "targetapp", "--confirm", "targetapp")
    region.run_quiet("git", "-C", world.directory, "remote", "rename", "heroku", "old")
    heroku("git:remote", "-a", "targetapp")
    says(heroku("ps:restart", "-a", "targetapp"), "done")
    says(heroku("apps:destroy", "sourceapp", "--confirm", "sourceapp"), "done")
    says(heroku("apps"), "targetapp")


# ---- Where both begin ----

def what_the_guide_knows():
    """Without webhooks, review apps, a pool and schedules: the guide leaves them to people."""
    seed = copy.deepcopy(region.SEED)
    app, = seed["apps"]
    app.pop("webhooks")
    app["pipeline"].pop("review_apps")
    for addon in app["addons"]:
        addon.pop("pool", None)
        addon.pop("schedules", None)
    return seed


# ---- The same by plan, read back by the CLI ----

def half_way(heroku):
    """The follower is there, and users are not shut out yet."""
    target, source = info(heroku, "targetapp"), info(heroku, "sourceapp")
    copy, follower = (target[name] for name in sorted(target))
    check(copy["Plan"] == follower["Plan"] == "Standard 0" and follower["Region"] == "eu", target)
    check("Following" not in copy and re.fullmatch(r"\d+ commits", follower["Behind By"]), target)
    check(source["DATABASE_URL"]["Followers"] and "Following" not in source["DATABASE_URL"], source)
    says(heroku("maintenance", "-a", "sourceapp"), "^off$")
    check({one["cname"] for one in heroku.json("domains", "-a", "sourceapp") if one["kind"] == "custom"} and
          not [one for one in heroku.json("domains", "-a", "targetapp") if one["kind"] == "custom"], "the domain moved")


def databases_and_config(heroku, world):
    databases = info(heroku, "targetapp")
    names, = databases
    check(set(names.split(", ")) == {"DATABASE_URL", "HEROKU_POSTGRESQL_BLUE_URL"}, databases)
    about = databases[names]
    check(about["Status"] == "Available" and about["Region"] == "eu" and "Following" not in about, about)
    config = heroku.json("config", "-a", "targetapp")
    check({key: config[key] for key in OWN_CONFIG} == OWN_CONFIG and "REPORTS_URL" not in config, list(config))
    check(heroku("config:get", "DATABASE_URL", "-a", "targetapp").strip() == config["DATABASE_URL"], "DATABASE_URL")
    check(config["DATABASE_URL"] != world.source_database, "DATABASE_URL is the old one")
    says(heroku("pg:psql", "DATABASE_URL", "-a", "targetapp", "-c", "SELECT count(*) AS orders FROM orders"),
         rf"orders *\n-+\n +{ROWS}\b")
    addons = heroku.json("addons", "-a", "targetapp")
    check(sorted(one["plan"]["name"] for one in addons) == [STANDARD, "heroku-redis:mini", "scheduler:standard"], addons)
    check({one["state"] for one in addons} == {"provisioned"}, addons)


def app_and_traffic(heroku, world):
    app = heroku.json("apps:info", "-a", "targetapp")["app"]
    check((app["region"]["name"], app["stack"]["name"], app["maintenance"]) == ("eu", "heroku-24", False), app)
    custom = [one for one in heroku.json("domains", "-a", "targetapp") if one["kind"] == "custom"]
    check([one["hostname"] for one in custom] == ["www.example.com"] and custom[0]["status"] == "succeeded", custom)
    check(world.dig("www.example.com", "CNAME") == [(3600, custom[0]["cname"])], "DNS does not lead there")
    dynos = {one["name"]: one["state"] for one in heroku.json("ps", "-a", "targetapp")}
    check(dynos == {"web.1": "up", "worker.1": "up"}, dynos)
    releases = heroku.json("releases", "-a", "targetapp")
    check(sum(one["current"] for one in releases) == 1 and {one["status"] for one in releases} == {"succeeded"}, releases)
    check(any(one["description"].startswith("Attach DATABASE (@ref:") for one in releases), releases)
    says(heroku("releases:info", "-a", "targetapp"), "owner@example.com")
    says(heroku("certs", "-a", "targetapp"), r"falcon-\d+ +www\.example\.com")
    says(heroku("maintenance", "-a", "targetapp"), "^off$")


def rest(heroku):
    says(heroku("buildpacks", "-a", "targetapp"), *(f"{at}. {url}" for at, url in enumerate(BUILDPACKS, 1)))
    says(heroku("access", "-a", "targetapp"), "ann@example.com +collaborator")
    check([one["url"] for one in heroku.json("drains", "-a", "targetapp")] == [DRAIN], "drains")
    on = [one["name"] for one in heroku.json("features", "-a", "targetapp") if one["enabled"]]
    check(on == [FEATURE], on)
    says(heroku("pipelines:info", "sourceapp"), r"targetapp\s+production")
    check([one["name"] for one in heroku.json("apps")] == ["targetapp"], "there are other apps")
    says(heroku("apps:info", "-a", "sourceapp", wanted=2), "Couldn't find that app", "not_found")


# ---- Both ----

def outcome(world):
    """The state, by what add-ons are and not by their names, and without the way that led there."""
    names = {one["name"]: one["plan"]["name"] for one in world.call("GET", "/addons")}

    def rename(text):
        for name, plan in names.items():
            text = text.replace(name, f"the {plan}")
        return text
    found = compare.state_of(world, rename)
    found["releases"] = [re.sub(r'"(description|id)": "[^"]*",? ?', "", one) for one in found["releases"]
                         if '"current": true' in one]
    found.pop("transfers", None)
    # apps:destroy takes away the remotes that lead to the app; plan leaves the old one to people.
    remotes = [one for one in region.run_quiet("git", "-C", world.directory, "remote", "-v").splitlines()
               if not one.startswith("old\t")]
    return {**found, "DNS": [str(one[1] == world.domain("targetapp")["cname"]) for one in
                             world.dig("www.example.com", "CNAME")], "remotes": sorted(remotes)}


def whole(world):
    """No row is lost."""
    new = world.config("targetapp")["DATABASE_URL"]
    check(world.sql(new, "SELECT count(*) FROM orders") == str(ROWS), "rows of orders")


def by_hand(plan, program):
    with World(plan, seed=what_the_guide_knows()) as world, proxy.Recorder(world.url, ["cli"]) as recorder, \
            official.Cli(program, world, recorder.url("cli")) as heroku:
        fork(heroku, world)
        settings(heroku)
        prepare(heroku, world)
        cut_over(heroku, world)
        with Users(world) as users:
            wait_until(lambda: len(users.acknowledged) > 3, "users can write")
        settle(heroku, world)
        whole(world)
        return outcome(world), recorder.exchanges, heroku.commands


def by_plan(plan, program):
    with World(plan, seed=what_the_guide_knows()) as world, proxy.Recorder(world.url, ["cli"]) as recorder, \
            official.Cli(program, world, recorder.url("cli")) as heroku:
        world.approve_all()
        world.apply(0, "--through", "create-follower")
        half_way(heroku)
        world.apply(0)
        whole(world)
        databases_and_config(heroku, world)
        app_and_traffic(heroku, world)
        rest(heroku)
        return outcome(world), recorder.exchanges, heroku.commands


def main(plan, place):
    program = official.require(place)
    region.require_tools()
    official.cut_off()
    mine, asked, commands = by_hand(plan, program)
    print(f"by hand: {len(commands)} commands: {' '.join(sorted(set(commands)))}", flush=True)
    theirs, asked_later, read = by_plan(plan, program)
    print(f"read back: {len(read)} commands: {' '.join(sorted(set(read)))}", flush=True)
    compare.same("by hand and by plan", mine, theirs)
    problems = verdict.pronounce(asked + asked_later)
    for line in problems:
        print(f"VIOLATION {line}")
    check(not problems, f"{len(problems)} violations of the contract")
    print("ok")


main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]))
