# SPDX-License-Identifier: MIT
"""dns.cloudflare against the published shape of its API and real name servers. usage: cloudflare.py PLAN"""
import json
import sys

from cloudflare_api import Cloudflare
from stage import Stage, need, says

PLAN = """plan: 1
name: dns
summary: Point names elsewhere.
secrets: {{token: {{env: CF_TOKEN}}}}
connections:
  edge: {{uses: dns.cloudflare, zone: {zone}, url: "{url}", token: "${{secrets.token}}"{more}}}
steps:
"""
STEP = """  {id}:
    uses: dns.record
    with: {{name: {name}, type: {type}, value: {value}, ttl: 60s}}
    retry: {{attempts: 5, backoff: 100ms to 1s}}
"""
LEADS = """  see:
    uses: wait
    needs: [point]
    with: {for: 10ms}
    preconditions:
      - {check: dns.answers, of: example.com, equals: target.example.net, within: 2s}
"""
TTL = """  lower-ttl:
    uses: dns.ttl
    with: {names: [NAMES], ttl: 60s}
"""
WWW = "www.example.com"


class Scenes:
    def __init__(self, stage):
        self.stage = stage
        self.token = "t0ken-that-nobody-may-see"
        stage.secrets.add(self.token)
        stage.environment["CF_TOKEN"] = self.token
        knots = [stage.knot(name, []) for name in ("one", "two")]
        self.ports = [knot.port for knot in knots]
        target = stage.knot("target", ["target.example.net. 300 IN A 192.0.2.77"], zone="example.net")
        self.resolver = f', resolver: "127.0.0.1:{target.port}"'
        self.cloud = Cloudflare(stage, self.token, "example.com", self.ports)
        self.door = self.cloud.door
        self.file = stage.path("dns.yaml")

    def plan(self, *steps, zone="example.com", more=""):
        self.stage.forget()
        self.door.requests.clear()
        with open(self.file, "w") as out:
            out.write(PLAN.format(zone=zone, url=self.door.url, more=more))
            out.write("".join(steps))

    def point(self, value="new.herokudns.com", kind="CNAME", name=WWW, **more):
        self.cloud.put(WWW, ("CNAME", "old.herokudns.com", 3600), comment="kept")
        self.plan(STEP.format(id="point", name=name, type=kind, value=value), **more)

    def apply(self, code=0):
        return self.stage.run(code, "apply", "--yes", self.file)

    def has(self, name, *records):
        assert self.cloud.find(name) == sorted(records), self.cloud.find(name)

    # ---- Scenes ----

    def changes_and_goes_back(self):
        self.point()
        says(self.stage.run(0, "diff", self.file), "old.herokudns.com", "new.herokudns.com")
        assert self.door.count("POST") == 0
        self.apply()
        self.has(WWW, ("CNAME", "new.herokudns.com", 60))
        assert [one["comment"] for one in self.cloud.records if one["name"] == WWW] == ["kept"]
        for port in self.ports:
            got = self.stage.dig(port, WWW, "CNAME")
            assert got == [f"{WWW}. 60 IN CNAME new.herokudns.com."], got
        says(self.apply(), "0 changed")
        assert self.door.count("POST") == 1
        self.stage.run(0, "rollback", "--yes", "--to", "point", self.file)
        self.has(WWW, ("CNAME", "old.herokudns.com", 3600))

    def a_type_changes_in_one_transaction(self):
        self.point(value="192.0.2.5", kind="A")
        self.apply()
        self.has(WWW, ("A", "192.0.2.5", 60))
        assert self.door.count("POST") == 1
        self.stage.run(0, "rollback", "--yes", "--to", "point", self.file)
        self.has(WWW, ("CNAME", "old.herokudns.com", 3600))

    def many_records_come_in_pages(self):
        many = [("A", f"192.0.2.{i}", 3600) for i in range(1, 131)]
        self.cloud.put("many.example.com", *many)
        self.plan(TTL.replace("NAMES", "many.example.com"))
        self.apply()
        self.has("many.example.com", *[(kind, address, 60) for kind, address, _ in many])
        assert any("page=2" in request.path for request in self.door.requests)
        self.stage.run(0, "rollback", "--yes", "--to", "lower-ttl", self.file)
        self.has("many.example.com", *many)

    def automatic_is_five_minutes(self):
        self.cloud.put("auto.example.com", ("A", "192.0.2.1", 1))
        self.plan(TTL.replace("NAMES", "auto.example.com"))
        says(self.stage.run(0, "diff", self.file), "300 -> 60")
        self.apply()
        self.has("auto.example.com", ("A", "192.0.2.1", 60))

    def mixed_times_to_live_become_one(self):
        self.cloud.put("mixed.example.com", ("A", "192.0.2.1", 60), ("AAAA", "2001:DB8:0::1", 120))
        self.plan(TTL.replace("NAMES", "mixed.example.com"))
        self.apply()
        self.has("mixed.example.com", ("A", "192.0.2.1", 60), ("AAAA", "2001:DB8:0::1", 60))

    def is_left_alone_when_already_so(self):
        self.point()
        self.cloud.put(WWW, ("CNAME", "New.Herokudns.com", 60))
        says(self.apply(), "0 changed")
        assert self.door.count("POST") == 0

    def a_change_behind_our_back_stops_it(self):
        self.point()
        seen = []

        def interfere(request):
            if "dns_records" in request.path:
                seen.append(request)
            if len(seen) == 2:
                self.cloud.put(WWW, ("CNAME", "third.example.net", 120))
                return (self.door.answer(request),)
            return None
        self.door.faults.append(interfere)
        says(self.apply(3), "CNAME third.example.net (120 s)", "CNAME old.herokudns.com (3600 s)",
             "somebody changed it")
        self.has(WWW, ("CNAME", "third.example.net", 120))

    def a_lost_reply_is_looked_up(self):
        self.point()
        self.door.lose_reply("POST")
        self.apply()
        assert self.door.count("POST") == 1
        self.has(WWW, ("CNAME", "new.herokudns.com", 60))

    def a_lost_request_is_sent_again(self):
        self.point()
        self.door.once("POST", lambda _: (None,))
        self.apply()
        assert self.door.count("POST") == 2

    def busy_servers_are_asked_again(self):
        self.point()
        self.door.say("GET", 429, {"Retry-After": "0"})
        self.door.say("GET", 500)
        self.door.say("POST", 429, {"Retry-After": "0"})
        self.apply()
        self.has(WWW, ("CNAME", "new.herokudns.com", 60))

    def a_bad_token_is_named_by_its_connection(self):
        self.point()
        self.stage.environment["CF_TOKEN"] = "wr0ng-token"
        self.stage.secrets.add("wr0ng-token")
        says(self.apply(3), "connection edge", "credentials", "Invalid access token")
        self.stage.environment["CF_TOKEN"] = self.token

    def a_missing_zone_is_named(self):
        self.point(name="www.example.org", zone="example.org")
        says(self.apply(1), "no zone example.org", "connection edge")

    def a_zone_of_another_name_is_refused(self):
        self.point(name="www.example.org", zone="example.org", more=f", zone_id: {self.cloud.zones[0]['id']}")
        says(self.apply(64), "is zone example.com, not example.org")

    def two_zones_of_one_name_need_an_identifier(self):
        self.cloud.zones.append(dict(self.cloud.zones[0], id="0" * 32))
        self.point()
        says(self.apply(64), "2 zones", "zone_id")
        self.point(more=f", zone_id: {self.cloud.zones[0]['id']}")
        self.apply()
        self.cloud.zones.pop()

    def proxied_records_are_refused(self):
        self.point()
        self.cloud.put(WWW, ("CNAME", "old.herokudns.com", 1, True))
        says(self.apply(3), f"{WWW} is proxied by Cloudflare", "DNS only")
        assert self.door.count("POST") == 0

    def a_time_to_live_too_short_is_refused_before(self):
        self.point()
        text = open(self.file).read().replace("ttl: 60s", "ttl: 10s")
        open(self.file, "w").write(text)
        says(self.apply(64), "no time to live below 30 s")

    def the_top_is_flattened(self):
        self.cloud.put("example.com", ("A", "192.0.2.10", 600), ("MX", "mail.example.com", 600))
        self.point(name="example.com", value="target.example.net", more=self.resolver)
        with open(self.file, "a") as out:
            out.write(LEADS)
        self.apply()
        says(self.stage.run(0, "journal", "--json", self.file), "192.0.2.77, compared with the addresses of target")
        self.has("example.com", ("CNAME", "target.example.net", 60), ("MX", "mail.example.com", 600))
        says(self.apply(), "0 changed")
        self.stage.run(0, "rollback", "--yes", "--to", "point", self.file)
        self.has("example.com", ("A", "192.0.2.10", 600), ("MX", "mail.example.com", 600))

    def an_answer_without_sense_is_an_error(self):
        self.point()
        for body in (b"[]", b'{"result": 3}', b"<html>", json.dumps({"result": [{"name": "example.com"}]}).encode()):
            self.door.say("GET", 200, {}, body)
            says(self.apply(1), "connection edge")
            self.stage.forget()


def main():
    need("knotd", "dig", "nsupdate")
    with Stage(sys.argv[1]) as stage:
        scenes = Scenes(stage)
        for name, scene in vars(Scenes).items():
            if not name.startswith("_") and name not in ("plan", "point", "apply", "has"):
                print(name, flush=True)
                getattr(scenes, name)()
        stage.forget()
    print("ok")


main()
