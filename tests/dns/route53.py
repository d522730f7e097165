# SPDX-License-Identifier: MIT
"""dns.route53 against the published shape of its API and real name servers. usage: route53.py PLAN"""
import sys

from route53_api import Route53
from stage import Stage, need, says

PLAN = """plan: 1
name: dns
summary: Point names elsewhere.
secrets: {{key: {{env: AWS_KEY}}, session: {{env: AWS_SESSION}}}}
connections:
  aws: {{uses: dns.route53, zone: {zone}, url: "{url}", access_key_id: AKIDEXAMPLE,
        secret_access_key: "${{secrets.key}}", session_token: "${{secrets.session}}"{more}}}
steps:
"""
STEP = """  {id}:
    uses: dns.record
    with: {{name: "{name}", type: {type}, value: "{value}", ttl: 60s}}
    retry: {{attempts: 5, backoff: 100ms to 1s}}
"""
TTL = """  lower-ttl:
    uses: dns.ttl
    with: {names: [NAMES], ttl: 60s}
"""
WWW = "www.example.com"
OLD = ("CNAME", 3600, "Old.herokudns.com.")
NEW = ("CNAME", 60, "new.herokudns.com.")


class Scenes:
    def __init__(self, stage):
        self.stage = stage
        self.secret, self.session = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "se55ion/token+of=nobody"
        stage.secrets |= {self.secret, self.session}
        stage.environment.update(AWS_KEY=self.secret, AWS_SESSION=self.session)
        knots = [stage.knot(name, []) for name in ("one", "two")]
        self.ports = [knot.port for knot in knots]
        self.cloud = Route53(stage, "AKIDEXAMPLE", self.secret, "example.com", self.ports, self.session)
        self.door = self.cloud.door
        self.file = stage.path("dns.yaml")

    def plan(self, *steps, zone="example.com", more=""):
        self.stage.forget()
        self.door.requests.clear()
        with open(self.file, "w") as out:
            out.write(PLAN.format(zone=zone, url=self.door.url, more=more))
            out.write("".join(steps))

    def point(self, value="new.herokudns.com", kind="CNAME", name=WWW, **more):
        self.cloud.put(WWW, OLD)
        self.plan(STEP.format(id="point", name=name, type=kind, value=value), **more)

    def apply(self, code=0):
        return self.stage.run(code, "apply", "--yes", self.file)

    def has(self, name, *sets):
        assert self.cloud.find(name) == sorted(sets), self.cloud.find(name)

    # ---- Scenes ----

    def changes_and_goes_back(self):
        self.point()
        says(self.stage.run(0, "diff", self.file), "old.herokudns.com", "new.herokudns.com")
        assert self.door.count("POST") == 0
        self.apply()
        self.has(WWW, NEW)
        assert any("/change/" in request.path for request in self.door.requests)
        for port in self.ports:
            got = self.stage.dig(port, WWW, "CNAME")
            assert got == [f"{WWW}. 60 IN CNAME new.herokudns.com."], got
        says(self.apply(), "0 changed")
        assert self.door.count("POST") == 1
        self.stage.run(0, "rollback", "--yes", "--to", "point", self.file)
        self.has(WWW, ("CNAME", 3600, "old.herokudns.com."))

    def waits_until_it_is_in_sync(self):
        self.point()
        self.cloud.settle_s = 3
        running = self.stage.begin("apply", "--yes", self.file)
        self.stage.finish(running, 0)
        asked = [request for request in self.door.requests if "/change/" in request.path]
        assert len(asked) >= 2
        self.cloud.settle_s = 0.1

    def other_types_and_wildcards(self):
        self.cloud.put("\\052.example.com", ("A", 300, "192.0.2.8", "192.0.2.7"))
        self.plan(STEP.format(id="point", name="*.example.com", type="AAAA", value="2001:DB8::1"))
        self.apply()
        self.has("\\052.example.com", ("AAAA", 60, "2001:db8::1"))
        self.stage.run(0, "rollback", "--yes", "--to", "point", self.file)
        self.has("\\052.example.com", ("A", 300, "192.0.2.7", "192.0.2.8"))

    def records_come_in_pages(self):
        self.cloud.put("both.example.com", ("A", 300, "192.0.2.8"), ("AAAA", 300, "2001:db8::8"),
                       ("TXT", 300, '"a & b"'))
        self.cloud.page = 1
        self.plan(TTL.replace("NAMES", "both.example.com"))
        self.apply()
        self.has("both.example.com", ("A", 60, "192.0.2.8"), ("AAAA", 60, "2001:db8::8"), ("TXT", 300, '"a & b"'))
        self.cloud.page = 100

    def is_left_alone_when_already_so(self):
        self.point()
        self.cloud.put(WWW, NEW)
        says(self.apply(), "0 changed")
        assert self.door.count("POST") == 0

    def a_change_behind_our_back_is_refused_by_the_service(self):
        self.point()
        self.door.meanwhile("POST", lambda: self.cloud.put(WWW, ("CNAME", 120, "third.example.net.")))
        says(self.apply(3), "CNAME third.example.net (120 s)", "CNAME old.herokudns.com (3600 s)",
             "somebody changed it")
        self.has(WWW, ("CNAME", 120, "third.example.net."))

    def a_lost_reply_is_looked_up(self):
        self.point()
        self.door.lose_reply("POST")
        self.apply()
        assert self.door.count("POST") == 1
        self.has(WWW, NEW)

    def busy_servers_are_asked_again(self):
        self.point()
        throttled = (b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code>"
                     b"<Message>Rate exceeded</Message></Error></ErrorResponse>")
        self.door.say("GET", 400, {}, throttled)
        self.door.say("GET", 503, {}, b"")
        self.door.say("POST", 400, {}, throttled.replace(b"Throttling", b"PriorRequestNotComplete"))
        self.apply()
        self.has(WWW, NEW)

    def a_wrong_secret_is_named_by_its_connection(self):
        self.point()
        self.stage.environment["AWS_KEY"] = "wr0ng-secret"
        self.stage.secrets.add("wr0ng-secret")
        says(self.apply(3), "connection aws", "SignatureDoesNotMatch")
        self.stage.environment["AWS_KEY"] = self.secret

    def a_missing_zone_is_named(self):
        self.point(name="www.example.org", zone="example.org")
        says(self.apply(1), "no public hosted zone example.org")

    def a_private_zone_of_that_name_does_not_count(self):
        self.cloud.zones.append(("ZPRIVATE", "example.com", True))
        self.point()
        self.apply()
        self.cloud.zones[-1] = ("ZSECOND", "example.com", False)
        self.point()
        says(self.apply(64), "2 public hosted zones", "zone_id")
        self.cloud.zones.pop()

    def aliases_and_policies_are_refused(self):
        for xml, word in (("<AliasTarget><HostedZoneId>Z2</HostedZoneId><DNSName>lb.amazonaws.com.</DNSName>"
                           "<EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>", "alias to lb"),
                          ("<SetIdentifier>blue</SetIdentifier><Weight>1</Weight><TTL>60</TTL>"
                           "<ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord>"
                           "</ResourceRecords>", "routing policy")):
            self.cloud.sets["odd.example.com.", "A"] = {"xml": xml}
            self.plan(STEP.format(id="point", name="odd.example.com", type="A", value="192.0.2.1"))
            says(self.apply(3), word)
            del self.cloud.sets["odd.example.com.", "A"]

    def the_top_cannot_be_a_name(self):
        self.point(name="example.com")
        says(self.apply(64), "top of its zone", "AWS resources only")
        assert not self.door.requests, "it was not refused offline"

    def a_document_type_is_refused(self):
        self.point()
        self.door.say("GET", 200, {}, b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>')
        says(self.apply(1), "document type")
        self.point()
        self.door.say("GET", 200, {}, b"<a>" * 100)
        says(self.apply(1), "nested too deep")
        self.point()
        self.door.say("GET", 200, {}, b"<ListHostedZonesByNameResponse/>")
        says(self.apply(1), "no public hosted zone")


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
