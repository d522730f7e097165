# SPDX-License-Identifier: MIT
"""The module postgres.preflight on servers and sessions: every finding in a scene that has it. And the check
postgres.longest_transaction.

usage: preflight_servers.py PLAN [SCENARIO...]"""
import os
import sys

import scene
from cluster import Cluster, wait_until
from preflight_scene import GATES, Pair
from scene import Scene, check, run_scenarios

scene.PLAN = os.path.abspath(sys.argv[1])


def pair(*options):
    return Pair(source, target, *options)


def both_sides_must_be_two_primaries():
    both = pair()
    place = f"target same_database {both.name}"
    both.finds([place], target=source.url(database=both.name))
    follower = source.follow("follower")
    try:
        both.finds([f"source follower {both.name}"], source=follower.url(database=both.name),
                   says=["give the connection string of the leader"])
        with both.scene(source=follower.url(database=both.name)) as one:
            one.apply(3, ["is a follower"])
    finally:
        follower.destroy()


def settings_that_matter_are_told():
    both = pair()
    both.super_source(f"ALTER ROLE app_owner IN DATABASE {both.name} SET statement_timeout = '1s';"
                      f" ALTER DATABASE {both.name} SET idle_in_transaction_session_timeout = '2s';"
                      f" ALTER DATABASE {both.name} SET work_mem = '8MB'")
    both.super_target(f"ALTER ROLE app_owner IN DATABASE {both.name} SET default_transaction_read_only = on")
    both.finds(["source role_settings statement_timeout=1s", "source role_settings idle_in_transaction_session_timeout=2s",
                "target read_only app_owner"], says=["ALTER ROLE app_owner SET default_transaction_read_only = off"])


def too_few_connections_are_told():
    both = pair()
    source.super("ALTER ROLE app_owner CONNECTION LIMIT 7")
    try:
        both.finds(["source connections app_owner"], says=["can open 6 more connections"])
    finally:
        source.super("ALTER ROLE app_owner CONNECTION LIMIT -1")
    target.super(f"ALTER DATABASE {both.name} CONNECTION LIMIT 5")
    both.finds(["target connections app_owner"])


def who_is_at_work_is_told():
    both = pair()
    both.on_source("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY);"
                   " GRANT CREATE ON SCHEMA public TO reader")
    with source.session(database=both.name) as session, source.session("reader", both.name) as other:
        session.run("SET application_name = 'long one'; BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE; LOCK TABLE u IN"
                    " ROW EXCLUSIVE MODE")
        quick = "target_space: 1 TiB, long_transaction: 100ms"
        held = ["source table_held public.t", "source hidden_sessions 1"]
        both.finds(held, says=[f"process {session.pid} (long one) holds public.t with ShareUpdateExclusiveLock"])
        long = f"source long_transaction {session.pid}"
        both.finds([*held, long], quick, says=[f"process {session.pid} (long one, idle in transaction) has been in one"])
        session.run("ROLLBACK")
        other.run("SELECT 1")
        both.finds(["source hidden_sessions 1"], quick, says=["GRANT pg_read_all_stats TO app_owner"])
        source.super("GRANT pg_read_all_stats TO app_owner")
        both.finds([], quick)
        source.super("REVOKE pg_read_all_stats FROM app_owner")
    both.on_source("BEGIN; LOCK TABLE t IN EXCLUSIVE MODE; PREPARE TRANSACTION 'it''s open'")
    both.finds(["source prepared_transaction 'it''s open'", "source table_held public.t"],
               says=["COMMIT PREPARED 'it''s open'", "a prepared transaction holds public.t"])
    both.on_source("ROLLBACK PREPARED 'it''s open'")


def readers_of_changes_are_told():
    both = pair()
    both.super_source("SELECT pg_create_logical_replication_slot('reads', 'test_decoding')"
                      " FROM pg_available_extensions WHERE name = 'plpgsql'")
    both.super_target("CREATE SUBSCRIPTION writes CONNECTION 'dbname=none' PUBLICATION none WITH (connect = false)")
    both.finds(["source replication_slot 'reads'", "target subscription writes"],
               says=["ALTER SUBSCRIPTION writes DISABLE"])
    both.super_source("SELECT pg_drop_replication_slot('reads')")
    both.super_target("ALTER SUBSCRIPTION writes SET (slot_name = NONE); DROP SUBSCRIPTION writes")


