# SPDX-License-Identifier: MIT
"""report.py bar RESULTS RUN NAME: a line: the measured ratio with its spread, and the bar.
report.py tables RESULTS [RUN]: Markdown: every bar, then every figure.
report.py step NAME: reads `plan journal --json`; how long that step took, in seconds.

A line of RESULTS: run, size, section, data set, variant, round, metric, value. A ratio is of two variants in the same
round, and what is printed is its median over the rounds, with the least and the greatest."""
import collections
import json
import statistics
import sys

Bar = collections.namedtuple("Bar", "text section data ours metric peer limit")

# peer None: the value itself; a tuple: the best of those variants and every round. limit: (comparison, figure).
FEW = 3  # rounds; below that a median says nothing
BULK = {"update": ("bulk UPDATE", 1.5), "insert": ("bulk INSERT", 1.8), "copy": ("bulk COPY", 2.4),
        "delete": ("bulk DELETE", 2.7), "update_wide": ("bulk UPDATE, wide rows", 1.4)}
BARS = {
    "copy_wide": Bar("initial copy, `wide`, x raw2", "copy", "wide", "plan", "wall_s", "raw2", ("<=", 1.05)),
    "copy_pgb": Bar("initial copy, `pgb`, x raw2", "copy", "pgb", "plan", "wall_s", "raw2", ("<=", 1.05)),
    "cpu": Bar("source CPU per transaction with capture, 8 clients, x none", "capture", "pgb", "plan", "cpu_us_per_tx", "none",
               ("<=", 1.24)),
    "tps": Bar("source throughput with capture, 8 clients, x none", "capture", "pgb", "plan", "tps", "none", (">=", 0.83)),
    **{f"bulk_{name}": Bar(f"{text} with capture, x none", "capture", "pgb", "plan", f"{name}_ms", "none", ("<=", limit))
       for name, (text, limit) in BULK.items()},
    **{f"cpu_{name}": Bar(f"{text} with capture, CPU of the source, x none", "capture", "pgb", "plan", f"{name}_cpu_ms", "none",
                          ("<=", limit)) for name, (text, limit) in BULK.items()},
    "drain": Bar("drain of the backlog, Bucardo's time x ours", "drain", "pgb", "bucardo", "wall_s", "plan", (">=", 8)),
    "lag": Bar("lag p99 at 500 tx/s, x Bucardo's best", "lag", "pgb", "plan", "p99_s", "bucardo", ("<=", 0.125)),
    "flat": Bar("lag p99, last third x first third", "lag", "pgb", "plan", "p99_growth", None, ("<=", 1.5)),
    "switch": Bar("write outage of the switch, x Bucardo's best drain", "switch", "pgb", "plan", "outage_s", ("bucardo",),
                  ("<=", 0.5)),
    "switch_worst": Bar("write outage of the switch, worst, s", "switch", "pgb", "plan", "outage_s", None, ("worst <=", 0.5)),
    **{f"copy_cpu_{data}": Bar(f"initial copy, `{data}`, CPU of both servers, x raw2", "copy", data, "plan", "servers_cpu_s", "raw2",
                               None) for data in ("wide", "pgb")},
    "memory_wide": Bar("memory of all our processes (PSS), `wide`, MB", "copy", "wide", "plan", "peak_pss_mb", None,
                       ("worst <=", 48)),
    "memory_pgb": Bar("memory of all our processes (PSS), `pgb`, MB", "copy", "pgb", "plan", "peak_pss_mb", None,
                      ("worst <=", 48)),
    "memory_10x": Bar("the same with ten times the data, MB", "growth", "large", "plan", "peak_pss_mb", None, ("worst <=", 48)),
    "memory_growth": Bar("memory with ten times the data, x with the small", "growth", "both", "plan", "pss_growth", None,
                         ("<=", 1.2)),
    "age_10x": Bar("oldest transaction of ours on the source, ten times the data, s", "growth", "large", "plan",
                   "oldest_transaction_s", None, None),
    "stall_on": Bar("longest stall of a statement, capture goes on, beyond lock_timeout, ms", "stall", "pgb", "install",
                    "beyond_ms", None, ("worst <=", 50)),
    "stall_off": Bar("longest stall of a statement, capture goes off, beyond lock_timeout, ms", "stall", "pgb", "remove",
                     "beyond_ms", None, ("worst <=", 50)),
    "stall_errors": Bar("errors that the application sees meanwhile", "stall", "pgb", "both", "errors", None, ("worst <=", 0)),
    "killed": Bar("bytes sent twice after SIGKILL, x workers x chunk size", "killed", "wide", "plan", "twice_of_allowed", None,
                  ("worst <=", 1)),
}


