# SPDX-License-Identifier: MIT
"""Everything that plans ask of Heroku, and everything that the simulator answers, by the published contracts.

usage: contract.py PLAN"""
import copy
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

import exercise
import judge
import proxy
import published
from sandbox import Sandbox, check

plan = sys.argv[1]
project = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
scratch = tempfile.TemporaryDirectory()
os.environ["TOKEN"] = "canary-token"

HEAD = """\
plan: 1
name: %(name)s
summary: All that plans can ask of Heroku.
secrets: {token: {env: TOKEN}, key: {file: server.key}}
connections:
  heroku: {uses: heroku, token: "${secrets.token}", url: "%(platform)s", data_url: "%(data)s"}
defaults: {retry: {attempts: 4, backoff: 100ms to 500ms}}
steps:
"""

MOVE = HEAD + """\
  check: {uses: heroku.addons.check, with: {app: sourceapp, region: eu}}
  create: {uses: heroku.app, needs: [check], with: {app: targetapp, like: sourceapp, region: eu}}
  buildpacks: {uses: heroku.buildpacks, with: {app: "${steps.create.app}", like: sourceapp}}
  config: {uses: heroku.config, with: {app: "${steps.create.app}", like: sourceapp}}
  people: {uses: heroku.collaborators, with: {app: "${steps.create.app}", like: sourceapp}}
  features: {uses: heroku.features, with: {app: "${steps.create.app}", like: sourceapp}}
  webhooks: {uses: heroku.webhooks, with: {app: "${steps.create.app}", like: sourceapp}}
  addons: {uses: heroku.addons, with: {app: "${steps.create.app}", like: sourceapp, except: [heroku-postgresql]}}
  copy: {uses: heroku.postgres.copy,
         with: {from_app: sourceapp, app: "${steps.create.app}", plan: "heroku-postgresql:standard-0"}}
  release: {uses: heroku.release, needs: [config, buildpacks, addons, copy],
            with: {app: "${steps.create.app}", like: sourceapp}}
  certificate: {uses: heroku.certificate,
                with: {app: "${steps.create.app}", chain: {file: server.crt}, key: "${secrets.key}"}}
  inventory: {uses: heroku.inventory, needs: [release, people, features, webhooks, certificate],
              with: {app: "${steps.create.app}", like: sourceapp, accept: [attachment, credential],
                     later: {data: follower, schedule: schedules, formation: scale, domain: domain}}}
  follower: {uses: heroku.postgres.follower, needs: [copy],
             with: {leader_app: sourceapp, app: "${steps.create.app}", plan: "heroku-postgresql:standard-0"}}
  close: {uses: heroku.maintenance, needs: [inventory, follower],
          with: {app: sourceapp, enabled: true},
          preconditions: [{check: heroku.postgres.lag, of: "${steps.follower.database}", below: 200 commits}]}
  stop: {uses: heroku.formation, needs: [close], with: {app: sourceapp, scale: {all: 0}, stop_one_off: true}}
  unfollow: {uses: heroku.postgres.unfollow, needs: [stop], with: {database: "${steps.follower.database}"},
             preconditions: [{check: heroku.postgres.lag, of: "${steps.follower.database}", equals: 0 commits}],
             rollback: {nothing: The next apply makes a new follower.}}
  promote: {uses: heroku.postgres.promote, needs: [unfollow],
            with: {app: "${steps.create.app}", database: "${steps.follower.database}", like: sourceapp},
            postconditions: [{check: postgres.writable, of: "${steps.follower.database}", equals: true}]}
  schedules: {uses: heroku.postgres.schedules, needs: [promote],
              with: {from_app: sourceapp, database: "${steps.follower.database}"}}
  scale: {uses: heroku.formation, needs: [promote], with: {app: "${steps.create.app}", like: "${steps.stop.before}"},
          postconditions: [{check: heroku.dynos_up, of: "${steps.create.app}", equals: all, within: 1m}]}
  domain: {uses: heroku.domain, needs: [scale],
           with: {domain: www.example.com, from: sourceapp, to: "${steps.create.app}"}}
"""

# The end is a plan of its own: what it destroys cannot be looked at again by the other steps.
TIDY = HEAD + """\
  drop-redis: {uses: heroku.addon.destroyed, with: {app: targetapp, attachment: REDIS}, irreversible: It is gone.}
  retire: {uses: heroku.app.destroyed, needs: [drop-redis], with: {app: sourceapp}, irreversible: It is gone.}
"""

# Away from Heroku's own database: its attachment gives the name up.
LEAVE = HEAD + """\
  keep-name: {uses: heroku.attachment, with: {app: targetapp, of: DATABASE, as: OLD_DATABASE}}
  close: {uses: heroku.maintenance, needs: [keep-name], with: {app: targetapp, enabled: true}}
  leave: {uses: heroku.config, needs: [close], with: {app: targetapp, replace_attachments: true,
          set: {DATABASE_URL: "postgres://u:p@db.example.com/elsewhere"}}}
  open: {uses: heroku.maintenance, needs: [leave], with: {app: targetapp, enabled: false},
         postconditions: [{check: heroku.dynos_up, of: targetapp, equals: all, within: 1m}]}
"""

