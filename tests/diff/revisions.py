# SPDX-License-Identifier: MIT
"""Where `plan diff` finds the two versions: branches, merge bases, the index, the working tree, under
another name, or not at all; and what hostile repositories make of it.

usage: revisions.py PLAN SOURCE [NAME ...]"""
import os
import subprocess
import sys

from repository import Repository

PLAN = """plan: 1
name: shop
summary: A plan.
inputs:
  app: {type: app, default: shop-us}
steps:
  close:
    uses: heroku.maintenance
    with:
      app: ${inputs.app}
      enabled: true
    preconditions:
      - check: heroku.dynos_up
        of: ${inputs.app}
        equals: all
        within: LIMIT
"""


def plan(limit="1h", name="shop"):
    return PLAN.replace("LIMIT", limit).replace("name: shop", "name: " + name)


def start(limit="1h", path="shop.yaml"):
    repository = Repository(PROGRAM)
    repository.write(path, plan(limit))
    repository.commit("first", "first")
    return repository


def only_limit(answer):
    """What changed, when it is the limit of the one gate: (old, new)."""
    differences = [d for p in answer["plans"] for d in p["differences"]]
    assert len(differences) == 1 and differences[0]["topic"] == "gates", answer
    return differences[0]["old"], differences[0]["new"]


def same(actual, wanted):
    assert actual == wanted, "%r, not %r" % (actual, wanted)


def says(text, *words):
    for word in words:
        assert word in text, "%r is not in %s" % (word, text)


# ---- Where the versions are ----

def the_working_tree_is_compared_with_a_commit():
    repository = start()
    repository.write("shop.yaml", plan("2h"))
    same(only_limit(repository.compare("HEAD..:worktree")), ("within 1 h", "within 2 h"))
    same(only_limit(repository.compare(":worktree..HEAD")), ("within 2 h", "within 1 h"))
    same(repository.compare("HEAD..:index")["plans"], [])


def the_index_is_not_the_working_tree():
    repository = start()
    repository.write("shop.yaml", plan("2h"))
    repository.git("add", "shop.yaml")
    repository.write("shop.yaml", plan("3h"))
    same(only_limit(repository.compare("HEAD..:index")), ("within 1 h", "within 2 h"))
    same(only_limit(repository.compare(":index..:worktree")), ("within 2 h", "within 3 h"))
    same(only_limit(repository.compare(":worktree..:index")), ("within 3 h", "within 2 h"))
    same(only_limit(repository.compare("HEAD..:worktree", "shop.yaml")), ("within 1 h", "within 3 h"))
    same(repository.compare(":index..:index")["plans"], [])


def untracked_plans_are_seen_and_ignored_files_are_not():
    repository = start()
    repository.write(".gitignore", "build/\n")
    repository.write("build/shop.yaml", plan(name="ignored"))
    repository.write("new/deep/other.yml", plan(name="other"))
    answer = repository.compare("HEAD..:worktree")
    same([(p["file"], p["status"]) for p in answer["plans"]], [("new/deep/other.yml", "added")])


def three_dots_begin_where_a_branch_left():
    repository = start()
    repository.git("checkout", "-q", "-b", "feature")
    repository.write("shop.yaml", plan("2h"))
    repository.commit("feature")
    repository.git("checkout", "-q", "main")
    repository.write("shop.yaml", plan("5h"))
    repository.commit("main goes on")
    same(only_limit(repository.compare("main...feature")), ("within 1 h", "within 2 h"))
    same(only_limit(repository.compare("main..feature")), ("within 5 h", "within 2 h"))
    same(only_limit(repository.compare("feature..")), ("within 2 h", "within 5 h"))
    same(only_limit(repository.compare("..feature")), ("within 5 h", "within 2 h"))
    repository.git("checkout", "-q", "feature")
    repository.write("shop.yaml", plan("4h"))
    same(only_limit(repository.compare("main...:worktree")), ("within 1 h", "within 4 h"))
    text = repository.diff("main...feature")[1]
    says(text, "merge base of main and feature (")


def a_tag_and_a_parent_are_revisions():
    repository = start()
    repository.write("shop.yaml", plan("2h"))
    repository.commit("second")
    repository.git("tag", "-a", "v1.0", "-m", "annotated")
    same(only_limit(repository.compare("v1.0~1..v1.0")), ("within 1 h", "within 2 h"))
    commit = repository.git("rev-parse", "HEAD")
    same(repository.compare("first..HEAD")["new"]["commit"], commit)
    same(only_limit(repository.compare("first..%s" % commit[:9])), ("within 1 h", "within 2 h"))


