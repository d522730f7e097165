# SPDX-License-Identifier: MIT
"""plans/COVERAGE.md names only what is there, and leaves out no step of the plans that it is about.

Each row of its tables has a step, a module or a condition beside what the guide says, or the words "Not done,
because". Where the guide is at hand, no eight words of it in a row stand in the document."""
import glob
import json
import os
import re
import subprocess
import sys

PLAN, SOURCE = sys.argv[1:]
DOCUMENT = os.path.join(SOURCE, "plans", "COVERAGE.md")
GUIDES = {"heroku-region-migration.txt": 1000, "planetscale-heroku-migration.txt": 1000}  # and how many runs they have
FOLLOWER, BACKUP = "region-migration", "region-migration-backup"
COVERED = (FOLLOWER, BACKUP, "heroku-to-planetscale")
RUN = 8  # words in a row that count as copied
WORDS = {"us", "eu", "https"}  # values, not names of ours
wrong = []


def complain(*what):
    wrong.append(" ".join(map(str, what)))


def run(*arguments):
    done = subprocess.run([PLAN, *arguments], capture_output=True, timeout=60)
    return done.stdout.decode() if done.returncode == 0 else None


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


# ---- What there is ----

def read_plans():
    """{plan: {step: module}} of each file in plans/; the steps that a for_each makes are one."""
    plans = {}
    for file in glob.glob(os.path.join(SOURCE, "plans", "*.yaml")):
        steps = json.loads(run("graph", file, "--json"))["steps"]
        plans[os.path.basename(file)[:-len(".yaml")]] = {step["step"].split("[")[0]: step["uses"] for step in steps}
    return plans


def read_program():
    """Names of modules, connections and checks; and the words that fields and inputs are called."""
    modules, rest = run("schema", "--steps").split("\n## Connections\n")
    connections, checks = rest.split("\n## Checks\n")
    names = {"modules": set(re.findall(r"^### (\S+)$", modules, re.M)),
             "connections": set(re.findall(r"^### (\S+)$", connections, re.M)),
             "checks": set(re.findall(r"^- `(\S+)`", checks, re.M))}
    listed = {line.split()[0] for line in run("steps").splitlines()}
    if listed != names["modules"] or not names["connections"] or not names["checks"]:
        raise SystemExit(f"plan steps and plan schema --steps differ: {listed ^ names['modules']}")
    words = set(re.findall(r"^\| `(\w+)` \|", modules + connections, re.M))
    for plan in (*COVERED, "copy-database"):
        words |= set(re.findall(r"^  (\w+): \{type:", read(os.path.join(SOURCE, "plans", plan + ".yaml")), re.M))
    return names, words | WORDS


# ---- What the document says ----

def check_step(plan, step, plans, where):
    if plan not in plans:
        complain(where, f"there is no plans/{plan}.yaml")
    elif step not in plans[plan]:
        complain(where, f"{plan} has no step {step}")
    else:
        return True
    return False


def check_command(command, plans, where):
    words = command.split()
    if run(words[1], "--help") is None:
        complain(where, f"there is no command {command}")
    for word in words[2:]:
        if "-" in word and not word.startswith("-") and not any(word in plan for plan in plans.values()):
            complain(where, f"no plan has the step {word} of: {command}")


def check_name(token, plans, program, where):
    """True for what can stand for a line of the guide: a step, a module, a connection, a condition."""
    names, words = program
    step = re.fullmatch(r"([\w-]+): ([\w-]+)", token)
    if step:
        return check_step(step[1], step[2], plans, where)
    if any(token in some for some in names.values()):
        return True
    if token.startswith("plan "):
        check_command(token, plans, where)
    elif token not in plans and token not in words and not re.fullmatch(r"[A-Z_]+|x-app", token):
        complain(where, f"no module, condition, plan, input or field is called {token}")
    return False


def check_row(cells, columns, found, where):
    """found: how many names that stand for something each cell has."""
    if len(cells) != columns:
        complain(where, f"{len(cells)} cells, not {columns}")
    if not all(cells[:2]):
        complain(where, "an empty cell")
    text = " ".join(cells)
    if text.count("Not done") != text.count("Not done, because "):
        complain(where, '"Not done" without ", because"')
    if not any(found[1:]) and "Not done, because " not in text:
        complain(where, "neither a step, module or condition nor Not done, because")


def read_document(plans, program):
    """Checks each line; gives the steps that are named, and how many rows there are."""
    named, rows, columns = set(), 0, 0
    for number, line in enumerate(read(DOCUMENT).splitlines(), 1):
        where = f"COVERAGE.md:{number}:"
        cells = [cell.strip() for cell in line.strip()[1:-1].split("|")] if line.startswith("|") else [line]
        found = []
        for cell in cells:
            if cell.count("`") % 2:
                complain(where, "a ` without another")
            tokens = re.findall(r"`([^`]+)`", cell)
            found.append(sum(check_name(token, plans, program, where) for token in tokens))
            named.update(token for token in tokens if ": " in token)
        if not line.startswith("|"):
            columns = 0
        elif not columns:
            columns = len(cells)
        elif not re.fullmatch(r"[|\s-]+", line):
            rows += 1
            check_row(cells, columns, found, where)
    return named, rows


def no_step_is_left_out(named, plans):
    for plan in COVERED:
        for step, module in plans[plan].items():
            other = plans[FOLLOWER].get(step)
            if plan == BACKUP and other and other != module:
                complain(f"{step} is {other} in {FOLLOWER} and {module} in {BACKUP}")
            shared = other == module and f"{FOLLOWER}: {step}" in named
            if f"{plan}: {step}" not in named and not shared:
                complain(f"COVERAGE.md does not name `{plan}: {step}`")


# ---- Whose words they are ----

def runs_of(text):
    words = re.findall(r"[a-z0-9]+", text.lower().replace("’", "").replace("'", ""))
    return [" ".join(words[i:i + RUN]) for i in range(len(words) - RUN + 1)]


def its_words_are_our_own():
    """How many guides are here to compare with."""
    ours, compared = runs_of(read(DOCUMENT)), 0
    for name, least in GUIDES.items():
        paths = [os.path.join(SOURCE, up, "shared", "guides", name) for up in ("..", "../..")]
        guide = next((path for path in paths if os.path.exists(path)), None)
        if not guide:
            continue
        theirs = set(runs_of("\n".join(line for line in read(guide).splitlines() if not line.startswith("$"))))
        if len(theirs) < least:
            complain(name, "is too short to be the guide:", len(theirs))
        for one in ours:
            if one in theirs:
                complain("copied from", name + ":", one)
        compared += 1
    return compared


plans = read_plans()
named, rows = read_document(plans, read_program())
if rows < 100:
    complain("only", rows, "rows were found")
no_step_is_left_out(named, plans)
compared = its_words_are_our_own()
if wrong:
    raise SystemExit("\n".join(wrong))
print(f"ok: {rows} rows, compared with {compared} guides")
if compared < len(GUIDES):
    print("SKIP: the comparison with guides that are not here")
