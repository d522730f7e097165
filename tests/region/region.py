# SPDX-License-Identifier: MIT
"""What the scenarios share: a world for the plans of a region migration, and one of them against it.

The world is a simulated Heroku with real databases (`plan sandbox`), a real name server (Knot DNS), a git
repository and a certificate, all on loopback. The plan is the one people start from, changed only by
substitution: addresses, and waits of days that become a second."""
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CANARIES = ("canary-token", "canary-value", "PRIVATE KEY")
ROWS = 500  # of the table orders
SKIP = 77

SEED = {"apps": [{
    "name": "sourceapp", "region": "us", "stack": "heroku-24",
    "buildpacks": ["https://github.com/heroku/heroku-buildpack-nodejs",
                   "https://github.com/heroku/heroku-buildpack-ruby"],
    "config": {"RACK_ENV": "production", "SECRET_KEY": "canary-value", "LANG": "en_US.UTF-8"},
    "collaborators": ["ann@example.com"], "features": ["http-session-affinity"],
    "drains": ["syslog+tls://logs.example.com:6514"],
    "webhooks": [{"url": "https://hooks.example.com/canary-value", "include": ["api:release"], "level": "notify"}],
    "pipeline": {"stage": "production", "review_apps": ["fix-login"]},
    "domains": ["www.example.com"], "formation": {"web": 1, "worker": 1},
    "addons": [{"plan": "heroku-postgresql:standard-0", "name": "source-db", "as": "DATABASE", "pool": True,
                "schedules": [{"hour": 2, "timezone": "UTC"}]},
               {"plan": "scheduler:standard", "name": "source-jobs"},
               {"plan": "heroku-redis:mini", "name": "source-redis"}],
    "slug": {"commit": "abc", "process_types": {"web": "bin/web", "worker": "bin/worker"}}}]}

# In the copy of the plan: what is there, what takes its place, how often.
SUBSTITUTIONS = [
    ("    token: ${secrets.heroku}\n", "    token: ${secrets.heroku}\n    url: %(url)s\n    data_url: %(url)s\n", 1),
    ("    server: ns1.example.com\n", "    server: 127.0.0.1:%(dns)d\n", 1),
    ("    key: ${secrets.dns_key}\n", "    key: ${secrets.dns_key}\n  http:\n    uses: http\n"
     "    ca_file: %(directory)s/secrets/server.crt\n    connect_to: \":443:127.0.0.1:%(tls)d\"\n", 1),
    ("backoff: 2s to 60s", "backoff: 100ms to 500ms", 1),
    ("backoff: 2s to 10s", "backoff: 100ms to 500ms", 1),
    ("ttl: 60s", "ttl: 1s", 2),
    ("at_least: 24h", "at_least: 1s", 1),
    ("at_least: 7d", "at_least: 1s", 1),
    ("accept: []", "accept: [\"config:REPORTS_URL\"]", 1),
]
OF_ONE_PLAN = {
    "region-migration": [("stable_for: 30s", "stable_for: 1s", 1), ("stable_for: 5s", "stable_for: 1s", 1)],
    "region-migration-backup": [("backoff: 5s to 60s", "backoff: 100ms to 500ms", 1)],
}

KNOT = """\
server:
    rundir: %(directory)s
    listen: 127.0.0.1@%(port)d
database:
    storage: %(directory)s
log:
  - target: %(directory)s/log
    any: info
key:
  - id: plan-key
    algorithm: hmac-sha256
    secret: %(secret)s
acl:
  - id: updates
    key: plan-key
    action: [update]
zone:
  - domain: example.com
    storage: %(directory)s
    file: zone
    acl: updates
"""

ZONE = """\
example.com. 3600 IN SOA ns.example.com. admin.example.com. 1 3600 600 86400 60
example.com. 3600 IN NS ns.example.com.
ns.example.com. 3600 IN A 127.0.0.1
www.example.com. 2 IN CNAME %s.
"""


class Refused(AssertionError):
    """The simulated Heroku said no, and nobody expected it."""


def check(truth, text):
    if not truth:
        raise AssertionError(text)


def wait_until(truth, what, within=120):
    """Polls; gives what truth() gave."""
    until, pause = time.monotonic() + within, 0.03
    while time.monotonic() < until:
        found = truth()
        if found:
            return found
        time.sleep(pause)
        pause = min(pause * 1.3, 0.3)  # to look costs, too
    raise AssertionError(f"not within {within} s: {what}")