def a_file_is_named_from_the_current_directory():
    repository = start(path="plans/eu/shop.yaml")
    repository.write("plans/eu/shop.yaml", plan("2h"))
    repository.write("plans/other.yaml", plan())
    repository.commit("second")
    for under, name in ("", "plans/eu/shop.yaml"), ("plans/eu", "shop.yaml"), ("plans/eu", "./shop.yaml"), \
            ("plans", "../plans/eu/shop.yaml"), ("", os.path.join(repository.path, "plans/eu/shop.yaml")):
        answer = repository.compare("first..HEAD", name, under=under)
        same([p["file"] for p in answer["plans"]], ["plans/eu/shop.yaml"])
    same(len(repository.compare("first..HEAD", under="plans/eu")["plans"]), 2)
    code, _, errors = repository.diff("first..HEAD", "../outside.yaml")
    same(code, 64)
    says(errors, "does not lie in this git repository")
    code, _, errors = repository.diff("first..HEAD", "plans/nowhere.yaml")
    same(code, 64)
    says(errors, "there is no file plans/nowhere.yaml")


def a_renamed_plan_is_compared_with_what_it_was():
    repository = start(path="old-name.yaml")
    repository.git("mv", "old-name.yaml", "new-name.yaml")
    repository.write("new-name.yaml", plan("2h"))
    repository.commit("second")
    for words in [], ["new-name.yaml"], ["old-name.yaml"]:
        answer = repository.compare("first..HEAD", *words)
        same(only_limit(answer), ("within 1 h", "within 2 h"))
        one = answer["plans"][0]
        same((one["old_file"], one["file"], one["status"]), ("old-name.yaml", "new-name.yaml", "renamed"))
    repository.git("reset", "-q", "--hard", "first")
    os.rename(os.path.join(repository.path, "old-name.yaml"), os.path.join(repository.path, "lying-there.yaml"))
    same(repository.compare("HEAD..:worktree")["plans"][0]["status"], "renamed")


def only_plans_are_compared_unless_a_file_is_named():
    repository = start()
    repository.write("compose.yaml", "services: {}\n")
    repository.write("notes.yaml", "planes: 1\nold_plan: 1\n  plan: 1\n")
    repository.write("json.yml", '{"plan": 1, "name": "j", "summary": "s", "steps": {}}\n')
    repository.write("quoted.yaml", "# comment\n---\n\"plan\" : 1\nname: q\nsummary: s\nsteps: {}\n")
    repository.commit("second")
    answer = repository.compare("first..HEAD")
    same([p["file"] for p in answer["plans"]], ["json.yml", "quoted.yaml"])
    same(repository.diff("first..HEAD", "compose.yaml")[0], 64)


def two_plans_are_shown_by_name_and_counted_together():
    repository = start(path="b.yaml")
    repository.write("a.yaml", plan("1h", "another"))
    repository.commit("both", "both")
    repository.write("a.yaml", plan("2h", "another"))
    repository.write("b.yaml", plan("30m"))
    repository.commit("second")
    answer = repository.compare("both..HEAD")
    same([p["file"] for p in answer["plans"]], ["a.yaml", "b.yaml"])
    same(answer["summary"], {"plans": 2, "differences": 2, "loosened": 1, "tightened": 1, "invalid": 0})


# ---- Exit codes and wrong words ----

def exit_codes_are_those_of_a_diff():
    repository = start()
    repository.write("readme.txt", "x")
    repository.commit("nothing of a plan", "same")
    repository.write("shop.yaml", plan("2h"))
    repository.commit("second", "second")
    repository.write("shop.yaml", plan("2h").replace("uses:", "use:"))
    repository.commit("third", "third")
    same(repository.diff("first..same")[0], 0)
    same(repository.diff("first..same", "--detailed-exitcode")[0], 0)
    same(repository.diff("first..second")[0], 0)
    same(repository.diff("first..second", "--detailed-exitcode")[0], 2)
    same(repository.diff("second..third", "--detailed-exitcode")[0], 64)
    same(repository.diff("third..second", "--detailed-exitcode")[0], 2)
    says(repository.diff("first..same")[1], "no difference in any plan")
    says(repository.diff("first..same", "--format", "markdown")[1], "<!-- plan-diff -->\n", "No difference in any plan")
    same(repository.compare("first..same", "shop.yaml")["plans"][0]["status"], "unchanged")


