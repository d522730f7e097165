# SPDX-License-Identifier: MIT
"""The module postgres.preflight on the way to the servers: poolers, encryption, regions, room and time.

usage: preflight_ways.py PLAN [SCENARIO...]"""
import os
import re
import socket
import subprocess
import sys

import scene
from cluster import Cluster
from pooler import HOST, Pooler, certificates, pgbouncer
from preflight_scene import GATES, ROOM, Pair
from scene import check, run_scenarios

scene.PLAN = os.path.abspath(sys.argv[1])
LIBPQ = int(re.search(r"\d+", subprocess.run(["psql", "--version"], capture_output=True, text=True).stdout)[0])


def pair():
    return Pair(source, target)


def at(cluster, both, host, **parameters):
    """A connection string with keywords: a host by name, whose address is the loopback."""
    password = cluster.password.replace("\\", "\\\\").replace("'", "\\'")
    more = "".join(f" {key}={value}" for key, value in parameters.items())
    return (f"host={host} hostaddr=127.0.0.1 port={cluster.port} dbname={both.name} user={cluster.owner}"
            f" password='{password}'{more}")


def place(both, host="127.0.0.1", port=None):
    return f"{host}:{port or source.port}/{both.name}"


def the_string_may_tell_of_a_pooler():
    both = pair()
    url = f"postgres://u:secret-word@127.0.0.1:6432/{both.name}?sslmode=verify-full"
    both.finds([f"source pooler 127.0.0.1:6432/{both.name}"], source=url,
               says=["port 6432 is PgBouncer's; the server itself is at 5432"])
    marked = source.url(database=both.name, pgbouncer="true")
    both.finds([f"source pooler {place(both)}", f"source connection_string {place(both)}"], source=marked)
    with both.scene(target=url, more=GATES) as one:
        said = one.apply(3, ["target: 127.0.0.1:6432/", "leads through a transaction pooler", "[pooler] -> give the connection"])
        check("secret-word" not in said, said)


def a_pooler_is_found_out_and_nothing_is_left_in_it():
    if not pgbouncer():
        print("left out, as there is none: apt-get install pgbouncer")
        return
    both = pair()
    for pool, size, says in (("transaction", 20, "the same server process"), ("transaction", 1, "the same server process"),
                             ("statement", 20, "takes no transactions")):
        with Pooler(source, pool, size) as pooler:
            url = pooler.url(database=both.name)
            both.finds([f"source pooler {place(both, port=pooler.port)}"], source=url, says=[says])
            with both.scene(source=url) as one:
                one.apply(3, ["leads through a transaction pooler"])
            said = subprocess.run(["psql", "-XAt", url, "-c", "SHOW search_path"], capture_output=True, text=True).stdout
            check(said.strip() == '"$user", public', f"the pooler's session has search_path {said}")
    with Pooler(source, "session") as pooler:
        both.finds([], source=pooler.url(database=both.name))


def a_pooler_at_work_is_found_out():
    if not pgbouncer():
        return
    both = pair()
    with Pooler(source, "transaction", 3) as pooler:
        url = pooler.url(database=both.name)
        statements = source.path("statements")
        with open(statements, "w") as out:
            out.write("SELECT pg_sleep(0.01);\n" * 20000)
        busy = [subprocess.Popen(["psql", "-Xq", url, "-f", statements], stdout=subprocess.DEVNULL) for _ in range(4)]
        try:
            both.finds([f"source pooler {place(both, port=pooler.port)}"], source=url)
        finally:
            for one in busy:
                one.kill()
                one.wait()


def certificates_are_verified_or_not():
    both = pair()
    authority = certificates(source)
    source.configure(ssl="on", ssl_cert_file=source.path("server.crt"), ssl_key_file=source.path("server.key"))
    source.restart()
    both.finds([], source=at(source, both, HOST, sslmode="verify-full", sslrootcert=authority))
    both.finds([f"source unverified_tls {place(both, HOST)}"], source=at(source, both, HOST, sslmode="require"),
               says=["(sslmode=require)"])
    with both.scene(source=at(source, both, "db.example.org", sslmode="verify-full", sslrootcert=authority)) as one:
        one.apply(1, ["connect to source (db.example.org:", "does not match host name"])
    # The system does not know this authority.
    with both.scene(source=at(source, both, HOST, sslrootcert="system")) as one:
        one.apply(1, ["certificate verify failed"])
    negotiated = at(source, both, HOST, sslmode="verify-full", sslrootcert=authority, sslnegotiation="direct")
    if LIBPQ < 17:
        both.finds([f"source connection_string {place(both, HOST)}"], source=negotiated,
                   says=["sslnegotiation is left out"])
    source.configure(ssl="off")
    source.restart()
    with both.scene(source=at(source, both, HOST, sslmode="verify-full", sslrootcert=authority)) as one:
        one.apply(1, ["server does not support SSL"])


