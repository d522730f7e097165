# SPDX-License-Identifier: MIT
"""Throw-away PostgreSQL clusters for tests: real servers on loopback, with an ordinary owner of the database.

    with Cluster() as source, Cluster(settings={"max_prepared_transactions": 5}) as target:
        source.sql("CREATE TABLE t (id int PRIMARY KEY)")     # as the owner, who is no superuser
        source.value("SELECT count(*) FROM t")                # "0"
        source.rows("SELECT 1, NULL")                         # [["1", None]]
        source.super("CREATE ROLE reader")                    # as the superuser
        with source.session() as busy:                        # a session that stays
            busy.run("BEGIN; LOCK TABLE t")
        source.url()                                          # postgres://..., for a plan

Servers run as an account without rights where the test is root, and end with the test, however it ends.
PLAN_TEST_PG_BIN is the directory with initdb and postgres to take instead of the packaged ones."""
import ctypes
import glob
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

OWNER, SUPERUSER, DATABASE = "app_owner", "super", "app"
PASSWORD = "p@ss/w:rd'%20 "  # what is not quoted well breaks
SKIP = 77
READY_WITHIN = 90  # seconds; machines may be slow
SETTINGS = {"fsync": "off", "full_page_writes": "off", "listen_addresses": "127.0.0.1", "max_connections": 60,
            "shared_buffers": "16MB", "wal_level": "replica", "log_min_messages": "warning",
            "autovacuum_naptime": "60s", "jit": "off"}
FIELD, ROW, NULL = "\x1f", "\x1e", "\x1d"


class Failed(AssertionError):
    """A statement or program failed; the text is what it said."""


def binaries():
    """The directory with server programs; ends the test as skipped where there is none."""
    wanted = os.environ.get("PLAN_TEST_PG_BIN")
    found = [wanted] if wanted else ["/usr/lib/postgresql/15/bin", *sorted(glob.glob("/usr/lib/postgresql/*/bin"))]
    for one in found:
        if os.path.exists(os.path.join(one, "initdb")):
            return one
    print("SKIP: apt-get install postgresql-15")
    sys.exit(SKIP)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_until(truth, what, within=60):
    """Polls; gives what truth() gave."""
    until, pause = time.monotonic() + within, 0.03
    while True:
        found = truth()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.3, 0.3)  # to look is a psql, too


def account():
    """(user, group) that servers run as, or None: our own."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
        except KeyError:
            pass
    raise AssertionError("neither postgres nor nobody is an account here")


def as_account():
    who = account()
    return {"user": who[0], "group": who[1], "extra_groups": []} if who else {}


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG; SIGQUIT is PostgreSQL's immediate shutdown


def program(directory, command, **environment):
    """Runs it as the account; what it said is in the error."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=directory,
                          stdin=subprocess.DEVNULL, env={"PATH": os.environ["PATH"], "LC_ALL": "C", **environment},
                          **as_account())
    if done.returncode != 0:
        raise Failed(f"{command[0]} ended with {done.returncode}: {done.stdout}")
    return done.stdout