def require_tools():
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    packages = {"knotd": "knot", "nsupdate": "bind9-dnsutils", "dig": "bind9-dnsutils", "openssl": "openssl",
                "psql": "postgresql-client", "git": "git"}
    missing = {package for tool, package in packages.items() if not shutil.which(tool)}
    servers = "/usr/lib/postgresql"
    if not any(os.path.exists(f"{servers}/{version}/bin/postgres")
               for version in (os.listdir(servers) if os.path.isdir(servers) else [])):
        missing.add("postgresql")
    if missing:
        print("SKIP: apt-get install " + " ".join(sorted(missing)))
        sys.exit(SKIP)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run_quiet(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    check(done.returncode == 0, f"{command}: {done.stdout}{done.stderr}")
    return done.stdout


def other_person():
    """The prefix under which a second person says yes: the journal names people by their account.

    In a user namespace of its own the process has another uid, yet may write the same files. None where there
    are no user namespaces, as in a chroot."""
    uid = "65534" if os.getuid() == 0 else "0"
    prefix = ["unshare", "--user", f"--map-user={uid}"]
    if shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
        return prefix
    return None


class World:
    """One Heroku, one zone, one repository, one copy of the plan. Use with `with`."""

    def __init__(self, plan, seed=SEED, migration="region-migration"):
        self.plan = plan
        self.migration = migration
        self.seed = seed
        self.processes = []
        self.directory = tempfile.mkdtemp(prefix="plan-region-")
        self.file = os.path.join(self.directory, f"{migration}.yaml")

    def __enter__(self):
        try:
            self.make_certificate()
            self.start_sandbox()
            self.make_apps()
            self.start_knot()
            self.make_repository()
            self.write_plan()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(150)
        shutil.rmtree(self.directory, ignore_errors=True)

    # ---- Making it ----

    def make_certificate(self):
        secrets = os.path.join(self.directory, "secrets")
        os.mkdir(secrets, 0o700)
        run_quiet("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-days", "2", "-subj", "/CN=www.example.com", "-addext", "subjectAltName=DNS:www.example.com",
                  "-keyout", f"{secrets}/server.key", "-out", f"{secrets}/server.crt")

    def start_sandbox(self):
        secrets = os.path.join(self.directory, "secrets")
        process = subprocess.Popen([self.plan, "sandbox", "--cert", f"{secrets}/server.crt",
                                    "--key", f"{secrets}/server.key"], stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        said = ""
        for line in process.stdout:
            said += line
            found = re.search(r"https://DOMAIN, there at 127\.0\.0\.1:(\d+)", line)
            if found:
                self.tls = int(found.group(1))
                break
        self.exports = dict(re.findall(r"^export (\w+)=(\S+)$", said, re.MULTILINE))  # for the Heroku CLI
        self.url = self.exports["HEROKU_HOST"]
        self.router = re.search(r"apps answer at (http://127\.0\.0\.1:\d+)/", said).group(1)

    def make_apps(self):
        made = self.call("POST", "/_sim/seed", self.seed)["apps"][0]
        self.source_database = made["database_url"]
        self.sql(self.source_database, "CREATE TABLE orders (id bigint PRIMARY KEY, what text NOT NULL); "
                 f"INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, {ROWS}) n")
        with open(os.path.join(self.directory, "secrets", "server.crt")) as chain, \
                open(os.path.join(self.directory, "secrets", "server.key")) as key:
            pair = {"certificate_chain": chain.read(), "private_key": key.read()}
        endpoint = self.call("POST", "/apps/sourceapp/sni-endpoints", pair)["name"]
        self.call("PATCH", "/apps/sourceapp/domains/www.example.com", {"sni_endpoint": endpoint})
        # Set by hand, as people do: it must never reach the new app.
        self.call("PATCH", "/apps/sourceapp/config-vars", {"REPORTS_URL": made["database_url"] + "?pool=25"})
        self.old_target = self.domain("sourceapp")["cname"]

    def start_knot(self):
        directory = os.path.join(self.directory, "knot")
        os.mkdir(directory)
        self.dns = free_port()
        secret = run_quiet("openssl", "rand", "-base64", "32").strip()
        self.tsig = f"hmac-sha256:plan-key:{secret}"
        with open(f"{directory}/knot.conf", "w") as out:
            out.write(KNOT % {"directory": directory, "port": self.dns, "secret": secret})
        with open(f"{directory}/zone", "w") as out:
            out.write(ZONE % self.old_target)
        self.processes.append(subprocess.Popen(["knotd", "-c", f"{directory}/knot.conf"],
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_until(lambda: self.dig("www.example.com", "CNAME"), "knotd answers")

    def make_repository(self):
        for command in (["init", "-q", "-b", "main"],
                        ["remote", "add", "heroku", "https://git.heroku.com/sourceapp.git"]):
            run_quiet("git", "-C", self.directory, *command)

    def write_plan(self):
        with open(os.path.join(SOURCE, "plans", f"{self.migration}.yaml")) as plan:
            text = plan.read()
        places = {"url": self.url, "dns": self.dns, "tls": self.tls, "directory": self.directory}
        for old, new, count in SUBSTITUTIONS + OF_ONE_PLAN[self.migration]:
            check(text.count(old) == count, f"the plan has {old!r} {text.count(old)} times, not {count}")
            text = text.replace(old, new % places if "%(" in new else new)
        with open(self.file, "w") as out:
            out.write(text)

    def edit_plan(self, old, new):
        with open(self.file) as plan:
            text = plan.read()
        check(old in text, f"the plan has no {old!r}")
        with open(self.file, "w") as out:
            out.write(text.replace(old, new))

    # ---- Looking at it, and meddling ----

    def call(self, method, path, body=None):
        request = urllib.request.Request(
            self.url + path, method=method, data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json", "Authorization": "Bearer x",
                     "Accept": "application/vnd.heroku+json; version=3"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as refusal:
            raise Refused(f"{method} {path}: {refusal.code} {refusal.read()}") from refusal

    def fault(self, action, method, path, when="before", nth=None):
        body = {"action": action, "method": method, "path": path, "when": when}
        if nth:
            body["nth"] = nth
        return self.call("POST", "/_sim/faults", body)["id"]

    def no_faults(self):
        self.call("DELETE", "/_sim/faults")

    def ledger(self):
        return self.call("GET", "/_sim/ledger")

    def sql(self, url, text):
        return run_quiet("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", text).strip()

    def sql_file(self, url, text):
        """Each statement a commit of its own."""
        run_quiet("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-", input=text)

    def domain(self, app):
        """What the app says of www.example.com, or None."""
        return next((one for one in self.call("GET", f"/apps/{app}/domains")
                     if one["hostname"] == "www.example.com"), None)

    def config(self, app):
        return self.call("GET", f"/apps/{app}/config-vars")

    def formation(self, app):
        return {one["type"]: one["quantity"] for one in self.call("GET", f"/apps/{app}/formation")}

    def maintenance(self, app):
        return self.call("GET", f"/apps/{app}")["maintenance"]

    def dig(self, name, kind):
        """[(TTL, value)] of the authoritative server."""
        done = subprocess.run(["dig", "+time=1", "+tries=1", "+noall", "+answer", "@127.0.0.1", "-p", str(self.dns),
                               name, kind], capture_output=True, text=True)
        lines = [line.split() for line in done.stdout.splitlines() if line and not line.startswith(";")]
        return sorted((int(line[1]), line[4].rstrip(".")) for line in lines)

    def nsupdate(self, *commands):
        run_quiet("nsupdate", "-y", self.tsig, input="\n".join(
            [f"server 127.0.0.1 {self.dns}", "zone example.com.", *commands, "send", ""]))

    # ---- The plan ----

    def environment(self):
        return {**os.environ, "HEROKU_API_KEY": "canary-token", "DNS_TSIG_KEY": self.tsig, "NO_COLOR": "1"}

    def run(self, wanted, *arguments, prefix=()):
        done = subprocess.run([*prefix, self.plan, *arguments], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env=self.environment(), cwd=self.directory, timeout=170)
        output = done.stdout + done.stderr
        name = " ".join(arguments)
        check(done.returncode == wanted, f"{name}: exit {done.returncode}, not {wanted}\n{output}")
        for canary in (*CANARIES, self.tsig.split(":")[2], self.source_database.split("@")[0]):
            check(canary not in output, f"{name}: {canary} is shown\n{output}")
        return output

    def apply(self, wanted, *options):
        return self.run(wanted, "apply", "--yes", *options, self.file)

    def approve(self, step, prefix=()):
        return self.run(0, "approve", self.file, step, prefix=prefix)

    def approve_all(self):
        """Everything a person says yes to, in advance."""
        second = other_person()
        if not second:
            self.edit_plan("by: 2", "by: 1")
        for step in ("copy-scheduler", "stop-traffic", "retire-source"):
            self.approve(step)
        if second:
            self.approve("retire-source", second)

    def begin(self, *arguments, program=None, **environment):
        """A plan that runs on, in a process group of its own."""
        log = open(os.path.join(self.directory, "log"), "a")
        return subprocess.Popen([program or self.plan, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                env={**self.environment(), **environment}, cwd=self.directory,
                                start_new_session=True)

    def log(self):
        with open(os.path.join(self.directory, "log")) as text:
            return text.read()


class Users:
    """They write to https://www.example.com all the time, and remember what was acknowledged."""

    def __init__(self, world):
        self.world = world
        self.acknowledged = set()
        self.refused = 0
        self.leaving = threading.Event()
        self.thread = threading.Thread(target=self.write)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.leaving.set()
        self.thread.join()

    def write(self):
        for number in itertools.count():
            if self.leaving.wait(0.15):  # each write is a session of its own
                return
            request = urllib.request.Request(f"{self.world.router}/write?key=user-{number}", method="POST", data=b"",
                                             headers={"Host": "www.example.com"})
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    if answer.status == 201:
                        self.acknowledged.add(f"user-{number}")
            except OSError:
                self.refused += 1


def main(*scenarios):
    """usage: SCENARIO.py PLAN"""
    require_tools()
    for scenario in scenarios:
        began = time.monotonic()
        scenario(os.path.abspath(sys.argv[1]))
        print(f"{scenario.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    print("ok")
