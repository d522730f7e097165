# SPDX-License-Identifier: MIT
"""Where a module is held to its contract: a simulated Heroku, a name server and a git repository, and what is
there now, so that it can be compared: `place.state(apps)`, and what was done to it: `place.done()`."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "region"))
import region  # noqa: E402
from databases import Databases  # noqa: E402
from region import Refused, World, check, run_quiet  # noqa: E402

HEAD = """\
plan: 1
name: %(name)s
summary: One module, held to its contract.
secrets: {token: {env: HEROKU_API_KEY}, dns_key: {env: DNS_TSIG_KEY}, tls: {file: server.key}%(urls)s}
connections:
  heroku: {uses: heroku, token: "${secrets.token}", url: "%(url)s", data_url: "%(url)s"}
  dns: {uses: dns.rfc2136, zone: example.com, server: "127.0.0.1:%(dns)d", key: "${secrets.dns_key}"}
%(databases)sdefaults: {retry: {attempts: 3, backoff: 100ms to 500ms}}
steps:
"""


URLS = ", source: {env: SOURCE_URL}, target: {env: TARGET_URL}"
DATABASES = """\
  source: {uses: postgres, url: "${secrets.source}"}
  target: {uses: postgres, url: "${secrets.target}"}
"""


class Place(World):
    """One for all modules; each has apps, a directory and a journal of its own."""

    servers = databases = None
    crashing = None  # the program that can be killed at a record

    def __exit__(self, *details):
        if self.servers:
            self.servers.destroy()
        super().__exit__(*details)

    def choose_databases(self, module):
        """Only modules of PostgreSQL have some."""
        self.databases = None
        if module.startswith("postgres."):
            self.databases = self.servers = self.servers or Databases()
            self.databases.begin(module.replace(".", "_"))

    def environment(self):
        return {**super().environment(), **(self.databases.urls() if self.databases else {})}

    def make_apps(self):
        self.source_database = "no-database@"
        self.old_target = "old.herokudns.com"
        # Never strikes, but counts the calls that could change something.
        self.counter = self.fault("slow", "WRITE", "/*", nth=10**9)

    def make_repository(self):
        pass

    def write_plan(self):
        pass

    def repository(self, directory):
        for command in (["init", "-q", "-b", "main"],
                        ["remote", "add", "heroku", "https://git.heroku.com/sourceapp.git"]):
            run_quiet("git", "-C", directory, *command)

    def directory_of(self, name):
        directory = os.path.join(self.directory, name)
        os.mkdir(directory)
        return directory

    def plan_file(self, directory, steps):
        places = {"name": os.path.basename(directory), "url": self.url, "dns": self.dns, "router": self.router,
                  "urls": URLS if self.databases else "", "databases": DATABASES if self.databases else ""}
        file = os.path.join(directory, "p.yaml")
        with open(file, "w") as out:
            out.write(HEAD % places + steps % places)
        return file

    # ---- What was done ----

    def done(self, directory):
        """Grows with every effect anywhere, and with every call that could have had one."""
        counted = next(one["seen"] for one in self.call("GET", "/_sim/faults") if one["id"] == self.counter)
        return {"effects": [effect["what"] for effect in self.ledger()], "writes": counted,
                "serial": run_quiet("dig", "+short", "@127.0.0.1", "-p", str(self.dns), "example.com", "SOA"),
                "git": git_bytes(directory), "made": made_at(directory),
                "databases": self.databases and self.databases.done()}

    # ---- What is there ----

    def state(self, apps, directory):
        return {"apps": {app: self.app(app) for app in apps}, "git": git_bytes(directory),
                "made": made_at(directory) is not None, "databases": self.databases and self.databases.state(),
                "zone": {name: self.dig(f"{name}.example.com", kind) for name, kind in (("www", "CNAME"), ("ns", "A"))}}

    def list_of(self, app, what, key):
        """Sorted values at a path such as "user.email"."""
        found = []
        for one in self.call("GET", f"/apps/{app}/{what}"):
            for part in key.split("."):
                one = one[part] if one else None
            found.append(one)
        return sorted(found)

    def app(self, name):
        """Everything that a module governs, without ids and times; None where there is no such app."""
        try:
            about = self.call("GET", f"/apps/{name}")
        except Refused:
            return None
        try:
            stage = self.call("GET", f"/apps/{name}/pipeline-couplings")["stage"]
        except Refused:
            stage = None
        attachments = self.call("GET", f"/apps/{name}/addon-attachments")
        owned = {one["name"] for one in attachments}
        slugs = [one["slug"]["id"] for one in self.call("GET", f"/apps/{name}/releases")
                 if one["slug"] and one["status"] == "succeeded"]
        return {
            "region": about["region"]["name"], "stack": about["build_stack"]["name"],
            "maintenance": about["maintenance"], "stage": stage,
            # An add-on that is made anew has another URL; which one it is, attachments say.
            "config": {key: "(of an add-on)" if key[:-4] in owned else value
                       for key, value in self.config(name).items()},
            "formation": self.call("GET", f"/apps/{name}/formation") and self.formation(name),
            "buildpacks": self.list_of(name, "buildpack-installations", "buildpack.url"),
            "people": self.list_of(name, "collaborators", "user.email"),
            "features": sorted(one["name"] for one in self.call("GET", f"/apps/{name}/features") if one["enabled"]),
            "drains": self.list_of(name, "log-drains", "url"),
            "webhooks": sorted(f"{one['url']} {one['level']}" for one in self.call("GET", f"/apps/{name}/webhooks")),
            "schedules": {one["name"]: self.schedules(one["addon"]["id"]) for one in attachments},
            "domains": [host for host in self.list_of(name, "domains", "hostname") if "herokuapp" not in host],
            "endpoints": self.list_of(name, "sni-endpoints", "ssl_cert.cert_domains"),
            "addons": self.list_of(name, "addons", "plan.name"),
            "attachments": {one["name"]: one["addon"]["name"] for one in attachments},
            "following": sorted(one["addon"]["name"] for one in attachments if self.follows(one["addon"]["id"])),
            "slug": slugs[-1] if slugs else None,
            "migrated": self.times(name, "rake db:migrate") - self.times(name, "rake db:rollback"),
            "one_off": len([one for one in self.call("GET", f"/apps/{name}/dynos") if one["type"] == "run"]),
        }

    def times(self, app, command):
        """How often it ran in a one-off dyno, behind whatever marker."""
        return len([one for one in self.ledger() if one["app"] == app and one["what"].startswith(f"run {command} #")])

    def databases_are_known(self, apps):
        """The Data API knows a database a little later than the Platform API."""
        try:
            for app in apps:
                for one in self.call("GET", f"/apps/{app}/addons"):
                    if one["addon_service"]["name"] == "heroku-postgresql":
                        self.call("GET", f"/client/v11/databases/{one['id']}")
            return True
        except Refused:
            return False

    def schedules(self, addon):
        try:
            return [(one["name"], one["hour"]) for one in self.call("GET", f"/client/v11/databases/{addon}/"
                                                                    "transfer-schedules")]
        except Refused:
            return []

    def follows(self, addon):
        try:
            return bool(self.call("GET", f"/client/v11/databases/{addon}").get("following"))
        except Refused:
            return False


def made_at(directory):
    """When the file was made or touched that the program of `command` makes; None: it is not there."""
    try:
        return os.stat(os.path.join(directory, "made")).st_mtime_ns
    except FileNotFoundError:
        return None


def git_bytes(directory):
    """Every byte that git.remotes could touch."""
    found = {}
    for path, _, names in os.walk(os.path.join(directory, ".git")):
        for name in names:
            with open(os.path.join(path, name), "rb") as content:
                found[os.path.relpath(os.path.join(path, name), directory)] = content.read()
    return found


def differences(before, after, path=""):
    """What differs, for people."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [] if before == after else [f"{path}: {before!r} -> {after!r}"]
    return [line for key in sorted({**before, **after})
            for line in differences(before.get(key), after.get(key), f"{path}.{key}")]


__all__ = ["Place", "check", "differences", "re", "region"]
