# SPDX-License-Identifier: MIT
"""Asks every endpoint of the simulator itself, also wrongly.

usage: exercise.py PLAN"""
import http.client
import json
import os
import sys
import tempfile
import time
import urllib.parse

import carried
import clients
import proxy
from certificates import make_certificates, read
from sandbox import Sandbox, check

ACCEPT = "application/vnd.heroku+json; version=3"
STANDARD = "heroku-postgresql:standard-0"

SEED = {"apps": [
    {"name": "oneapp", "config": {"RACK_ENV": "production"}, "formation": {"web": 1, "worker": 1},
     "one_off": ["rake task"], "domains": ["one.example.com"], "drains": ["https://logs.example.com/in"],
     "collaborators": ["ann@example.com"], "features": ["preboot"],
     "pipeline": {"stage": "staging", "review_apps": ["fix-login"]},
     "webhooks": [{"url": "https://hooks.example.com/one", "include": ["api:release"], "level": "sync"}],
     "buildpacks": ["https://github.com/heroku/heroku-buildpack-ruby"],
     "addons": [{"plan": STANDARD, "name": "one-db"}, {"plan": "heroku-redis:mini", "name": "one-redis"}],
     "slug": {"commit": "abc", "process_types": {"web": "bin/web", "worker": "bin/worker"}}},
    {"name": "twoapp", "config": {"RACK_ENV": "production"}},
    {"name": "phaseapp", "slug": {"process_types": {"web": "bin/web", "release": "false"}},
     "addons": [{"plan": STANDARD, "name": "phase-db", "credentials": ["reports"],
                 "schedules": [{"hour": 2, "timezone": "UTC"}]}]}]}


class Api:
    """A client of the recorder's doors; what begins with /client or /postgres is the Data API."""

    def __init__(self, recorder):
        self.recorder = recorder

    def send(self, method, path, body, headers):
        door = "data" if path.startswith(("/client/", "/postgres/")) else "platform"
        server = urllib.parse.urlsplit(self.recorder.url(door)).netloc
        connection = http.client.HTTPConnection(server, timeout=120)
        headers = {name: value for name, value in headers.items() if value is not None}
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        if data:
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body=data, headers=headers)
            self.answer = connection.getresponse()
            text = self.answer.read()
        finally:
            connection.close()
        if self.answer.getheader("Content-Type") == "text/plain":
            return text.decode()
        return json.loads(text) if text else None

    def ask(self, method, path, body=None, **more):
        headers = {"Accept": ACCEPT, "Authorization": "Bearer any", "X-By-Hand": "yes"}
        if more.pop("wrong", False):
            headers["X-Wrong-On-Purpose"] = "yes"
        headers.update({name.replace("_", "-"): value for name, value in more.items()})
        return self.send(method, path, body, headers)

    def call(self, method, path, body=None, wanted=200, **more):
        """Further headers with _ for -; wrong=True for a request that no contract allows."""
        document = self.ask(method, path, body, **more)
        check(self.answer.status == wanted, f"{method} {path}: {self.answer.status}, not {wanted}: {document}")
        return document

    def refused(self, status, name, method, path, body=None, **more):
        document = self.call(method, path, body, status, **more)
        check(document["id"] == name and document["message"], f"{method} {path}: {document}")

    def control(self, method, path, body=None):
        document = self.send(method, path, body, {})
        check(self.answer.status < 300, f"{method} {path}: {self.answer.status}: {document}")
        return document

    def until(self, truth, path):
        """Asks again until it is so; a 404 counts as not yet."""
        for _ in range(300):
            document = self.ask("GET", path)
            if self.answer.status == 200 and truth(document):
                return document
            time.sleep(0.1)
        raise AssertionError(f"GET {path}: never so: {document}")


# ---- Account, catalogue, protocol ----

