# SPDX-License-Identifier: MIT
"""Judges recorded exchanges by the published contracts."""
import copy
import re

import published

TEXT, TRUTH, ANY = {"type": "string"}, {"type": "boolean"}, {}

# What `Accept-Inclusion` adds to an answer: (resource, what is asked for) -> where, and its schema.
EXPANSIONS = {
    ("add-on-attachment", "addon:plan"): (("addon", "plan"), {
        "type": "object", "required": ["id", "name"], "additionalProperties": False,
        "properties": {"id": {"type": "string", "format": "uuid"}, "name": TEXT}}),
    ("add-on-attachment", "config_vars"): (("config_vars",), {
        "type": "array", "items": {"type": "string", "pattern": r"^\w+$"}}),
}

# What `Accept-Expansion` puts in the place of {id, name}: (resource, key) -> the resource that stands there.
EXPANDED = {("add-on", "plan"): "plan", ("add-on", "addon_service"): "add-on-service"}

# Fields of the Data API that the official CLI reads and the captured examples lack.
TRANSFER = {
    "num": TEXT, "from_name": TEXT, "from_url": TEXT, "to_name": TEXT, "to_url": TEXT,
    "options": {"type": "object"}, "source_bytes": {"type": "integer"}, "processed_bytes": {"type": "integer"},
    "succeeded": {"type": ["boolean", "null"]}, "warnings": {"type": "integer"}, "created_at": TEXT,
    "started_at": ANY, "canceled_at": ANY, "updated_at": TEXT, "finished_at": ANY, "deleted_at": ANY,
    "purged_at": ANY, "num_keep": {"type": "integer"}, "logs": {"type": "array"},
}
DATABASE = {
    "following": TEXT, "postgres_version": TEXT, "hot_standby?": TRUTH, "standalone?": TRUTH,
    "is_in_recovery": TRUTH, "num_tables": {"type": "integer"},
}
# Bodies that the official CLI sends and the captured examples lack.
DATA_BODIES = {
    "POST /client/v11/databases/:name/transfer-schedules": {
        "type": "object", "required": ["hour", "timezone"],
        "properties": {"hour": {"type": "integer"}, "timezone": TEXT, "schedule_name": TEXT}},
    "POST /client/v11/databases/:name/restores": {
        "type": "object", "required": ["backup_url"],
        "properties": {"backup_url": TEXT, "extensions": {"type": "array", "items": TEXT}}},
}
DATA_FIELDS = [
    (r"/(transfers|backups|restores)(/\{xfer_id\})?$", TRANSFER),
    (r"GET /client/v11/databases/:name$", DATABASE),
]

# Which status a success has, by the relation of the link.
STATUSES = {"create": {200, 201}, "empty": {202}, "instances": {200, 206}}

ERROR = {
    "type": "object", "required": ["id", "message"], "additionalProperties": False,
    "properties": {"id": TEXT, "message": TEXT, "url": TEXT, "resource": TEXT, "app": ANY},
}
# A 404 of the Data API was seen live as {"error": "not found"}.
DATA_ERROR = {"anyOf": [ERROR, {"type": "object", "required": ["error"], "additionalProperties": False,
                                "properties": {"error": TEXT}}]}