def wrong_words_are_explained():
    repository = start()
    for words, wanted in ((["main..nowhere"], "there is no revision nowhere"),
                          (["main..HEAD", "--format", "html"], "formats are text, markdown and json"),
                          (["main..HEAD", "--through", "close"], "--through is for"),
                          (["shop.yaml", "--format", "markdown"], "markdown is for two revisions"),
                          (["shop.yaml", "shop.yaml"], "two revisions are written REV..REV"),
                          (["main..HEAD", "shop.yaml", "more"], "usage: plan diff"),
                          (["main..HEAD", "shop.yaml", "--set", "nothing=x"], "neither side has an input nothing"),
                          ([], "usage: plan diff")):
        code, _, errors = repository.diff(*words)
        same(code, 64)
        says(errors, wanted)
    says(repository.diff("--help")[1], ":worktree", ":index", "main...HEAD")


def a_path_with_dots_is_a_file():
    repository = start(path="plans/shop.yaml")
    for name in "../plans/shop.yaml", "./plans/shop.yaml", "plans/../plans/shop.yaml":
        code, _, errors = repository.diff(name, under="plans" if name[:3] == "../" else "")
        assert "revision" not in errors and "No such file" not in errors, errors


def no_repository_and_no_commit_are_said():
    outside = subprocess.run([PROGRAM, "diff", "main..HEAD"], cwd="/", env={}, capture_output=True, text=True)
    same(outside.returncode, 64)
    says(outside.stderr, "there is no git repository")
    empty = Repository(PROGRAM)
    code, _, errors = empty.diff("HEAD..:worktree")
    same(code, 64)
    says(errors, "there is no revision HEAD")


def histories_without_a_common_commit_are_said():
    repository = start()
    repository.git("checkout", "-q", "--orphan", "other")
    repository.commit("other")
    code, _, errors = repository.diff("main...other")
    same(code, 64)
    says(errors, "no commit in common")


def an_input_can_be_set_for_both_sides():
    repository = start()
    repository.write("shop.yaml", plan("2h").replace("inputs:", "inputs:\n  zone: {type: domain}"))
    repository.commit("second")
    answer = repository.compare("first..HEAD", "--set", "zone=shop.example", "--set", "app=other-app")
    same({r["name"] for r in answer["plans"][0]["blast_radius"]}, {"other-app"})


# ---- Hostile repositories ----

def a_symbolic_link_is_not_followed():
    repository = start()
    repository.remove("shop.yaml")
    os.symlink("/etc/passwd", os.path.join(repository.path, "shop.yaml"))
    for words in ["HEAD..:worktree"], ["HEAD..:worktree", "shop.yaml"]:
        code, output, _ = repository.diff(*words)
        same(code, 64)
        says(output, "shop.yaml")
        assert "root:" not in output
    repository.commit("link")
    code, output, _ = repository.diff("first..HEAD")
    same(code, 64)
    says(output, "no regular file")
    os.unlink(os.path.join(repository.path, "shop.yaml"))
    os.symlink("/nowhere", os.path.join(repository.path, "shop.yaml"))
    same(repository.diff("first..:worktree")[0], 64)


def a_conflict_in_the_index_is_said():
    repository = start()
    repository.git("checkout", "-q", "-b", "feature")
    repository.write("shop.yaml", plan("2h"))
    repository.commit("feature")
    repository.git("checkout", "-q", "main")
    repository.write("shop.yaml", plan("3h"))
    repository.commit("main")
    repository.git("merge", "-q", "feature", ok=False)
    code, output, _ = repository.diff("HEAD..:index", "shop.yaml")
    same(code, 64)
    says(output, "unresolved conflict")
    code, output, _ = repository.diff("HEAD..:worktree")
    same(code, 64)
    says(output, "this is not YAML")


def a_large_file_is_not_read():
    repository = start()
    repository.write("shop.yaml", "plan: 1\n" + "# padding\n" * 3400000)
    repository.commit("large")
    code, output, _ = repository.diff("first..HEAD")
    same(code, 64)
    says(output, "larger than")
    same(repository.diff("first..:worktree")[0], 64)


def names_of_files_cannot_steer_the_terminal_or_the_comment():
    repository = start()
    names = [b"a\x1b[31m.yaml", b"new\nline.yaml", b"\xff\xfe.yaml", "\u202egnp.yaml".encode(),
             b"`tick`.yaml", b"<b>@all.yaml", b"a|b --.yaml"]
    for name in names:
        with open(os.path.join(repository.path.encode(), name), "w") as file:
            file.write(plan())
    repository.commit("hostile")
    same(len(repository.compare("first..HEAD")["plans"]), len(names))
    for words in [], ["--format", "markdown"]:
        _, output, _ = repository.diff("first..HEAD", *words)
        assert not any(c in output for c in "\x1b\u202e\ufffd"), output
        says(output, "new\\nline.yaml", "\\xff\\xfe.yaml", "\\u202egnp.yaml")
    _, output, _ = repository.diff("first..HEAD", "--format", "markdown", "a|b --.yaml")
    same(output.split("\n")[0], "<!-- plan-diff: a%7Cb%20%2D-.yaml -->")