def account_and_catalogue(api):
    check(api.call("GET", "/account")["email"] == "owner@example.com", "whose account is it?")
    left = api.call("GET", "/account/rate-limits")["remaining"]
    check(api.call("GET", "/account/rate-limits")["remaining"] == left, "to ask for the rate limit costs a token")
    for noun in ("regions", "stacks", "addon-services"):
        for item in api.call("GET", f"/{noun}"):
            check(api.call("GET", f"/{noun}/{item['name']}") == item, f"{noun}: by name it is another")
            check(api.call("GET", f"/{noun}/{item['id']}") == item, f"{noun}: by id it is another")
        api.refused(404, "not_found", "GET", f"/{noun}/none")
    for plan in api.call("GET", "/addon-services/heroku-postgresql/plans"):
        check(api.call("GET", f"/plans/{plan['name']}") == plan, "a plan by name is another")
        api.call("GET", f"/addon-services/heroku-postgresql/plans/{plan['id']}")
    api.refused(404, "not_found", "GET", "/plans/heroku-postgresql:dev")
    everywhere = api.call("GET", "/addon-region-capabilities")
    in_eu = api.call("GET", "/regions/eu/addon-region-capabilities")
    check(len(in_eu) < len(everywhere), "every service is offered in eu")
    api.call("GET", "/addon-services/komrade/region-capabilities")


def protocol(api):
    api.refused(401, "unauthorized", "GET", "/apps", Authorization=None, wrong=True)
    api.refused(401, "unauthorized", "GET", "/client/v11/databases/one-db", Authorization=None, wrong=True)
    api.refused(406, "not_acceptable", "GET", "/apps", Accept="application/json", wrong=True)
    api.refused(404, "not_found", "GET", "/nothing/here", wrong=True)
    api.refused(400, "bad_request", "POST", "/apps", b'{"name": ', wrong=True)
    api.refused(404, "not_found", "GET", "/apps/noapp")
    apps = api.call("GET", "/apps")
    tag = api.answer.getheader("ETag")
    check(api.call("GET", "/apps", wanted=304, If_None_Match=tag) is None, "304 has a body")
    check(api.call("GET", "/apps", If_None_Match='"other"') == apps, "another tag gives another list")


def pages(api):
    whole = api.call("GET", "/apps")
    check(len(whole) >= 3, "there are too few apps for pages")
    for order in ("", ",order=desc"):
        seen, following = [], f"id ..; max=1{order}"
        while following:
            page = api.ask("GET", "/apps", Range=following)
            following = api.answer.getheader("Next-Range")
            check(len(page) == 1 and api.answer.status == (206 if following else 200), f"a page of {len(page)}")
            seen += page
        check(seen == (whole[::-1] if order else whole), f"pages{order} are not the whole")
    newest = api.call("GET", "/apps/oneapp/releases", wanted=206, Range="version ..; order=desc,max=1")
    check([each["version"] for each in newest] == [max(each["version"] for each in
                                                       api.call("GET", "/apps/oneapp/releases"))], "not the newest")
    api.refused(416, "requested_range_not_satisfiable", "GET", "/apps", Range="id ..; max=1001")
    api.refused(416, "requested_range_not_satisfiable", "GET", "/apps", Range="everything", wrong=True)


def faults(api):
    fault = api.control("POST", "/_sim/faults", {"method": "GET", "path": "/account", "nth": 1, "action": "429"})
    api.refused(429, "rate_limit", "GET", "/account")
    check(int(api.answer.getheader("Retry-After")) > 0, "429 does not say when to come back")
    api.call("GET", "/account")
    check(api.control("GET", "/_sim/faults")[0]["hit"] == 1, "the fault did not count")
    api.control("DELETE", f"/_sim/faults/{fault['id']}")
    for action, name in (("500", "internal_server_error"), ("503", "service_unavailable")):
        api.control("POST", "/_sim/faults", {"path": "/account", "action": action})
        api.refused(int(action), name, "GET", "/account")
        api.control("DELETE", "/_sim/faults")


# ---- Apps ----

