# SPDX-License-Identifier: MIT
"""Worlds compared: what is there after a run, without what differs from run to run."""
import collections
import json
import re

from region import check, wait_until

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
CHANCE = [
    (re.compile(r"postgres://[^\"]*?(?=\"|\?)"), "postgres://DATABASE"),
    (re.compile(r"-----BEGIN CERTIFICATE[^\"]*"), "PEM"),
    (re.compile(r"\b(targetapp|sourceapp)-[0-9a-f]{12}(?=\.herokuapp)"), r"\1-ID"),
    (re.compile(r"\btargetapp-[0-9a-f]{12}\b"), "targetapp-TOKEN"),
    (re.compile(r"SPARE_[0-9A-F]{12}"), "SPARE_TOKEN"),
    (re.compile(r"[0-9a-f]{16}(?=\.herokudns\.com)"), "TARGET"),
    (re.compile(r"\bfalcon-\d+"), "falcon-N"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(UUID), "ID"),
]
KEYS = re.compile(r".*_at$|^version$")  # times; numbers of releases depend on what else went on


def label_of(kind, item):
    """What an id stands for, so that two things with swapped ids are not taken for the same."""
    app = (item.get("app") or {}).get("name", "")
    name = next((str(item[key]) for key in ("hostname", "url", "name", "type", "description", "stage") if key in item),
                (item.get("user") or {}).get("email", ""))
    return f"{kind}/{app}/{name}"


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if not KEYS.match(key)}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def nameless(text):
    for pattern, replacement in CHANCE:
        text = pattern.sub(replacement, text)
    return text


def state_of(world, rename=lambda text: text):
    """{list: [items]}, with ids named after what they stand for; rename: of further names made by chance."""
    for app in world.call("GET", "/apps"):
        wait_until(lambda: all(one["state"] == "up" for one in world.call("GET", f"/apps/{app['name']}/dynos")), "dynos")
    lists = without_times(world.call("GET", "/_sim/world"))
    for transfer in lists.get("transfers", []):
        for key in ("logs", "processed_bytes", "source_bytes"):
            transfer.pop(key)
    for release in lists["releases"]:
        release["addon_plan_names"].sort()
        if not release["current"]:  # what else was done by then depends on which of the parallel steps was faster
            for key in set(release) - {"app", "description", "status", "id"}:
                release.pop(key)
    for dyno in lists["dynos"]:
        dyno.pop("release")
    labels = {item["id"]: label_of(kind, item) for kind, items in lists.items() if isinstance(items, list)
              for item in items if "id" in item}

    def normal(item):
        text = re.sub(UUID, lambda found: labels.get(found.group(), found.group()), json.dumps(item, sort_keys=True))
        return nameless(rename(text))
    return {kind: sorted(normal(item) for item in (items if isinstance(items, list) else [items]))
            for kind, items in lists.items()}


def effects_of(ledger):
    return collections.Counter(f"{one['app']}: {nameless(one['what'])}" for one in ledger)


def same(name, got, wanted):
    for kind in sorted(set(got) | set(wanted)):
        mine, theirs = collections.Counter(got.get(kind, [])), collections.Counter(wanted.get(kind, []))
        check(mine == theirs, f"{name}: {kind}: only here {list((mine - theirs).elements())}, "
              f"only undisturbed {list((theirs - mine).elements())}")
