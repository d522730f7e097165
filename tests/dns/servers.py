# SPDX-License-Identifier: MIT
"""Several authoritative servers, one of them stale, lame or away: it is named and waited for, and nothing counts
from what the first one answers. Caches (unbound) forget as long as the plan says. usage: servers.py PLAN"""
import socket
import sys
import threading
import time

from stage import Stage, free_port, need, says, wait_for

WWW = "www.example.com"
OLD_TTL = 4
PLAN = """plan: 1
name: dns
summary: Point a name elsewhere.
secrets: {{key: {{env: TSIG}}}}
connections:
  zone: {{uses: dns.rfc2136, zone: example.com, server: "127.0.0.1:{server}", key: "${{secrets.key}}",
         servers: [{servers}]}}
steps:
  lower-ttl:
    uses: dns.ttl
    with: {{names: [www.example.com], ttl: 1s}}
"""
POINT = """  point:
    uses: dns.record
    needs: [lower-ttl]
    with: {name: www.example.com, type: A, value: 192.0.2.2, ttl: 1s}
    preconditions:
      - {check: dns.old_ttl_elapsed, of: lower-ttl, within: 5m}
    postconditions:
      - {check: dns.answers, of: www.example.com, equals: 192.0.2.2, within: 1m}
"""
UNBOUND = """server:
    interface: 127.0.0.1
    port: {port}
    username: ""
    chroot: ""
    directory: "{directory}"
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    do-ip6: no
    module-config: "iterator"
    do-not-query-localhost: no
    access-control: 127.0.0.0/8 allow_snoop
stub-zone:
    name: "example.com"
    stub-addr: 127.0.0.1@{authority}
remote-control:
    control-enable: no
"""


class HangingUp:
    """Hands an update to the server and hangs up when the reply comes."""

    def __init__(self, to):
        self.updates = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, args=(to,), daemon=True).start()

    def serve(self, to):
        while True:
            client, _ = self.listener.accept()
            with client, socket.create_connection(("127.0.0.1", to)) as server:
                server.sendall(client.recv(65536))
                if server.recv(65536):
                    self.updates += 1