class Judge:
    def __init__(self, place):
        self.platform = published.Platform(published.load(place, published.PLATFORM))
        data = published.load(place, published.DATA)
        self.data = published.Data(data, DATA_FIELDS, DATA_BODIES) if data else None
        self.error = {"platform": self.platform.validator(ERROR), "data": self.platform.validator(DATA_ERROR)}
        self.requests = {"plan": 0, "hand": 0}
        self.links = {"plan": set(), "hand": set()}
        self.answers = self.errors = 0
        self.problems = []

    def complain(self, exchange, what):
        line = f"{exchange}: {what}"
        if line not in self.problems:
            self.problems.append(line)

    def look_at(self, exchange):
        """Requests that are wrong on purpose say so, and only their answers are judged."""
        if exchange.path.startswith("/_sim/"):
            return
        contract = {"platform": self.platform, "data": self.data}[exchange.door]
        if contract is None:
            return
        links = published.best(contract.links, exchange.method, exchange.path)
        wrong = "x-wrong-on-purpose" in exchange.headers
        if not wrong:
            links = self.judge_request(exchange, links)
        if exchange.status is None:
            return
        self.answers += 1
        self.judge_headers(exchange)
        if exchange.status >= 400:
            self.judge_error(exchange)
        elif links:
            self.judge_answer(exchange, links)
        elif wrong:
            self.complain(exchange, "there is no such link, and it was answered")

    # ---- requests ----

    def judge_request(self, exchange, links):
        """The links that the request fits."""
        who = "hand" if "x-by-hand" in exchange.headers else "plan"
        self.requests[who] += 1
        if not links:
            self.complain(exchange, "there is no such link")
            return []
        self.judge_request_headers(exchange)
        wrong = {link: self.body_complaints(exchange, link) for link in links}
        good = [link for link in links if not wrong[link]]
        self.links[who].update(link.name for link in good)
        if not good:
            for line in min(wrong.values(), key=len):
                self.complain(exchange, f"request: {line}")
        return good or links

    def body_complaints(self, exchange, link):
        if link.request is None:
            return ["the link has no body"] if exchange.body else []
        if not exchange.body:
            return ["the body is missing"]
        return published.complaints(link.request, exchange.request_json)

    def judge_request_headers(self, exchange):
        accept, kind = exchange.headers.get("accept", ""), exchange.headers.get("content-type")
        included = "accept-inclusion" in exchange.headers
        wanted = "application/vnd.heroku+json; version=3" + (".sdk" if included else "")
        if accept != wanted:
            self.complain(exchange, f"Accept is {accept!r}, not {wanted!r}")
        if not re.fullmatch(r"Bearer \S+", exchange.headers.get("authorization", "")):
            self.complain(exchange, "there is no bearer token")
        if exchange.body and kind != "application/json":
            self.complain(exchange, f"the body is {kind}")
        if not re.fullmatch(r"(\w+ \S*\.\.\S*( ?; ?[a-z]+=\w+(, ?[a-z]+=\w+)*)?)?", exchange.headers.get("range", "")):
            self.complain(exchange, f"Range is {exchange.headers['range']!r}")
        if not exchange.body and kind:
            self.complain(exchange, f"there is no body, but Content-Type: {kind}")

    # ---- answers ----

    def judge_headers(self, exchange):
        headers = exchange.answer_headers
        if exchange.status == 304:
            return
        if not headers.get("content-type", "").startswith("application/json"):
            self.complain(exchange, f"the answer is {headers.get('content-type')}")
        if not headers.get("request-id"):
            self.complain(exchange, "the answer has no Request-Id")
        if exchange.door == "platform" and not re.fullmatch(r"\d+", headers.get("ratelimit-remaining", "")):
            self.complain(exchange, "the answer has no RateLimit-Remaining")
        if (exchange.status == 206) != ("next-range" in headers):
            self.complain(exchange, "206 and Next-Range go together")

    def judge_error(self, exchange):
        self.errors += 1
        for line in published.complaints(self.error[exchange.door], exchange.answer_json):
            self.complain(exchange, f"error answer: {line}")

    def judge_answer(self, exchange, links):
        if exchange.status == 304:
            if exchange.answer_body:
                self.complain(exchange, "304 has a body")
            return
        wrong = [self.answer_complaints(exchange, link) for link in links]
        for line in min(wrong, key=len):
            self.complain(exchange, f"answer: {line}")

    def answer_complaints(self, exchange, link):
        if exchange.door == "data":
            if exchange.status not in link.answers:
                return [f"the status is not one of {sorted(link.answers)}"]
            return published.complaints(link.answers[exchange.status], exchange.answer_json)
        wrong = []
        if exchange.status not in STATUSES.get(link.rel, {200}):
            wrong.append(f"the status is not that of {link.rel}")
        document = copy.deepcopy(exchange.answer_json)
        for item in document if isinstance(document, list) else [document]:
            wrong += self.take_expansions(exchange, link, item)
            exempt_web_url(link, item)
        return wrong + published.complaints(link.answers[None], document)

    def take_expansions(self, exchange, link, item):
        """Out of the answer, if they were asked for; what is wrong with them."""
        wrong = []
        asked = re.split(r"\s*,\s*", exchange.headers.get("accept-inclusion", ""))
        for (resource, what), (path, schema) in EXPANSIONS.items():
            if resource != link.resource or what not in asked:
                continue
            holder = item
            for part in path[:-1]:
                holder = holder.get(part, {})
            if path[-1] not in holder:
                wrong.append(f"{what} was asked for and is not there")
                continue
            wrong += published.complaints(self.platform.validator(schema), holder.pop(path[-1]))
        return wrong + self.take_expanded(exchange, link, item)

    def take_expanded(self, exchange, link, item):
        """The same for Accept-Expansion."""
        wrong = []
        asked = re.split(r"\s*,\s*", exchange.headers.get("accept-expansion", ""))
        for (resource, key), whole in EXPANDED.items():
            if resource == link.resource and key in asked:
                found = item.get(key) or {}
                validator = self.platform.validator({"$ref": f"#/definitions/{whole}"})
                wrong += [f"{key}: {line}" for line in published.complaints(validator, found)]
                item[key] = {"id": found.get("id"), "name": found.get("name")}
        return wrong


def exempt_web_url(link, item):
    """The one exemption: an app's web_url leads to the simulator's router, by http on loopback."""
    if link.resource in ("app", "team-app", "filter-apps") and isinstance(item, dict) \
            and re.fullmatch(r"http://127\.0\.0\.1:\d+/[a-z0-9-]+/", item.get("web_url") or ""):
        item["web_url"] = "https://example.herokuapp.com/"
