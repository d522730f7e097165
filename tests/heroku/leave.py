# SPDX-License-Identifier: MIT
"""An app leaves its Heroku database for another one: the steps at Heroku, disturbed at every one of their writes.

They are carried out up to the open app, taken back, and carried out to the end. Meanwhile `plan` is killed before
or after the effect of each write, or each reply is lost in one way or another. In the end the world, and the
effects in their order, are those of a run that nobody disturbed.
PLAN_LEVEL=release kills before each write, too, and loses replies.

usage: leave.py PLAN"""
import itertools
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "region"))
import compare  # noqa: E402
from scene import Scene, check, kill, must_be, play, says, wait_until  # noqa: E402

HEAD = """\
plan: 1
name: leave
summary: The steps at Heroku of a move away from its database.
secrets: {token: {env: TOKEN}, app_url: {env: APP_URL}}
connections:
  heroku: {uses: heroku, token: "${secrets.token}", url: "%(url)s", data_url: "%(url)s"}
defaults: {retry: {attempts: %(attempts)d, backoff: 100ms to 300ms}}
downtime: {begins: stop-traffic, ends: open, budget: 3m}
steps:
"""

STEPS = """\
  keep-old-name:
    uses: heroku.attachment
    with: {app: sourceapp, of: DATABASE, as: OLD_DATABASE}
  stop-traffic:
    uses: heroku.maintenance
    needs: [keep-old-name]
    with: {app: sourceapp, enabled: true}
  database-url:
    uses: heroku.config
    needs: [stop-traffic]
    with:
      app: sourceapp
      set: {DATABASE_URL: "${secrets.app_url}"}
      replace_attachments: true
    on_failure: roll back to stop-traffic
  open:
    uses: heroku.maintenance
    needs: [database-url]
    with: {app: sourceapp, enabled: false}
    postconditions: [{check: heroku.dynos_up, of: sourceapp, equals: all, within: 1m}]
    on_failure: roll back to stop-traffic
  retire-database:
    uses: heroku.addon.destroyed
    needs: [open]
    with: {app: sourceapp, attachment: OLD_DATABASE, backup_first: true}
    irreversible: The old database is gone.
"""

THERE = ["attach old-db as OLD_DATABASE", "maintenance on", "Detach DATABASE", "config DATABASE_URL", "maintenance off"]
BACK = ["maintenance on", "config DATABASE_URL", "attach old-db as DATABASE", "maintenance off", "Detach OLD_DATABASE"]
GONE = ["pg_dump to gof3r", "destroy add-on old-db"]

KINDS = [("closed before the effect", "drop", "before"), ("dropped after the effect", "drop", "after"),
         ("half a reply", "half", "after"), ("503 after the effect", "503", "after"), ("429", "429", "before"),
         ("500 before the effect", "500", "before")]
RELEASE = os.environ.get("PLAN_LEVEL") == "release"
TURNS = range(len(KINDS))


class Leave(Scene):
    """The app with its database, and another app's, which stands in for where it goes."""

    def __init__(self, attempts=3, process_types=None):
        processes = process_types or {"web": "bin/web", "worker": "bin/worker"}
        database = {"plan": "heroku-postgresql:standard-0", "as": "DATABASE"}
        super().__init__(sys.argv[1], [
            {"name": "sourceapp", "slug": {"commit": "abc", "process_types": processes},
             "formation": {"web": 2, "worker": 1}, "addons": [{**database, "name": "old-db"}]},
            {"name": "targetapp", "addons": [{**database, "name": "new-db"}]}], STEPS, attempts)

    def __enter__(self):
        self.new = ""
        super().__enter__()
        self.old, self.new = self.config("sourceapp")["DATABASE_URL"], self.config("targetapp")["DATABASE_URL"]
        return self

    def write(self, steps):
        with open(self.file, "w", encoding="utf-8") as out:
            out.write(HEAD % {"url": self.url, "attempts": self.attempts} + steps)

    def environment(self):
        return {**super().environment(), "APP_URL": self.new}

    def run(self, wanted, *arguments, after=()):
        output = super().run(wanted, *arguments, after=after)
        for url in (self.old, self.new):
            check(url.split(":")[2].split("@")[0] not in output, f"{arguments}: a password is shown\n{output}")
        return output

    def is_led_to(self, url):
        """The dynos write there, and nowhere else; the workers while the web is in maintenance, too."""
        def newest(of):
            return int(self.sql(of, "SELECT count(*) FROM visits WHERE source = 'worker'"))
        other = self.old if url == self.new else self.new
        before, quiet = newest(url), newest(other)
        wait_until(lambda: newest(url) > before, "a worker writes")
        must_be(newest(other), quiet, "rows written elsewhere")

    def sql(self, url, statement):
        return subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement], check=True,
                              capture_output=True, text=True).stdout.strip()

    def has_no_secret(self):
        for directory, _, files in os.walk(os.path.join(self.directory, ".plan")):
            for name in files:
                with open(os.path.join(directory, name), "rb") as file:
                    text = file.read()
                for url in (self.old, self.new):
                    check(url.split("@")[0].encode() not in text, f"a URL is in {name}")


