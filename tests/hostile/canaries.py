# SPDX-License-Identifier: MIT
"""Marked secrets through runs that are carried out, fail, are killed and are taken up again: none is in what is
kept, shown or can be looked up about a process. usage: canaries.py PLAN CRASHING"""
import copy
import glob
import os
import re
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "region"))
import region  # noqa: E402
from region import World, check  # noqa: E402

CRASHING = os.path.abspath(sys.argv[2])
TOKEN, BY_ENV, BY_FILE = "canary-token-4be1", "canary-by-env-91ac", "canary-by-file-03dd"
CONFIG = {
    "SECRET_KEY": "canary-value-1c2f", "STRIPE_KEY": "sk_live_canary-5a17", "SESSION_SECRET": "canary session 77 with spaces",
    "SMTP_PASSWORD": "canary\"quoted'\\and-escaped", "JSON_CREDENTIALS": '{"private_key": "canary-json-6d02"}',
    "PEM_KEY": "first line\ncanary-second-line-8e8e\n", "LOGIN_URL": "https://user:canary-userinfo-2f4b@login.example.com/",
    "WEBHOOK_URL": "https://hooks.example.com/canary-in-path-90bb", "UNICODE_SECRET": "canary-\u00fc\u00e4-\u6771\u4eac",
    "MAIL_URL": "smtp://mailer:canary-mail-4417@mail.example.com:587", "AWS_SECRET_ACCESS_KEY": "canary/aws+key/33d1=",
    "MONGO_URL": "mongodb://app:canary-mongo-50e0@db.example.com/app",
}
DRAINS = ["https://drain:canary-drain-6f21@logs.example.com/in?token=canary-query-a7c3"]


class Secrets(World):
    """The region migration with secrets everywhere."""

    def __init__(self, plan):
        super().__init__(plan)
        self.seed = copy.deepcopy(region.SEED)
        self.seed["apps"][0]["config"].update(CONFIG)
        self.seed["apps"][0]["drains"] += DRAINS

    def write_plan(self):
        super().write_plan()
        with open(os.path.join(self.directory, "secrets", "extra"), "w") as out:
            out.write(BY_FILE + "\n")
        self.edit_plan("  dns_key: {env: DNS_TSIG_KEY}\n", "  dns_key: {env: DNS_TSIG_KEY}\n"
                       "  by_env: {env: EXTRA_SECRET}\n  by_file: {file: secrets/extra}\n")
        self.edit_plan("  copy-addons:\n", "  add-secrets:\n    uses: heroku.config\n    needs: [copy-config]\n    with:\n"
                       "      app: ${steps.create-target.app}\n      set:\n        BY_ENV: ${secrets.by_env}\n"
                       "        BY_FILE: ${secrets.by_file}\n        MIXED: https://x:${secrets.by_env}@example.com\n\n"
                       "  copy-addons:\n")

    def environment(self):
        return {**super().environment(), "HEROKU_API_KEY": TOKEN, "EXTRA_SECRET": BY_ENV}

    def canaries(self):
        """Every form in which one could stand somewhere; what add-ons were given counts too."""
        found = {TOKEN, BY_ENV, BY_FILE, self.tsig.split(":")[2], "canary-drain-6f21", "canary-query-a7c3"}
        with open(os.path.join(self.directory, "secrets", "server.key")) as key:
            found.add(key.read().splitlines()[1])
        found |= {re.sub(r"^.*(canary-[\w-]+).*$", r"\1", value, flags=re.S) if re.search("canary-[a-z]+-", value)
                  else value for value in CONFIG.values()}
        for app in self.call("GET", "/apps"):
            for value in self.config(app["name"]).values():
                password = re.match(r"[a-z]+://[^:/]*:([^@]+)@", value)
                found |= {password.group(1)} if password else set()
        return found

    def keep_canaries(self):
        self.known = getattr(self, "known", set()) | self.canaries()

    def look_everywhere(self):
        """The journal with all that lies beside it, logs and whatever else was written but the secrets themselves."""
        self.keep_canaries()
        looked = 0
        for root, directories, names in os.walk(self.directory):
            directories[:] = [one for one in directories if one not in ("secrets", "knot", ".git")]
            for name in names:
                with open(os.path.join(root, name), "rb") as content:
                    self.must_not_say(content.read(), name)
                    looked += 1
        check(looked >= 2, "there is nothing to look at")
        check(not glob.glob(os.path.join(self.directory, "core*")), "a core file")

    def must_not_say(self, content, where):
        for canary in self.known:
            for form in {canary, canary.encode("unicode_escape").decode(), canary.replace("/", "%2F")}:
                check(form.encode() not in content, f"{canary} is in {where}: {content[-3000:]}")

    def say_all(self):
        """What readers print, in every form."""
        for words in (["status"], ["status", "--json"], ["journal"], ["journal", "--json"], ["diff"], ["diff", "--json"],
                      ["explain", "copy-config"], ["graph", "--format", "json"], ["rollback", "--preview", "--to",
                                                                                "copy-config"]):
            position = 2 if words[0] == "explain" else len(words)
            words = [*words[:1], self.file, *words[1:]] if position == 2 else [*words, self.file]
            done = subprocess.run([self.plan, *words], capture_output=True, env=self.environment(), cwd=self.directory,
                                  stdin=subprocess.DEVNULL, timeout=60)
            self.must_not_say(done.stdout + done.stderr, " ".join(words))


