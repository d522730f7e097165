# SPDX-License-Identifier: MIT
"""The module `postgres.sql`: what it runs, when, and what is left when it does not work.

usage: sql.py PLAN [SCENARIO...]"""
import os
import signal
import sys

import scene
from cluster import Cluster, wait_until
from scene import MORE_SECRET, Scene, check, run_scenarios

scene.PLAN = os.path.abspath(sys.argv[1])
MAKES = ("  it: {uses: postgres.sql, with: {connection: source, run: CREATE TABLE made (id int),"
         " check: SELECT to_regclass('made') IS NOT NULL, undo: DROP TABLE made}}\n")


def step(more="", **fields):
    given = {"check": "SELECT to_regclass('made') IS NOT NULL", "undo": "DROP TABLE made", **fields}
    return "  it:\n    uses: postgres.sql\n    with:\n      connection: source\n" + "".join(
        f"      {key}: {value}\n" for key, value in given.items()) + more


def tables():
    return sorted(row[0] for row in source.rows("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                                                " AND relkind IN ('r', 'i')"))


def it_is_done_once_and_undone():
    with Scene(MAKES, source.url()) as place:
        place.run(2, "diff", "--detailed-exitcode", says=["CREATE TABLE made"])
        check(tables() == [], "the look did it")
        place.apply(0)
        check(tables() == ["made"], f"{tables()}")
        place.run(0, "diff", "--detailed-exitcode")
        place.run(0, "rollback", "--to", "it", "--yes")
        check(tables() == [], "it is not undone")
        source.sql("CREATE TABLE made (id int)")
        place.forget()
        check("CREATE" not in place.apply(0), "what is done was done again")
        place.run(0, "rollback", "--to", "it", "--yes")
        check(tables() == ["made"], "what was there before is gone")
        source.sql("DROP TABLE made")


def files_hold_statements_and_names_need_no_schema():
    with Scene(step(run="{file: run.sql}", check="{file: check.sql}"), source.url(),
               **{"run.sql": "CREATE TABLE made (id int);\n-- one more\nINSERT INTO made VALUES (1), (2);\n",
                  "check.sql": "SELECT to_regclass('made') IS NOT NULL;\n"}) as place:
        place.apply(0)
        check(source.value("SELECT count(*) FROM made") == "2", "not all of it ran")
        place.run(0, "rollback", "--to", "it", "--yes")


def half_of_it_leaves_nothing():
    for run, says in (("CREATE TABLE made (id int); SELECT 1/0", ["`run`: division by zero"]),
                      ("CREATE TABLE other (id int)", ["`check` says that it is not done", "nothing is changed"]),
                      ("CREATE TABLE made (id int); COMMIT; BEGIN; COMMIT", ["ends the transaction"])):
        with Scene(step(run=run), source.url()) as place:
            place.apply(64 if "COMMIT" in run else 1, says)
        check(tables() == ([] if "COMMIT" not in run else ["made"]), f"{run}: {tables()}")
    source.sql("DROP TABLE made")


def a_check_changes_nothing_and_gives_one_boolean():
    for query, says in (("CREATE TABLE made (id int)", "read-only transaction"), ("SELECT 1", "one boolean"),
                        ("SELECT NULL::boolean", "one boolean"), ("SELECT true UNION ALL SELECT true", "one boolean"),
                        ("SELECT true WHERE false", "one boolean"), ("SELECT nope", "nope")):
        with Scene(step(run="CREATE TABLE made (id int)", check=query), source.url()) as place:
            said = place.apply(3 if "read-only" in says else 1 if "nope" in query else 64, [says])
            check("CREATE" not in query or "`check`" in said, said)
            check(tables() == [], query)


def what_may_not_be_in_a_transaction_stands_alone():
    source.sql("CREATE TABLE orders (id int)")
    fields = {"run": "CREATE INDEX CONCURRENTLY made ON orders (id)", "undo": "DROP INDEX CONCURRENTLY made"}
    with Scene(step(**fields), source.url()) as place:
        place.apply(1, ["cannot run inside a transaction block"])
    with Scene(step(**fields, transaction="false"), source.url()) as place:
        place.apply(0)
        check(tables() == ["made", "orders"], f"{tables()}")
        place.run(0, "rollback", "--to", "it", "--yes")
        check(tables() == ["orders"], f"{tables()}")
    source.sql("DROP TABLE orders")


def limits_end_what_takes_too_long():
    with Scene(step(run="SELECT pg_sleep(600)", limit="300ms"), source.url()) as place:
        place.apply(1, ["statement timeout"])
    source.sql("CREATE TABLE busy (id int)")
    with source.session() as session:
        session.run("BEGIN; LOCK TABLE busy")
        with Scene(step(run="ALTER TABLE busy ADD made int", lock_timeout="200ms"), source.url()) as place:
            place.apply(1, ["lock timeout"])
    source.sql("DROP TABLE busy")


def a_stop_cancels_the_statement():
    with Scene(step(run="CREATE TABLE made (id int); SELECT pg_sleep(600)"), source.url()) as place:
        process = place.begin("apply", "--yes")
        running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE TABLE made%' AND state = 'active'"
        wait_until(lambda: source.value(running) == "1", "the statement")
        process.send_signal(signal.SIGINT)
        place.finish(process, 130)
        wait_until(lambda: source.value(running) == "0", "its end")
        check(tables() == [], f"{tables()}")


def a_crash_is_gone_on_from_by_the_check():
    with Scene(step(run="CREATE TABLE made (id int); SELECT pg_sleep(600)", transaction="false"), source.url()) as place:
        process = place.begin("apply", "--yes")
        running = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE TABLE made%' AND state = 'active'"
        pid = wait_until(lambda: source.value(running), "the statement")
        process.kill()
        process.communicate(timeout=30)
        source.super(f"SELECT pg_terminate_backend({pid})")
        check(tables() == [], f"{tables()}")
        source.sql("CREATE TABLE made (id int)")
        place.apply(0)
        place.run(0, "rollback", "--to", "it", "--yes")
        check(tables() == [], "what the crashed run may have made stays")


def secrets_stay_out_of_journal_and_output():
    makes = "\"CREATE TABLE made (id int); COMMENT ON TABLE made IS '${secrets.more}'\""
    with Scene(step(run=makes), source.url()) as place:
        place.apply(0)
        check(source.value("SELECT obj_description('made'::regclass)") == MORE_SECRET, "it is not there")
        check(not place.journal_holds(MORE_SECRET), "the journal holds the secret")
        place.run(0, "rollback", "--to", "it", "--yes")
    with Scene(step(run="\"SELECT '${secrets.more}'::int\""), source.url()) as place:
        place.apply(1, ["invalid input syntax", "(hidden)"])
        check(not place.journal_holds(MORE_SECRET), "the journal holds the secret")


def without_undo_the_plan_must_say_so():
    fields = "connection: source, run: CREATE TABLE made (id int), check: SELECT to_regclass('made') IS NOT NULL"
    with Scene(f"  it: {{uses: postgres.sql, with: {{{fields}}}}}\n", source.url()) as place:
        place.run(64, "check", says=["postgres.sql cannot be undone by itself: write its field `undo`"])
    with Scene(f"  it: {{uses: postgres.sql, with: {{{fields}}}, irreversible: Tables stay.}}\n", source.url()) as place:
        place.run(0, "check")
    with Scene(MAKES.replace("connection: source", "connection: sauce"), source.url()) as place:
        place.run(64, "check", says=["there is no connection sauce; did you mean source?"])


with Cluster() as source:
    run_scenarios(it_is_done_once_and_undone, files_hold_statements_and_names_need_no_schema, half_of_it_leaves_nothing,
                  a_check_changes_nothing_and_gives_one_boolean, what_may_not_be_in_a_transaction_stands_alone,
                  limits_end_what_takes_too_long, a_stop_cancels_the_statement, a_crash_is_gone_on_from_by_the_check,
                  secrets_stay_out_of_journal_and_output, without_undo_the_plan_must_say_so, only=sys.argv[2:])
