# SPDX-License-Identifier: MIT
"""Asks the simulator for what a fork of an app leaves behind: webhooks, backup schedules, credentials."""
import json

from sandbox import check


def webhooks(api):
    """The secret is written, and never read."""
    body = {"url": "https://hooks.example.com/two", "include": ["api:build", "api:release"], "level": "notify"}
    made = api.call("POST", "/apps/twoapp/webhooks", {**body, "secret": "canary", "authorization": "Bearer canary"},
                    201)
    check({key: made[key] for key in body} == body and "canary" not in json.dumps(made), f"another webhook: {made}")
    check(api.call("GET", "/apps/twoapp/webhooks") == [made], "other webhooks")
    check(api.call("GET", f"/apps/twoapp/webhooks/{made['id']}") == made, "by its id it is another")
    check(api.call("GET", "/apps/oneapp/webhooks")[0]["level"] == "sync", "the seeded webhook")
    api.refused(422, "invalid_params", "POST", "/apps/twoapp/webhooks", {**body, "include": []})
    api.refused(422, "invalid_params", "POST", "/apps/twoapp/webhooks", {**body, "url": "http://hooks.example.com/"})
    api.call("DELETE", f"/apps/twoapp/webhooks/{made['id']}")
    api.refused(404, "not_found", "DELETE", f"/apps/twoapp/webhooks/{made['id']}")


def schedules_and_credentials(api):
    """One schedule a name; credentials are listed, the default one first."""
    path = "/client/v11/databases/phase-db/transfer-schedules"
    check([(each["name"], each["hour"]) for each in api.call("GET", path)] == [("DATABASE_URL", 2)], "other schedules")
    wanted = {"hour": 3, "timezone": "Europe/Berlin", "schedule_name": "DATABASE_URL"}
    made = api.call("POST", path, wanted, 201)
    check(api.call("GET", path) == [made] and made["hour"] == 3, "it does not take the place of the older one")
    api.refused(422, "unprocessable_entity", "POST", path, {**wanted, "hour": 24})
    api.call("GET", "/client/v11/databases/none-such/transfer-schedules", wanted=404)
    check(api.call("DELETE", f"{path}/{made['uuid']}") == made and api.call("GET", path) == [], "it is still there")
    api.call("DELETE", f"{path}/{made['uuid']}", wanted=404)
    listed = api.call("GET", "/postgres/v0/databases/phase-db/credentials")
    check([each["name"] for each in listed] == ["default", "reports"], f"other credentials: {listed}")
    check(api.call("GET", "/client/v11/databases/phase-db")["credentials"] == 2, "it counts others")