def read(path, run=None):
    """{(section, data, variant, metric): {(run, round): value}}, and the sizes that were met."""
    figures, sizes = collections.defaultdict(dict), {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            one, size, section, data, variant, number, metric, value = line.rstrip("\n").split("\t")
            if run and one != run:
                continue
            try:
                figures[section, data, variant, metric][one, number] = float(value)
                sizes[section] = size
            except ValueError:
                pass
    return figures, sizes


def ratios(bar, figures):
    ours = figures.get((bar.section, bar.data, bar.ours, bar.metric), {})
    if bar.peer is None:
        return list(ours.values())
    if isinstance(bar.peer, tuple):
        best = [value for peer in bar.peer for value in figures.get((bar.section, bar.data, peer, bar.metric), {}).values()]
        return [value / min(best) for value in ours.values()] if best else []
    peer = figures.get((bar.section, bar.data, bar.peer, bar.metric), {})
    return [ours[number] / peer[number] for number in ours if number in peer]


def verdict(bar, values):
    if bar.limit is None:
        return "-"
    comparison, limit = bar.limit
    worst = comparison.startswith("worst")
    middle = max(values) if worst else statistics.median(values)
    met = middle >= limit if comparison == ">=" else middle <= limit
    if len(values) < FEW and (met or not worst):
        return "too few rounds to say"
    return "met" if met else "MISSED"


def cells(bar, figures):
    values = ratios(bar, figures)
    limit = "" if bar.limit is None else f"{bar.limit[0]} {bar.limit[1]:g}"
    if not values:
        return bar.text, limit, "not measured", "", "", ""
    return (bar.text, limit, f"{statistics.median(values):.3g}", f"{min(values):.3g}..{max(values):.3g}", str(len(values)),
            verdict(bar, values))


def print_bar(path, run, name):
    text, limit, median, spread, count, found = cells(BARS[name], read(path, run)[0])
    print(f"{text}: {median} ({spread}, n={count}); bar {limit}: {found}", flush=True)


def print_tables(path, run=None):
    figures, sizes = read(path, run)
    print("| measure | bar | median | min..max | rounds | | size |\n|---|---|---|---|---|---|---|")
    for bar in BARS.values():
        row = cells(bar, figures)
        print(f"| {' | '.join(row)} | {sizes.get(bar.section, '') if row[2] != 'not measured' else ''} |")
    print("\n| section | data | variant | metric | median | min..max | n |\n|---|---|---|---|---|---|---|")
    for key, values in sorted(figures.items()):
        section, data, variant, metric = key
        numbers = list(values.values())
        print(f"| {section} | {data} | {variant} | {metric} | {statistics.median(numbers):.4g} | {min(numbers):.4g}.."
              f"{max(numbers):.4g} | {len(numbers)} |")


def print_step(name):
    times = []
    for line in sys.stdin:
        record = json.loads(line)
        if record["step"] == name and record["kind"] in ("intent", "done"):
            times.append(record["at_ms"])
    print(f"{(max(times) - min(times)) / 1000:.3f}" if times else "0")


def main():
    command, *arguments = sys.argv[1:]
    {"bar": print_bar, "tables": print_tables, "step": print_step}[command](*arguments)


if __name__ == "__main__":
    main()
