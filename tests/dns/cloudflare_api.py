# SPDX-License-Identifier: MIT
"""Cloudflare's API v4 as far as DNS records go, in front of real name servers. What it takes and gives is what
the reference at developers.cloudflare.com/api says; anything else is refused."""
import json
import secrets
import urllib.parse

from stage import Door

AUTOMATIC = 300
NEW = {"type", "name", "content", "ttl", "proxied", "comment", "tags"}
PATCH = {"id", "content", "ttl", "proxied", "comment", "tags", "name", "type"}
FLATTENED = "192.0.2.77"
EDGE = "104.16.0.1"


class Refusal(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


class Cloudflare:
    def __init__(self, stage, token, zone, servers):
        self.stage, self.token, self.zone, self.servers = stage, token, zone, servers
        self.zones = [{"id": secrets.token_hex(16), "name": zone, "status": "active", "type": "full",
                       "name_servers": [f"127.0.0.1:{port}" for port in servers]}]
        self.records = []
        self.door = Door(self.answer)

    # ---- HTTP ----

    def answer(self, request):
        url = urllib.parse.urlsplit(request.path)
        query = dict(urllib.parse.parse_qsl(url.query, strict_parsing=bool(url.query)))
        try:
            if request.headers.get("Authorization") != f"Bearer {self.token}":
                raise Refusal(403, 9109, "Invalid access token")
            parts = url.path.strip("/").split("/")
            result, info = self.route(request, parts, query)
            body = {"success": True, "errors": [], "messages": [], "result": result}
            if info:
                body["result_info"] = info
            status = 200
        except Refusal as no:
            status = no.status
            body = {"success": False, "errors": [{"code": no.code, "message": str(no)}], "messages": [],
                    "result": None}
        return status, {"Content-Type": "application/json"}, json.dumps(body).encode()

    def route(self, request, parts, query):
        if request.method == "GET" and parts == ["zones"]:
            return self.page([one for one in self.zones if one["name"] == query.pop("name", one["name"])], query)
        zone = next((one for one in self.zones if len(parts) > 1 and one["id"] == parts[1]), None)
        if parts[:1] != ["zones"] or not zone:
            raise Refusal(404, 7003, "Could not route to the path, perhaps your object identifier is invalid?")
        if request.method == "GET" and len(parts) == 2:
            return zone, None
        if request.method == "GET" and parts[2:] == ["dns_records"]:
            name = query.pop("name", None)
            return self.page([one for one in self.records if name in (None, one["name"])], query)
        if request.method == "POST" and parts[2:] == ["dns_records", "batch"]:
            if request.headers.get("Content-Type") != "application/json":
                raise Refusal(415, 6003, "Invalid request headers")
            return self.batch(json.loads(request.body)), None
        raise Refusal(405, 10405, "Method not allowed for this authentication scheme")

    @staticmethod
    def page(found, query):
        page, size = int(query.pop("page", 1)), int(query.pop("per_page", 20))
        if query or size < 5:
            raise Refusal(400, 9003, f"Invalid parameters: {query}")
        part = found[(page - 1) * size:page * size]
        return part, {"page": page, "per_page": size, "count": len(part), "total_count": len(found),
                      "total_pages": -(-len(found) // size)}

    # ---- Records ----

    def check(self, record, others):
        if record["ttl"] != 1 and not 60 <= record["ttl"] <= 86400:
            raise Refusal(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
        for other in others:
            if other["name"] != record["name"]:
                continue
            if "CNAME" in (other["type"], record["type"]) and other["type"] in ("A", "AAAA", "CNAME"):
                raise Refusal(400, 81054, "A CNAME record with that host already exists.")
            if (other["type"], other["content"]) == (record["type"], record["content"]):
                raise Refusal(400, 81058, "An identical record already exists.")

    def batch(self, body):
        if set(body) - {"deletes", "patches", "puts", "posts"}:
            raise Refusal(400, 9207, "Request body is invalid.")
        after, done = [dict(one) for one in self.records], {}

        def take(identifier):
            found = next((one for one in after if one["id"] == identifier), None)
            if not found:
                raise Refusal(404, 81044, "Record does not exist.")
            after.remove(found)
            return found
        done["deletes"] = [take(one["id"]) for one in body.get("deletes", [])]
        done["patches"] = []
        for one in body.get("patches", []):
            old = take(one["id"])
            if set(one) - PATCH or one.get("type", old["type"]) != old["type"]:
                raise Refusal(400, 9002, "Editing types after a record has been created is not allowed.")
            new = {**old, **one}
            self.check(new, after)
            after.append(new)
            done["patches"].append(new)
        done["posts"] = []
        for one in body.get("posts", []):
            if set(one) - NEW or not {"type", "name", "content", "ttl"} <= set(one):
                raise Refusal(400, 9005, "DNS record is invalid.")
            new = {"id": secrets.token_hex(16), "proxied": False, "comment": None, "tags": [], **one}
            self.check(new, after)
            after.append(new)
            done["posts"].append(new)
        names = {one["name"] for one in self.records + after if one not in self.records or one not in after}
        self.records = after
        self.show(names)
        return done

    # ---- For the scenarios ----

    def put(self, name, *records, comment=None):
        """(type, content, ttl[, proxied]): by somebody else."""
        self.records = [one for one in self.records if one["name"] != name]
        for kind, content, ttl, *proxied in records:
            self.records.append({"id": secrets.token_hex(16), "name": name, "type": kind, "content": content,
                                 "ttl": ttl, "proxied": bool(proxied and proxied[0]), "comment": comment, "tags": []})
        self.show({name})

    def find(self, name):
        return sorted((one["type"], one["content"], one["ttl"]) for one in self.records if one["name"] == name)

    def show(self, names):
        """The name servers get it."""
        lines = []
        for name in names:
            lines += [f"update delete {name}. {kind}" for kind in ("CNAME", "A", "AAAA")]
            for one in self.records:
                if one["name"] != name or one["type"] not in ("CNAME", "A", "AAAA"):
                    continue
                ttl = AUTOMATIC if one["ttl"] == 1 else one["ttl"]
                kind, content = one["type"], one["content"]
                if one["proxied"]:
                    ttl, kind, content = AUTOMATIC, "A", EDGE
                elif kind == "CNAME" and name == self.zone:
                    kind, content = "A", FLATTENED
                lines.append(f"update add {name}. {ttl} {kind} {content}{'.' if kind == 'CNAME' else ''}")
        for port in self.servers:
            self.stage.nsupdate(port, *lines)