def encryption_that_ends_before_the_server_is_told():
    if not pgbouncer():
        return
    both = pair()
    certificates(source)
    with Pooler(source, "session", tls=True) as pooler:
        where = place(both, port=pooler.port)
        both.finds([f"source unverified_tls {where}", f"source tls_ends_early {where}"],
                   source=pooler.url(database=both.name, sslmode="require"))


def address():
    """Of this machine, that is not the loopback; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))
            found = one.getsockname()[0]
        except OSError:
            return None
    return None if found.startswith("127.") or found == "0.0.0.0" else found


def a_connection_without_encryption_is_told():
    host = address()
    if not host:
        print("left out: this machine has no address but the loopback")
        return
    both = pair()
    target.configure(listen_addresses=f"127.0.0.1,{host}")
    with open(os.path.join(target.data, "pg_hba.conf"), "a") as rules:
        rules.write(f"host all {target.owner} {host}/32 scram-sha-256\n")
    target.restart()
    both.finds([f"target no_tls {host}:{target.port}/{both.name}"], target=target.url(database=both.name, host=host),
               says=["warning: the connection to", "sslmode=require"])
    target.configure(listen_addresses="127.0.0.1")
    target.restart()


def other_regions_are_told():
    both = pair()
    hosts = {"us-east-1": "ec2-52-1-2-3.compute-1.amazonaws.com", "eu-west-1": "c1.cluster-x.eu-west-1.rds.amazonaws.com",
             "us-gov-west-1": "db.us-gov-west-1.rds.amazonaws.com", "ap-southeast-2": "aws-ap-southeast-2-1.pg.psdb.cloud",
             "europe-west4": "gcp-europe-west4.pg.example.com"}
    here = next(iter(hosts.values()))
    for region, host in hosts.items():
        wanted = [f"target other_region {host}:{target.port}/{both.name}"] if host != here else []
        both.finds(wanted, source=at(source, both, here), target=at(target, both, host),
                   says=[f"is in {region}, and the source in us-east-1"] if wanted else [])
    both.finds([], source=at(source, both, here), target=at(target, both, "db.example.com"))


def room_is_compared_where_it_is_known():
    both = pair()
    where = f"target unknown_space 127.0.0.1:{target.port}/{both.name}"
    both.finds([where], "schemas: [all]", says=["cannot be seen from here; the source has", "write it as `target_space: "])
    with both.scene("schemas: [all]", more=GATES) as one:
        one.apply(0, ["[unknown_space]"])
        free = [condition for record in one.records() for condition in record["body"].get("conditions", [])
                if condition["check"] == "preflight.free_space"]
        check(not free or "not known" in free[0]["is"], f"{free}")
    with both.scene("schemas: [all], refuse: [unknown_space]") as one:
        one.apply(3, ["1 thing stands in the way", "[unknown_space]"])
    both.finds([f"target no_room 127.0.0.1:{target.port}/{both.name}"], "target_space: 10 MiB",
               says=["has room for 0."])
    both.finds([], "target_space: 20 MB")
    with both.scene("target_space: 20 MB", more=GATES) as one:
        one.apply(1, ["preflight.free_space is 1.", "and must be at least 2.0 x"])
    # Of some schemas it is their tables that count.
    both.on_source("CREATE SCHEMA few; CREATE TABLE few.t (id int PRIMARY KEY)")
    with both.scene("target_space: 20 MB, schemas: [few]", more=GATES) as one:
        one.apply(0)
        check(one.outputs("it")["size"] < 100000, "the size is that of the whole database")


def a_copy_of_days_is_told():
    both = pair()
    where = place(both)
    slow = f"{ROOM}, rate: 30 B/s"
    both.finds([f"source long_copy {where}"], slow, says=["note: copying the", "MiB of", "takes about"])
    both.finds([f"source dyno_restart {where}"], slow, environment={"DYNO": "run.1"}, says=["a dyno is restarted every day"])
    both.finds([], f"{ROOM}, rate: unlimited", environment={"DYNO": "run.1"})
    both.finds([], environment={"DYNO": "run.1"})


with Cluster("source") as source, Cluster("target") as target:
    run_scenarios(the_string_may_tell_of_a_pooler, a_pooler_is_found_out_and_nothing_is_left_in_it,
                  a_pooler_at_work_is_found_out, certificates_are_verified_or_not,
                  encryption_that_ends_before_the_server_is_told, a_connection_without_encryption_is_told,
                  other_regions_are_told, room_is_compared_where_it_is_known, a_copy_of_days_is_told, only=sys.argv[2:])
