# SPDX-License-Identifier: MIT
"""Two databases and what postgres.preflight finds in them."""
import json

from cluster import DATABASE
from scene import Scene, check

# What a plan says of the world where nothing is to be found.
ROOM = "target_space: 100 GiB"
GATES = """    postconditions:
      - {check: preflight.extensions_missing, equals: 0 extensions}
      - {check: preflight.wraparound_vacuums, equals: 0 processes}
      - {check: preflight.large_objects, equals: 0 objects}
      - {check: preflight.target_tables, equals: 0 tables}
      - {check: preflight.free_space, at_least: 2.0 x}
"""


def step(fields=ROOM, more=""):
    return f"  it:\n    uses: postgres.preflight\n    with: {{source: source, target: target, {fields}}}\n{more}"


def found_in(output):
    """{"source no_key public.a": "note: TEXT -> REMEDY"} of a `plan diff --json`."""
    found = {}
    for one in json.loads(output[output.index("{"):])["steps"]:
        for change in one.get("changes", []):
            found[change["path"].replace(".", " ") + " " + change["to"]] = change["note"]
    return found


class Pair:
    """A database of its own on each of two clusters."""

    count = 0

    def __init__(self, source, target, source_options="", target_options=""):
        Pair.count += 1
        self.source, self.target, self.name = source, target, f"{DATABASE}_{Pair.count}"
        source.add_database(self.name, source_options)
        target.add_database(self.name, target_options)

    def on_source(self, sql, role=None):
        return self.source.rows(sql, role, self.name)

    def on_target(self, sql, role=None):
        return self.target.rows(sql, role, self.name)

    def super_source(self, sql):
        return self.on_source(sql, self.source.superuser)

    def super_target(self, sql):
        return self.on_target(sql, self.target.superuser)

    def scene(self, fields=ROOM, more="", environment=None, source=None, target=None):
        return Scene(step(fields, more), source or self.source.url(database=self.name),
                     target or self.target.url(database=self.name), environment)

    def finds(self, wanted, fields=ROOM, says=(), **options):
        """Exactly these: "source no_key public.a"; says are parts of what is said of them."""
        with self.scene(fields, **options) as scene:
            output = scene.run(0, "diff", "--json")
        found = found_in(output)
        check(sorted(found) == sorted(wanted),
              f"too much: {sorted(set(found) - set(wanted))}\nnot found: {sorted(set(wanted) - set(found))}\n{found}")
        for text in says:
            check(any(text in said for said in found.values()), f"{text!r} is not said: {found}")
        return found
