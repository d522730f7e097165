# SPDX-License-Identifier: MIT
"""The module `command`: what it starts, what it gives to it and shows of it, and how it ends it.

usage: command.py PLAN"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PLAN = os.path.abspath(sys.argv[1])
SECRET = "canary-value-8301"
HEAD = "plan: 1\nname: commands\nsummary: Programs.\nsecrets: {token: {env: TOKEN}}\nsteps:\n"
MAKES = "  it: {uses: command, with: {run: [touch, made], check: [test, -e, made], undo: [rm, made]}}\n"
# Starts another one and waits; both write their pids.
FAMILY = "#!/bin/sh\ntrap '' TERM\nsleep 300 &\necho $! >child\necho $$ >parent.new\nmv parent.new parent\nwait\n"


def check(truth, text):
    if not truth:
        raise AssertionError(text)


def wait_until(truth, what, within=20):
    until = time.monotonic() + within
    while not truth():
        check(time.monotonic() < until, f"not within {within} s: {what}")
        time.sleep(0.05)


class Place:
    def __init__(self, steps, **programs):
        self.steps, self.programs = steps, programs

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="plan-command-")
        self.file = self.path("p.yaml")
        self.write("p.yaml", HEAD + self.steps)
        for name, text in self.programs.items():
            self.write(name, text)
            os.chmod(self.path(name), 0o755)
        return self

    def __exit__(self, *details):
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def files(self):
        return {name for name in os.listdir(self.directory) if not name.startswith(".")} - {"p.yaml", *self.programs}

    def begin(self, *arguments):
        return subprocess.Popen([PLAN, *arguments, self.file], text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env={**os.environ, "TOKEN": SECRET, "NOT_FOR_THEM": "x", "NO_COLOR": "1"})

    def run(self, wanted, *arguments, says=()):
        process = self.begin(*arguments)
        output = process.communicate(timeout=60)[0]
        check(process.returncode == wanted, f"{arguments}: exit {process.returncode}, not {wanted}\n{output}")
        check(SECRET not in output, f"the secret is shown\n{output}")
        for text in says:
            check(text in output, f"{arguments}: {text!r} is not said\n{output}")
        return output

    def apply(self, wanted, says=()):
        return self.run(wanted, "apply", "--yes", "--allow-commands", says=says)

    def journal(self):
        return self.run(0, "journal", "--json")

    def family_is_gone(self):
        for name in ("parent", "child"):
            pid = int(self.read(name))
            wait_until(lambda: is_gone(pid), f"the end of the {name}", 10)


def is_gone(pid):
    """A zombie that nobody has waited for yet is gone too."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def it_is_done_once_and_undone():
    with Place(MAKES) as place:
        place.run(2, "diff", "--detailed-exitcode", "--allow-commands", says=["[touch, made]"])
        check(place.files() == set(), "the look did it")
        place.apply(0)
        check(place.files() == {"made"}, f"{place.files()}")
        place.run(0, "diff", "--detailed-exitcode", "--allow-commands")
        place.run(0, "rollback", "--to", "it", "--yes", "--allow-commands")
        check(place.files() == set(), "it is not undone")
        place.write("made", "")
        shutil.rmtree(place.path(".plan"))
        check("touch" not in place.apply(0), "what is done was done again")


def nothing_starts_without_leave():
    with Place(MAKES) as place:
        place.run(3, "apply", "--yes", says=["step it starts programs on this machine", "--allow-commands"])
        place.run(1, "diff", says=["cannot be looked at", "--allow-commands"])
        check(place.files() == set(), "something was started")
        place.apply(0)
        place.run(3, "rollback", "--to", "it", "--yes", says=["--allow-commands"])
        check(place.files() == {"made"}, "something was undone")
        place.run(3, "rehearse", says=["nothing can stand in for them"])
    rollback = ("  it: {uses: wait, with: {for: 1ms}, rollback: [{uses: command,"
                " with: {run: [touch, made], check: [test, -e, made], undo: [rm, made]}}]}\n")
    with Place(rollback) as place:
        place.run(3, "apply", "--yes", says=["--allow-commands"])


def no_shell_reads_the_arguments():
    name = "a; touch b & $(touch c) `touch d` > e *"
    with Place(f"  it: {{uses: command, with: {{run: [touch, '{name}'], check: [test, -e, '{name}'],"
               f" undo: [rm, '{name}']}}}}\n") as place:
        place.apply(0)
        check(place.files() == {name}, f"{place.files()}")


def a_secret_among_the_arguments_is_refused():
    for field in ("run", "check", "undo"):
        vectors = {"run": "[touch, made]", "check": "[test, -e, made]", "undo": "[rm, made]"}
        vectors[field] = '[echo, "x${secrets.token}"]'
        fields = ", ".join(f"{name}: {vector}" for name, vector in vectors.items())
        with Place(f"  it: {{uses: command, with: {{{fields}}}}}\n") as place:
            place.run(64, "check", says=["secret"])