class Watch:
    """What /proc shows of all processes of a session, while they run."""

    def __init__(self, session, known):
        self.session, self.known, self.wrong, self.seen = session, known, set(), set()
        self.leaving = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.plan = os.path.realpath(f"/proc/{session}/exe")

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.leaving.set()
        self.thread.join()
        check(not self.wrong, self.wrong)

    def watch(self):
        while not self.leaving.wait(0.01):
            for path in glob.glob("/proc/[0-9]*"):
                try:
                    with open(f"{path}/stat") as stat:
                        session = stat.read().rpartition(")")[2].split()[3]
                    if int(session) == self.session:
                        self.look(path)
                except (OSError, IndexError):
                    pass  # it has ended

    def look(self, path):
        with open(f"{path}/cmdline", "rb") as file:
            words = file.read()
        with open(f"{path}/limits") as file:
            core = re.search(r"Max core file size +(\S+)", file.read()).group(1)
        program = os.path.realpath(f"{path}/exe")
        self.seen.add(os.path.basename(program))
        self.search(words, f"the arguments of {program}")
        if program not in (self.plan, os.path.realpath(CRASHING)):
            with open(f"{path}/environ", "rb") as file:
                self.search(file.read(), f"the environment of {program}")
        elif core != "0" and words.count(b"\0") > 1 and self.is_past_start(path):
            self.wrong.add(f"a core of {program} may be written: {core}")

    def is_past_start(self, path):
        with open(f"{path}/stat") as stat:
            return int(stat.read().rpartition(")")[2].split()[11]) > 5  # hundredths of a second of its own

    def search(self, content, where):
        for canary in self.known:
            if canary.encode() in content:
                self.wrong.add(f"{canary} is in {where}")


def watched(world, *command, program=None, **environment):
    """The exit code of a run that is looked at while it runs."""
    world.keep_canaries()
    process = world.begin(*command, program=program, **environment)
    with Watch(process.pid, world.known) as watch:
        code = process.wait(120)
    check(any(one.startswith("plan") for one in watch.seen), watch.seen)
    world.look_everywhere()
    return code, watch.seen


def carried_out(plan):
    with Secrets(plan) as world:
        world.approve_all()
        world.keep_canaries()
        world.say_all()
        code, _ = watched(world, "apply", "--yes", "--json", "--through", "copy-features", world.file)
        check(code == 0, world.log())
        world.say_all()
        code, _ = watched(world, "apply", "--yes", world.file)
        check(code == 0, world.log())
        check(world.config("targetapp")["MIXED"] == f"https://x:{BY_ENV}@example.com", "the secret got lost")
        check(len(world.known) >= 20, world.known)
        world.say_all()
        print(f"{len(world.known)} secrets", flush=True)


def fails_and_is_killed(plan):
    with Secrets(plan) as world:
        world.approve_all()
        world.fault("500", "POST", "/addon-attachments")
        code, _ = watched(world, "apply", "--yes", "--json", world.file)
        check(code == 5, f"exit {code}: {world.log()}")
        world.say_all()
        world.no_faults()
        for at in (3, 9):
            code, _ = watched(world, "apply", "--yes", world.file, program=CRASHING, PLAN_CRASH_AT_APPEND=str(at))
            check(code == -signal.SIGKILL, f"exit {code}: {world.log()}")
        world.say_all()
        code, _ = watched(world, "apply", "--yes", world.file)
        check(code == 0, world.log())
        world.say_all()


def programs_inherit_nothing(plan):
    """A rehearsal starts databases, name servers and git repositories."""
    with Secrets(plan) as world:
        code, seen = watched(world, "rehearse", world.file)
        check(code == 0, f"exit {code}: {world.log()}")
        check({"postgres", "knotd"} & seen, seen)
        print("programs:", *sorted(seen), flush=True)


region.main(carried_out, fails_and_is_killed, programs_inherit_nothing)