def many_steps(count, limit):
    step = "  step-%d:\n    uses: wait\n    with: {for: %s}\n    timeout: %s\n"
    return ("plan: 1\nname: many\nsummary: Many.\nsteps:\n" +
            "".join(step % (i, limit, limit) for i in range(count)))


def a_huge_difference_stays_a_comment():
    repository = Repository(PROGRAM)
    repository.write("many.yaml", many_steps(3000, "1h"))
    repository.write("small.yaml", plan("1h"))
    repository.commit("first", "first")
    repository.write("many.yaml", many_steps(3000, "2h"))
    repository.write("small.yaml", plan("2h"))
    repository.commit("second")
    code, output, _ = repository.diff("first..HEAD", "--format", "markdown")
    same(code, 0)
    assert 20000 < len(output) < 60000, len(output)
    says(output, "6001 differences", "differences of this plan left out here",
         "`plan diff first..HEAD many.yaml` shows all", "`within 1 h` → `within 2 h`")
    same(output, repository.diff("first..HEAD", "--format", "markdown")[1])
    left = int(output.split(" differences of this plan left out")[0].rsplit("**", 1)[1])
    same(left + output.count("- `step-") + output.count("- **loosened** `step-"), 6000)


def many_new_plans_cannot_hide_what_is_loosened():
    repository = start()
    for i in range(400):
        repository.write("plans/%s-%03d.yaml" % ("long-name-" * 8, i), plan())
    repository.write("shop.yaml", plan("9h"))
    repository.commit("second")
    _, output, _ = repository.diff("first..HEAD", "--format", "markdown")
    assert 20000 < len(output) < 60000, len(output)
    says(output, "401 plans: ", "more plans\n", "plans left out here**", "`within 1 h` → `within 9 h`")
    assert output.index("`shop.yaml`") < output.index("`plans/"), "what is loosened does not come first"


def long_values_are_cut_where_they_are_the_same():
    repository = start()
    text = "steps:\n  say:\n    uses: manual\n    with:\n      text: \"%s\"\n"
    head = "plan: 1\nname: long\nsummary: Long.\n"
    repository.write("long.yaml", head + text % ("\u00e4" * 20000 + "one"))
    repository.commit("first", "long")
    repository.write("long.yaml", head + text % ("\u00e4" * 20000 + "two"))
    repository.commit("second")
    for words in [], ["--format", "markdown"]:
        _, output, _ = repository.diff("long..HEAD", *words)
        assert len(output) < 3000, output
        says(output, "\u00e4one", "\u00e4two")


def nothing_in_the_environment_is_read():
    repository = start()
    secret = plan("2h").replace("inputs:", "secrets:\n  token: {env: SECRET_TOKEN}\n"
                                "connections:\n  h: {uses: heroku, token: \"${secrets.token}\"}\ninputs:")
    repository.write("shop.yaml", secret)
    repository.commit("second")
    plain = repository.diff("first..HEAD", "--json")
    done = subprocess.run([PROGRAM, "diff", "first..HEAD", "--json"], cwd=repository.path, capture_output=True,
                          text=True, env={"SECRET_TOKEN": "xyzzy-secret", "HOME": "/nowhere"})
    same(done.stdout, plain[1])
    assert "xyzzy" not in done.stdout + done.stderr
    assert not os.path.exists(os.path.join(repository.path, ".plan"))


def a_bare_repository_has_revisions():
    repository = start()
    repository.write("shop.yaml", plan("2h"))
    repository.commit("second")
    bare = Repository(PROGRAM)
    bare.git("clone", "-q", "--bare", repository.path, "bare.git")
    same(only_limit(bare.compare("first..HEAD", under="bare.git")), ("within 1 h", "within 2 h"))
    same(only_limit(bare.compare("first..HEAD", "shop.yaml", under="bare.git")), ("within 1 h", "within 2 h"))
    same(bare.diff("first..:worktree", under="bare.git")[0], 64)


def main():
    tests = {name: test for name, test in globals().items()
             if callable(test) and getattr(test, "__module__", "") == "__main__" and not test.__code__.co_argcount
             and name != "main"}
    wrong = 0
    for name in sys.argv[3:] or tests:
        try:
            tests[name]()
            print("ok", name)
        except AssertionError as error:
            wrong += 1
            print("FAILED", name, error)
    print(len(tests), "tests,", wrong, "failed")
    sys.exit(1 if wrong else 0)


PROGRAM = os.path.abspath(sys.argv[1])
main()
