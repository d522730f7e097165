# SPDX-License-Identifier: MIT
"""dns.powerdns against a real PowerDNS: change, drift, faults, ALIAS at the top. usage: powerdns.py PLAN"""
import json
import sys
import urllib.request

from stage import Door, Stage, free_port, need, pass_on, says, wait_for

RECORDS = ["www.example.com. 3600 IN CNAME old.herokudns.com.", "api.example.com. 7200 IN A 192.0.2.1",
           "api.example.com. 7200 IN A 192.0.2.2", "example.com. 600 IN A 192.0.2.10",
           "example.com. 600 IN MX 10 mail.example.com."]
PLAN = """plan: 1
name: dns
summary: Point names elsewhere.
secrets: {{key: {{env: API_KEY}}}}
connections:
  zone: {{uses: dns.powerdns, zone: {zone}, url: "{url}", resolver: "{resolver}", key: "${{secrets.key}}"{servers}}}
steps:
"""
TTL = """  lower-ttl:
    uses: dns.ttl
    with: {names: [www.example.com, api.example.com], ttl: 1s}
"""
POINT = """  point:
    uses: dns.record
    with: {name: www.example.com, type: CNAME, value: New.HerokuDNS.com., ttl: 1s}
    retry: {attempts: 5, backoff: 100ms to 1s}
"""
TOP = """  top:
    uses: dns.record
    with: {name: example.com, type: CNAME, value: target.example.net, ttl: 60s}
    retry: {attempts: 5, backoff: 100ms to 1s}
"""
LEADS = """  see:
    uses: wait
    needs: [top]
    with: {for: 10ms}
    preconditions:
      - {check: dns.answers, of: example.com, equals: target.example.net, within: 2s}
"""
TARGETS = ["target.example.net. 300 IN A 192.0.2.77", "other.example.net. 300 IN A 192.0.2.88",
           "many.example.net. 300 IN A 192.0.2.78", "many.example.net. 300 IN A 192.0.2.77"]


HELPERS = ("plan", "api", "has", "reset", "alias", "no_alias")


