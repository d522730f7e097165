# SPDX-License-Identifier: MIT
"""sample.py FILE [--tree PID]... [--activity URL]: until SIGTERM, then writes one line:

peak of the proportional set size of the processes and all under them, MiB; the most processes at once; the greatest
age of a transaction of the server at URL that is ours, seconds; the greatest age of its oldest snapshot, transactions
"""
import glob
import signal
import sys
import time

import pq

EVERY = 0.1  # seconds
OLDEST = """SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0), coalesce(max(age(backend_xmin)), 0)
FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name LIKE 'plan%'"""


def parents():
    found = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as stat:
                text = stat.read()
        except OSError:
            continue
        found[int(text.split(" ", 1)[0])] = int(text.rpartition(")")[2].split()[1])
    return found


def tree(roots):
    found, wanted = parents(), set(roots)
    more = True
    while more:
        more = {pid for pid, parent in found.items() if parent in wanted} - wanted
        wanted |= more
    return wanted & set(found)


def pss_kib(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as lines:
            return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except OSError:  # it has ended
        return 0


def main():
    file, arguments = sys.argv[1], sys.argv[2:]
    roots = [int(value) for name, value in zip(arguments[::2], arguments[1::2]) if name == "--tree"]
    urls = [value for name, value in zip(arguments[::2], arguments[1::2]) if name == "--activity"]
    server = pq.Connection(urls[0]) if urls else None
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    peak = most = 0
    oldest = snapshot = 0.0
    while not stopping:
        pids = tree(roots)
        peak, most = max(peak, sum(map(pss_kib, pids))), max(most, len(pids))
        if server:
            age, transactions = server.rows(OLDEST)[0]
            oldest, snapshot = max(oldest, float(age)), max(snapshot, float(transactions))
        time.sleep(EVERY)
    with open(file, "w", encoding="utf-8") as out:
        out.write(f"{peak / 1024:.1f} {most} {oldest:.2f} {snapshot:.0f}\n")


main()
