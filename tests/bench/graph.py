# SPDX-License-Identifier: MIT
"""The same graph as a plan, as a file for ninja, and as one for make."""


def needs(count, each=5):
    """For each step the earlier ones it needs, near and far: `each` times `count` edges in all."""
    edges = []
    for i in range(count):
        wanted = min(i, each + (1 if i >= count - each * (each + 1) // 2 else 0))
        found = {}
        k = 0
        while len(found) < wanted:
            found[(i * (k + 1) * 7919 + k) % i] = None
            k += 1
        edges.append(sorted(found))
    return edges


def chain(count):
    return [[i - 1] if i else [] for i in range(count)]


def wide(count):
    return [[] for _ in range(count)]


def write_plan(path, name, edges, wait="1s"):
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"plan: 1\nname: {name}\nsummary: A graph that was made to measure.\nsteps:\n")
        for i, needed in enumerate(edges):
            out.write(f"  step-{i}:\n    uses: wait\n    with: {{for: {wait}}}\n")
            if needed:
                out.write(f"    needs: [{', '.join(f'step-{n}' for n in needed)}]\n")


def write_ninja(path, edges, command="true"):
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"rule step\n  command = {command}\n")
        for i, needed in enumerate(edges):
            out.write(f"build step-{i}: step {' '.join(f'step-{n}' for n in needed)}\n")


def write_make(path, edges, command):
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"all: {' '.join(f'step-{i}' for i in range(len(edges)))}\n")
        for i, needed in enumerate(edges):
            out.write(f"step-{i}: {' '.join(f'step-{n}' for n in needed)}\n\t@{command}\n")
