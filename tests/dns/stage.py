# SPDX-License-Identifier: MIT
"""What the DNS scenarios share: real name servers on loopback, plans, and a door with faults before an API."""
import base64
import http.client
import http.server
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

KEY_NAME = "plan-key"


def need(*programs):
    os.environ["PATH"] += ":/usr/sbin"
    missing = [one for one in programs if not shutil.which(one)]
    if missing:
        print("SKIP: not installed:", *missing)
        sys.exit(77)


def free_port():
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        return tcp.getsockname()[1]


def wait_for(what, holds, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


class Stage:
    def __init__(self, plan):
        self.program = plan
        self.directory = tempfile.mkdtemp()
        self.processes = []
        self.secret = base64.b64encode(os.urandom(32)).decode()
        self.environment = dict(os.environ, TSIG=f"hmac-sha256:{KEY_NAME}:{self.secret}")
        self.secrets = {self.secret}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as out:
            out.write(text)

    def start(self, *command):
        log = open(self.path(f"log-{len(self.processes)}"), "w")
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        process.wait()

    # ---- Name servers ----

    def knot(self, name, records, port=None, zone="example.com", primary=None, notify=None):
        """Records are lines of a zone file; with a primary the zone is transferred from there."""
        port = port or free_port()
        directory = self.path(name)
        os.makedirs(directory, exist_ok=True)
        remotes = [("primary", primary)] if primary else [("secondary", notify)] if notify else []
        lines = ["server:", f"    rundir: {directory}", f"    listen: 127.0.0.1@{port}",
                 "    udp-workers: 1", "    tcp-workers: 1", "    background-workers: 1",
                 "database:", f"    storage: {directory}", "log:", f"  - target: {directory}/log", "    any: info",
                 "key:", f"  - id: {KEY_NAME}", "    algorithm: hmac-sha256", f"    secret: {self.secret}"]
        if remotes:
            lines += ["remote:"] + [f"  - id: {who}\n    address: 127.0.0.1@{at}" for who, at in remotes]
        lines += ["acl:", "  - id: updates", f"    key: {KEY_NAME}", "    action: [update]",
                  "  - id: transfers", "    address: 127.0.0.1", "    action: [transfer, notify]",
                  "zone:", f"  - domain: {zone}", f"    storage: {directory}", "    file: zone",
                  "    acl: [updates, transfers]"]
        lines += ["    master: primary"] if primary else ["    notify: secondary"] if notify else []
        self.write(f"{name}/knot.conf", "\n".join(lines) + "\n")
        if not primary:
            self.write(f"{name}/zone", f"""{zone}. 3600 IN SOA ns.{zone}. admin.{zone}. 1 3600 600 86400 60
{zone}. 3600 IN NS ns.{zone}.
ns.{zone}. 3600 IN A 127.0.0.1
""" + "".join(f"{line}\n" for line in records))
        process = self.start("knotd", "-c", f"{directory}/knot.conf")
        wait_for(f"knot {name}", lambda: self.dig(port, zone, "SOA"))
        process.port = port
        return process

    def knotc(self, name, *words):
        subprocess.run(["knotc", "-c", self.path(name, "knot.conf"), *words], check=True, stdout=subprocess.DEVNULL)

    def pdns(self, name, records, key, zone="example.com", more=""):
        port, web = free_port(), free_port()
        directory = self.path(name)
        self.write(f"{name}/pdns.conf", f"""launch=gsqlite3
gsqlite3-database={directory}/db
local-address=127.0.0.1
local-port={port}
socket-dir={directory}
api=yes
api-key={key}
webserver=yes
webserver-address=127.0.0.1
webserver-port={web}
webserver-allow-from=127.0.0.1
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
{more}
""")
        schema = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"
        subprocess.run(["sqlite3", f"{directory}/db", f".read {schema}"], check=True)
        self.write(f"{name}/zone", f"""{zone}. 3600 IN SOA ns.{zone}. admin.{zone}. 1 3600 600 86400 60
{zone}. 3600 IN NS ns.{zone}.
ns.{zone}. 3600 IN A 127.0.0.1
""" + "".join(f"{line}\n" for line in records))
        subprocess.run(["pdnsutil", f"--config-dir={directory}", "load-zone", zone, f"{directory}/zone"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process = self.start("pdns_server", f"--config-dir={directory}", "--daemon=no", "--guardian=no")
        wait_for(f"PowerDNS {name}", lambda: self.dig(port, zone, "SOA"))
        process.port, process.web = port, web
        return process

    def dig(self, port, name, kind, *more):
        """The lines of the answer: "NAME TTL IN TYPE VALUE"."""
        done = subprocess.run(["dig", "+time=1", "+tries=1", "@127.0.0.1", "-p", str(port), name, kind, "+noall",
                               "+answer", *more], capture_output=True, text=True)
        return [" ".join(line.split()) for line in done.stdout.splitlines() if line and line[0] != ";"]

    def nsupdate(self, port, *lines, zone="example.com"):
        text = f"server 127.0.0.1 {port}\nzone {zone}.\n" + "".join(f"{line}\n" for line in lines) + "send\n"
        done = subprocess.run(["nsupdate", "-y", f"hmac-sha256:{KEY_NAME}:{self.secret}"], input=text, text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stderr + text

    # ---- Plans ----

    def run(self, code, *words):
        done = subprocess.run([self.program, *words], env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        self.check_silence(done.stdout)
        assert done.returncode == code, f"exit {done.returncode}, not {code}: {words}\n{done.stdout}"
        return done.stdout

    def begin(self, *words):
        """In the background: finish() gives its output."""
        out = open(self.path(f"out-{time.monotonic()}"), "w+")
        process = subprocess.Popen([self.program, *words], env=self.environment, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT)
        self.processes.append(process)
        process.said = lambda: open(out.name).read()
        return process

    def finish(self, process, code, seconds=60):
        got = process.wait(seconds)
        said = process.said()
        self.check_silence(said)
        assert got == code, f"exit {got}, not {code}\n{said}"
        return said

    def check_silence(self, text):
        for secret in self.secrets:
            assert secret not in text, f"a secret was printed:\n{text}"

    def forget(self):
        """A new run; the journal of the last one holds no secret."""
        place = self.path(".plan")
        for root, _, files in os.walk(place):
            for name in files:
                with open(os.path.join(root, name), "rb") as data:
                    content = data.read()
                for secret in self.secrets:
                    assert secret.encode() not in content, f"a secret is in {name}"
        shutil.rmtree(place, ignore_errors=True)


def says(text, *wanted):
    for one in wanted:
        assert one in text, f"the output lacks {one!r}:\n{text}"
    return text


# ---- HTTP ----


class Request:
    def __init__(self, handler, body):
        self.method, self.path, self.headers, self.body = handler.command, handler.path, handler.headers, body


class Door:
    """An HTTP server on loopback. answer(request) gives (status, headers, body), or None to hang up."""

    def __init__(self, answer):
        self.requests = []
        self.faults = []  # each: request -> None to pass, or an answer; taken off when it answered
        door = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                length = int(self.headers.get("Content-Length", 0))
                request = Request(self, self.rfile.read(length))
                door.requests.append(request)
                found = door.fault(request) or (answer(request),)
                if found[0] is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, headers, body = found[0]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

            def log_message(self, *_):
                pass

        self.answer = answer
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that hangs up is none
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def fault(self, request):
        for one in list(self.faults):
            found = one(request)
            if found is not None:
                self.faults.remove(one)
                return found
        return None

    # Faults, each once, at the first request of that method.

    def once(self, method, act):
        self.faults.append(lambda request: act(request) if request.method == method else None)

    def lose_reply(self, method):
        def act(request):
            self.answer(request)
            return (None,)
        self.once(method, act)

    def say(self, method, status, headers=None, body=b"{}"):
        self.once(method, lambda _: ((status, headers or {}, body),))

    def meanwhile(self, method, change):
        """Something else happens just before that request."""
        def act(request):
            change()
            return (self.answer(request),)
        self.once(method, act)

    def count(self, *methods):
        return sum(request.method in methods for request in self.requests)


def pass_on(port):
    """Hands a request to the real API on that port."""
    def answer(request):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request(request.method, request.path, request.body or None, dict(request.headers.items()))
        reply = connection.getresponse()
        body = reply.read()
        return reply.status, {"Content-Type": reply.getheader("Content-Type", "text/plain")}, body
    return answer
