# SPDX-License-Identifier: MIT
"""The scripts of `plan completion` in real shells: bash, and zsh and fish where they are installed.

bash and zsh sit at a terminal and the TAB key is pressed; bash's function and fish's `complete -C` are asked for whole
lists besides. What a plan holds is never run, however its steps are named."""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PLAN, SOURCE = sys.argv[1:]
CANARY = "canary-was-run"
STEPS = """\
plan: 1
name: completed
summary: To complete.
steps:
  stop-traffic: {uses: wait, with: {for: 1s}}
  stop-writers: {uses: wait, with: {for: 1s}}
  unfollow: {uses: wait, with: {for: 1s}}
  each:
    uses: wait
    for_each: ["$(touch %(canary)s)", "`touch %(canary)s`", "a b", "x:y=z"]
    with: {for: 1s}
"""
# What is typed -> all that is offered. `FILE` stands for the plan.
LISTS = {
    "plan ap": ["apply", "approve"],
    "plan completion ": ["bash", "fish", "zsh"],
    "plan apply --th": ["--through"],
    "plan apply --through stop": ["stop-traffic", "stop-writers"],
    "plan apply FILE --through=stop-t": ["stop-traffic"],
    "plan explain FILE un": ["unfollow"],
    "plan approve FILE stop": ["stop-traffic", "stop-writers"],
    "plan rollback FILE --to un": ["unfollow"],
    "plan graph FILE --format ": ["dot", "json", "mermaid", "text"],
    "plan diff FILE --format=m": ["markdown"],
    "plan check --color a": ["always", "auto"],
    "plan check p": ["p.yaml", "plans/"],
    "plan check plans/": ["plans/other.yml"],
    "plan steps explain heroku.dom": ["heroku.domain"],
    "plan pause FILE --am": [],
    "plan check FILE ": [],
}
TABS = {  # what is typed -> what stands on the line after TAB
    "plan expl": "plan explain",
    "plan explain FILE stop-t": "plan explain FILE stop-traffic",
    "plan apply FILE --through=un": "plan apply FILE --through=unfollow",
    "plan check p.y": "plan check p.yaml",
}


def check(truth, *what):
    if not truth:
        raise SystemExit(" ".join(map(str, what)))


def names_of_options():
    """What --help says of each command, to hold the scripts against."""
    found = {}
    for line in run(PLAN, "help").splitlines():
        command = re.match(r"  plan (\S+)", line)
        if command:
            found[command[1]] = ["help"] + re.findall(r"^  --([a-z-]+)", run(PLAN, command[1], "--help"), re.M)
    return found


def run(*words, cwd=None, code=0, **more):
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **more)
    check(done.returncode == code, words, done.returncode, done.stdout, done.stderr)
    return done.stdout