def apps_and_teams(api):
    api.call("POST", "/apps", {"name": "newapp", "region": "eu", "stack": "heroku-22"}, 201)
    check(api.call("GET", "/apps/newapp")["region"]["name"] == "eu", "the app is elsewhere")
    for body in ({"name": "newapp"}, {"name": "another", "region": "mars"}, {"name": "another", "stack": "cedar-10"}):
        api.refused(422, "invalid_params", "POST", "/apps", body)
    api.refused(422, "invalid_params", "POST", "/apps", {"name": "Bad_Name"}, wrong=True)
    changed = api.call("PATCH", "/apps/newapp", {"maintenance": True, "build_stack": "heroku-24"})
    check(changed["maintenance"] and changed["build_stack"]["name"] == "heroku-24", "it is as it was")
    api.refused(422, "invalid_params", "PATCH", "/apps/newapp", {"build_stack": "cedar-10"})
    api.call("DELETE", "/apps/newapp")
    api.refused(404, "not_found", "DELETE", "/apps/newapp")
    api.call("POST", "/teams/apps", {"name": "crewapp", "team": "acme", "region": "eu"}, 201)
    check(api.call("GET", "/teams/apps/crewapp")["team"]["name"] == "acme", "the app has no team")
    api.call("POST", "/teams/apps/crewapp/collaborators",
             {"user": "bob@example.com", "silent": True, "permissions": ["view"]}, 201)
    api.call("GET", "/teams/apps/crewapp/collaborators")
    api.call("DELETE", "/teams/apps/crewapp/collaborators/bob@example.com")
    api.refused(404, "not_found", "GET", "/teams/apps/twoapp")


def settings(api):
    url = "https://github.com/heroku/heroku-buildpack-go"
    api.call("PUT", "/apps/twoapp/buildpack-installations", {"updates": [{"buildpack": url}]})
    check(api.call("GET", "/apps/twoapp/buildpack-installations")[0]["buildpack"]["url"] == url, "another buildpack")
    api.call("POST", "/apps/twoapp/collaborators", {"user": "bob@example.com", "silent": True}, 201)
    api.refused(422, "invalid_params", "POST", "/apps/twoapp/collaborators", {"user": "bob@example.com"})
    api.call("GET", "/apps/twoapp/collaborators")
    api.call("DELETE", "/apps/twoapp/collaborators/bob@example.com")
    api.refused(404, "not_found", "DELETE", "/apps/twoapp/collaborators/bob@example.com")
    api.call("PATCH", "/apps/twoapp/features/preboot", {"enabled": True})
    check(api.call("GET", "/apps/twoapp/features/preboot")["enabled"], "the feature is off")
    api.call("GET", "/apps/twoapp/features")
    api.refused(404, "not_found", "GET", "/apps/twoapp/features/none")
    drain = api.call("POST", "/apps/twoapp/log-drains", {"url": "https://logs.example.com/two"}, 201)
    api.call("GET", "/apps/twoapp/log-drains")
    api.call("GET", f"/apps/twoapp/log-drains/{drain['token']}")
    api.call("DELETE", f"/apps/twoapp/log-drains/{drain['id']}")
    api.refused(404, "not_found", "DELETE", f"/apps/twoapp/log-drains/{drain['id']}")
    pipeline = api.call("GET", "/apps/oneapp/pipeline-couplings")["pipeline"]["id"]
    check([each["branch"] for each in api.call("GET", f"/pipelines/{pipeline}/review-apps")] == ["fix-login"],
          "other review apps")
    app = api.call("GET", "/apps/twoapp")["id"]
    coupling = api.call("POST", "/pipeline-couplings", {"app": app, "pipeline": pipeline, "stage": "production"}, 201)
    api.call("DELETE", f"/pipeline-couplings/{coupling['id']}")
    api.refused(404, "not_found", "GET", "/apps/twoapp/pipeline-couplings")


def config_and_releases(api):
    check(api.call("PATCH", "/apps/twoapp/config-vars", {"A": "1", "B": "2"})["B"] == "2", "B is not set")
    check("A" not in api.call("PATCH", "/apps/twoapp/config-vars", {"A": None}), "A is still there")
    api.call("GET", "/apps/twoapp/config-vars")
    api.refused(422, "invalid_params", "PATCH", "/apps/oneapp/config-vars", {"DATABASE_URL": "postgres://other/db"})
    api.refused(422, "invalid_params", "PATCH", "/apps/twoapp/config-vars", {"A-B": "1"}, wrong=True)
    slug = api.call("POST", "/apps/twoapp/slugs", {"process_types": {"web": "bin/web"}, "commit": "def"}, 201)
    api.call("GET", f"/apps/twoapp/slugs/{slug['id']}")
    made = api.call("POST", "/apps/twoapp/releases", {"slug": slug["id"], "description": "Deploy def"}, 201)
    check(made["status"] == "succeeded" and made["current"], "a release without a phase is good at once")
    api.call("GET", f"/apps/twoapp/releases/{made['id']}")
    check(api.call("GET", f"/apps/twoapp/releases/{made['version']}") == made, "by its version it is another")
    other = "00000000-0000-4000-8000-000000000000"
    api.refused(404, "not_found", "GET", f"/apps/twoapp/releases/{other}")
    api.refused(404, "not_found", "GET", f"/apps/twoapp/slugs/{other}")
    api.refused(422, "invalid_params", "POST", "/apps/twoapp/releases", {"slug": other})
    back = api.call("POST", "/apps/twoapp/releases", {"release": made["id"]}, 201)
    check(back["slug"]["id"] == slug["id"], "the rollback has another slug")


