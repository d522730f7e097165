# SPDX-License-Identifier: MIT
"""`plan graph --format mermaid` draws the edges of the plan, whatever its titles hold, within what GitHub draws.

Every line must be of one of five forms that Mermaid's grammar reads in one way only, so that nothing of a title can
become another node, a link, a directive or HTML."""
import json
import os
import re
import subprocess
import sys
import tempfile

PLAN, SOURCE = sys.argv[1:]
HOSTILE = [
    'He said "stop" twice', "]]; x --> y[", "a] --> b[", "``` `tick` ~~~", "<script>alert(1)</script> <img src=x onerror=y>",
    "line\none\r\ntwo\ttabs", "%%{init: {'theme': 'dark'}}%%", "%% a comment", "style x:\"a\" fill", "classDef a:\"b\"",
    "click s0 href \"http://evil.example\"", "&lt;b&gt; &amp; &#60;", "#quot; #35; #lt;", "back\\nslash \\", "end", "subgraph",
    "1. a list", "- another", "*bold* _i_ **b** __u__ ~~s~~", "[x](http://evil.example) www.evil.example", "fa:fa-bomb",
    "Größe übertragen 数据库 🚚", "\u202egnp.exe \u200b\u2066x\u2069", "$$x^2$$", "a|b|c", "'single'", "@everyone s0@{shape: cloud}",
    "x" * 200, "{{x}}", "([x])", "{each}", ":::gate", "\u001b[31mred", "---\nconfig: {}\n---", "\\u0022", "ﬂ°°60¶ß",
]
LABEL = r'"(?P<label>(?:[A-Za-z0-9 ,\-\u0080-\U0010ffff]|#\d{1,3};|<br/>)*)"'
NODE = re.compile(r"  (?P<id>s\d+|rest)(?P<open>\[\[|\[|\(\[|\{\{)" + LABEL + r"(?P<close>\]\]|\]|\]\)|\}\})")
EDGE = re.compile(r"  (s\d+) --> (s\d+)")
OTHER = [re.compile(r"  %% [a-z ,:]+"), re.compile(r"  class s\d+(?:,s\d+)* (irreversible|approval|gate)"),
         re.compile(r"  classDef (irreversible|approval|gate) [a-z#:,0-9 -]+")]
SHAPES = {"[": "]", "[[": "]]", "([": "])", "{{": "}}"}


def check(truth, *what):
    if not truth:
        raise SystemExit(" ".join(map(str, what)))


def graph(file, *more, wanted_errors=""):
    done = subprocess.run([PLAN, "graph", file, *more], capture_output=True, timeout=60)
    check(done.returncode == 0, done.returncode, done.stderr.decode())
    check(re.search(wanted_errors, done.stderr.decode()), "stderr:", done.stderr.decode())
    check(wanted_errors or not done.stderr, done.stderr.decode())
    return done.stdout.decode()


def shown(label):
    """What a reader of the label sees, without line breaks of ours."""
    return re.sub(r"#(\d+);", lambda found: chr(int(found.group(1))), label)


def read_chart(text):
    lines = text.splitlines()
    check(lines[0] == "flowchart LR", lines[0])
    nodes, edges, classes = {}, [], {}
    for line in lines[1:]:
        node, edge = NODE.fullmatch(line), EDGE.fullmatch(line)
        if node:
            check(SHAPES[node["open"]] == node["close"], "shape:", line)
            check(node["id"] not in nodes, "twice:", line)
            nodes[node["id"]] = (node["open"], [shown(part) for part in node["label"].split("<br/>")])
        elif edge:
            check(edge[1] in nodes and edge[2] in nodes, "an edge to nowhere:", line)
            edges.append(edge.groups())
        else:
            check(any(form.fullmatch(line) for form in OTHER), "no such form:", line)
            if line.startswith("  class "):
                _, names, kind = line.split()
                classes[kind] = names.split(",")
    return nodes, edges, classes


def visible(title):
    """Control characters become blanks, signs that nobody sees go, and long ones are cut."""
    title = re.sub("[\u200b-\u200f\u2028-\u202e\u2066-\u2069]", "", title)
    title = re.sub(r"[\x00-\x1f\x7f]", " ", title)
    return title if len(title) <= 60 else title[:60] + "…"