# What it leaves, once there is no way back.
FORGET = LEAVE + """\
  forget: {uses: heroku.addon.destroyed, needs: [open], irreversible: It is gone.,
           with: {app: targetapp, attachment: OLD_DATABASE, backup_first: true}}
"""

TEAM = HEAD + """\
  create: {uses: heroku.app, with: {app: teamapp, like: sourceapp, region: eu, team: acme}}
  people: {uses: heroku.collaborators, with: {app: "${steps.create.app}", like: sourceapp}}
"""

MORE = HEAD + """\
  attach: {uses: heroku.attachment, with: {app: targetapp, addon: shared-logs, as: MORE_LOGS}}
  migrate: {uses: heroku.run, needs: [attach], with: {app: targetapp, command: rake db:migrate, size: standard-2x,
            undo: rake db:rollback, env: {TOKEN: "${secrets.token}"}, time_to_live: 10m}}
  restart: {uses: heroku.restart, needs: [migrate], with: {app: targetapp}}
  restart-web: {uses: heroku.restart, needs: [restart], with: {app: targetapp, type: web}}
  restart-one: {uses: heroku.restart, needs: [restart-web], with: {app: targetapp, dyno: web.1}}
"""

FLAKY = HEAD + """\
  create: {uses: heroku.app, with: {app: flakycopy, like: flakyapp, region: eu}}
  release: {uses: heroku.release, with: {app: "${steps.create.app}", like: flakyapp}}
"""

SEED = {"apps": [{
    "name": "sourceapp", "region": "us", "stack": "heroku-24",
    "buildpacks": ["https://github.com/heroku/heroku-buildpack-ruby"],
    "config": {"RACK_ENV": "production", "SECRET_KEY": "canary-value"},
    "collaborators": ["ann@example.com"], "features": ["preboot"], "drains": ["syslog+tls://logs.example.com:6514"],
    "pipeline": {"stage": "production", "review_apps": ["fix-login"]}, "domains": ["www.example.com"], "formation": {"web": 2, "worker": 1},
    "one_off": ["rake task"],
    "webhooks": [{"url": "https://hooks.example.com/canary-value", "include": ["api:release"], "level": "notify"}],
    "addons": [{"plan": "heroku-postgresql:standard-0", "name": "leader", "pool": True,
                "schedules": [{"hour": 2, "timezone": "UTC"}]}, {"plan": "heroku-redis:mini"}],
    "slug": {"commit": "abc", "process_types": {"web": "bin/web", "worker": "bin/worker"}}},
    {"name": "flakyapp", "slug": {"process_types": {"web": "bin/web", "release": "false"}}},
    {"name": "otherapp", "addons": [{"plan": "papertrail:choklad", "name": "shared-logs"}]}]}


def certificate(common_name):
    """A key and a certificate for it, beside the plans."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "30", "-subj", f"/CN={common_name}", "-addext", f"subjectAltName=DNS:{common_name}",
                    "-keyout", os.path.join(scratch.name, "server.key"),
                    "-out", os.path.join(scratch.name, "server.crt")], check=True, capture_output=True)
    os.chmod(os.path.join(scratch.name, "server.key"), 0o600)


class Plan:
    """A plan file, and the program on it."""

    def __init__(self, name, text, recorder):
        self.file = os.path.join(scratch.name, name + ".yaml")
        with open(self.file, "w", encoding="utf-8") as out:
            out.write(text % {"name": name, "platform": recorder.url("platform"), "data": recorder.url("data")})

    def run(self, wanted, *arguments):
        done = subprocess.run([plan, *arguments, self.file], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        output = done.stdout + done.stderr
        check(done.returncode == wanted, f"plan {' '.join(arguments)}: exit {done.returncode}, not {wanted}\n{output}")
        for canary in ("canary-token", "canary-value", "PRIVATE KEY"):
            check(canary not in output, f"plan {arguments[0]}: {canary} is shown\n{output}")
        return output


def carry_out(recorder, api):
    """Every module of Heroku's: looked at, applied, taken back, applied again, tidied up."""
    certificate("www.example.com")
    api.control("POST", "/_sim/seed", SEED)
    api.call("POST", "/addon-attachments", {"addon": "shared-logs", "app": "sourceapp", "name": "LOGS"}, 201)
    move = Plan("move", MOVE, recorder)
    move.run(2, "diff", "--detailed-exitcode")
    move.run(0, "apply", "--yes")
    move.run(0, "diff", "--detailed-exitcode")
    move.run(0, "rollback", "--yes", "--to", "create")
    move.run(0, "apply", "--yes")
    for name, text, first in (("leave", LEAVE, "keep-name"), ("team", TEAM, "create"), ("more", MORE, "attach")):
        reversible = Plan(name, text, recorder)
        reversible.run(0, "apply", "--yes")
        reversible.run(0, "rollback", "--yes", "--to", first)
    said = Plan("flaky", FLAKY, recorder).run(1, "apply", "--yes")
    check("the release phase of v2 of flakycopy failed" in said, f"why the release failed is not said\n{said}")
    Plan("tidy", TIDY, recorder).run(0, "apply", "--yes")
    Plan("forget", FORGET, recorder).run(0, "apply", "--yes")


