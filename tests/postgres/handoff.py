# SPDX-License-Identifier: MIT
"""The hand-off from copy to log, schedule by schedule: what happens on the source between two statements of the
replication. One chunk is one page here, and one process copies."""
import os
import sys

from cluster import Cluster, Failed, wait_until
import schedule as schedule_module
from schedule import Schedule

PROGRAM = os.path.abspath(sys.argv[2])
# Some 10 pages.
ROWS = "SELECT n, 'value ' || n, repeat('x', 700) FROM generate_series(1, 100) n"
PLAN_WITH_RETRY = schedule_module.PLAN.replace("steps:\n", "defaults:\n  retry: {attempts: 5, backoff: 100ms to 100ms}\nsteps:\n")
TABLE = "CREATE TABLE t (id int{key}, v text, filler text)"


def check(truth, text):
    if not truth:
        raise AssertionError(text)


def prepare(source, target, key=True):
    """The table on both sides; its key on the target is held back, as postgres.schema does."""
    for side in (source, target):
        side.sql("DROP TABLE IF EXISTS t CASCADE; DROP SCHEMA IF EXISTS plan_replication CASCADE")
    source.sql(TABLE.format(key=" PRIMARY KEY" if key else "") + f"; INSERT INTO t {ROWS}")
    target.sql(TABLE.format(key=""))


def hold_key(target):
    target.sql("INSERT INTO plan_replication.held (id, stage, type, schema, relation, name, definition) VALUES "
               "(1, 'key', 'CONSTRAINT', 'public', 't', 't_pkey', 'ALTER TABLE public.t ADD CONSTRAINT t_pkey PRIMARY KEY (id)')")


def stop_before(run, page):
    """Between two chunks, where no lock is held on the source."""
    if page:
        run.after("chunk", f"generation = 1 AND number = {page - 1}")
    else:
        run.hold("chunk", "FOR UPDATE OF c SKIP LOCKED")


class Scene:
    """The copy is stopped before the chunk with page 1, or another one; then it goes on."""

    def __init__(self, source, target, rewrite=(), key=True, page=1):
        self.source, self.target, self.rewrite, self.key, self.page = source, target, rewrite, key, page

    def __enter__(self):
        prepare(self.source, self.target, self.key)
        self.run = Schedule(PROGRAM, self.source, self.target, self.rewrite).__enter__()
        stop_before(self.run, self.page)
        self.run.begin()
        self.run.reached("chunk")
        if self.key:
            hold_key(self.target)
        return self

    def __exit__(self, *_):
        self.run.__exit__()

    def finish(self):
        self.run.go("chunk")
        self.run.follows()
        self.run.equal()


# ---- Schedules ----

def rows_move_behind_the_copy(source, target, **options):
    """Rows of a copied page are written anew at the end: met twice before they are put right."""
    with Scene(source, target, page=5, **options) as scene:
        source.sql("UPDATE t SET v = 'moved' WHERE id <= 10")
        scene.finish()
        check(target.value("SELECT count(*) FROM t WHERE v = 'moved'") == "10", "lost")


def rows_move_before_the_copy(source, target, **options):
    """Rows of pages to come land in a page that is copied: missed by every chunk."""
    with Scene(source, target, page=1, **options) as scene:
        source.sql("DELETE FROM t WHERE id <= 5")
        source.super("VACUUM t")
        source.sql("UPDATE t SET v = 'moved' WHERE id BETWEEN 60 AND 64")
        check(source.value("SELECT count(*) FROM t WHERE v = 'moved' AND ctid < '(1,0)'") != "0", "none moved")
        scene.finish()


def the_table_is_rewritten(source, target, **options):
    for statement in ("VACUUM FULL t", "CLUSTER t USING t_pkey", "TRUNCATE t"):
        with Scene(source, target, page=5, **options) as scene:
            source.sql("DELETE FROM t WHERE id <= 50")  # so that the others move to pages that are copied already
            source.sql(statement)
            scene.finish()


def everything_is_deleted_between_two_chunks(source, target, **options):
    with Scene(source, target, page=5, **options) as scene:
        source.sql("TRUNCATE t; INSERT INTO t SELECT 500 + n, 'new', '' FROM generate_series(1, 10) n")
        scene.finish()