def release_phases(api):
    """`false` fails, and the app goes on with what it had; anything else is good after a moment."""
    before = api.call("GET", "/apps/phaseapp/releases")[-1]
    check(before["status"] == "succeeded", "a seeded release needs no phase")
    failing = api.call("POST", "/apps/phaseapp/releases", {"slug": before["slug"]["id"]}, 201)
    check(failing["status"] == "pending" and not failing["current"] and failing["output_stream_url"], str(failing))
    path = f"/apps/phaseapp/releases/{failing['id']}"
    check(api.until(lambda it: it["status"] != "pending", path)["status"] == "failed", "it did not fail")
    check(api.call("GET", f"/apps/phaseapp/releases/{before['id']}")["current"], "the app has lost its release")
    slug = api.call("POST", "/apps/phaseapp/slugs", {"process_types": {"web": "bin/web", "release": "rake"}}, 201)
    good = api.call("POST", "/apps/phaseapp/releases", {"slug": slug["id"]}, 201)
    path = f"/apps/phaseapp/releases/{good['id']}"
    check(api.until(lambda it: it["status"] != "pending", path)["current"], "it is not the current one")
    api.call("PATCH", "/apps/phaseapp/config-vars", {"A": "1"})
    newest = api.call("GET", "/apps/phaseapp/releases")[-1]
    check(newest["status"] == "pending", "a config var is released without the phase")


def formation_and_dynos(api):
    update = {"updates": [{"type": "web", "quantity": 2, "dyno_size": {"name": "standard-2X"}}]}
    check(api.call("PATCH", "/apps/oneapp/formation", update)[0]["quantity"] == 2, "not scaled")
    api.call("GET", "/apps/oneapp/formation")
    api.call("PATCH", "/apps/oneapp/formation/worker", {"quantity": 0})
    check(api.call("GET", "/apps/oneapp/formation/worker")["quantity"] == 0, "a worker is left")
    api.refused(404, "not_found", "GET", "/apps/oneapp/formation/clock")
    api.refused(404, "not_found", "PATCH", "/apps/oneapp/formation", {"updates": [{"type": "clock", "quantity": 1}]})
    api.refused(422, "invalid_params", "PATCH", "/apps/oneapp/formation/web", {"quantity": 101})
    one_off = api.call("POST", "/apps/oneapp/dynos", {"command": "bash"}, 201)
    api.until(lambda it: it["state"] == "up", f"/apps/oneapp/dynos/{one_off['name']}")
    api.call("POST", f"/apps/oneapp/dynos/{one_off['id']}/actions/stop", wanted=202)
    api.refused(404, "not_found", "GET", f"/apps/oneapp/dynos/{one_off['id']}")
    api.call("DELETE", "/apps/oneapp/dynos/web.1", wanted=202)
    before = {each["name"]: each["id"] for each in api.call("GET", "/apps/oneapp/dynos")}
    api.call("DELETE", "/apps/oneapp/formations/web", wanted=202)
    after = {each["name"]: each["id"] for each in api.call("GET", "/apps/oneapp/dynos")}
    changed = {name for name in before if before[name] != after[name]}
    check(changed == {"web.1", "web.2"}, f"restarted: {changed}")
    api.call("DELETE", "/apps/oneapp/dynos", wanted=202)
    dynos = api.call("GET", "/apps/oneapp/dynos")
    check({each["type"] for each in dynos} >= {"web", "run"}, "a dyno is gone")
    releases = {each["id"]: each["version"] for each in api.call("GET", "/apps/oneapp/releases")}
    check(all(releases[each["release"]["id"]] == each["release"]["version"] for each in dynos), "of which release?")


