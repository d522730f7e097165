# SPDX-License-Identifier: MIT
"""Amazon Route 53 (2013-04-01) as far as records go, in front of real name servers. Requests must carry a
Signature Version 4, which is computed here anew from its description in the AWS reference."""
import datetime
import hashlib
import hmac
import re
import secrets
import time
import urllib.parse
import xml.etree.ElementTree as ET

from stage import Door

SPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "SOA", "TXT")


class Refusal(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def signature(request, secret, signed, scope, moment):
    url = urllib.parse.urlsplit(request.path)

    def encode(text):
        return urllib.parse.quote(text, safe="-_.~")
    pairs = sorted((encode(urllib.parse.unquote(name)), encode(urllib.parse.unquote(value)))
                   for name, _, value in (part.partition("=") for part in url.query.split("&") if part))
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in signed)
    canonical = "\n".join([request.method, urllib.parse.quote(url.path, safe="/-_.~"),
                           "&".join(f"{name}={value}" for name, value in pairs), headers, ";".join(signed),
                           sha256(request.body)])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", moment, "/".join(scope), sha256(canonical.encode())])
    key = b"AWS4" + secret.encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


def element(name, content):
    if isinstance(content, list):
        return f"<{name}>" + "".join(content) + f"</{name}>"
    text = str(content).replace("&", "&amp;").replace("<", "&lt;")
    return f"<{name}>{text}</{name}>"


def document(name, content):
    inner = "".join(content)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{SPACE}">{inner}</{name}>'.encode()


