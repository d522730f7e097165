# SPDX-License-Identifier: MIT
"""What other clients than plan ask of the simulator: the official CLI before all."""
import urllib.parse

from sandbox import check

ACCEPT = "application/vnd.heroku+json; version=3"


def accounts(api):
    owner = api.call("GET", "/account")
    for name in ("~", owner["id"], owner["email"]):
        check(api.call("GET", f"/users/{name}") == owner, f"{name} is somebody else")
        check(api.call("GET", f"/users/{name}/apps") == api.call("GET", "/apps"), f"{name} has other apps")
    api.refused(404, "not_found", "GET", "/users/nobody@example.com")
    api.refused(404, "not_found", "GET", "/users/nobody@example.com/apps")
    check(api.call("GET", "/account/features") == [], "the account has features of its own")
    api.refused(404, "not_found", "GET", "/account/features/preboot")


def features(api):
    """An app has all of them, on or off; others cannot be made."""
    state = {each["name"]: each["enabled"] for each in api.call("GET", "/apps/phaseapp/features")}
    check(len(state) > 2 and not any(state.values()), f"the features of a new app are {state}")
    api.refused(404, "not_found", "PATCH", "/apps/phaseapp/features/none", {"enabled": True})
    check({"general", "beta"} == {each["state"] for each in api.call("GET", "/apps/phaseapp/features")}, "no labs")


def drains(api):
    """By their URL in the path, too."""
    api.call("POST", "/apps/phaseapp/log-drains", {"url": "https://logs.example.com/a b"}, 201)
    path = "/apps/phaseapp/log-drains/" + urllib.parse.quote("https://logs.example.com/a b", safe="")
    check(api.call("GET", path)["url"] == "https://logs.example.com/a b", "the drain is another")
    api.call("DELETE", path)
    check(api.call("GET", "/apps/phaseapp/log-drains") == [], "the drain is still there")


def pipelines(api):
    made = api.call("POST", "/pipelines", {"name": "trunk"}, 201)
    api.refused(422, "invalid_params", "POST", "/pipelines", {"name": "trunk"})
    for name in ("trunk", made["id"]):
        check(api.call("GET", f"/pipelines/{name}") == made, "the pipeline is another")
    api.refused(404, "not_found", "GET", "/pipelines/branch")
    check(api.call("GET", "/pipelines?eq[name]=trunk") == [made], "it is not found by its name")
    check(api.call("GET", "/pipelines?eq[name]=branch") == [], "another is found by that name")
    check(made in api.call("GET", "/pipelines"), "it is not listed")
    app = api.call("GET", "/apps/twoapp")["id"]
    body = {"app": app, "pipeline": made["id"], "stage": "staging"}
    coupling = api.call("POST", "/pipeline-couplings", body, 201)
    api.refused(422, "invalid_params", "POST", "/pipeline-couplings", body)
    api.refused(404, "not_found", "POST", "/pipeline-couplings", {**body, "pipeline": app})
    path = f"/pipelines/{made['id']}/pipeline-couplings"
    check(api.call("GET", path) == [coupling], "another app is in it")
    check([each["name"] for each in api.call("POST", "/filters/apps", {"in": {"id": [app]}})] == ["twoapp"], "filter")
    api.call("DELETE", f"/pipelines/{made['id']}")
    api.refused(404, "not_found", "GET", path)
    api.refused(404, "not_found", "GET", "/apps/twoapp/pipeline-couplings")


def releases(api):
    """What an app saw at a release; their descriptions are those of the service."""
    api.call("PATCH", "/apps/twoapp/config-vars", {"THEN": "1", "LATER": "1"})
    api.call("PATCH", "/apps/twoapp/config-vars", {"THEN": None})
    said = api.call("GET", "/apps/twoapp/releases")[-2:]
    check([each["description"] for each in said] == ["Set THEN, LATER config vars", "Remove THEN config vars"], said)
    seen = [api.call("GET", f"/apps/twoapp/releases/{each['version']}/config-vars") for each in said]
    check("THEN" in seen[0] and "THEN" not in seen[1] and "LATER" in seen[1], "a release saw what came later")