# ---- Add-ons and databases ----

def one_off_dynos(api):
    """They end by themselves, and the log says how."""
    for command, more, status in (("rake task", {}, 0), ("exit 3", {}, 3), ("bash", {"time_to_live": 1}, 143)):
        made = api.call("POST", "/apps/oneapp/dynos", {"command": command, "env": {"A": "1"}, "size": "standard-2X",
                                                       "attach": False, **more}, 201)
        check(made["size"] == "standard-2X" and made["type"] == "run", str(made))
        path = f"/apps/oneapp/dynos/{made['id']}"
        until = time.monotonic() + 30
        while time.monotonic() < until and api.ask("GET", path) and api.answer.status == 200:
            time.sleep(0.1)
        check(api.answer.status == 404, f"{command} does not end")
        about = {"source": "heroku", "dyno_name": made["name"], "lines": 4, "tail": False}
        session = api.call("POST", "/apps/oneapp/log-sessions", about, 201)
        log = api.control("GET", urllib.parse.urlsplit(session["logplex_url"]).path)
        check(f"heroku[{made['name']}]: Starting process with command `{command}`" in log
              and f"heroku[{made['name']}]: Process exited with status {status}\n" in log, log)
    api.refused(422, "invalid_params", "POST", "/apps/oneapp/log-sessions", {"lines": 1501})


def addons(api):
    made = api.call("POST", "/apps/twoapp/addons",
                    {"plan": "heroku-redis:mini", "name": "two-redis", "attachment": {"name": "CACHE"}}, 201)
    api.until(lambda it: it["state"] == "provisioned", "/apps/twoapp/addons/two-redis")
    check(api.call("GET", f"/addons/{made['id']}")["config_vars"] == ["CACHE_URL"], "other config vars")
    check(api.call("GET", "/addons/two-redis/config")[0]["name"] == "URL", "another config")
    api.call("GET", "/addons")
    api.call("GET", "/apps/twoapp/addons")
    api.call("PATCH", "/apps/twoapp/addons/two-redis", {"plan": "heroku-redis:premium-0"})
    api.call("POST", "/actions/addons/resolve", {"addon": "two-redis", "app": "twoapp"})
    api.refused(404, "not_found", "POST", "/actions/addons/resolve", {"addon": "none-such"})
    api.refused(404, "not_found", "GET", "/addons/none-such")
    for body in ({"plan": "heroku-redis:none"}, {"plan": "heroku-redis:mini", "name": "two-redis"},
                 {"plan": STANDARD, "config": {"follow": "none"}},
                 {"plan": "heroku-redis:mini", "attachment": {"name": "CACHE"}}):
        api.refused(422, "invalid_params", "POST", "/apps/twoapp/addons", body)
    check(api.call("DELETE", "/apps/twoapp/addons/two-redis")["state"] == "deprovisioned", "it is still there")
    api.refused(404, "not_found", "GET", "/apps/twoapp/addons/two-redis")


def promotion(api):
    """Another database becomes DATABASE: with confirmation only, and no add-on loses its last name."""
    api.call("POST", "/apps/oneapp/addons", {"plan": STANDARD, "name": "new-db"}, 201)
    api.until(lambda it: it["state"] == "provisioned", "/addons/new-db")
    wanted = {"addon": "new-db", "app": "oneapp", "name": "DATABASE"}
    api.refused(400, "confirmation_required", "POST", "/addon-attachments", wanted)
    api.refused(400, "confirmation_required", "POST", "/addon-attachments", {**wanted, "confirm": "twoapp"})
    api.refused(422, "invalid_params", "POST", "/addon-attachments", {**wanted, "confirm": "oneapp"})
    spare = api.call("POST", "/addon-attachments", {"addon": "one-db", "app": "oneapp", "name": "SPARE"}, 201)
    before = [each["description"] for each in api.call("GET", "/apps/oneapp/releases")]
    api.call("POST", "/addon-attachments", {**wanted, "confirm": "oneapp", "namespace": None}, 201)
    after = [each["description"] for each in api.call("GET", "/apps/oneapp/releases")]
    check(after[len(before):] == ["Detach DATABASE (@ref:one-db)", "Attach DATABASE (@ref:new-db)"], f"the releases are {after[len(before):]}")
    held = api.call("GET", "/apps/oneapp/addon-attachments/DATABASE")
    check(held["addon"]["name"] == "new-db", "DATABASE is another's")
    config = api.call("GET", "/apps/oneapp/config-vars")
    check(config["DATABASE_URL"] != config["SPARE_URL"], "both names lead to one database")
    api.refused(422, "invalid_params", "DELETE", f"/addon-attachments/{spare['id']}")
    api.call("POST", "/addon-attachments", {"addon": "one-db", "app": "oneapp", "name": "DATABASE",
                                            "confirm": "oneapp"}, 201)
    api.call("DELETE", f"/addon-attachments/{spare['id']}")
    api.refused(404, "not_found", "GET", f"/addon-attachments/{spare['id']}")