def whole_plan(file):
    """The chart of a plan says what `plan graph --json` says."""
    text = graph(file, "--format", "mermaid")
    check(text == graph(file, "--format", "mermaid"), "another order the second time")
    nodes, edges, classes = read_chart(text)
    steps = json.loads(graph(file, "--json"))["steps"]
    check(json.loads(graph(file, "--format", "json"))["steps"] == steps, "--json is not --format json")
    names = {number: label[0] for number, (_, label) in nodes.items()}
    check(list(names.values()) == [step["step"] for step in steps], "nodes", names)
    check(sorted((names[a], names[b]) for a, b in edges) ==
          sorted((need, step["step"]) for step in steps for need in step["needs"]), "edges")
    check(len(text) < 50000 and len(edges) < 500, "GitHub does not draw that")
    return nodes, {kind: [names[one] for one in of] for kind, of in classes.items()}


def the_region_migration_is_drawn():
    nodes, classes = whole_plan(os.path.join(SOURCE, "plans", "region-migration.yaml"))
    shape = {label[0]: opening for opening, label in nodes.values()}
    check(classes["irreversible"] == ["open-target", "retire-source"], classes)
    check(classes["approval"] == ["copy-scheduler", "stop-traffic", "retire-source"], classes)
    check(classes["gate"] == ["stop-traffic", "unfollow", "restore-ttl", "retire-source"], classes)
    check([shape[one] for one in ("open-target", "copy-scheduler", "unfollow", "promote")] == ["[[", "([", "{{", "["], shape)
    remarks = next(label for _, label in nodes.values() if label[0] == "retire-source")
    check(remarks[1:] == ["waits for time.since", "2 must approve", "no way back"], remarks)


def write(directory, steps):
    file = os.path.join(directory, "p.yaml")
    with open(file, "w", encoding="utf-8") as out:
        json.dump({"plan": 1, "name": "drawn", "summary": "To draw.", "steps": steps}, out, ensure_ascii=False)
    return file


def hostile_titles_stay_in_their_node(directory):
    steps = {f"s{i}": {"uses": "wait", "with": {"for": "1s"}, "title": title} for i, title in enumerate(HOSTILE)}
    steps["each"] = {"uses": "wait", "with": {"for": "1s"}, "for_each": HOSTILE, "needs": ["s0"]}
    file = write(directory, steps)
    nodes, _ = read_chart(graph(file, "--format", "mermaid"))[0:2]
    check(len(nodes) == 2 * len(HOSTILE), len(nodes))
    by_id = {label[0]: label for _, label in nodes.values()}
    for i, title in enumerate(HOSTILE):
        check(by_id[f"s{i}"][1:] == [visible(title)], repr(by_id[f"s{i}"]), repr(visible(title)))
    dot = graph(file, "--format", "dot")
    for line in dot.splitlines():
        check(re.fullmatch(r'digraph plan \{|\}|  rankdir=LR;|  s\d+ -> s\d+;|  s\d+ \[label="(?:[^"\\]|\\["\\])*"\];', line),
              "dot:", repr(line))


def what_is_cut_is_said(directory):
    few = {f"step-{i:03}": {"uses": "wait", "with": {"for": "1s"}, "title": "A title of some length"} for i in range(600)}
    nodes, _, _ = read_chart(graph(write(directory, few), "--format", "mermaid"))
    check(len(nodes) == 600, "600 plain steps fit:", len(nodes))
    many = {f"step-{i:03}": {"uses": "wait", "with": {"for": "1s"}, "needs": [f"step-{n:03}" for n in range(max(0, i - 3), i)]}
            for i in range(400)}
    text = graph(write(directory, many), "--format", "mermaid", wanted_errors="of 400 steps are left out")
    nodes, edges, _ = read_chart(text)
    left = 400 - (len(nodes) - 1)
    check(nodes["rest"][1] == [f"and {left} more steps that do not fit here"], nodes["rest"])
    check(490 < len(edges) < 500 and len(text) < 50000, len(edges), len(text))
    long = {f"{'long-name-' * 9}{i:04}": {"uses": "wait", "with": {"for": "1s"}} for i in range(900)}
    text = graph(write(directory, long), "--format", "mermaid", wanted_errors="steps are left out")
    check(48000 < len(text) < 50000, len(text))


the_region_migration_is_drawn()
for one in ("git-remotes.yaml",):
    whole_plan(os.path.join(SOURCE, "plans", one))
with tempfile.TemporaryDirectory() as scratch:
    hostile_titles_stay_in_their_node(scratch)
    what_is_cut_is_said(scratch)
print("ok")