class Session:
    """A psql that stays connected: run() waits for its statements, send() does not."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen([*command, "-v", "VERBOSITY=verbose"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
                                        preexec_fn=die_with_parent)
        self.count, self.buffer = 0, b""
        self.pid = int(self.run("SELECT pg_backend_pid()"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, sql):
        """Begins it; finish() gives what it said."""
        self.count += 1
        self.process.stdin.write(f"{sql.rstrip().rstrip(';')};\n\\echo done-{self.count}-done\n".encode())
        self.process.stdin.flush()

    def finish(self, within=60):
        mark, until = f"done-{self.count}-done\n".encode(), time.monotonic() + within
        while mark not in self.buffer:
            if not select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))[0]:
                raise Failed(f"the statement did not end within {within} s: {self.buffer.decode()}")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise Failed(f"the session ended: {self.buffer.decode()}")
            self.buffer += data
        said, self.buffer = self.buffer.split(mark, 1)
        return said.decode().replace(ROW, "\n").replace(NULL, "").rstrip("\n")

    def run(self, sql, within=60):
        """What it gave; Failed when the server refused."""
        self.send(sql)
        said = self.finish(within)
        if "ERROR:  " in said or "FATAL:  " in said:
            raise Failed(said)
        return said

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:  # in the middle of a statement
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()


class Cluster:
    """settings go into postgresql.conf; initdb are more of its options, such as ["--locale=C.UTF-8"]; bin is a
    directory with the programs of another version."""

    def __init__(self, name="cluster", settings=None, initdb=("-E", "UTF8", "--locale=C"), bin=None):
        self.bin = bin or binaries()
        self.name, self.settings, self.initdb = name, {**SETTINGS, **(settings or {})}, initdb
        self.host, self.database, self.owner, self.superuser, self.password = ("127.0.0.1", DATABASE, OWNER, SUPERUSER,
                                                                               PASSWORD)
        self.process = None
        self.directory = tempfile.mkdtemp(prefix="plan-pg-")
        try:
            self.make()
        except BaseException:
            self.destroy()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.destroy()

    # ---- The server ----

    @property
    def data(self):
        return os.path.join(self.directory, "data")

    def path(self, name):
        return os.path.join(self.directory, name)

    def give_away(self, *paths):
        who = account()
        for path in paths if who else ():
            os.chown(path, *who)

    def make(self):
        password_file = self.path("password")
        with open(password_file, "w") as out:
            out.write(self.password + "\n")
        self.give_away(self.directory, password_file)
        program(self.directory, [f"{self.bin}/initdb", "-D", self.data, "-U", self.superuser, "-A", "scram-sha-256", "-N",
                                 f"--pwfile={password_file}", *self.initdb])
        os.unlink(password_file)
        self.configure(**self.settings)
        for attempt in (1, 2, 3):  # a port that was free may be taken by now
            self.port = free_port()
            try:
                self.start()
                break
            except Failed:
                if attempt == 3:
                    raise
        quoted = self.password.replace("'", "''")
        self.super(f"CREATE ROLE {self.owner} LOGIN PASSWORD '{quoted}'", database="postgres")
        self.super(f"CREATE DATABASE {self.database} OWNER {self.owner}", database="postgres")

    def configure(self, **settings):
        """Lines for postgresql.conf; they count from the next restart() or reload()."""
        with open(os.path.join(self.data, "postgresql.conf"), "a") as out:
            for key, value in settings.items():
                quoted = str(value).replace("'", "''")
                out.write(f"{key} = '{quoted}'\n")

    def start(self):
        socket_directory = self.directory if len(self.directory) < 80 else ""
        with open(self.path("log"), "a") as log:
            self.process = subprocess.Popen(
                [f"{self.bin}/postgres", "-D", self.data, "-p", str(self.port), "-k", socket_directory],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, preexec_fn=die_with_parent,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"}, **as_account())
        wait_until(self.is_ready, f"the server of {self.name}", READY_WITHIN)

    def is_ready(self):
        if self.process.poll() is not None:
            raise Failed(f"the server of {self.name} ended: {self.log()}")
        try:
            self.rows("SELECT 1", role=self.superuser, database="postgres")
            return True
        except Failed:
            return False

    def log(self):
        with open(self.path("log"), errors="replace") as file:
            return file.read()[-3000:]

    def stop(self, how="fast"):
        """smart, fast or immediate; the last is a crash."""
        if self.process and self.process.poll() is None:
            self.process.send_signal({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])
            try:
                self.process.wait(READY_WITHIN)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def restart(self, how="fast"):
        self.stop(how)
        self.start()

    def reload(self):
        self.super("SELECT pg_reload_conf()")

    def destroy(self):
        self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    # ---- Statements ----

    def url(self, role=None, database=None, host=None, **parameters):
        """For a plan; parameters such as sslmode="require" come behind the question mark."""
        quote = urllib.parse.quote
        query = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in parameters.items())
        return (f"postgres://{quote(role or self.owner, safe='')}:{quote(self.password, safe='')}"
                f"@{host or self.host}:{self.port}/{quote(database or self.database, safe='')}" + (query and f"?{query}"))

    def psql(self, role, database):
        # What is in the path may be a script that looks for this one each time.
        own = os.path.join(self.bin, "psql")
        command = [own if os.path.exists(own) else "psql", "-X", "-q", "-A", "-t", "-F", FIELD, "-R", ROW, "-P", f"null={NULL}", "-h", self.host, "-p",
                   str(self.port), "-U", role or self.owner, "-d", database or self.database]
        return command, {"PATH": os.environ["PATH"], "PGPASSWORD": self.password, "PGCONNECT_TIMEOUT": "20"}

    def rows(self, sql, role=None, database=None, within=300):
        """Every row of the last statement as a list of texts, None for null."""
        command, environment = self.psql(role, database)
        done = subprocess.run([*command, "-v", "ON_ERROR_STOP=1", "-f", "-"], input=sql, env=environment, text=True,
                              capture_output=True, timeout=within)
        if done.returncode != 0:
            raise Failed(f"{self.name}: {done.stderr.strip()}\n{sql[:500]}")
        text = done.stdout.removesuffix("\n").removesuffix(ROW)
        return [[None if field == NULL else field for field in row.split(FIELD)] for row in text.split(ROW)] if text else []

    def sql(self, sql, role=None, database=None):
        self.rows(sql, role, database)

    def value(self, sql, role=None, database=None):
        found = self.rows(sql, role, database)
        return found[0][0] if found else None

    def super(self, sql, database=None):
        return self.rows(sql, self.superuser, database)

    def session(self, role=None, database=None):
        return Session(*self.psql(role, database))

    def follow(self, name):
        """A running hot standby of this cluster; destroy() it."""
        standby = Cluster.__new__(Cluster)
        standby.__dict__.update(self.__dict__, name=name, process=None, port=free_port(),
                                directory=tempfile.mkdtemp(prefix="plan-pg-"))
        standby.give_away(standby.directory)
        try:
            program(standby.directory, [f"{self.bin}/pg_basebackup", "-D", standby.data, "-h", self.host, "-p",
                                        str(self.port), "-U", self.superuser, "-X", "stream", "-R", "-c", "fast", "-w"],
                    PGPASSWORD=self.password)
            standby.start()
        except BaseException:
            standby.destroy()
            raise
        return standby

    def add_role(self, name, options="LOGIN"):
        """One more ordinary role with the same password."""
        quoted = self.password.replace("'", "''")
        self.super(f"CREATE ROLE {name} {options} PASSWORD '{quoted}'")
        return name

    def add_database(self, name, options=""):
        """One more, of the owner: cheaper than another cluster where one server will do."""
        self.super(f"CREATE DATABASE {name} OWNER {self.owner} {options}", database="postgres")
        return name