def attachments(api):
    shared = api.call("POST", "/addon-attachments", {"addon": "one-redis", "app": "twoapp", "name": "SHARED"}, 201)
    check("SHARED_URL" in api.call("GET", "/apps/twoapp/config-vars"), "the shared add-on gives no config var")
    check(api.call("GET", f"/addon-attachments/{shared['id']}") == shared, "by id it is another")
    api.call("GET", "/addon-attachments")
    check(len(api.call("GET", "/addons/one-redis/addon-attachments")) == 2, "it is not attached twice")
    plain = api.call("GET", "/apps/twoapp/addon-attachments")
    check("config_vars" not in plain[0] and "plan" not in plain[0]["addon"], "included without being asked for")
    included = api.call("GET", "/apps/twoapp/addon-attachments", Accept=ACCEPT + ".sdk",
                        Accept_Inclusion="addon:plan,config_vars")
    check(included[0]["config_vars"] == ["SHARED_URL"], "the config vars are others")
    for name in ("SHARED", "SHARED_URL", "oneapp::REDIS"):
        api.call("POST", "/actions/addon-attachments/resolve", {"addon_attachment": name, "app": "twoapp"})
    api.refused(404, "not_found", "POST", "/actions/addon-attachments/resolve", {"addon_attachment": "NONE"})
    api.refused(404, "not_found", "POST", "/addon-attachments", {"addon": "none-such", "app": "twoapp"})
    api.call("DELETE", f"/addon-attachments/{shared['id']}")


def a_name_given_up(api):
    """An app sets a config var that an attachment owned: not before that is gone, and each step restarts the dynos."""
    api.call("POST", "/addon-attachments", {"addon": "phase-db", "app": "twoapp", "name": "LENT"}, 201)
    held = api.call("GET", "/apps/twoapp/addon-attachments/LENT")
    api.call("PATCH", "/apps/twoapp/formation", {"updates": [{"type": "web", "quantity": 1}]})
    dynos = []

    def dyno():
        one = next(each for each in api.call("GET", "/apps/twoapp/dynos") if each["type"] == "web")
        newest = max(each["version"] for each in api.call("GET", "/apps/twoapp/releases"))
        check(one["release"]["version"] == newest and one["id"] not in dynos, f"an old dyno: {one}")
        dynos.append(one["id"])
    dyno()
    api.refused(422, "invalid_params", "PATCH", "/apps/twoapp/config-vars", {"LENT_URL": "postgres://other/db"})
    api.call("DELETE", f"/addon-attachments/{held['id']}")
    dyno()
    check("LENT_URL" not in api.call("GET", "/apps/twoapp/config-vars"), "the config var is still there")
    api.call("PATCH", "/apps/twoapp/config-vars", {"LENT_URL": "postgres://other/db"})
    dyno()
    again = {"addon": "phase-db", "app": "twoapp", "name": "LENT", "confirm": "twoapp"}
    api.refused(422, "invalid_params", "POST", "/addon-attachments", again)
    api.call("PATCH", "/apps/twoapp/config-vars", {"LENT_URL": None})
    made = api.call("POST", "/addon-attachments", again, 201)
    check(made["id"] != held["id"], "it is the old attachment")
    api.call("DELETE", f"/addon-attachments/{made['id']}")


def write_rows(api, app, count):
    for _ in range(count):
        web = urllib.parse.urlsplit(api.call("GET", f"/apps/{app}")["web_url"])
        connection = http.client.HTTPConnection(web.netloc, timeout=30)
        connection.request("POST", f"{web.path}write?key={time.monotonic_ns()}")
        check(connection.getresponse().status == 201, f"{app} does not write")
        connection.close()


