# SPDX-License-Identifier: MIT
"""A disk that can be filled: a small file system of its own for a tablespace where we may mount one, else a trigger that
refuses as a server on a full disk does."""
import os
import subprocess
import tempfile

from cluster import account

SIZE = "192m"
FULL = """CREATE OR REPLACE FUNCTION plan_replication.full() RETURNS trigger LANGUAGE plpgsql AS
 $$BEGIN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100'; END$$"""
WRITTEN = ("plan_replication.stream", "plan_replication.chunk")


class Disk:
    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="plan-disk-")
        self.mounted = os.geteuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "plan-disk", self.path], capture_output=True).returncode == 0
        if not self.mounted:
            print("SKIP: a disk that is really full, which needs a mount; the server says so without one", flush=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.mounted:
            subprocess.run(["umount", "-l", self.path], check=True)
        os.rmdir(self.path)

    def prepare(self, cluster):
        if not self.mounted:
            return
        space = os.path.join(self.path, "space")
        os.mkdir(space)
        who = account()
        for path in (self.path, space) if who else ():
            os.chown(path, *who)
        cluster.super(f"CREATE TABLESPACE small OWNER {cluster.owner} LOCATION '{space}'", database="postgres")

    def database_option(self):
        return "TABLESPACE small" if self.mounted else ""

    def fill(self, cluster):
        if not self.mounted:
            cluster.super(FULL + "".join(f"; CREATE TRIGGER zz_full BEFORE UPDATE ON {table} EXECUTE FUNCTION plan_replication.full()"
                                         for table in WRITTEN))
            return
        with open(os.path.join(self.path, "filler"), "wb", buffering=0) as out:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        out.write(b"\0" * size)
                except OSError:
                    pass

    def empty(self, cluster):
        if not self.mounted:
            cluster.super("DROP FUNCTION plan_replication.full() CASCADE")
            return
        os.unlink(os.path.join(self.path, "filler"))