class Scenes:
    def __init__(self, stage):
        self.stage = stage
        self.key = "k3y-that-nobody-may-see"
        stage.secrets.add(self.key)
        stage.environment["API_KEY"] = self.key
        target = stage.knot("target", TARGETS, zone="example.net")
        self.resolver = f"127.0.0.1:{target.port}"
        self.pdns = stage.pdns("pdns", RECORDS, self.key,
                               more=f"expand-alias=yes\nresolver=127.0.0.1:{target.port}")
        self.door = Door(pass_on(self.pdns.web))
        self.file = stage.path("dns.yaml")

    def plan(self, *steps, zone="example.com", url=None, servers=None):
        self.stage.forget()
        self.door.requests.clear()
        servers = servers or [self.pdns.port]
        listed = ", ".join(f'"127.0.0.1:{port}"' for port in servers)
        with open(self.file, "w") as out:
            out.write(PLAN.format(zone=zone, url=url or self.door.url, servers=f", servers: [{listed}]",
                                  resolver=self.resolver))
            out.write("".join(steps))

    def api(self, name, kind, *contents, ttl=60):
        """A change by somebody else."""
        change = {"name": f"{name}.", "type": kind, "changetype": "REPLACE" if contents else "DELETE", "ttl": ttl,
                  "records": [{"content": one, "disabled": False} for one in contents]}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.pdns.web}/api/v1/servers/localhost/zones/example.com.", method="PATCH",
            data=json.dumps({"rrsets": [change]}).encode(), headers={"X-API-Key": self.key})
        urllib.request.urlopen(request).read()

    def has(self, name, kind, *lines):
        got = sorted(self.stage.dig(self.pdns.port, name, kind))
        assert got == sorted(f"{name}. {line}" for line in lines), got

    def reset(self):
        self.api("www.example.com", "CNAME", "old.herokudns.com.", ttl=3600)

    # ---- Scenes ----

    def changes_and_goes_back(self):
        run = self.stage.run
        self.plan(TTL, POINT.replace("retry", "needs: [lower-ttl]\n    retry"))
        says(run(0, "diff", self.file), "www.example.com CNAME ttl", "3600 -> 1", "7200 -> 1")
        assert self.door.count("PATCH") == 0
        run(0, "apply", "--yes", self.file)
        self.has("www.example.com", "CNAME", "1 IN CNAME new.herokudns.com.")
        self.has("api.example.com", "A", "1 IN A 192.0.2.1", "1 IN A 192.0.2.2")
        assert self.door.count("PATCH") == 3
        says(run(0, "apply", "--yes", self.file), "0 changed")
        says(run(0, "journal", "--json", self.file), '"old_ttl_s":7200')
        assert self.door.count("PATCH") == 3
        run(0, "rollback", "--yes", "--to", "lower-ttl", self.file)
        self.has("www.example.com", "CNAME", "3600 IN CNAME old.herokudns.com.")
        self.has("api.example.com", "A", "7200 IN A 192.0.2.1", "7200 IN A 192.0.2.2")

    def is_left_alone_when_already_so(self):
        self.api("www.example.com", "CNAME", "new.herokudns.com.", ttl=1)
        self.plan(POINT)
        says(self.stage.run(0, "apply", "--yes", self.file), "0 changed")
        assert self.door.count("PATCH") == 0
        self.reset()

    def a_change_behind_our_back_stops_it(self):
        self.plan(POINT)
        # The step looks, is told to go on, and reads again just before it acts: the third time counts.
        seen = []

        def interfere(request):
            if request.method == "GET":
                seen.append(request)
                if len(seen) == 2:
                    self.api("www.example.com", "CNAME", "third.example.net.")
                    return (self.door.answer(request),)
            return None
        self.door.faults.append(interfere)
        said = self.stage.run(3, "apply", "--yes", self.file)
        says(said, "CNAME third.example.net (60 s)", "CNAME old.herokudns.com (3600 s)", "somebody changed it")
        self.has("www.example.com", "CNAME", "60 IN CNAME third.example.net.")
        self.reset()

    def a_change_right_after_ours_is_seen(self):
        self.plan(POINT)

        def interfere(request):
            reply = self.door.answer(request)
            self.api("www.example.com", "CNAME", "third.example.net.")
            return (reply,)
        self.door.once("PATCH", interfere)
        said = self.stage.run(3, "apply", "--yes", self.file)
        says(said, "third.example.net", "new.herokudns.com", "somebody changed it")
        self.reset()

    def a_lost_reply_is_looked_up(self):
        self.plan(POINT)
        self.door.lose_reply("PATCH")
        self.stage.run(0, "apply", "--yes", self.file)
        assert self.door.count("PATCH") == 1
        self.has("www.example.com", "CNAME", "1 IN CNAME new.herokudns.com.")
        self.reset()

    def busy_and_broken_servers_are_asked_again(self):
        self.plan(POINT)
        self.door.say("GET", 429, {"Retry-After": "0"})
        self.door.say("GET", 503)
        self.door.say("PATCH", 502)
        self.stage.run(0, "apply", "--yes", self.file)
        assert self.door.count("PATCH") == 2
        self.reset()

    def a_wrong_key_is_named_by_its_connection(self):
        self.plan(POINT)
        self.stage.environment["API_KEY"] = "wr0ng-key-of-somebody"
        self.stage.secrets.add("wr0ng-key-of-somebody")
        says(self.stage.run(3, "apply", "--yes", self.file), "connection zone", "key")
        self.stage.environment["API_KEY"] = self.key

    def a_key_with_a_line_break_is_refused(self):
        self.plan(POINT)
        self.stage.environment["API_KEY"] = "one\r\nX-Other: two"
        says(self.stage.run(64, "apply", "--yes", self.file), "line break")
        assert not self.door.requests
        self.stage.environment["API_KEY"] = self.key

    def a_missing_zone_is_named(self):
        self.plan(POINT.replace("example.com", "example.org"), zone="example.org")
        says(self.stage.run(1, "apply", "--yes", self.file), "no zone example.org")

    def redirects_are_not_followed(self):
        other = Door(lambda request: (200, {}, b'{"rrsets": []}'))
        self.plan(POINT)
        self.door.say("GET", 307, {"Location": f"{other.url}/steal"})
        says(self.stage.run(1, "apply", "--yes", self.file), "not followed", other.url)
        assert not other.requests

    def an_endless_reply_is_cut_off(self):
        self.plan(POINT)
        self.door.say("GET", 200, {}, b" " * (17 << 20))
        says(self.stage.run(1, "apply", "--yes", self.file), "larger than 8 MiB")

    def alias(self, target):
        self.api("example.com", "A")
        self.api("example.com", "ALIAS", f"{target}.")

    def no_alias(self):
        self.api("example.com", "ALIAS")
        self.api("example.com", "A", "192.0.2.10", ttl=600)

    def the_top_becomes_an_alias(self):
        self.plan(TOP, LEADS)
        says(self.stage.run(0, "diff", self.file), "ALIAS")
        self.stage.run(0, "apply", "--yes", self.file)
        got = self.stage.dig(self.pdns.port, "example.com", "A")
        assert len(got) == 1 and got[0].endswith("IN A 192.0.2.77"), got
        self.has("example.com", "MX", "600 IN MX 10 mail.example.com.")
        says(self.stage.run(0, "apply", "--yes", self.file), "0 changed")
        self.stage.run(0, "rollback", "--yes", "--to", "top", self.file)
        self.has("example.com", "A", "600 IN A 192.0.2.10")

    def what_the_top_answers_is_compared_with_addresses(self):
        """The condition says what it compared, whether it holds or not."""
        self.plan(TOP, LEADS)
        self.stage.run(0, "apply", "--yes", self.file)
        says(self.stage.run(0, "journal", "--json", self.file),
             '"value":"target.example.net","is":"192.0.2.77, compared with the addresses of target.example.net: 192.0.2.77"')
        for host, addresses in (("many", "192.0.2.77 192.0.2.78"), ("other", "192.0.2.88")):
            self.plan(TOP, LEADS.replace("target", host))
            said = self.stage.run(0 if host == "many" else 1, "apply", "--yes", self.file)
            told = f"192.0.2.77, compared with the addresses of {host}.example.net: {addresses}"
            says(self.stage.run(0, "journal", "--json", self.file) if host == "many" else said, told)
        self.plan(TOP, LEADS.replace("target", "gone"))
        says(self.stage.run(1, "apply", "--yes", self.file), "gone.example.net, whose addresses example.com should have, has none")
        self.plan(TOP, LEADS.replace("target.example.net", "192.0.2.77"))
        self.stage.run(0, "apply", "--yes", self.file)
        self.no_alias()

    def servers_may_give_other_addresses_of_the_same_host(self):
        """One gives all of them, the other one only; what neither has is named by its server."""
        second = self.stage.knot("second", ["example.com. 60 IN A 192.0.2.78"])
        self.alias("many.example.net")
        self.plan(TOP.replace("target", "many"), LEADS.replace("target", "many"), servers=[self.pdns.port, second.port])
        self.stage.run(0, "apply", "--yes", self.file)
        says(self.stage.run(0, "journal", "--json", self.file), "addresses on each server, compared with")
        self.no_alias()

    def a_server_that_is_behind_holds_an_alias_back(self):
        second = self.stage.knot("behind", ["example.com. 60 IN A 192.0.2.10"])
        self.plan(TOP, servers=[self.pdns.port, second.port])
        self.stage.nsupdate(second.port, "update delete example.com. A", "update add example.com. 600 A 192.0.2.10")
        running = self.stage.begin("apply", "--yes", self.file)
        wanted = (f"it should be ALIAS target.example.net (60 s) by one of 192.0.2.77; server 127.0.0.1:{second.port} "
                  "has A 192.0.2.10 (600 s)")
        wait_for("the second server is waited for",
                 lambda: wanted in self.stage.run(0, "explain", self.file, "top"))
        self.stage.nsupdate(second.port, "update delete example.com. A", "update add example.com. 60 A 192.0.2.77")
        self.stage.finish(running, 0)
        # The same for one that is there already: what servers answer counts, not the record alone.
        self.stage.nsupdate(second.port, "update delete example.com. A", "update add example.com. 60 A 192.0.2.10")
        self.plan(TOP, servers=[self.pdns.port, second.port])
        says(self.stage.run(1, "diff", self.file), "by one of 192.0.2.77", "192.0.2.10")
        self.no_alias()

    def an_alias_to_a_host_that_is_gone_can_be_replaced_and_come_back(self):
        """As a target that Heroku gives up when the domain has moved."""
        self.alias("gone.example.net")
        self.plan(TOP, LEADS)
        self.stage.run(0, "apply", "--yes", self.file)
        self.stage.run(0, "rollback", "--yes", "--to", "top", self.file)
        self.no_alias()

    def where_there_is_no_alias_it_is_refused_offline(self):
        """Though the value is known only when users are shut out, and whichever other zones the plan has."""
        self.door.requests.clear()
        text = (PLAN.format(zone="example.com", url=self.door.url, servers="", resolver=self.resolver)
                .replace("steps:", f"  by-hand: {{uses: dns.manual, zone: top.example.com, servers: [127.0.0.1:{self.pdns.port}]}}"
                         "\n  heroku: {uses: heroku, token: \"${secrets.key}\", url: \"http://127.0.0.1:9\"}\nsteps:")
                + "  move: {uses: heroku.domain, with: {domain: APEX, to: targetapp}}\n"
                + TOP.replace("example.com", "APEX").replace("target.example.net", "\"${steps.move.dns_target}\""))
        for name, code in (("top.example.com", 64), ("www.top.example.com", 0), ("example.com", 0)):
            self.stage.write("dns.yaml", text.replace("APEX", name))
            said = self.stage.run(code, "check", self.file)
            if code:
                says(said, "dns.yaml:13:", "top.example.com is the top of its zone", "dns.manual has no ALIAS")
                for command in (["diff"], ["apply", "--yes"]):
                    says(self.stage.run(64, *command, self.file), "dns.manual has no ALIAS")
        assert not self.door.requests

    def servers_come_from_the_zone(self):
        """The zone's own NS record is ns.example.com, which nothing here resolves: it is named."""
        self.plan(POINT)
        text = open(self.file).read()
        with open(self.file, "w") as out:
            out.write(text.replace(text[text.index(", servers:"):text.index("]") + 1], ""))
        says(self.stage.run(1, "diff", self.file), "ns.example.com")

    def an_unreachable_api_is_tried_again(self):
        self.plan(POINT.replace("attempts: 5", "attempts: 2"), url=f"http://127.0.0.1:{free_port()}")
        says(self.stage.run(1, "apply", "--yes", self.file), "try 2 of 2", "connection zone")


def main():
    need("pdns_server", "pdnsutil", "sqlite3", "knotd", "dig")
    with Stage(sys.argv[1]) as stage:
        scenes = Scenes(stage)
        for name, scene in vars(Scenes).items():
            if not name.startswith("_") and name not in HELPERS:
                print(name, flush=True)
                getattr(scenes, name)()
        stage.forget()
    print("ok")


main()