class Place:
    """A directory with plans, a `plan` in the PATH, and the three scripts."""

    def __enter__(self):
        self.path = os.path.realpath(tempfile.mkdtemp(prefix="plan-completion-"))
        self.canary = os.path.join(self.path, CANARY)
        bin_ = os.path.join(self.path, "bin")
        os.makedirs(os.path.join(self.path, "work", "plans"))
        os.mkdir(bin_)
        os.symlink(os.path.abspath(PLAN), os.path.join(bin_, "plan"))
        self.work = os.path.join(self.path, "work")
        for name in ("p.yaml", "plans/other.yml"):
            with open(os.path.join(self.work, name), "w") as out:
                out.write(STEPS % {"canary": self.canary})
        for name in ("notes.txt", "plans/readme.md"):
            open(os.path.join(self.work, name), "w").close()
        for shell in ("bash", "zsh", "fish"):
            with open(os.path.join(self.path, shell), "w") as out:
                out.write(run(PLAN, "completion", shell))
        self.environment = {"PATH": bin_ + ":" + os.environ["PATH"], "HOME": self.path, "TERM": "dumb", "LC_ALL": "C.UTF-8",
                            "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""), "ZDOTDIR": self.path}
        return self

    def __exit__(self, *details):
        check(not os.path.exists(self.canary), "a step's name was run")
        shutil.rmtree(self.path)


def asked_of_bash(place, line):
    """COMP_WORDS are broken as readline breaks them."""
    words = re.findall(r"[=:]+|(?:[^\s=:\\]|\\.)+", line) + ([""] if line[-1] in " =" else [])
    script = ('source "$1"; COMP_LINE=$2 COMP_POINT=${#2}; shift 2; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
              ' _plan; printf "%s\\n" "${COMPREPLY[@]}"')
    return run("bash", "--norc", "-c", script, "bash", os.path.join(place.path, "bash"), line, *words,
               cwd=place.work, env=place.environment).split("\n")


def bash_lists(place):
    for line, wanted in LISTS.items():
        got = sorted(one.rstrip("=") for one in asked_of_bash(place, line.replace("FILE", "p.yaml")) if one)
        check(got == wanted, "bash:", repr(line), got, "not", wanted)
    got = asked_of_bash(place, "plan explain p.yaml each")
    check([re.sub(r"\\(.)", r"\1", one) for one in got if "$" not in one and "`" not in one and one] ==
          ["each[a b]", "each[x:y=z]"], "bash: quoted steps", got)
    for command, options in names_of_options().items():
        got = sorted(one.rstrip("=") for one in asked_of_bash(place, f"plan {command} --") if one)
        check(got == sorted("--" + one for one in options), "bash:", command, got, options)


def fish_lists(place):
    for line, wanted in LISTS.items():
        typed = line.replace("FILE", "p.yaml")
        out = run("fish", "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"', os.path.join(place.path, "fish"),
                  typed, cwd=place.work, env=place.environment)
        got = sorted(one.split("\t")[0].split("=")[-1] for one in out.splitlines())
        check(got == wanted, "fish:", repr(line), got, "not", wanted)
    for command, options in names_of_options().items():
        out = run("fish", "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"', os.path.join(place.path, "fish"),
                  f"plan {command} --", cwd=place.work, env=place.environment)
        got = sorted(one.split("\t")[0].rstrip("=") for one in out.splitlines())
        check(got == sorted("--" + one for one in options), "fish:", command, got, options)


class Terminal:
    """A shell at a pseudo-terminal."""

    def __init__(self, place, *command):
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            os.chdir(place.work)
            os.execvpe(command[0], command, place.environment)
        self.seen = ""

    def read_until(self, pattern, within=120):
        until = time.monotonic() + within
        while not re.search(pattern, self.seen):
            check(time.monotonic() < until, "the shell did not show", pattern, "but", repr(self.seen))
            if select.select([self.end], [], [], 0.2)[0]:
                self.seen += os.read(self.end, 65536).decode(errors="replace")
        found = re.search(pattern, self.seen)
        self.seen = self.seen[found.end():]
        return found

    def type(self, keys):
        os.write(self.end, keys.encode())

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.end)


def press_tab(place, shell, prepare, *command):
    """After TAB the line is made the argument of a printf: it says what stands there."""
    terminal = Terminal(place, *command)
    try:
        terminal.type(f"{prepare}; source {place.path}/{shell}; printf 'REA%s\\n' DY\n")
        terminal.read_until("READY")
        for typed, wanted in TABS.items():
            terminal.type(typed.replace("FILE", "p.yaml") + "\t")
            time.sleep(0.7)
            terminal.type("\x05\x01printf 'GO%s<%s>\\n' T \"\x05\"\n")
            got = terminal.read_until(r"GOT<([^>]*)>")[1].rstrip()
            check(got == wanted.replace("FILE", "p.yaml"), shell, "TAB after", repr(typed), "gave", repr(got))
        terminal.type("exit\n")
    finally:
        terminal.close()


def has_terminals():
    """A chroot may have no pseudo-terminals."""
    try:
        for end in os.openpty():
            os.close(end)
    except OSError:
        return False
    return True


def main():
    skipped = []
    with Place() as place:
        run(PLAN, "completion", "tcsh", code=64)
        check(run(PLAN, "completion", "steps", "p.yaml", cwd=place.work).splitlines()[:3] ==
              ["stop-traffic", "stop-writers", "unfollow"], "completion steps")
        check(run(PLAN, "completion", "modules").split() ==
              [line.split()[0] for line in run(PLAN, "steps").splitlines()], "completion modules")
        bash_lists(place)
        if not has_terminals():
            print("ok; SKIP what TAB does: no pseudo-terminals here")
            return
        press_tab(place, "bash", "bind 'set enable-bracketed-paste off'; PS1='$ '", "bash", "--norc", "--noprofile", "-i")
        if shutil.which("zsh"):
            press_tab(place, "zsh", "autoload -U compinit; compinit -u -D; bindkey -e; PS1='$ '; unsetopt zle_bracketed_paste",
                      "zsh", "-f", "-i")
        else:
            skipped.append("zsh")
        if shutil.which("fish"):
            fish_lists(place)
        else:
            skipped.append("fish")
    print("ok" + "".join(f"; SKIP {shell}: not installed" for shell in skipped))


main()
