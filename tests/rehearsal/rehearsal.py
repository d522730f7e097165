# SPDX-License-Identifier: MIT
"""plan rehearse: the region migration whole; a careless plan that loses rows; a ^C; a plan without Heroku; the
replication of databases, there, back and there again. PLAN_LEVEL=release replicates to every server in the directories
of PLAN_TEST_NEWER_PG_BINS (with initdb and postgres, separated by colons) too.

usage: rehearsal.py PLAN PROJECT CASE"""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

plan, project, case = sys.argv[1:4]
if not (os.path.exists("/usr/sbin/knotd") and glob.glob("/usr/lib/postgresql/*/bin/initdb")):
    print("SKIP: apt-get install knot postgresql-15")
    sys.exit(77)
scratch = tempfile.mkdtemp()
os.chmod(scratch, 0o711)  # the account of the databases passes through
os.environ["TMPDIR"] = scratch
os.environ["PLAN_STATE_DIR"] = os.path.join(scratch, "state")
for name in ("HEROKU_API_KEY", "DNS_TSIG_KEY"):
    os.environ.pop(name, None)  # a rehearsal asks for no secret


def check(truth, text):
    if not truth:
        raise AssertionError(text)


def running():
    """Command lines of processes that work in our scratch directory."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as lines:
                line = lines.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        if scratch in line:
            found.append(line)
    return found


def rehearse(file, *arguments):
    done = subprocess.run([plan, "rehearse", file, *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    check(not glob.glob(scratch + "/plan-*"), f"left behind: {os.listdir(scratch)}")
    return done


def report_of(file, wanted, *arguments):
    done = rehearse(file, "--json", *arguments)
    check(done.returncode == wanted, f"exit {done.returncode}, not {wanted}\n{done.stdout}{done.stderr}")
    check("rehearsal-secret" not in done.stdout + done.stderr, "a secret is shown")
    return json.loads(done.stdout)


def whole():
    """Every step of the region migration is done, and the report has figures from outside."""
    report = report_of(f"{project}/plans/region-migration.yaml", 0)
    print(json.dumps(report, indent=1))
    check(report["outcome"] == "done" and report["steps_done"] == report["steps"] == 31, "steps")
    check(report["rows_lost"] == 0 and report["rows_written"] > 50, "rows")
    check(report["tables_compared"] == 4 and report["rows_compared"] > 43000, "compared")
    check(report["lag_at_gate"] < 200 < report["lag_most"], "the gate was never seen shut")
    check(0 < report["downtime_s"] <= report["budget_s"], "downtime")
    check(report["effects"] > 20 and report["duplicate_effects"] == 0, "effects")
    check(report["leftovers"] == 0 and report["open_at_end"], "left over")
    dns = report["dns"]["www.example.com"]
    check(dns["before"] != dns["after"] and "(3600 s)" in dns["after"], "DNS")
    remotes = report["remotes"]["."]
    check(remotes["after"]["old"] == remotes["before"]["heroku"] and
          "targetapp" in remotes["after"]["heroku"], "git")
    check(os.path.exists(report["journal"]), "journal")
    done = subprocess.run([plan, "journal", "--rehearsal", "--verify",
                           f"{project}/plans/region-migration.yaml"], capture_output=True, text=True)
    check(done.returncode == 0 and "the chain is whole" in done.stdout, done.stdout + done.stderr)


def backup():
    """Without a follower: the data is copied while users are shut out."""
    report = report_of(f"{project}/plans/region-migration-backup.yaml", 0)
    print(json.dumps(report, indent=1))
    check(report["outcome"] == "done" and report["steps_done"] == report["steps"] == 29, "steps")
    check(report["rows_lost"] == 0 and report["rows_written"] > 20, "rows")
    check(report["tables_compared"] == 4 and report["rows_compared"] > 42000, "compared")
    check(0 < report["downtime_s"] <= report["budget_s"] == 3600, "downtime")
    check(report["duplicate_effects"] == 0 and report["leftovers"] == 0 and report["open_at_end"], "left over")


CARELESS = """\
plan: 1
name: careless
summary: Copies the data and moves the users, but shuts nobody out meanwhile.
secrets: {heroku: {env: HEROKU_API_KEY}}
connections:
  heroku: {uses: heroku, token: "${secrets.heroku}"}
steps:
  create: {uses: heroku.app, with: {app: targetapp, like: sourceapp, region: eu}}
  copy:
    uses: heroku.postgres.copy
    with: {from_app: sourceapp, app: "${steps.create.app}", plan: "heroku-postgresql:standard-0"}
  release: {uses: heroku.release, needs: [copy], with: {app: "${steps.create.app}", like: sourceapp}}
  scale: {uses: heroku.formation, needs: [release], with: {app: "${steps.create.app}", scale: {web: 1}}}
  domain:
    uses: heroku.domain
    needs: [scale]
    with: {domain: www.example.com, from: sourceapp, to: "${steps.create.app}"}