def keys_change_hands(source, target, **options):
    """A swap, a rotation, a delete and insert of the same key: in one batch."""
    with Scene(source, target, page=5, **options) as scene:
        scene.run.go("chunk")
        scene.run.follows()
        source.sql("BEGIN; UPDATE t SET id = -1 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = -1; COMMIT")
        source.sql("BEGIN; UPDATE t SET id = -1 WHERE id = 3; UPDATE t SET id = 3 WHERE id = 4; UPDATE t SET id = 4 WHERE id = 5; "
                   "UPDATE t SET id = 5 WHERE id = -1; COMMIT")
        source.sql("BEGIN; DELETE FROM t WHERE id = 7; INSERT INTO t VALUES (7, 'again', ''); COMMIT")
        source.sql("UPDATE t SET id = id + 1000 WHERE id > 50")
        scene.run.equal()


def old_snapshot_writes_late(source, target, **options):
    """A transaction whose snapshot is older than the capture writes after it, and commits between two chunks."""
    prepare(source, target)
    with source.session() as old, Schedule(PROGRAM, source, target, **options) as run:
        old.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
        stop_before(run, 5)
        run.begin()
        run.reached("chunk")
        hold_key(target)
        old.run("UPDATE t SET v = 'late' WHERE id = 2; INSERT INTO t VALUES (1000, 'late', ''); COMMIT")
        run.go("chunk")
        run.follows()
        run.equal()


def a_prepared_transaction_commits_after_the_copy(source, target, **options):
    with Scene(source, target, page=0, **options) as scene:
        source.sql("BEGIN; UPDATE t SET v = 'prepared' WHERE id = 3; DELETE FROM t WHERE id = 4; PREPARE TRANSACTION 'late'")
        scene.run.go("chunk")
        scene.run.follows()
        source.sql("COMMIT PREPARED 'late'")
        scene.run.equal()


def rows_without_a_key(source, target, **options):
    """Equal rows keep their number, whichever of them is deleted, and whenever."""
    for page in (1, 8):
        prepare(source, target, key=False)
        source.sql("INSERT INTO t SELECT 1, 'double', '' FROM generate_series(1, 6)")
        with Schedule(PROGRAM, source, target, **options) as run:
            stop_before(run, page)
            run.begin()
            run.reached("chunk")
            source.sql("DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE v = 'double' LIMIT 2); "
                       "INSERT INTO t VALUES (5, 'value 5', repeat('x', 700)); UPDATE t SET v = 'value 9' WHERE id = 8")
            run.go("chunk")
            run.follows()
            run.equal()
            source.sql("DELETE FROM t WHERE v = 'double'; INSERT INTO t VALUES (NULL, NULL, NULL), (NULL, NULL, NULL)")
            run.equal()


def killed_between_the_commits(source, target, **options):
    """The target has committed a batch, the source has not: its keys come back, and nothing is lost or doubled."""
    with Scene(source, target, page=5, **options) as scene:
        scene.run.go("chunk")
        scene.run.follows()
        scene.run.dead("commit", "rows_applied = rows_applied + 3")
        source.sql("UPDATE t SET v = 'once' WHERE id IN (1, 2, 3)")
        wait_until(lambda: os.path.exists(scene.run.path("events/commit.reached")), "it dies between the commits")
        source.sql("UPDATE t SET v = 'twice' WHERE id = 2; DELETE FROM t WHERE id = 3")
        scene.run.equal()


def killed_in_a_chunk(source, target, **options):
    """Before its commit it never was; after it, it is not repeated."""
    for how, text in (("die", "SET done = true, rows"), ("dead", "SET done = true, rows")):
        with Scene(source, target, page=5, **options) as scene:
            getattr(scene.run, how)("record", text)
            scene.run.go("chunk")
            scene.run.follows(90)
            scene.run.equal()
            check(scene.run.log().count("begins anew") == 0, scene.run.log())


def killed_before_the_table_is_closed(source, target, **options):
    """Every chunk is recorded, and who recorded the last one is gone: somebody else says that the table is copied."""
    with Scene(source, target, page=10, **options) as scene:
        check(target.value("SELECT max(number) FROM plan_replication.chunk") == "9", "the last chunk is another one")
        scene.run.die("closing", "SET phase = 'copied'")
        scene.run.go("chunk")
        scene.run.follows()
        scene.run.equal()


def the_source_is_lost_while_it_is_captured(source, target, **options):
    """The next try has the run lock: nobody of the last one holds it."""
    prepare(source, target)
    with Schedule(PROGRAM, source, target, plan=PLAN_WITH_RETRY, **options) as run:
        run.hold("capture", "CREATE TABLE IF NOT EXISTS plan_replication.beat")
        run.begin()
        run.reached("capture")
        source.super("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'plan replicate'")
        run.go("capture")
        run.follows()
        check("another process" not in run.log(), run.log())
        check("is lost" in run.log(), run.log())
        run.equal()


