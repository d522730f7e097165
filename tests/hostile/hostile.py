# SPDX-License-Identifier: MIT
"""Hostile servers against every client that speaks HTTP: refused in time, within bounds of memory, without a byte
of a credential at the wrong place, with an error that names the server. usage: hostile.py PLAN MEBIBYTES"""
import concurrent.futures
import contextlib
import itertools
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time

import servers
from authority import Authority
from servers import Server, at_writes

PLAN, MEBIBYTES = os.path.abspath(sys.argv[1]), int(sys.argv[2])
SECRETS = {"HEROKU": "canary-heroku-2d81", "CLOUD": "canary-cloud-77aa", "PDNS": "canary-pdns-19c2",
           "AWS": "canary-aws-5b3e"}
TOOK = 14  # seconds: the longest that is allowed below, a write's grace after a timeout, and a slow machine

HEAD = """plan: 1
name: hostile
summary: One client against one server.
secrets: {heroku: {env: HEROKU}, cloud: {env: CLOUD}, pdns: {env: PDNS}, aws: {env: AWS}}
connections:
"""
STEPS = """defaults: {{timeout: {timeout}, retry: {{attempts: 1}}}}
steps:
  it:
"""
RECORD = """    uses: dns.record
    with: {name: www.example.com, type: CNAME, value: new.example.net, ttl: 60s}
"""
CLIENTS = {
    "heroku": ("""  it: {{uses: heroku, token: "${{secrets.heroku}}", url: "{url}", data_url: "{url}", ca_file: {ca}}}
""", """    uses: heroku.maintenance
    with: {{app: sourceapp, enabled: true}}
"""),
    "heroku list": ("""  it: {{uses: heroku, token: "${{secrets.heroku}}", url: "{url}", ca_file: {ca}}}
""", """    uses: heroku.addons.check
    with: {{app: sourceapp, region: eu}}
"""),
    "http": ("""  it: {{uses: http, ca_file: {ca}}}
""", """    uses: http.check
    with: {{url: "{url}/health", timeout: {timeout}}}
"""),
    "cloudflare": ("""  it: {{uses: dns.cloudflare, zone: example.com, token: "${{secrets.cloud}}", url: "{url}", ca_file: {ca}}}
""", RECORD.replace("{", "{{").replace("}", "}}")),
    "powerdns": ("""  it: {{uses: dns.powerdns, zone: example.com, key: "${{secrets.pdns}}", url: "{url}", ca_file: {ca}}}
""", RECORD.replace("{", "{{").replace("}", "}}")),
    "route53": ("""  it: {{uses: dns.route53, zone: example.com, access_key_id: AKIDEXAMPLE,
       secret_access_key: "${{secrets.aws}}", url: "{url}", ca_file: {ca}}}
""", RECORD.replace("{", "{{").replace("}", "}}")),
}
EVERY = ("heroku", "http", "cloudflare", "powerdns", "route53")
APIS = tuple(name for name in EVERY if name != "http")
JSON_APIS = ("heroku", "cloudflare", "powerdns")

APP = (b'{"id": "5aadf71d-9664-4fba-be3f-8c05e544bef0", "name": "sourceapp", "maintenance": false,'
       b' "region": {"name": "us"}, "stack": {"name": "heroku-24"}, "build_stack": {"name": "heroku-24"}}')