def behind(database):
    info = {entry["name"]: entry["values"] for entry in database["info"]}
    return int(info["Behind By"][0].split()[0]) if "Behind By" in info else None


def followers(api):
    """Behind By counts commits of the leader that are not replayed; unfollow ends it for good."""
    api.call("GET", "/client/v11/databases/none-such", wanted=404)
    api.call("POST", "/apps/twoapp/addons", {"plan": STANDARD, "name": "follower", "config": {"follow": "one-db"}}, 201)
    path = "/client/v11/databases/follower"
    api.until(lambda it: it["following"] and behind(it) == 0, path)
    api.until(lambda it: not it["waiting?"], path + "/wait_status")
    api.control("POST", "/_sim/replication", {"addon": "follower", "paused": True})
    write_rows(api, "oneapp", 3)
    check(behind(api.call("GET", path)) >= 3, "it is not behind")
    api.control("POST", "/_sim/replication", {"addon": "follower", "paused": False})
    api.until(lambda it: behind(it) == 0, path)
    api.control("POST", "/_sim/info", {"addon": "follower", "info": {"PG Version": "13.9"}})
    check(api.call("GET", path)["postgres_version"] == "13.9", "it does not say what it was told to say")
    api.call("PUT", path + "/unfollow")
    alone = api.until(lambda it: not it["waiting?"] and not it.get("following"), path)
    check(alone["leader"] is None and behind(alone) is None, "it still has a leader")
    api.refused(422, "unprocessable_entity", "PUT", path + "/unfollow")
    api.call("PUT", "/client/v11/databases/none-such/unfollow", wanted=404)


def transfers(api):
    """Backups, restores and copies end later, and say how far they are."""
    url = api.call("GET", "/apps/oneapp/config-vars")["DATABASE_URL"]
    made = api.call("POST", "/client/v11/databases/one-db/backups", wanted=201)
    path = f"/client/v11/apps/oneapp/transfers/{made['num']}"
    done = api.until(lambda it: it["finished_at"], path)
    check(done["succeeded"] and done["processed_bytes"] > 0 and done["source_bytes"] > 0, f"no backup: {done}")
    check("logs" not in done and api.call("GET", path + "?verbose=true")["logs"], "logs come when asked for")
    backup = api.call("POST", path + "/actions/public-url")["url"]
    api.refused(422, "unprocessable_entity", "POST", path + "/actions/cancel")
    restored = api.call("POST", "/client/v11/databases/follower/restores", {"backup_url": backup}, 201)
    check(api.until(lambda it: it["finished_at"], f"/client/v11/apps/twoapp/transfers/{restored['uuid']}")["succeeded"],
          "not restored")
    api.refused(422, "unprocessable_entity", "POST", "/client/v11/databases/follower/restores",
                {"backup_url": "https://example.com/none"})
    body = {"from_name": "one-db", "from_url": url, "to_name": "follower",
            "to_url": api.call("GET", "/client/v11/databases/follower")["resource_url"]}
    copied = api.call("POST", "/client/v11/databases/follower/transfers", body, 201)
    api.call("POST", f"/client/v11/apps/twoapp/transfers/{copied['uuid']}/actions/cancel", wanted=201)
    ended = api.until(lambda it: it["finished_at"], f"/client/v11/apps/twoapp/transfers/{copied['uuid']}")
    check(not ended["succeeded"] and ended["canceled_at"], "a cancelled copy succeeded")
    again = api.call("POST", "/client/v11/databases/follower/transfers", body, 201)
    check(int(again["num"]) == int(copied["num"]) + 1, "the numbers do not count on")
    check(api.until(lambda it: it["finished_at"], f"/client/v11/apps/twoapp/transfers/{again['uuid']}")["succeeded"],
          "not copied")
    check(len(api.call("GET", "/client/v11/apps/twoapp/transfers")) == 3, "not all transfers are listed")
    api.refused(422, "unprocessable_entity", "POST", "/client/v11/databases/follower/transfers", {**body, "to_url": url})
    api.call("DELETE", f"/client/v11/apps/twoapp/transfers/{copied['num']}")
    api.call("GET", f"/client/v11/apps/twoapp/transfers/{copied['num']}", wanted=404)


