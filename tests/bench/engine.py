# SPDX-License-Identifier: MIT
"""engine.py PLAN SOURCE [check|run|start]: measures, and prints tables.

check  `plan check` beside `ninja -n` on the same graph, and how both grow
run    what a step costs that does nothing, beside a line that make appends and syncs
start  how long the program takes to begin
"""
import glob
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import graph

REPETITIONS = 7


def timed(command, where, **more):
    """Seconds, and the peak of resident memory in MiB as the kernel counted it."""
    peak = os.path.join(where, "peak")
    began = time.monotonic()
    done = subprocess.run(["/usr/bin/time", "-f", "%M", "-o", peak, *command], cwd=where,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          check=False, **more)
    seconds = time.monotonic() - began
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    with open(peak, encoding="utf-8") as lines:
        return seconds, int(lines.read().split()[-1]) / 1024


def alternating(commands, where, repetitions=REPETITIONS, before=None):
    """The medians of each command; one after the other, so that all meet the same machine."""
    measured = {name: [] for name in commands}
    for _ in range(repetitions):
        for name, command in commands.items():
            if before:
                before()
            measured[name].append(timed(command, where))
    return {name: tuple(statistics.median(part) for part in zip(*values))
            for name, values in measured.items()}


def exponent(sizes, seconds):
    """The slope in a log-log plot: 1 is linear."""
    x = [math.log(size) for size in sizes]
    y = [math.log(second) for second in seconds]
    mean_x, mean_y = statistics.mean(x), statistics.mean(y)
    return (sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y)) /
            sum((a - mean_x) ** 2 for a in x))


def check(plan, source, where):
    sizes = [1000, 10000, 30000, 100000]
    rows = []
    print(f"{'steps':>8} {'edges':>8} {'plan check':>11} {'ninja -n':>9} {'ratio':>6} "
          f"{'plan':>9} {'ninja':>9}")
    for size in sizes:
        edges = graph.needs(size)
        graph.write_plan(f"{where}/{size}.yaml", "large", edges)
        graph.write_ninja(f"{where}/{size}.ninja", edges)
        found = alternating({"plan": [plan, "check", f"{size}.yaml"],
                             "ninja": ["ninja", "-n", "-f", f"{size}.ninja"]}, where)
        rows.append(found["plan"][0])
        print(f"{size:>8} {sum(map(len, edges)):>8} {found['plan'][0]:>9.3f} s "
              f"{found['ninja'][0]:>7.3f} s {found['plan'][0] / found['ninja'][0]:>5.2f}x "
              f"{found['plan'][1]:>5.0f} MiB {found['ninja'][1]:>5.0f} MiB")
    print(f"grows with the {exponent(sizes, rows):.2f}th power of the steps "
          f"({exponent(sizes[1:], rows[1:]):.2f} from {sizes[1]})")
    for file in sorted(glob.glob(f"{source}/plans/*.yaml")):
        seconds, peak = alternating({"plan": [plan, "check", file]}, where)["plan"]
        print(f"{os.path.basename(file):<24} {seconds * 1000:>5.1f} ms {peak:>5.1f} MiB")


def descriptors(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def sync_ms(where):
    """What making one small write durable takes here."""
    with open(f"{where}/sync", "wb", buffering=0) as out:
        began = time.monotonic()
        for _ in range(50):
            out.write(b"x" * 64)
            os.fdatasync(out.fileno())
        return (time.monotonic() - began) / 50 * 1000


def run(plan, _source, where):
    """On the disk that holds the temporary directory: what fsync costs there is most of it."""
    count = 200
    shapes = {"chain": (graph.chain(count), 1), "wide": (graph.wide(count), 8)}
    append = "dd if=/dev/zero of=log bs=64 count=1 oflag=append conv=notrunc,fsync status=none"

    def fresh():
        shutil.rmtree(f"{where}/.plan", ignore_errors=True)
        if os.path.exists(f"{where}/log"):
            os.remove(f"{where}/log")

    print(f"one fdatasync takes {sync_ms(where):.2f} ms here; a step of plan has 10 of them "
          "(2 transactions of SQLite), make's has 2")
    print(f"{'steps':>14} {'jobs':>5} {'plan apply':>11} {'a step':>9} {'make, 2 fsync':>14} "
          f"{'a step':>9}")
    for name, (edges, jobs) in shapes.items():
        graph.write_plan(f"{where}/{name}.yaml", name, edges, "0s")
        graph.write_make(f"{where}/{name}.mk", edges, f"{append}; true; {append}")
        found = alternating(
            {"plan": [plan, "apply", "--yes", "--jobs", str(jobs), f"{name}.yaml"],
             "make": ["make", "-s", f"-j{jobs}", "-f", f"{name}.mk"]}, where, 3, fresh)
        ours, peer = found["plan"][0], found["make"][0]
        print(f"{count:>8} {name:>5} {jobs:>5} {ours:>9.2f} s {ours / count * 1000:>6.2f} ms "
              f"{peer:>12.2f} s {peer / count * 1000:>6.2f} ms")
    graph.write_plan(f"{where}/many.yaml", "many", graph.wide(1000), "5s")
    fresh()
    process = subprocess.Popen([plan, "apply", "--yes", "--jobs", "256", "many.yaml"], cwd=where,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most, peak = 0, 0.0
    while process.poll() is None:
        most = max(most, descriptors(process.pid))
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as lines:
            resident = re.search(r"VmHWM:\s+(\d+)", lines.read())
        peak = max(peak, int(resident[1]) / 1024 if resident else 0)
        time.sleep(0.02)
    print(f"1000 steps that are ready at once (--jobs 256): exit {process.returncode}, {most} descriptors, "
          f"{peak:.0f} MiB in the engine")


def start(plan, source, where):
    migration = f"{source}/plans/region-migration.yaml"
    for what in (["--version"], ["check", migration], ["steps"]):
        seconds, peak = alternating({"plan": [plan, *what], }, where, 41)["plan"]
        print(f"plan {what[0]:<10} {seconds * 1000:>6.2f} ms {peak:>6.1f} MiB")
    seconds, peak = alternating({"true": ["/bin/true"]}, where, 41)["true"]
    print(f"true            {seconds * 1000:>6.2f} ms {peak:>6.1f} MiB")


def main():
    plan, source, *wanted = sys.argv[1:]
    parts = {"check": check, "run": run, "start": start}
    for name in wanted or parts:
        with tempfile.TemporaryDirectory(prefix="plan-bench-") as where:
            print(f"-- {name}")
            parts[name](plan, source, where)


if __name__ == "__main__":
    main()