"""


def careless():
    """The proof can fail: rows that were written after the copy are missed, by number."""
    file = scratch + "/careless.yaml"
    with open(file, "w") as out:
        out.write(CARELESS)
    report = report_of(file, 1)
    check(report["outcome"] == "done" and report["rows_lost"] > 0, report)


def interrupted():
    """^C in the middle: the journal is sealed, and nothing is left running or lying about."""
    for which, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = subprocess.Popen([plan, "rehearse", f"{project}/plans/region-migration.yaml"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True)
        for line in process.stderr:
            if "done" in line and "create-target" in line:
                break
        began = time.monotonic()
        os.killpg(process.pid, which)
        output, rest = process.communicate(timeout=60)
        check(process.returncode == code, f"exit {process.returncode}, not {code}\n{output}{rest}")
        check("interrupted" in output, output + rest)
        print(f"ended {time.monotonic() - began:.1f} s after the signal")
        check(not glob.glob(scratch + "/plan-*"), f"left behind: {os.listdir(scratch)}")
        check(not running(), f"still running: {running()}")


def without_heroku():
    """A plan that only knows git is rehearsed in a scratch repository; its own is not touched."""
    shutil.copy(f"{project}/plans/git-remotes.yaml", scratch)
    report = report_of(scratch + "/git-remotes.yaml", 0)
    remotes = report["remotes"]["."]
    check(remotes["before"] != remotes["after"], report)
    check(not os.path.exists(scratch + "/.git"), "it made a repository beside the plan")


def is_proven(report, lost=0):
    """What was seen from outside of a replication."""
    print(json.dumps(report, indent=1))
    part = report["replication"]
    check(part["rows_lost"] == lost and part["rows_stale"] == 0 and part["sequences_behind"] == 0, "rows and sequences")
    check(part["comparisons"] == 3 and part["rows"] > 42000 and part["sequences"] == 3, "compared")
    check(part["foreign_keys"] == 2 and part["foreign_keys_unproven"] == 0, "foreign keys")
    check(part["leftovers_source"] == part["leftovers_target"] == 0, "leftovers")
    check(part["transactions_lost"] == part["rules_broken"] == 0 and part["transactions"] > 200, "transactions")
    check(part["written_before_way_back"] > 20, "the way back")
    check(0 < part["longest_pause_s"] < 60, "pause")
    return part


def planetscale():
    """Heroku Postgres to PlanetScale: there, with rows back, there again, and the old database destroyed."""
    report = report_of(f"{project}/plans/heroku-to-planetscale.yaml", 0)
    is_proven(report)
    check(report["outcome"] == "done" and report["steps_done"] == report["steps"] == 12, "steps")
    check(report["rows_lost"] == 0 and report["rows_written"] > 20 and report["open_at_end"], "users")
    check(0 < report["downtime_s"] <= report["budget_s"] == 180, "downtime")
    check(report["duplicate_effects"] == 0 and report["leftovers"] == 0, "effects")
    shown = subprocess.run([plan, "journal", "--rehearsal", f"{project}/plans/heroku-to-planetscale.yaml"],
                           capture_output=True, text=True).stdout
    check("undone       stop-traffic" in shown and shown.count("nobody could write for") == 3, shown)


def only_at_release():
    if os.environ.get("PLAN_LEVEL") != "release":
        print("SKIP: PLAN_LEVEL=release")
        sys.exit(77)


def copy():
    """Between two servers without an app, to each major version there is."""
    only_at_release()
    for directory in ["", *filter(None, os.environ.get("PLAN_TEST_NEWER_PG_BINS", "").split(":"))]:
        os.environ["PLAN_TARGET_PG_BIN"] = directory
        part = is_proven(report_of(f"{project}/plans/copy-database.yaml", 0))
        print(f"{directory}: from {part['source_version']} to {part['target_version']}")


SPOIL = """\
  spoil:
    uses: postgres.sql
    needs: [compare]
    with:
      connection: target
      run: DELETE FROM public.ledger WHERE number < 5
      check: SELECT NOT EXISTS (SELECT FROM public.ledger WHERE number < 5)
      undo: SELECT 1
"""


def spoilt():
    """The proof can fail: rows that somebody deletes on the target are missed from outside before the first switch; the
    comparison of the plan itself refuses before the second."""
    only_at_release()
    with open(f"{project}/plans/copy-database.yaml") as whole:
        text = whole.read().replace("needs: [compare]", "needs: [spoil]")
    at = text.index("  switch:\n")
    with open(scratch + "/spoilt.yaml", "w") as out:
        out.write(text[:at] + SPOIL + text[at:])
    report = report_of(scratch + "/spoilt.yaml", 3)
    print(json.dumps(report, indent=1))
    part = report["replication"]
    check(part["comparisons"] == 1 and part["rows_lost"] == 12 and part["where"] == "public.ledger", "nothing is missed")


try:
    globals()[case]()
    print("ok")
finally:
    shutil.rmtree(scratch, ignore_errors=True)