def a_question_that_is_refused_stops_nothing():
    both = pair()
    both.super_source("REVOKE EXECUTE ON FUNCTION pg_control_system FROM PUBLIC")
    both.finds(["target not_asked same_database"], says=["permission denied for function pg_control_system"])


def the_longest_transaction_is_measured():
    both = pair()
    waits = ("  it: {uses: wait, with: {for: 1ms}, preconditions: [{check: postgres.longest_transaction, of: source,"
             " below: 300ms%s}]}\n")
    urls = [one.url(database=both.name) for one in (source, target)]
    with source.session(database=both.name) as session, Scene(waits % "", *urls) as place:
        place.apply(0)
        session.run("SET application_name = 'slow'; BEGIN; SELECT pg_sleep(0.4)")
        place.forget()
        place.apply(1, ["postgres.longest_transaction of source is", f"(process {session.pid}, slow)"])
        place.forget()
        place.write("p.yaml", scene.HEAD % {"name": "scene"} + waits % ", within: 100s")
        process = place.begin("apply", "--yes")
        wait_until(lambda: "postgres.longest_transaction" in place.run(0, "status"), "the wait")
        session.run("COMMIT")
        place.finish(process, 0)
    both.on_source("BEGIN; CREATE TABLE t (); PREPARE TRANSACTION 'p'; SELECT pg_sleep(0.4)")
    with Scene(waits % "", *urls) as place:
        place.apply(1, ["(prepared as 'p')"])
    both.on_source("ROLLBACK PREPARED 'p'")
    with source.session("reader", database=both.name), Scene(waits % "", *urls) as place:
        place.apply(0)
        check("1 sessions of other roles cannot be seen" in place.run(0, "journal", "--json"), "what is unseen is not said")


def an_autovacuum_to_prevent_wraparound_is_told():
    both = pair()
    both.on_source("CREATE TABLE old (a int PRIMARY KEY, b text);"
                   " INSERT INTO old SELECT n, repeat('x', 1000) FROM generate_series(1, 3000) n;"
                   " ALTER TABLE old SET (autovacuum_enabled = off, autovacuum_vacuum_cost_delay = 100,"
                   " autovacuum_vacuum_cost_limit = 1)")
    both.super_source("VACUUM")
    # Each subtransaction takes a number; the least age that may be set is 100,000.
    both.on_source("DO $$BEGIN FOR i IN 1..101000 LOOP BEGIN PERFORM pg_current_xact_id(); INSERT INTO old VALUES (-1);"
                   " RAISE 'back'; EXCEPTION WHEN raise_exception THEN END; END LOOP; END$$")
    due = "source wraparound_due public.old"
    source.configure(autovacuum_freeze_max_age=100000, autovacuum_naptime="3600s")
    source.restart()
    both.finds([due], says=["VACUUM (FREEZE) public.old"])
    source.configure(autovacuum_naptime="1s")
    source.reload()
    works = ("SELECT pid FROM pg_locks WHERE mode = 'ShareUpdateExclusiveLock' AND granted AND relation = "
             "'public.old'::regclass")
    wait_until(lambda: both.on_source(works), "the autovacuum", 120)
    found = both.finds([due, "source wraparound_vacuum public.old"], says=["wait until it is through"])
    check(not any("table_held" in one for one in found), f"{found}")
    with both.scene(more=GATES) as place:
        place.apply(1, ["preflight.wraparound_vacuums is 1 processes: public.old and must be 0 processes"])


with Cluster("source", {"max_prepared_transactions": 5, "wal_level": "logical"}) as source, Cluster("target") as target:
    source.add_role("reader")
    run_scenarios(both_sides_must_be_two_primaries, settings_that_matter_are_told, too_few_connections_are_told,
                  who_is_at_work_is_told, readers_of_changes_are_told, a_question_that_is_refused_stops_nothing,
                  the_longest_transaction_is_measured, an_autovacuum_to_prevent_wraparound_is_told, only=sys.argv[2:])