def routes():
    """(method, path) of the simulator's routing tables; ? stands for a part."""
    found = set()
    for file in glob.glob(os.path.join(project, "steps", "heroku", "simulator", "*.c")):
        with open(file, encoding="utf-8") as source:
            found.update(re.findall(r'\{"([A-Z]+)",\s+"(/[^"]*)",\s+\w+\}', source.read()))
    return found


def modules():
    listed = subprocess.run([plan, "steps"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^\s*(heroku\.[a-z.]+)", listed, re.M))


def unreached(exchanges):
    """Routes that never gave a good answer."""
    good = {(each.method, each.path) for each in exchanges if each.status and each.status < 400}
    return [f"{method} {path}" for method, path in sorted(routes())
            if not any(method == other and re.fullmatch(path.replace("?", "[^/]+"), reached)
                       for other, reached in good)]


def first(exchanges, method, path, status):
    """A copy of the first such exchange."""
    return copy.deepcopy(next(each for each in exchanges
                              if (each.method, each.status) == (method, status) and re.fullmatch(path, each.path)))


def add_to(text, more):
    document = json.loads(text)
    (document[0] if isinstance(document, list) else document).update(more)
    return json.dumps(document).encode()


def without(text, key):
    document = json.loads(text)
    del (document[0] if isinstance(document, list) else document)[key]
    return json.dumps(document).encode()


def the_judge_says_no(court, exchanges):
    """Spoils exchanges that were good, each in one way."""
    app = first(exchanges, "GET", "/apps/sourceapp", 200)
    made = first(exchanges, "POST", "/apps", 201)
    attachments = first(exchanges, "GET", "/apps/sourceapp/addon-attachments", 200)
    missing = first(exchanges, "GET", "/apps/targetapp", 404)
    copied = first(exchanges, "POST", "/client/v11/databases/[^/]+/transfers", 201)
    spoiled = [
        (app, "answer_body", without(app.answer_body, "stack")),
        (app, "answer_body", add_to(app.answer_body, {"_config": {}})),
        (app, "answer_body", add_to(app.answer_body, {"created_at": "yesterday"})),
        (app, "answer_body", add_to(app.answer_body, {"web_url": "http://example.com/"})),
        (app, "path", "/apps/No_Such_Name"),
        (app, "path", "/apps/sourceapp/nothing"),
        (app, "headers", {**app.headers, "accept": "application/json"}),
        (app, "headers", {**app.headers, "authorization": "none"}),
        (app, "body", b"{}"),
        (app, "status", 202),
        (app, "status", 206),
        (app, "answer_headers", {**app.answer_headers, "content-type": "text/html"}),
        (made, "body", add_to(made.body, {"size": 1})),
        (made, "body", None),
        (attachments, "answer_body", without(attachments.answer_body, "config_vars")),
        (attachments, "headers", {name: value for name, value in attachments.headers.items()
                                  if name != "accept-inclusion"}),
        (missing, "answer_body", without(missing.answer_body, "message")),
        (copied, "answer_body", add_to(copied.answer_body, {"num": 1})),
        (copied, "body", without(copied.body, "from_url")),
        (copied, "status", 200),
    ]
    for good, attribute, value in spoiled:
        bad = copy.copy(good)
        setattr(bad, attribute, value)
        court.problems.clear()
        court.look_at(bad)
        check(court.problems or (bad.door == "data" and not court.data), f"the judge lets pass {attribute} {value}")


def main():
    place = published.directory(project)
    court = judge.Judge(place)
    used = set(re.findall(r"uses: (heroku\.[a-z.]+)", MOVE + TIDY + TEAM + MORE))
    check(modules() and modules() <= used, f"no plan here uses {sorted(modules() - used)}")
    with Sandbox(plan) as sandbox, proxy.Recorder(sandbox.url, ["platform", "data"]) as recorder:
        api = exercise.Api(recorder)
        carry_out(recorder, api)
        exercise.all_of_it(api)
    for exchange in recorder.exchanges:
        court.look_at(exchange)
    the_judge_says_no(judge.Judge(place), recorder.exchanges)
    missed = unreached(recorder.exchanges)
    for link in sorted(court.links["plan"] | court.links["hand"]):
        print(f"  {link}{'' if link in court.links['plan'] else ' (by hand)'}")
    if not court.data:
        print(f"no {published.DATA} there: the Data API was not judged")
    print(f"judged: {court.requests['plan']} requests of plans on {len(court.links['plan'])} links, "
          f"{court.requests['hand']} by hand on {len(court.links['hand'])}, {court.answers} answers "
          f"({court.errors} of them errors); {len(routes())} routes of the simulator")
    for line in court.problems + [f"never reached: {route}" for route in missed]:
        print(f"VIOLATION {line}")
    sys.exit(1 if court.problems or missed else 0)


main()
