# SPDX-License-Identifier: MIT
"""The published contracts of Heroku: finds the link of a request, judges requests and answers.

Two dialects. The Platform API publishes an interagent hyper-schema (draft 4, `strictProperties`, href
templates that hold encoded references). For the Data API there is a map of "VERB /path" to schemas that
were inferred from examples: `null` as a type there only means that no example had another value."""
import copy
import json
import os
import re
import sys
import urllib.parse

PLATFORM = "platform-schema.json"
DATA = "data-api-schemas.json"
FETCH = "curl -H 'Accept: application/vnd.heroku+json; version=3' https://api.heroku.com/schema"

try:
    import jsonschema
except ImportError:
    print("SKIP: apt-get install python3-jsonschema")
    sys.exit(77)

formats = jsonschema.FormatChecker(formats=())


@formats.checks("date-time")
def is_time(text):
    return not isinstance(text, str) or bool(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text))


@formats.checks("uuid")
def is_uuid(text):
    return not isinstance(text, str) or bool(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text))


@formats.checks("email")
def is_email(text):
    return not isinstance(text, str) or bool(re.fullmatch(r"[^@\s]+@[^@\s]+", text))


@formats.checks("uri")
def is_reference(text):
    """Host names count as well: the contract has them so."""
    return not isinstance(text, str) or bool(re.fullmatch(r"[^\s<>\"{}|\\^`]+", text))


def directory(project):
    """Where the contracts are, or the end of the test with what to do."""
    place = os.environ.get("PLAN_HEROKU_CONTRACT") or os.path.join(project, "..", "shared", "heroku")
    if os.path.exists(os.path.join(place, PLATFORM)):
        return place
    print(f"SKIP: no {PLATFORM} in {place}; make a directory, name it in PLAN_HEROKU_CONTRACT, and in it run\n"
          f"  {FETCH} -o {PLATFORM}")
    sys.exit(77)


def load(place, name):
    path = os.path.join(place, name)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def tighten(schema):
    """The same schema, but what it does not name is an error, and strictProperties are all required."""
    if not isinstance(schema, dict):
        return schema
    tight = dict(schema)
    for key in ("properties", "patternProperties", "definitions"):
        if isinstance(schema.get(key), dict):
            tight[key] = {name: tighten(inner) for name, inner in schema[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            tight[key] = tighten(schema[key])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            tight[key] = [tighten(inner) for inner in schema[key]]
    if "properties" in tight and "patternProperties" not in tight:
        tight.setdefault("additionalProperties", False)
    if tight.pop("strictProperties", False) and "properties" in tight:
        tight["required"] = sorted(tight["properties"])
    tight.pop("links", None)
    if isinstance(tight.get("id"), str):
        del tight["id"]  # would be the base of every reference in it
    return tight


class Link:
    """One method and path of a contract."""

    def __init__(self, name, method, parts, request, answers):
        self.name = name
        self.method = method
        self.parts = parts  # of the path: a text, or what a segment must be as a validator, or None: anything
        self.request = request  # validator, or None: there is no body
        self.answers = answers  # validators by status, or one for all under None

    def fits(self, method, segments):
        if method != self.method or len(segments) != len(self.parts):
            return False
        return all(part is None or (part == segment if isinstance(part, str) else is_one(part, segment))
                   for part, segment in zip(self.parts, segments))

    def literal(self):
        return sum(isinstance(part, str) for part in self.parts)


def is_one(validator, segment):
    """A segment of a path is text there, and perhaps a number by its meaning."""
    return validator.is_valid(segment) or (segment.isdigit() and validator.is_valid(int(segment)))


def segments_of(path):
    return [urllib.parse.unquote(segment) for segment in path.split("/")[1:]]


def best(links, method, path):
    """The links with most literal segments that fit; several when they differ in the body only."""
    fitting = [link for link in links if link.fits(method, segments_of(path))]
    most = max((link.literal() for link in fitting), default=0)
    return [link for link in fitting if link.literal() == most]


def complaints(validator, document):
    """One line for each thing that is wrong."""
    return [f"{'.'.join(str(part) for part in error.absolute_path) or '(whole)'}: {error.message[:300]}"
            for error in validator.iter_errors(document)]


class Platform:
    def __init__(self, document):
        self.document = {"definitions": {name: tighten(each) for name, each in document["definitions"].items()}}
        self.resolver = jsonschema.RefResolver("", self.document)
        self.links = [self.link(name, link) for name, resource in document["definitions"].items()
                      for link in resource.get("links", [])]

    def validator(self, schema):
        return jsonschema.Draft4Validator(tighten(schema), resolver=self.resolver, format_checker=formats)

    def link(self, resource, link):
        parts = [self.part(part) for part in link["href"].split("/")[1:]]
        target = link.get("targetSchema") or {"$ref": f"#/definitions/{resource}"}
        request = self.validator(link["schema"]) if "schema" in link else None
        found = Link(f"{link['method']} {resource}: {link['title']}", link["method"], parts, request,
                     {None: self.validator(target)})
        found.resource = resource
        found.rel = link.get("rel")
        return found

    def part(self, part):
        found = re.fullmatch(r"\{\((.*)\)\}", part)
        return self.validator({"$ref": urllib.parse.unquote(found.group(1))}) if found else part


def loosen(schema):
    """Inferred from examples: `null` alone says nothing."""
    if not isinstance(schema, dict):
        return {}
    if schema.get("type") == "null":
        return {}
    loose = dict(schema)
    if "properties" in schema:
        loose["properties"] = {name: loosen(inner) for name, inner in schema["properties"].items()}
    if "items" in schema:
        loose["items"] = loosen(schema["items"])
    return loose


def widen(schema, known):
    """Adds fields that other sources know of; known: field -> schema."""
    wide = copy.deepcopy(schema)
    inner = wide["items"] if wide.get("type") == "array" else wide
    for name, each in known.items():
        inner["properties"].setdefault(name, each)
    return wide


class Data:
    def __init__(self, document, known, bodies):
        """Beyond the examples: known, (pattern of routes, fields of answers); bodies, route -> request."""
        self.links = [self.link(route, entry, known, bodies.get(route)) for route, entry in document.items()]

    def link(self, route, entry, known, body):
        method, path = route.split(" ")
        parts = [None if re.fullmatch(r":\w+|\{\w+\}", part) else part for part in path.split("/")[1:]]
        extra = next((fields for end, fields in known if re.search(end, route)), {})
        answers = {int(status): self.validator(widen(loosen(schema), extra) if schema and extra else loosen(schema))
                   for status, schema in entry["responses"].items()}
        asked = body or entry["request"]
        request = self.validator(loosen(asked)) if asked else None
        return Link(route, method, parts, request, answers)

    def validator(self, schema):
        return jsonschema.Draft4Validator(tighten(schema), format_checker=formats)
