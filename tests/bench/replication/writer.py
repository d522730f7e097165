# SPDX-License-Identifier: MIT
"""What an application sees, measured by writers that know nothing of the replication but where it writes.

writer.py outage SOURCE TARGET [SECONDS]: inserts into hb on the source, every millisecond, until it is refused; then on
the target, once that says that it is written to. Prints the seconds between the last row that the one took and the
first of the other.
writer.py heartbeat SOURCE TARGET SECONDS FILE: a row every 100 ms on the source; writes when each was seen on the
target: the second, the lag.
writer.py stall URL STATEMENTS FILE: runs each line of STATEMENTS in a session of its own, over and over, until SIGTERM;
writes the longest time a statement took, ms, the 99th percentile, and the number of errors.
"""
import signal
import sys
import threading
import time

import pq

ROW = "INSERT INTO hb (ts) VALUES (clock_timestamp())"
# Before the switch the target is open to whoever comes; an application comes when it is told to.
ROW_THERE = ("INSERT INTO hb (ts) SELECT clock_timestamp() FROM plan_replication.stream WHERE mode = 'switched' RETURNING 1")


def outage(source, target, within="60"):
    here, there = pq.Connection(source), pq.Connection(target)
    until = time.monotonic() + float(within)
    last = time.monotonic()
    try:
        while time.monotonic() < until:
            here.rows(ROW)
            last = time.monotonic()
            time.sleep(0.001)
        sys.exit("the source was never closed")
    except pq.Refused:
        pass
    while time.monotonic() < until:
        try:
            if there.rows(ROW_THERE):
                print(f"{time.monotonic() - last:.4f}")
                return
        except pq.Refused:
            pass
        time.sleep(0.001)
    sys.exit("the target was never opened")


def heartbeat(source, target, seconds, file):
    here, there = pq.Connection(source), pq.Connection(target)
    sent, began = {}, time.monotonic()

    def write():
        while time.monotonic() < began + float(seconds):
            at = time.monotonic()
            sent[int(here.rows(ROW + " RETURNING id")[0][0])] = at
            time.sleep(max(0, at + 0.1 - time.monotonic()))

    writer = threading.Thread(target=write)
    writer.start()
    seen = {}
    last = int(there.rows("SELECT coalesce(max(id), 0) FROM hb")[0][0])
    while writer.is_alive() or (len(seen) < len(sent) and time.monotonic() < began + float(seconds) + 5):
        newest = int(there.rows("SELECT coalesce(max(id), 0) FROM hb")[0][0])
        now = time.monotonic()
        for number in range(last + 1, newest + 1):
            if number in sent:
                seen[number] = now - sent[number]
        last = max(last, newest)
        time.sleep(0.005)
    with open(file, "w", encoding="utf-8") as out:
        for number, at in sent.items():
            out.write(f"{at - began:.3f}\t{seen.get(number, 'nan')}\n")


def stall(url, statements, file):
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    took, errors = [], []

    def run(statement):
        connection = pq.Connection(url)
        while not stopping.is_set():
            began = time.monotonic()
            try:
                connection.rows(statement)
            except pq.Refused as error:
                errors.append(str(error))
            took.append(time.monotonic() - began)
            time.sleep(0.005)

    with open(statements, encoding="utf-8") as lines:
        threads = [threading.Thread(target=run, args=(line.strip(),)) for line in lines if line.strip()]
    for one in threads:
        one.start()
    while not stopping.wait(0.1):
        pass
    for one in threads:
        one.join()
    took.sort()
    with open(file, "w", encoding="utf-8") as out:
        out.write(f"{took[-1] * 1000:.1f} {took[int(len(took) * 0.99)] * 1000:.1f} {len(errors)}\n")
    for text in sorted(set(errors)):
        print(text.strip(), file=sys.stderr)


{"outage": outage, "heartbeat": heartbeat, "stall": stall}[sys.argv[1]](*sys.argv[2:])