def add_ons(api):
    """Names that the service chooses, and answers that tell all of a plan."""
    made = api.call("POST", "/apps/oneapp/addons", {"plan": "heroku-redis:mini"}, 201)
    check(made["name"].startswith("redis-"), made["name"])
    api.until(lambda it: it["state"] == "provisioned", f"/addons/{made['id']}")
    check(made["plan"].keys() == {"id", "name"}, "a plan is expanded that nobody asked for")
    whole = api.call("GET", f"/apps/oneapp/addons/{made['name']}", Accept_Expansion="addon_service,plan")
    check(whole["plan"]["price"]["unit"] == "month" and whole["addon_service"]["state"], "it is not expanded")
    said = api.call("GET", "/apps/oneapp/releases")[-1]["description"]
    check(said == f"Attach HEROKU_REDIS_BLUE (@ref:{made['name']})", said)
    spare = api.call("POST", "/addon-attachments", {"addon": "one-db", "app": "oneapp"}, 201)
    check(spare["name"].startswith("HEROKU_POSTGRESQL_"), spare["name"])
    api.call("DELETE", f"/addon-attachments/{spare['id']}")
    api.call("DELETE", f"/apps/oneapp/addons/{made['id']}")


def databases(api):
    found = api.call("GET", "/postgres/v0/databases/one-db/credentials")[0]
    url = api.call("GET", "/client/v11/databases/one-db")["resource_url"]
    role, = found["credentials"]
    check(f"{role['user']}:{role['password']}@{found['host']}:{found['port']}" in url, "the credentials are others")
    api.call("GET", "/postgres/v0/databases/none-such/credentials", wanted=404)
    api.call("POST", "/apps/twoapp/addons", {"plan": "heroku-postgresql:standard-0", "name": "another",
                                             "config": {"follow": "one-db"}}, 201)
    api.until(lambda it: it["following"] == url, "/client/v11/databases/another")
    info = {each["name"]: each["values"] for each in api.call("GET", "/client/v11/databases/one-db")["info"]}
    check(info["Followers"] and info["Tables"][0] >= 1, f"no follower, or no tables: {info}")
    check(info["PG Version"][0].replace(".", "").isdigit(), f"PG Version is {info['PG Version']}")
    api.call("DELETE", "/apps/twoapp/addons/another")


def leniencies(api):
    """What the official CLI sends beside the schema, and the service takes."""
    for quantity, wanted in (("1", 1), ("+1", 2)):
        body = {"updates": [{"type": "web", "quantity": quantity, "size": "standard-1X"}]}
        scaled = api.call("PATCH", "/apps/oneapp/formation", body, wrong=True)
        check(scaled[0]["quantity"] == wanted, f"{quantity} gives {scaled[0]['quantity']}")
    small = {"updates": [{"type": "web", "quantity": "1", "size": "standard-1x"}]}
    check(api.call("PATCH", "/apps/oneapp/formation", small, wrong=True)[0]["size"] == "standard-1X", "another size")
    small["updates"][0]["size"] = "huge"
    api.refused(422, "invalid_params", "PATCH", "/apps/oneapp/formation", small, wrong=True)
    api.call("POST", "/apps/twoapp/addons", {"plan": {"name": "scheduler:standard"}, "name": "clock"}, 201, wrong=True)
    made = api.call("POST", "/addon-attachments",
                    {"addon": {"name": "one-redis"}, "app": {"name": "twoapp"}, "name": "LENT"}, 201, wrong=True)
    api.call("DELETE", f"/addon-attachments/{made['id']}")
    api.call("DELETE", "/apps/twoapp/addons/clock", {"force": False}, wrong=True)


PARTS = (accounts, features, drains, pipelines, releases, add_ons, databases, leniencies)