def a_table_begins_anew_after_a_wait_for_its_lock(source, target, **options):
    """That the lock was not had at once is no failure, then or later."""
    prepare(source, target)
    with source.session() as busy, Schedule(PROGRAM, source, target, **options) as run:
        busy.run("BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE")
        run.after("refused", "FROM pg_catalog.pg_locks l")
        run.begin()
        run.reached("refused")
        busy.run("COMMIT")
        run.go("refused")
        run.follows()
        source.sql("ALTER TABLE t ALTER v TYPE text USING v || '!'; INSERT INTO t VALUES (1000, 'wakes it', '')")
        wait_until(lambda: target.value("SELECT count(*) FROM t WHERE v LIKE '%!'") == "100", "copied anew", 120)
        run.follows()
        run.equal()
        check("the service ended" not in run.log(), run.log())


def the_server_soon_misses_who_is_gone(source, target, **options):
    """What a session has locked stays locked as long as the server believes in its client."""
    prepare(source, target)
    names = ", ".join(f"current_setting('tcp_{name}')" for name in (
        "keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout"))
    setting = "SET plan_replication.applying = 'on'"
    rule = (setting, f"CREATE TABLE IF NOT EXISTS public.said AS SELECT concat_ws(' ', {names}) AS v; {setting}")
    with Schedule(PROGRAM, source, target, rewrite=[rule], **options) as run:
        run.begin()
        run.follows()
        found = target.value("SELECT v FROM said")
        check(found == "30 10 3 60000", f"{found}")
    target.sql("DROP TABLE said")


def the_whole_is_killed_and_taken_up(source, target, **options):
    with Scene(source, target, page=5, **options) as scene:
        scene.run.kill()
        source.sql("UPDATE t SET v = 'meanwhile' WHERE id % 3 = 0; DELETE FROM t WHERE id = 50")
        done = target.value("SELECT count(*) FROM plan_replication.chunk WHERE done")
        check(done == "4", f"{done} chunks are done")  # the fifth was not committed
        scene.run.go("chunk")
        scene.run.begin()
        scene.run.follows(90)
        scene.run.equal()


def capture_is_not_bypassed(source, target, **options):
    """A superuser's session in replica role is captured, too."""
    with Scene(source, target, page=5, **options) as scene:
        scene.run.go("chunk")
        scene.run.follows()
        source.super("SET session_replication_role = replica; UPDATE public.t SET v = 'replica' WHERE id = 1")
        scene.run.equal()


def truncated_while_it_follows(source, target, **options):
    with Scene(source, target, page=5, **options) as scene:
        scene.run.go("chunk")
        scene.run.follows()
        source.sql("BEGIN; INSERT INTO t VALUES (900, 'before', ''); TRUNCATE t; INSERT INTO t VALUES (901, 'after', ''); COMMIT")
        scene.run.equal()


def a_batch_is_one_moment(source, target, **options):
    """A transaction that commits while a batch is read is not in it at all."""
    for side in (source, target):
        side.sql("DROP TABLE IF EXISTS u; CREATE TABLE u (id int, v text)")
    source.sql("ALTER TABLE u ADD PRIMARY KEY (id); INSERT INTO u VALUES (1, 'value 1')")
    try:
        with Scene(source, target, page=5, **options) as scene:
            scene.run.go("chunk")
            scene.run.follows()
            later = "u" if target.value("SELECT id FROM plan_replication.relation WHERE name = 'u'") > target.value(
                "SELECT id FROM plan_replication.relation WHERE name = 't'") else "t"
            scene.run.hold("second", f"FROM k LEFT JOIN ONLY public.{later} t")
            scene.run.after("applied", "rows_applied = rows_applied + 2")
            source.sql("BEGIN; UPDATE t SET v = 'one' WHERE id = 1; UPDATE u SET v = 'one' WHERE id = 1; COMMIT")
            scene.run.reached("second")
            source.sql("BEGIN; UPDATE t SET v = 'two' WHERE id = 1; UPDATE u SET v = 'two' WHERE id = 1; COMMIT")
            scene.run.go("second")
            scene.run.reached("applied")
            both = target.rows("SELECT t.v, u.v FROM t, u WHERE t.id = 1 AND u.id = 1")
            check(both == [["one", "one"]], f"no moment of the source: {both}")
            scene.run.go("applied")
            scene.run.equal("t", "u")
    finally:
        for side in (source, target):
            side.sql("DROP TABLE u")


def columns_change(source, target, **options):
    """It stops before anything is lost, says what to do, and goes on when that is done."""
    with Scene(source, target, page=5, **options) as scene:
        scene.run.go("chunk")
        scene.run.follows()
        source.sql("ALTER TABLE t ADD COLUMN more int DEFAULT 7; UPDATE t SET more = 8 WHERE id = 1")
        wait_until(lambda: "ALTER TABLE public.t ADD COLUMN more integer" in scene.run.log(), "it says so", 120)
        scene.run.end()
        target.sql("ALTER TABLE t ADD COLUMN more int DEFAULT 7")
        scene.run.begin()
        scene.run.follows()
        scene.run.equal()