class Scenes:
    def __init__(self, stage):
        self.stage = stage
        self.file = stage.path("dns.yaml")
        self.count = 0

    def servers(self, count, zone_ttl=OLD_TTL):
        """Servers that know nothing of each other: the scene plays their replication."""
        self.count += 1
        self.names = [f"{self.count}-{i}" for i in range(count)]
        self.record = f"{WWW}. {zone_ttl} IN A 192.0.2.1"
        self.knots = [self.stage.knot(name, [self.record]) for name in self.names]
        return [knot.port for knot in self.knots]

    def plan(self, ports, *steps):
        self.stage.forget()
        listed = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
        with open(self.file, "w") as out:
            out.write(PLAN.format(server=ports[0], servers=listed) + "".join(steps))

    def begin(self):
        return self.stage.begin("apply", "--yes", self.file)

    def waits(self, step, *words):
        """`plan explain` says so, at last, and a little later still."""
        def explained():
            text = self.stage.run(0, "explain", self.file, step)
            return text if all(word in text for word in words) else None
        try:
            wait_for(f"{step} waits: {words}", explained)
        except AssertionError as no:
            raise AssertionError(f"{no}\n{self.stage.run(0, 'explain', self.file, step)}") from no

    def set_on(self, port, ttl, address):
        self.stage.nsupdate(port, f"update delete {WWW}. A", f"update add {WWW}. {ttl} A {address}")

    # ---- Scenes ----

    def a_lost_reply_to_an_update_is_looked_up(self):
        """The update goes through a door that hangs up on the reply, while a second server still lags."""
        ports = self.servers(2)
        door = HangingUp(ports[0])
        self.plan(ports)
        text = open(self.file).read()
        open(self.file, "w").write(text.replace(f'server: "127.0.0.1:{ports[0]}"', f'server: "127.0.0.1:{door.port}"'))
        running = self.begin()
        self.waits("lower-ttl", f"server 127.0.0.1:{ports[1]} has A 192.0.2.1 ({OLD_TTL} s)")
        self.set_on(ports[1], 1, "192.0.2.1")
        self.stage.finish(running, 0)
        assert door.updates == 1, door.updates

    def a_person_is_told_and_waited_for(self):
        ports = self.servers(2)
        self.plan(ports, POINT)
        text = open(self.file).read()
        kind = text[text.index("dns.rfc2136"):text.index("servers:")]
        with open(self.file, "w") as out:
            out.write(text.replace(kind, "dns.manual, zone: example.com,\n         ")
                      .replace("secrets: {key: {env: TSIG}}\n", ""))
        running = self.begin()
        self.waits("lower-ttl", f"it should be A 192.0.2.1 (1 s); server 127.0.0.1:{ports[0]}",
                   f"server 127.0.0.1:{ports[1]} has")
        for ttl, address in ((1, "192.0.2.1"), (1, "192.0.2.2")):
            if address == "192.0.2.2":
                self.waits("point", f"it should be A {address}")
            for port in ports:
                self.set_on(port, ttl, address)
        self.stage.finish(running, 0)

    def a_secondary_that_lags_is_named_and_waited_for(self):
        first = self.stage.knot("primary", [f"{WWW}. 3600 IN A 192.0.2.1"])
        second = self.stage.knot("secondary", [], primary=first.port)
        self.plan([first.port, second.port])
        running = self.begin()
        self.waits("lower-ttl", f"server 127.0.0.1:{second.port} has A 192.0.2.1 (3600 s)")
        time.sleep(1)
        assert running.poll() is None
        refreshed = time.time()
        self.stage.knotc("secondary", "zone-refresh", "example.com")
        self.stage.finish(running, 0)
        journal = self.stage.run(0, "journal", "--json", self.file)
        at = int(journal.split('"answered_at_ms":')[1].split(",")[0].split("}")[0])
        assert at >= refreshed * 1000, "counted before the last server had it"

    def a_stale_first_server_does_not_count_either(self):
        """The first in the list is the one that is behind."""
        ports = self.servers(3)
        for port in ports[1:]:
            self.set_on(port, 1, "192.0.2.1")
        self.plan(ports)
        says(self.stage.run(1, "diff", self.file), *(f"127.0.0.1:{port}" for port in ports), "disagree")
        running = self.begin()
        self.waits("lower-ttl", f"server 127.0.0.1:{ports[0]} has A 192.0.2.1 ({OLD_TTL} s)")
        assert running.poll() is None
        self.set_on(ports[0], 1, "192.0.2.1")
        self.stage.finish(running, 0)

    def a_lame_server_is_named(self):
        ports = self.servers(2)
        lame = self.stage.knot("lame", [], zone="example.net")
        self.plan([ports[0], lame.port])
        says(self.stage.run(1, "diff", self.file), f"127.0.0.1:{lame.port}", "REFUSED")
        running = self.begin()
        self.waits("lower-ttl", f"127.0.0.1:{lame.port}", "REFUSED")
        self.stage.stop(lame)
        self.waits("lower-ttl", f"127.0.0.1:{lame.port} gives no answer")
        self.stage.knot("healed", [self.record], port=lame.port)
        self.waits("lower-ttl", f"server 127.0.0.1:{lame.port} has A 192.0.2.1 ({OLD_TTL} s)")
        self.set_on(lame.port, 1, "192.0.2.1")
        self.stage.finish(running, 0)

    def a_resolver_is_no_authority(self):
        port, = self.servers(1)
        resolver = self.unbound(port)
        self.plan([port, resolver])
        says(self.stage.run(1, "diff", self.file), f"127.0.0.1:{resolver} is not authoritative", "lame")

    def a_server_that_goes_away_holds_the_count_back(self):
        ports = self.servers(2)
        self.plan(ports, POINT)
        running = self.begin()
        wait_for("the new time to live", lambda: f"{WWW}. 1 IN A 192.0.2.1" in self.stage.dig(ports[0], WWW, "A"))
        self.set_on(ports[1], 1, "192.0.2.1")
        self.waits("point", "it will hold at")
        self.stage.stop(self.knots[1])
        self.waits("point", f"127.0.0.1:{ports[1]}", "gives no answer")
        time.sleep(OLD_TTL + 1)
        assert running.poll() is None, "it went on without the second server"
        # It comes back as it was before, with the old time to live.
        self.stage.knot("back", [self.record], port=ports[1])
        self.waits("point", f"server 127.0.0.1:{ports[1]} has A 192.0.2.1 ({OLD_TTL} s)")
        assert running.poll() is None
        self.set_on(ports[1], 1, "192.0.2.1")
        wait_for("the new address", lambda: f"{WWW}. 1 IN A 192.0.2.2" in self.stage.dig(ports[0], WWW, "A"))
        self.waits("point", f"server 127.0.0.1:{ports[1]} has A 192.0.2.1")
        self.set_on(ports[1], 1, "192.0.2.2")
        self.stage.finish(running, 0)

    def all_fall_back_to_the_old_time_to_live(self):
        ports = self.servers(2)
        self.plan(ports, POINT)
        running = self.begin()
        wait_for("the new time to live", lambda: f"{WWW}. 1 IN A 192.0.2.1" in self.stage.dig(ports[0], WWW, "A"))
        self.set_on(ports[1], 1, "192.0.2.1")
        self.waits("point", "it will hold at")
        for port in ports:
            self.set_on(port, OLD_TTL, "192.0.2.1")
        self.waits("point", "old time to live again", f"({OLD_TTL} s)")
        for port in ports:
            self.set_on(port, 1, "192.0.2.1")
        wait_for("the new address", lambda: f"{WWW}. 1 IN A 192.0.2.2" in self.stage.dig(ports[0], WWW, "A"))
        self.set_on(ports[1], 1, "192.0.2.2")
        self.stage.finish(running, 0)

    def unbound(self, authority):
        port = free_port()
        self.count += 1
        name = f"unbound-{self.count}"
        self.stage.write(f"{name}/unbound.conf",
                         UNBOUND.format(port=port, directory=self.stage.path(name), authority=authority))
        self.stage.start("unbound", "-d", "-c", self.stage.path(name, "unbound.conf"))
        wait_for("unbound", lambda: self.stage.dig(port, "ns.example.com", "A"))
        return port

    def caches_forget_just_as_long_as_it_waits(self):
        port, = self.servers(1)
        resolver = self.unbound(port)
        self.plan([port], POINT)
        # A cache that learns the old time to live at the last moment.
        learnt = self.stage.dig(resolver, WWW, "A")
        assert learnt == [f"{WWW}. {OLD_TTL} IN A 192.0.2.1"], learnt
        running = self.begin()
        seen = {}  # what happened when, first and last

        def note(what):
            seen.setdefault(what, [time.monotonic(), 0])[1] = time.monotonic()
        gap, last, over = 0, time.monotonic(), False
        while not over:
            over = running.poll() is not None  # and one more look
            for line in self.stage.dig(port, WWW, "A"):
                note(f"authority {line}")
            for line in self.stage.dig(resolver, WWW, "A"):
                _, ttl, *_, address = line.split()
                if address == "192.0.2.1" and int(ttl) > 1:
                    note("cache with the old time to live")
            gap, last = max(gap, time.monotonic() - last), time.monotonic()
            time.sleep(0.02)
        self.stage.finish(running, 0)
        lowered = seen[f"authority {WWW}. 1 IN A 192.0.2.1"][0]
        pointed = seen[f"authority {WWW}. 1 IN A 192.0.2.2"][0]
        assert pointed - lowered >= OLD_TTL - gap - 0.1, f"too early: after {pointed - lowered:.1f} s of {OLD_TTL}"
        assert pointed - lowered <= OLD_TTL + 6, f"too late: after {pointed - lowered:.1f} s of {OLD_TTL}"
        assert seen["cache with the old time to live"][1] <= pointed, "a cache still held what it learnt before"
        wait_for("the cache has the new address",
                 lambda: any("192.0.2.2" in line for line in self.stage.dig(resolver, WWW, "A")), 3)
        print(f"  waited {pointed - lowered:.1f} s for an old time to live of {OLD_TTL} s")


def main():
    need("knotd", "knotc", "dig", "nsupdate", "unbound")
    with Stage(sys.argv[1]) as stage:
        scenes = Scenes(stage)
        helpers = ("servers", "plan", "begin", "waits", "set_on", "unbound")
        for name, scene in vars(Scenes).items():
            if not name.startswith("_") and name not in helpers:
                print(name, flush=True)
                getattr(scenes, name)()
        stage.forget()
    print("ok")


main()
