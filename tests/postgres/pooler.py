# SPDX-License-Identifier: MIT
"""A PgBouncer before a cluster, and certificates of a private authority."""
import os
import shutil
import socket
import subprocess

from cluster import Failed, as_account, die_with_parent, free_port, wait_until

HOST = "db.example.com"  # whom the certificate is for


def pgbouncer():
    """The program, or None where it is not installed."""
    return shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")


def certificates(cluster):
    """Makes ca.crt, server.crt and server.key in the directory of the cluster; gives the path of the first."""
    directory = cluster.directory

    def openssl(*words):
        done = subprocess.run(["openssl", *words], capture_output=True, text=True, cwd=directory)
        if done.returncode:
            raise Failed(done.stderr)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=authority of a test", "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", "-new", *curve, "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", "server.key",
            "-out", "server.csr")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-copy_extensions", "copy", "-out", "server.crt")
    os.chmod(cluster.path("server.key"), 0o600)
    cluster.give_away(cluster.path("server.key"), cluster.path("server.crt"), cluster.path("ca.crt"))
    return cluster.path("ca.crt")


class Pooler:
    """pool is transaction, session or statement; size is how many server processes it has; tls: for its clients."""

    def __init__(self, cluster, pool, size=20, tls=False):
        self.cluster, self.port = cluster, free_port()
        self.name = f"{pool}-{self.port}"
        quoted = cluster.password.replace('"', '""')
        users = "".join(f'"{role}" "{quoted}"\n' for role in (cluster.owner, cluster.superuser))
        more = (f"client_tls_sslmode = require\nclient_tls_cert_file = {cluster.path('server.crt')}\n"
                f"client_tls_key_file = {cluster.path('server.key')}\n" if tls else "")
        files = {"users": users, "ini": f"""[databases]
* = host={cluster.host} port={cluster.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {self.path('users')}
pool_mode = {pool}
default_pool_size = {size}
{more}"""}
        for name, text in files.items():
            with open(self.path(name), "w") as out:
                out.write(text)
            cluster.give_away(self.path(name))

    def path(self, name):
        return self.cluster.path(f"pooler-{self.name}.{name}")

    def __enter__(self):
        with open(self.path("log"), "w") as log:
            self.process = subprocess.Popen([pgbouncer(), self.path("ini")], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.cluster.directory, preexec_fn=die_with_parent, **as_account())
        wait_until(self.is_ready, "the pooler")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def is_ready(self):
        if self.process.poll() is not None:
            with open(self.path("log")) as log:
                raise Failed(f"the pooler ended: {log.read()}")
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def url(self, **parameters):
        """As Cluster.url(), through the pooler."""
        return self.cluster.url(**parameters).replace(f":{self.cluster.port}/", f":{self.port}/")