def env_and_stdin_may_hold_secrets_and_nothing_shows_them():
    say = ('#!/bin/sh\nread -r line\necho "env $HIDDEN, stdin $line"\nprintf "\\033[31mred\\n"\n'
           'env | sort >seen\necho "$line" >given\n')
    with Place('  it: {uses: command, with: {run: [./say], check: [test, -e, seen], undo: [rm, seen],'
               ' env: {HIDDEN: "${secrets.token}"}, stdin: "${secrets.token}\\n"}}\n', say=say) as place:
        output = place.apply(0)
        check("env (hidden), stdin (hidden) / ?[31mred" in output, output)
        check(place.read("given") == SECRET + "\n", "it did not get its input")
        names = {line.split("=")[0] for line in place.read("seen").splitlines()}
        check("HIDDEN" in names and not names & {"TOKEN", "NOT_FOR_THEM"}, f"it has {names}")
        place.journal()
        for name in os.listdir(place.path(".plan")):
            with open(place.path(os.path.join(".plan", name)), "rb") as file:
                check(SECRET.encode() not in file.read(), f"the secret stands in {name}")


def its_time_limit_ends_the_whole_group():
    with Place("  it: {uses: command, with: {run: [./family], check: [test, -e, made], undo: [rm, made], limit: 1s}}\n",
               family=FAMILY) as place:
        place.apply(1, says=["took longer than its limit"])
        place.family_is_gone()


def a_stop_ends_the_whole_group():
    for signals, wanted in (([signal.SIGINT], 130), ([signal.SIGKILL], -signal.SIGKILL)):
        with Place("  it: {uses: command, with: {run: [./family], check: [test, -e, made], undo: [rm, made]}}\n",
                   family=FAMILY) as place:
            process = place.begin("apply", "--yes", "--allow-commands")
            wait_until(lambda: os.path.exists(place.path("parent")), "the family")
            for one in signals:
                process.send_signal(one)
            output = process.communicate(timeout=30)[0]
            check(process.returncode == wanted, f"exit {process.returncode}\n{output}")
            place.family_is_gone()


def what_is_left_behind_ends_with_it():
    leaves = "#!/bin/sh\nsleep 300 &\necho $! >child\necho $$ >parent\n"
    with Place("  it: {uses: command, with: {run: [./leaves], check: [test, -e, child], undo: [rm, child]}}\n",
               leaves=leaves) as place:
        place.apply(0)
        place.family_is_gone()


def a_crash_is_gone_on_from_by_the_check():
    once = "#!/bin/sh\necho x >>count\necho $$ >parent\nsleep 1\ntouch made\nsleep 300\n"
    with Place("  it: {uses: command, with: {run: [./once], check: [test, -e, made], undo: [rm, made]}}\n",
               once=once) as place:
        process = place.begin("apply", "--yes", "--allow-commands")
        wait_until(lambda: os.path.exists(place.path("made")), "the effect")
        process.kill()
        process.communicate(timeout=30)
        wait_until(lambda: is_gone(int(place.read("parent"))), "the end of the program")
        place.apply(0)
        check(place.read("count") == "x\n", "it ran twice")


def a_check_says_yes_or_no_and_nothing_else():
    with Place("  it: {uses: command, with: {run: [touch, made], check: [./broken], undo: [rm, made]}}\n",
               broken="#!/bin/sh\necho no database\nexit 2\n") as place:
        place.apply(1, says=["`check` ended with exit code 2: no database"])
        check(place.files() == set(), "it was run")
    with Place("  it: {uses: command, with: {run: ['true'], check: ['false'], undo: ['true']}}\n") as place:
        place.apply(1, says=["`check` says that it is not done"])


def much_output_is_bounded():
    flood = "#!/bin/sh\nhead -c 20000000 /dev/zero | tr '\\0' x\nyes line | head -n 200000\necho last words\ntouch made\n"
    with Place("  it: {uses: command, with: {run: [./flood], check: [test, -e, made], undo: [rm, made]}}\n",
               flood=flood) as place:
        place.apply(0, says=["last words"])
        check(len(place.journal()) < 20000, "the journal is flooded")


def what_is_wrong_is_said_offline():
    for fields, says in (("run: [], check: [a], undo: [b]", "names no program"),
                         ("run: [a], check: [b], undo: [c], directory: ../x", "beneath the plan's directory"),
                         ("run: [a], check: [b], undo: [c], env: {A-B: c}", "no name of a variable"),
                         ("run: touch made, check: [b], undo: [c]", "list"),
                         ("run: [a], check: [b]", "command cannot be undone by itself: write its field `undo`")):
        with Place(f"  it: {{uses: command, with: {{{fields}}}}}\n") as place:
            place.run(64, "check", says=[says])


def a_directory_cannot_lead_out():
    with Place(MAKES.replace("run:", "directory: out, run:")) as place:
        os.symlink("/tmp", place.path("out"))
        place.apply(64, says=["symbolic link"])
    with Place(MAKES.replace("run: [touch", "directory: sub, run: [no-such-program")) as place:
        os.mkdir(place.path("sub"))
        place.apply(64, says=["there is no program no-such-program in PATH"])


for scenario in (it_is_done_once_and_undone, nothing_starts_without_leave, no_shell_reads_the_arguments,
                 a_secret_among_the_arguments_is_refused, env_and_stdin_may_hold_secrets_and_nothing_shows_them,
                 its_time_limit_ends_the_whole_group, a_stop_ends_the_whole_group, what_is_left_behind_ends_with_it,
                 a_crash_is_gone_on_from_by_the_check, a_check_says_yes_or_no_and_nothing_else, much_output_is_bounded,
                 what_is_wrong_is_said_offline, a_directory_cannot_lead_out):
    began = time.monotonic()
    scenario()
    print(f"{scenario.__name__}: {time.monotonic() - began:.1f} s", flush=True)
print("ok")
