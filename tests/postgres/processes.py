# SPDX-License-Identifier: MIT
"""Who is whose child among the processes of a plan."""
import os
import signal


def parents():
    """pid to its parent, of everybody who lives."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except OSError:  # gone by now
            continue
        if state != "Z":
            found[int(name)] = int(parent)
    return found


def children(pid, known=None):
    return {one for one, parent in (known or parents()).items() if parent == pid}


def tree(pid):
    known, found, new = parents(), {pid}, {pid}
    while new:
        new = {child for one in new for child in children(one, known)}
        found |= new
    return found


def lives(pid):
    return pid in parents()


def service(engine):
    """The process of a step that has processes of its own; None when there is none at this moment."""
    known = parents()
    return next((step for step in children(engine, known) if children(step, known)), None)


def kill(pid):
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