# ---- Domains and certificates ----

def certificates(api, directory):
    make_certificates(directory)
    path, key = "/apps/oneapp/sni-endpoints", read(directory, "site.key")
    for chain, private in ((read(directory, "site.crt", "ca.crt"), read(directory, "own.key")),
                           (read(directory, "ca.crt", "site.crt"), read(directory, "ca.key")),
                           ("nonsense", key), (read(directory, "site.crt"), "nonsense")):
        api.refused(422, "invalid_params", "POST", path, {"certificate_chain": chain, "private_key": private})
    site = api.call("POST", path, {"certificate_chain": read(directory, "site.crt", "ca.crt"), "private_key": key}, 201)
    about = site["ssl_cert"]
    check(about["cert_domains"] == ["one.example.com", "*.two.example.com"], f"other names: {about}")
    check(about["ca_signed?"] and not about["self_signed?"] and about["issuer"] == "/CN=Test CA", f"issuer: {about}")
    days = (time.mktime(time.strptime(about["expires_at"][:10], "%Y-%m-%d")) - time.time()) / 86400
    check(18 < days < 21, f"it expires in {days} days")
    api.call("PATCH", "/apps/oneapp/domains/one.example.com", {"sni_endpoint": site["name"]})
    check(api.call("GET", f"{path}/{site['name']}")["domains"] ==
          [api.call("GET", "/apps/oneapp/domains/one.example.com")["id"]], "the endpoint has other domains")
    own = {"certificate_chain": read(directory, "own.crt"), "private_key": read(directory, "own.key")}
    api.refused(422, "invalid_params", "PATCH", f"{path}/{site['name']}", {**own, "private_key": key})
    check(api.call("PATCH", f"{path}/{site['name']}", own)["ssl_cert"]["self_signed?"], "it was not replaced")
    api.call("GET", path)
    api.call("DELETE", f"{path}/{site['name']}")
    api.refused(404, "not_found", "GET", f"{path}/{site['name']}")
    check(api.call("GET", "/apps/oneapp/domains/one.example.com")["sni_endpoint"] is None, "bound to what is gone")


def domains(api):
    first = api.call("POST", "/apps/twoapp/domains", {"hostname": "two.example.com", "sni_endpoint": None}, 201)
    api.refused(422, "invalid_params", "POST", "/apps/oneapp/domains",
                {"hostname": "two.example.com", "sni_endpoint": None})
    api.refused(422, "invalid_params", "POST", "/apps/twoapp/domains",
                {"hostname": "three.example.com", "sni_endpoint": "none-such"})
    check(len(api.call("GET", "/apps/twoapp/domains")) == 2, "there are other domains")
    api.call("DELETE", "/apps/twoapp/domains/two.example.com")
    api.refused(404, "not_found", "GET", "/apps/twoapp/domains/two.example.com")
    again = api.call("POST", "/apps/twoapp/domains", {"hostname": "two.example.com", "sni_endpoint": None}, 201)
    check(first["cname"] != again["cname"], "the DNS target is the same as before")
    for method, on in (("POST", True), ("PATCH", True), ("DELETE", False)):
        check(api.call(method, "/apps/twoapp/acm")["acm"] == on, f"{method} acm")


def all_of_it(api):
    api.control("POST", "/_sim/seed", SEED)
    parts = [account_and_catalogue, protocol, pages, faults, apps_and_teams, settings, config_and_releases,
             release_phases, formation_and_dynos, one_off_dynos, addons, promotion, attachments, a_name_given_up, followers, transfers,
             carried.webhooks, carried.schedules_and_credentials, domains, *clients.PARTS]
    for part in parts:
        part(api)
    with tempfile.TemporaryDirectory() as directory:
        certificates(api, directory)
    check("create app newapp" in [each["what"] for each in api.control("GET", "/_sim/ledger")], "not in the ledger")
    check("apps" in api.control("GET", "/_sim/world"), "the world has no apps")


if __name__ == "__main__":
    with Sandbox(sys.argv[1]) as running, proxy.Recorder(running.url, ["platform", "data"]) as doors:
        all_of_it(Api(doors))
    print("ok")