class Route53:
    def __init__(self, stage, identifier, secret, zone, servers, session=None):
        self.stage, self.identifier, self.secret, self.session = stage, identifier, secret, session
        self.zone, self.servers = zone, servers
        self.zones = [("Z" + secrets.token_hex(8).upper(), zone, False)]
        self.sets = {}     # (name, type) -> (ttl, [values]) or other elements
        self.changes = {}  # id -> when it is in sync
        self.settle_s = 0.5
        self.page = 100
        self.door = Door(self.answer)

    # ---- HTTP ----

    def answer(self, request):
        try:
            self.check_signature(request)
            url = urllib.parse.urlsplit(request.path)
            query = dict(urllib.parse.parse_qsl(url.query, strict_parsing=bool(url.query)))
            status, body = 200, self.route(request, url.path, query)
        except Refusal as no:
            status = no.status
            body = document("ErrorResponse", [element("Error", [element("Type", "Sender"), element("Code", no.code),
                                                                element("Message", no)]),
                                              element("RequestId", secrets.token_hex(8))])
            if no.code == "InvalidChangeBatch":
                body = document(no.code, [element("Messages", [element("Message", no)]),
                                          element("RequestId", secrets.token_hex(8))])
        return status, {"Content-Type": "text/xml"}, body

    def check_signature(self, request):
        given = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})",
                             request.headers.get("Authorization", ""))
        if not given:
            raise Refusal(403, "MissingAuthenticationToken", "Missing Authentication Token")
        identifier, *scope = given[1].split("/")
        signed = given[2].split(";")
        moment = request.headers["x-amz-date"]
        now = datetime.datetime.now(datetime.timezone.utc)
        sent = datetime.datetime.strptime(moment + "+0000", "%Y%m%dT%H%M%SZ%z")
        if identifier != self.identifier:
            raise Refusal(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        if self.session and request.headers.get("x-amz-security-token") != self.session:
            raise Refusal(403, "ExpiredToken", "The security token included in the request is expired")
        fine = (signed == sorted(signed) and "host" in signed and "x-amz-date" in signed and
                all(name in request.headers for name in signed) and abs((now - sent).total_seconds()) < 300 and
                scope == [moment[:8], "us-east-1", "route53", "aws4_request"])
        if not fine or not hmac.compare_digest(given[3], signature(request, self.secret, signed, scope, moment)):
            raise Refusal(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")

    def route(self, request, path, query):
        if request.method == "GET" and path == "/2013-04-01/hostedzonesbyname":
            return self.list_zones(**query)
        change = re.fullmatch(r"/2013-04-01/change/(\w+)", path)
        if request.method == "GET" and change:
            return self.get_change(change[1])
        zone = re.fullmatch(r"/2013-04-01/hostedzone/(\w+)(/rrset/?)?", path)
        if not zone or zone[1] not in [one[0] for one in self.zones]:
            raise Refusal(404, "NoSuchHostedZone", f"No hosted zone found with ID: {zone and zone[1]}")
        if request.method == "GET" and not zone[2]:
            servers = [element("NameServer", f"127.0.0.1:{port}") for port in self.servers]
            return document("GetHostedZoneResponse", [
                self.describe_zone(self.zones[0]), element("DelegationSet", [element("NameServers", servers)])])
        if request.method == "GET":
            return self.list_sets(**query)
        if request.method == "POST":
            return self.change(request.body)
        raise Refusal(405, "InvalidAction", "no such action")

    # ---- Zones ----

    @staticmethod
    def describe_zone(zone):
        return element("HostedZone", [
            element("Id", f"/hostedzone/{zone[0]}"), element("Name", f"{zone[1]}."), element("CallerReference", "x"),
            element("Config", [element("PrivateZone", "true" if zone[2] else "false")]),
            element("ResourceRecordSetCount", 2)])

    def list_zones(self, dnsname="", maxitems="100"):
        def order(name):
            return name.rstrip(".").split(".")[::-1]
        found = sorted((one for one in self.zones if order(one[1]) >= order(dnsname)), key=lambda one: order(one[1]))
        return document("ListHostedZonesByNameResponse", [
            element("HostedZones", [self.describe_zone(one) for one in found]), element("DNSName", dnsname),
            element("IsTruncated", "false"), element("MaxItems", maxitems)])

    # ---- Records ----

    def list_sets(self, name="", type="", maxitems="100", identifier=None):
        def order(key):
            return key[0].rstrip(".").split(".")[::-1], key[1]
        found = [key for key in sorted(self.sets, key=order) if order(key) >= order((name, type))]
        size = min(int(maxitems), self.page)
        content = [element("ResourceRecordSets", [self.describe_set(key) for key in found[:size]]),
                   element("IsTruncated", "true" if len(found) > size else "false"), element("MaxItems", size)]
        if len(found) > size:
            content += [element("NextRecordName", found[size][0]), element("NextRecordType", found[size][1])]
        return document("ListResourceRecordSetsResponse", content)

    def describe_set(self, key):
        held = self.sets[key]
        content = [element("Name", key[0]), element("Type", key[1])]
        if isinstance(held, dict):
            return element("ResourceRecordSet", content + [held["xml"]])
        values = [element("ResourceRecord", [element("Value", value)]) for value in held[1]]
        return element("ResourceRecordSet", content + [element("TTL", held[0]), element("ResourceRecords", values)])

    def change(self, body):
        root = ET.fromstring(body)
        if root.tag != f"{{{SPACE}}}ChangeResourceRecordSetsRequest":
            raise Refusal(400, "InvalidInput", "Invalid XML")
        space = {"": SPACE}
        after = dict(self.sets)
        for one in root.findall("ChangeBatch/Changes/Change", space):
            held = one.find("ResourceRecordSet", space)
            name, kind = held.findtext("Name", None, space), held.findtext("Type", None, space)
            values = [value.text for value in held.findall("ResourceRecords/ResourceRecord/Value", space)]
            wanted = (int(held.findtext("TTL", None, space)), values)
            what = f"resource record set [name='{name}', type='{kind}']"
            action = one.findtext("Action", None, space)
            if action == "DELETE":
                if (name, kind) not in after:
                    raise Refusal(400, "InvalidChangeBatch", f"Tried to delete {what} but it was not found")
                if (after[name, kind][0], sorted(after[name, kind][1])) != (wanted[0], sorted(values)):
                    raise Refusal(400, "InvalidChangeBatch", f"Tried to delete {what} but the values provided do not "
                                  "match the current values")
                del after[name, kind]
            elif action == "CREATE" and kind in TYPES and values:
                if (name, kind) in after:
                    raise Refusal(400, "InvalidChangeBatch", f"Tried to create {what} but it already exists")
                after[name, kind] = wanted
            else:
                raise Refusal(400, "InvalidInput", f"action {action}")
        for name in {key[0] for key in after}:
            kinds = {key[1] for key in after if key[0] == name}
            if "CNAME" in kinds and len(kinds) > 1 or name == f"{self.zone}." and "CNAME" in kinds:
                raise Refusal(400, "InvalidChangeBatch", f"RRSet of type CNAME with DNS name {name} is not permitted")
        names = {key[0] for key in set(self.sets) | set(after) if self.sets.get(key) != after.get(key)}
        self.sets = after
        self.show(names)
        identifier = "C" + secrets.token_hex(8).upper()
        self.changes[identifier] = time.monotonic() + self.settle_s
        return document("ChangeResourceRecordSetsResponse", [self.describe_change(identifier)])

    def describe_change(self, identifier):
        status = "INSYNC" if time.monotonic() >= self.changes[identifier] else "PENDING"
        return element("ChangeInfo", [element("Id", f"/change/{identifier}"), element("Status", status),
                                      element("SubmittedAt", "2026-01-02T03:04:05.678Z")])

    def get_change(self, identifier):
        if identifier not in self.changes:
            raise Refusal(404, "NoSuchChange", f"Could not find resource with ID: {identifier}")
        return document("GetChangeResponse", [self.describe_change(identifier)])

    # ---- For the scenarios ----

    def put(self, name, *sets):
        """(type, ttl, value...): by somebody else."""
        self.sets = {key: held for key, held in self.sets.items() if key[0] != f"{name}."}
        for kind, ttl, *values in sets:
            self.sets[f"{name}.", kind] = (ttl, values)
        self.show({f"{name}."})

    def find(self, name):
        return sorted((key[1], held[0], *held[1]) for key, held in self.sets.items() if key[0] == f"{name}.")

    def show(self, names):
        """The name servers get it."""
        lines = []
        for name in names:
            shown = name.replace("\\052", "*")
            lines += [f"update delete {shown} {kind}" for kind in ("CNAME", "A", "AAAA")]
            for (owner, kind), held in self.sets.items():
                if owner == name and kind in ("CNAME", "A", "AAAA") and not isinstance(held, dict):
                    lines += [f"update add {shown} {held[0]} {kind} {value}" for value in held[1]]
        for port in self.servers:
            self.stage.nsupdate(port, *lines)
