# SPDX-License-Identifier: MIT
"""Pairs of plans and what `plan diff old..new` says of them, as text, Markdown and JSON.

usage: pairs.py PLAN SOURCE [--bless] [NAME ...]
--bless writes what is expected anew. Read every line of it as a reviewer of a pull request would:
the question is whether one would decide rightly from it."""
import json
import os
import re
import sys

from repository import UNSHARE, Repository

FORMATS = {"expected.txt": [], "expected.md": ["--format", "markdown"], "expected.json": ["--json"]}


def read(path):
    return open(path, "rb").read().decode() if os.path.exists(path) else None


def build(plan, directory):
    repository = Repository(plan)
    for tag in "old", "new":
        text = read(os.path.join(directory, tag + ".yaml"))
        if text is not None:
            repository.write("plan.yaml", text)
        elif os.path.exists(os.path.join(repository.path, "plan.yaml")):
            repository.remove("plan.yaml")
        repository.commit(tag, tag)
    return repository


def outside_code(markdown):
    """The Markdown without its code spans, as CommonMark finds them: a run of backticks up to the
    next run of the same length."""
    out, at = [], 0
    runs = [(m.start(), m.end()) for m in re.finditer("`+", markdown)]
    while runs:
        begin, end = runs.pop(0)
        closing = next((r for r in runs if r[1] - r[0] == end - begin), None)
        if not closing:
            continue
        out.append(markdown[at:begin])
        at = closing[1]
        runs = [r for r in runs if r[0] >= at]
    return "".join(out) + markdown[at:]


def complaints(name, directory, repository, validator):
    for file, words in FORMATS.items():
        code, output, errors = repository.diff("old..new", *words)
        again = repository.diff("old..new", *words)
        if (code, output, errors) != again:
            yield "%s: two runs differ" % file
        if errors:
            yield "%s: on stderr: %s" % (file, errors)
        shown = json.dumps(json.loads(output), indent=1) + "\n" if words == ["--json"] else output
        shown += "" if words else "exit %d\n" % repository.diff("old..new", "--detailed-exitcode")[0]
        path = os.path.join(directory, file)
        if "--bless" in sys.argv:
            open(path, "w").write(shown)
        elif read(path) != shown:
            yield "%s: expected\n%s\n--- but it is\n%s" % (file, read(path), shown)
        if words == ["--json"]:
            for error in validator.iter_errors(json.loads(output)):
                yield "%s: %s" % (file, error.message)
        if "markdown" in words:
            rest = outside_code(output)
            if len(output) >= 60000 or not output.startswith("<!-- plan-diff -->\n"):
                yield "%s: too long, or without its marker" % file
            if re.search(r"[@]|<(?!!-- plan-diff)|https?:|\[|!\[", rest):
                yield "%s: markup of the plan is outside of code: %s" % (file, rest)
        if any(ord(c) < 32 and c != "\n" or c in "\x7f\u202e\u200b" for c in output):
            yield "%s: a control character" % file
        if "leaked" in output or "geheim" in output:
            yield "%s: a secret is shown" % file


def main():
    plan, source = sys.argv[1:3]
    try:
        import jsonschema
    except ImportError:
        print("SKIP: apt-get install python3-jsonschema")
        sys.exit(77)
    schema = json.load(open(os.path.join(source, "schemas", "diff.schema.json")))
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    base = os.path.join(source, "tests", "diff", "pairs")
    names = [word for word in sys.argv[3:] if not word.startswith("--")] or sorted(os.listdir(base))
    wrong = 0
    for name in names:
        directory = os.path.join(base, name)
        for complaint in complaints(name, directory, build(plan, directory), validator):
            wrong += 1
            print(name, complaint)
    print(len(names), "pairs,", wrong, "complaints,", "without" if UNSHARE else "WITH", "a network")
    sys.exit(1 if wrong or len(names) < 1 else 0)


main()