# ---- Disturbing ----

def simply(here, *command):
    here.run(0, command[0], "--yes", *command[1:])


def killed(here, command, when, nth):
    """True when it was killed at its nth write; False when it came to its end."""
    fault = here.fault("WRITE", "/*", "hang", when, nth)
    process = here.begin(command[0], "--yes", *command[1:])

    def caught():
        hit = any(one["id"] == fault and one["hit"] for one in here.call("GET", "/_sim/faults"))
        return hit or process.poll() is not None
    wait_until(caught, f"the write number {nth} or the end", within=90)
    ended = process.poll() is not None
    if not ended:
        kill(process)
    here.no_faults()
    check(not ended or process.returncode == 0, f"{command}: exit {process.returncode}")
    return not ended


def killed_before_each(here, *command):
    """The first write, then the one after the one that the run before was killed at."""
    count = 0
    for nth in itertools.chain([1], itertools.repeat(2)):
        if not killed(here, command, "before", nth):
            here.kills += count
            return
        count += 1
        check(count < 30, "it never comes to its end")


def killed_after_each(here, *command):
    for count in range(30):
        if not killed(here, command, "after", 1):
            here.kills += count
            return
    raise AssertionError("it never comes to its end")


class Lossy:
    """Each write is struck by one kind of fault; another one in each turn."""

    def __init__(self, writes, turn):
        self.writes, self.turn, self.struck = list(writes), turn, 0

    def __call__(self, here, *command):
        count, placed = {}, []
        for i, (method, path) in enumerate(self.writes.pop(0)):
            nth = count[method, path] = count.get((method, path), 0) + 1
            placed.append((method, path, nth, KINDS[(i + self.turn) % len(KINDS)]))
        # The last of an endpoint first: each counts the requests that those before it let pass.
        for method, path, nth, (_, action, when) in sorted(placed, key=lambda one: -one[2]):
            here.fault(method, path, action, when, nth)
        simply(here, *command)
        self.struck += sum(1 for one in here.call("GET", "/_sim/faults") if one["hit"])
        here.no_faults()


def there_and_back_and_gone(run):
    """[(effects, writes, world)] of each part, carried out by run(here, command, ...)."""
    parts = []
    with Leave() as here:
        here.kills = 0
        first = here.attachments("sourceapp"), here.config("sourceapp")
        for command in (("apply", "--through", "open"), ("rollback", "--to", "keep-old-name"), ("apply",)):
            seen = len(here.ledger())
            run(here, *command)
            entries = here.call("GET", "/_sim/ledger")[seen:]
            writes = [(one["method"], re.sub(compare.UUID, "*", one["path"])) for one in entries]
            parts.append(([one["what"] for one in entries], writes, compare.state_of(here)))
            if command[0] == "rollback":
                must_be((here.attachments("sourceapp"), here.config("sourceapp")), first, "what was there before")
                here.is_led_to(here.old)
            elif len(command) > 1:
                must_be(here.attachments("sourceapp"), {"OLD_DATABASE": "old-db"}, "attachments")
                must_be(here.config("sourceapp"), {"DATABASE_URL": here.new, "OLD_DATABASE_URL": here.old}, "config vars")
                here.is_led_to(here.new)
            here.run(0, "journal", "--verify")
        must_be(here.attachments("sourceapp"), {}, "attachments in the end")
        must_be(here.config("sourceapp"), {"DATABASE_URL": here.new}, "config vars in the end")
        says(here.run(0, "diff", "--detailed-exitcode"), "no difference")
        here.apply(0)
        must_be(len(here.ledger()), seen + len(entries), "effects after a further apply")
        here.has_no_secret()
        return parts, here.kills