# A process counts as its own what it was before exec: it is started from a small one.
LAUNCH = """import resource, subprocess, sys
code = subprocess.call(sys.argv[2:], timeout=60)
with open(sys.argv[1], "w") as out:
    out.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


class Case:
    def __init__(self, name, behaviour, clients=EVERY, codes=(1,), wanted=(), timeout="12s", pair="good", oldest=None,
                 early=False):
        self.name, self.behaviour, self.clients, self.codes = name, behaviour, clients, codes
        self.wanted, self.timeout = wanted, timeout
        self.pair, self.oldest, self.early = pair, oldest, early


def slow(name, behaviour, **more):
    return Case(name, behaviour, timeout="2s", **more)


def cases(elsewhere, plain):
    yield Case("an endless body", servers.endless_body, wanted=["8 MiB"])
    yield slow("a body that drips", servers.slow_body)
    yield slow("a head that drips", servers.slow_head)
    yield slow("silence", servers.silence)
    yield slow("silence to a write", at_writes(servers.silence, APP), clients=["heroku"])
    yield slow("come back in 3,000 years", servers.come_back_later, clients=APIS)
    yield slow("pages without end", servers.at_path(b"addons", servers.pages(1), APP), clients=["heroku list"])
    yield Case("large pages without end", servers.at_path(b"addons", servers.pages(1 << 20), APP), clients=["heroku list"],
               wanted=["the list has no end"])
    for name in ("large_header", "many_headers", "endless_headers", "continue_forever", "hints_forever"):
        yield Case(name, getattr(servers, name))
    for name, behaviour in (("redirect to another host", servers.redirect(elsewhere)),
                            ("redirect to http://", servers.redirect(plain)),
                            ("redirect to itself", servers.redirect_to_itself),
                            ("redirect to a file", servers.redirect_to_a_file)):
        yield Case(name, behaviour, clients=APIS, wanted=["not followed"])
        yield Case(name, behaviour, clients=["http"], wanted=["answers 30"])
        yield Case(name + " of a write", at_writes(behaviour, APP), clients=["heroku"], wanted=["not followed"])
    for pair in ("expired", "other-name", "self-signed"):
        yield Case(f"certificate: {pair}", servers.says(APP), codes=(3,), pair=pair, wanted=["certificate", "ca_file"])
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        yield Case(str(version), servers.says(APP), oldest=version, wanted=["TLS 1.2"])
    yield Case("a gzip bomb", servers.gzip_bomb, clients=APIS)
    yield Case("chunks that are none", servers.chunks(b"zzz\r\nhello\r\n"))
    yield Case("a chunk of 2^72 bytes", servers.chunks(b"f" * 18 + b"\r\n" + b"a" * 1000))
    yield Case("an endless chunk header", servers.chunks(b"5;" + b"a" * 20000000))
    yield Case("a length too long", servers.length_says(b"1000", b"{}"))
    yield Case("a length too short", servers.length_says(b"5", APP), clients=JSON_APIS)
    yield Case("a negative length", servers.length_says(b"-1", b"{"), clients=JSON_APIS)
    yield Case("a length beyond 64 bits", servers.length_says(b"9" * 30, b"{"), clients=JSON_APIS)
    yield Case("two lengths", servers.length_says(b"1\r\nContent-Length: 900", b"{"), clients=JSON_APIS)
    for name, body in servers.NOT_JSON.items():
        yield Case(name, servers.says(body), clients=JSON_APIS, wanted=["JSON"])
        yield Case(name + ", to a write", at_writes(servers.says(body), APP), clients=["heroku"])
    for name, body in servers.OTHER_SHAPES.items():
        yield Case(name, servers.says(body), clients=JSON_APIS)
    for name, body in servers.NOT_XML.items():
        yield Case(name, servers.says(body, headers=b"Content-Type: text/xml\r\n"), clients=["route53"])
    yield Case("HTTP/0.9", servers.raw(b"hello\r\n"))
    yield Case("an HTTP version of its own", servers.raw(b"HTTP/9.9 200 OK\r\n\r\n{}"))
    yield Case("a status of its own", servers.raw(b"HTTP/1.1 99999 OK\r\n\r\n{}"))
    yield Case("closed at once", servers.closes, early=True)
    yield Case("closed after the request", servers.closes)
    yield Case("reset after the request", servers.resets)
    yield Case("no TLS", servers.raw(b"SSH-2.0-OpenSSH_9.9\r\n"), pair=None, early=True)
    yield Case("what was sent is said again", servers.repeats_the_credentials, clients=APIS)
    yield Case("escape sequences", servers.says(b'{"id": "x", "message": "\\u001b]0;owned\\u0007\\u202e", "error": '
                                                b'"\\u001b[2J", "errors": [{"code": 1, "message": "\\u001b[2J"}]}',
                                                b"422 No"), clients=JSON_APIS)


class Scene:
    """One client and one server; everything it did and said."""

    def __init__(self, authority, case, client):
        self.authority, self.case, self.client = authority, case, client
        self.directory = tempfile.mkdtemp(prefix="plan-hostile-")

    def write(self, url):
        connection, step = CLIENTS[self.client]
        places = {"url": url, "ca": self.authority.ca_file, "timeout": self.case.timeout}
        with open(os.path.join(self.directory, "p.yaml"), "w") as out:
            out.write(HEAD + connection.format(**places) + STEPS.format(**places) + step.format(**places))

    def run(self, *words, environment=None):
        """(exit code, output, seconds, MiB at most in it or one of its processes)"""
        began = time.monotonic()
        with open(os.path.join(self.directory, "out"), "w+b") as out:
            code = subprocess.call([sys.executable, "-ISc", LAUNCH, "peak", PLAN, *words, "p.yaml"], cwd=self.directory,
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   env={**os.environ, **SECRETS, "NO_COLOR": "1", **(environment or {})})
            out.seek(0)
            with open(os.path.join(self.directory, "peak")) as peak:
                return code, out.read(), time.monotonic() - began, int(peak.read()) / 1024

    def look_at_files(self):
        for root, _, names in os.walk(self.directory):
            for name in names:
                with open(os.path.join(root, name), "rb") as content:
                    text = content.read()
                for secret in SECRETS.values():
                    assert secret.encode() not in text, f"{secret} is in {name}: {text[-2000:]}"

    def judge(self, server):
        code, output, seconds, mebibytes = self.run("apply", "--yes")
        text = output.decode(errors="backslashreplace")
        assert code in self.case.codes, f"exit {code}\n{text}"
        assert seconds < TOOK, f"{seconds:.1f} s\n{text}"
        assert mebibytes < MEBIBYTES, f"{mebibytes:.0f} MiB\n{text}"
        address = server.url.split("://")[1]
        who = rf"{address}|Heroku's answer|connection it \(dns\."
        assert re.search(rf"failed +it: .*({who})", text), f"the server is not named:\n{text}"
        for wanted in self.case.wanted:
            assert wanted in text, f"it does not say {wanted!r}:\n{text}"
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]|\xe2\x80\xae", output), f"control characters: {output}"
        self.look_at_files()
        if self.case.pair in (None, "expired", "other-name", "self-signed"):
            assert not any(secret.encode() in server.received for secret in SECRETS.values())
        assert self.run("journal", "--verify")[0] == 0, "the journal does not hold"
        return seconds, mebibytes


def play(authority, case, client):
    scene = Scene(authority, case, client)
    pair = authority.pair(case.pair) if case.pair else None
    try:
        with Server(case.behaviour, pair, case.oldest, case.early) as server:
            if not pair:
                server.url = f"https://localhost:{server.port}"
            scene.write(server.url)
            return scene.judge(server)
    except AssertionError as wrong:
        return f"{case.name} / {client}: {wrong}"
    finally:
        shutil.rmtree(scene.directory, ignore_errors=True)


# ---- Where a credential must not even set out to ----


def refused_offline(authority):
    for client, url in itertools.product(EVERY, ("http://api.example.com", "http://127.0.0.1.example.com",
                                                 "http://localhost:80", "http://[::1]x.example.com",
                                                 "https://user:word@api.example.com", "http://127.0.0.1@example.com")):
        scene = Scene(authority, Case("offline", None), client)
        scene.write(url)
        code, output, _, _ = scene.run("check")
        assert code == 64 and b"127.0.0.1), without a user" in output, f"{client}: {url}: exit {code}: {output}"
        shutil.rmtree(scene.directory)


def no_proxy_in_the_clear(authority, plain):
    """What goes to loopback over http:// stays on loopback, whatever the environment names as proxy."""
    with Server(servers.says(APP)) as server:
        scene = Scene(authority, Case("proxy", None), "heroku")
        scene.write(server.url)
        code, output, _, _ = scene.run("diff", environment={"http_proxy": plain.url, "all_proxy": plain.url})
        assert code == 0 and server.visits == 1, f"exit {code}: {output}"
        shutil.rmtree(scene.directory)


def main():
    directory = tempfile.mkdtemp(prefix="plan-hostile-")
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        authority = Authority(directory)
        elsewhere = stack.enter_context(Server(servers.says(b"{}"), authority.pair("good")))
        plain = stack.enter_context(Server(servers.says(b"{}")))
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(6))
        refused_offline(authority)
        no_proxy_in_the_clear(authority, plain)
        jobs = [pool.submit(play, authority, case, client) for case in cases(elsewhere, plain)
                for client in case.clients if only in case.name + " / " + client]
        found = [job.result() for job in jobs]
        wrong = [one for one in found if isinstance(one, str)]
        for one in wrong:
            print(one, end="\n\n")
        for server in (elsewhere, plain):
            assert server.visits == 0 and not server.received, f"it was followed: {bytes(server.received)}"
    right = [one for one in found if not isinstance(one, str)]
    if right:
        print(f"{len(right)} of {len(found)} hostile answers refused, {max(one[0] for one in right):.1f} s and "
              f"{max(one[1] for one in right):.0f} MiB at most")
    sys.exit(1 if wrong else 0)


main()