def values_change_by_ddl(source, target, **options):
    """An ALTER that changes every value logs nothing: the table is copied anew."""
    with Scene(source, target, page=5, **options) as scene:
        scene.run.go("chunk")
        scene.run.follows()
        source.sql("ALTER TABLE t ALTER v TYPE text USING v || '!'; INSERT INTO t VALUES (1000, 'wakes it', '')")
        wait_until(lambda: target.value("SELECT count(*) FROM t WHERE v LIKE '%!'") == "100", "copied anew", 120)
        scene.run.follows()
        scene.run.equal()


SCHEDULES = [rows_move_behind_the_copy, rows_move_before_the_copy, the_table_is_rewritten,
             everything_is_deleted_between_two_chunks, keys_change_hands, old_snapshot_writes_late,
             a_prepared_transaction_commits_after_the_copy, rows_without_a_key, killed_between_the_commits,
             killed_in_a_chunk, killed_before_the_table_is_closed, the_source_is_lost_while_it_is_captured,
             a_table_begins_anew_after_a_wait_for_its_lock, the_server_soon_misses_who_is_gone, the_whole_is_killed_and_taken_up, capture_is_not_bypassed, truncated_while_it_follows,
             a_batch_is_one_moment, columns_change, values_change_by_ddl]

def nothing_happens(source, target, **options):
    prepare(source, target)
    with Schedule(PROGRAM, source, target, **options) as run:
        run.begin()
        run.follows()
        run.equal()


# ---- Designs that lose rows: each is made by rewriting statements, and must be caught ----

ONCE = """
CREATE SEQUENCE IF NOT EXISTS public.died; ALTER SEQUENCE public.died RESTART;
CREATE OR REPLACE FUNCTION public.die_once() RETURNS void LANGUAGE sql AS
 $$ SELECT pg_terminate_backend(pg_backend_pid()) WHERE nextval('public.died') = 1 $$"""
BROKEN = {
    "no delete before insert": (rows_move_behind_the_copy, [("stage_1 s WHERE ", "stage_1 s WHERE false AND ")]),
    "old key not logged": (keys_change_hands, [("ENABLE ALWAYS TRIGGER zz_plan_key", "DISABLE TRIGGER zz_plan_key")]),
    "log snapshot before the last chunk": (nothing_happens, [("phase = 'copied' ORDER", "phase IN ('copied', 'copying') ORDER")]),
    "batch in READ COMMITTED": (a_batch_is_one_moment, [("BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN")]),
    "no filenode check": (the_table_is_rewritten, [("pg_catalog.pg_relation_filenode(", "pg_catalog.num_nonnulls(")]),
    "TRUNCATE marker ignored": (truncated_while_it_follows, [("WHERE k0 IS NULL)", "WHERE false)")]),
    "chunk record apart": (rows_move_before_the_copy, [(
        "UPDATE plan_replication.chunk SET done", "COMMIT; BEGIN; SELECT public.die_once(); UPDATE plan_replication.chunk SET done")]),
    "a table that nobody closes": (killed_before_the_table_is_closed, [
        ("WHERE r.phase = 'copying' AND NOT EXISTS", "WHERE false AND NOT EXISTS")]),
    "batch cut by LIMIT": (keys_change_hands, [("SELECT DISTINCT k0 FROM d)", "SELECT DISTINCT k0 FROM d LIMIT 1)")]),
}


def must_be_caught(source, target, name):
    schedule, rules = BROKEN[name]
    target.sql(ONCE)
    schedule_module.PATIENCE = 25
    try:
        schedule(source, target, rewrite=rules)
    except (AssertionError, Failed) as caught:
        print(f"caught: {name}: {str(caught)[:100]!r}", flush=True)
        return
    finally:
        schedule_module.PATIENCE = 120
    raise SystemExit(f"{name}: nobody noticed")


def main():
    chosen = sys.argv[3:]
    with Cluster("source", settings={"max_prepared_transactions": 5}) as source, Cluster("target") as target:
        for schedule in SCHEDULES:
            if not chosen or schedule.__name__ in chosen:
                print(schedule.__name__, flush=True)
                schedule(source, target)
        for name in BROKEN:
            if not chosen or "broken" in chosen or name in chosen:
                must_be_caught(source, target, name)
    print("ok")


if __name__ == "__main__":
    main()