UNDISTURBED = []


def nobody_disturbs_it():
    UNDISTURBED.extend(there_and_back_and_gone(simply)[0])
    for (effects, _, _), wanted in zip(UNDISTURBED, (THERE, BACK, THERE + GONE)):
        must_be(effects, wanted, "effects")


def is_as_undisturbed(name, parts):
    for (effects, _, world), (wanted, _, former) in zip(parts, UNDISTURBED):
        must_be(effects, wanted, f"{name}: effects")
        compare.same(name, world, former)


def it_is_killed_before_each_write():
    parts, kills = there_and_back_and_gone(killed_before_each)
    is_as_undisturbed("killed before", parts)
    must_be(kills, len(THERE) + len(BACK) + len(THERE + GONE), "kills")


def it_is_killed_after_each_write():
    parts, kills = there_and_back_and_gone(killed_after_each)
    is_as_undisturbed("killed after", parts)
    must_be(kills, len(THERE) + len(BACK) + len(THERE + GONE), "kills")


def replies_are_lost():
    for turn in TURNS:
        lossy = Lossy([writes for _, writes, _ in UNDISTURBED], turn)
        is_as_undisturbed(f"turn {turn}", there_and_back_and_gone(lossy)[0])
        check(lossy.struck >= len(THERE) + len(BACK) + len(GONE), f"turn {turn}: struck only {lossy.struck} times")


# ---- What goes wrong ----

def it_goes_back_by_itself():
    """Heroku takes the name away and no new value: the app gets its database again."""
    with Leave(attempts=1) as here:
        before = here.attachments("sourceapp"), here.config("sourceapp")
        here.fault("PATCH", "/apps/sourceapp/config-vars", "500", nth=0)
        here.apply(5)
        now = here.attachments("sourceapp"), here.config("sourceapp")
        must_be(now[0], {**before[0], "OLD_DATABASE": "old-db"}, "attachments")
        must_be(now[1]["DATABASE_URL"], here.old, "DATABASE_URL")
        check(not here.call("GET", "/apps/sourceapp")["maintenance"], "the app is in maintenance")
        here.is_led_to(here.old)
        here.no_faults()
        here.apply(0)


def a_backup_that_fails_destroys_nothing():
    """Somebody drops what the dump is about to read; the next apply makes another backup."""
    with Leave(attempts=1) as here:
        here.apply(0, "--through", "open")
        psql = ["psql", "-XAtq", "-d", here.old]
        with subprocess.Popen(psql, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
            held.stdin.write("BEGIN; LOCK TABLE visits IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n")
            held.stdin.flush()
            check(held.stdout.readline().strip() == "locked", "no lock")
            running = here.begin("apply", "--yes")
            wait_until(lambda: here.sql(here.old, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                        "WHERE application_name = 'pg_dump'"), "a dump begins")
            must_be(running.wait(60), 1, "exit")
            held.communicate("")
        must_be(here.attachments("sourceapp"), {"OLD_DATABASE": "old-db"}, "attachments")
        here.effects()
        says(here.apply(0), "the backup b002", "stays with sourceapp", "pg:backups:download b002 -a sourceapp")
        must_be(here.effects(), GONE, "effects")
        must_be([one["succeeded"] for one in here.call("GET", "/client/v11/apps/sourceapp/transfers")], [False, True],
                "transfers")


def a_release_phase_may_fail():
    """The config var is set, and the dynos go on with the old database: it is no success, and goes back."""
    with Leave(attempts=1, process_types={"web": "bin/web", "worker": "bin/worker", "release": "false"}) as here:
        here.write(STEPS.replace("of: DATABASE, as", "addon: old-db, as"))
        here.call("POST", "/addon-attachments", {"app": "sourceapp", "addon": "old-db", "name": "OLD_DATABASE"})
        before = here.attachments("sourceapp"), here.config("sourceapp")
        says(here.apply(5), "release phase of v", "failed", "releases:output -a sourceapp")
        must_be((here.attachments("sourceapp"), here.config("sourceapp")), before, "what was there before")


play(nobody_disturbs_it, *([it_is_killed_before_each_write] if RELEASE else []), it_is_killed_after_each_write, *([replies_are_lost] if RELEASE else []),
     it_goes_back_by_itself, a_backup_that_fails_destroys_nothing, a_release_phase_may_fail)
