# SPDX-License-Identifier: MIT
"""cut.py PLAN [OPTION...]: prints plans/copy-database.yaml with what is not measured taken out. Gates that wait for
people or for quiet are always taken out, and so is the comparison.

no-preflight   without the first step
hold           the replication follows for an hour in place of a switch
workers=N, lock_timeout=T
"""
import re
import sys

HOLD = """  hold:
    uses: wait
    needs: [replicate]
    with: {for: 1h}

"""


def without(block, key):
    """A step without one of its keys, however many lines it has."""
    return re.sub(rf"^    {key}:.*\n(?:      .*\n)*", "", block, flags=re.M)


def main():
    with open(sys.argv[1], encoding="utf-8") as plan:
        head, text = plan.read().split("\nsteps:\n")
    options = dict(option.partition("=")[::2] for option in sys.argv[2:])
    text = re.sub(r"^  # .*\n", "", text, flags=re.M)
    steps = {re.match(r"  ([\w-]+):", block)[1]: block for block in re.split(r"(?m)^(?=  [a-z])", text) if block.strip()}
    for name in ("compare", "complete") + (("preflight",) if "no-preflight" in options else ()):
        del steps[name]
    if "no-preflight" in options:
        steps["extensions"] = without(steps["extensions"], "needs")
    for key in ("approval", "postconditions"):
        steps["switch"] = without(steps["switch"], key)
    steps["switch"] = steps["switch"].replace("[compare]", "[replicate]")
    steps["switch"] = re.sub(r"^ +stable_for: .*\n", "", steps["switch"], flags=re.M)
    steps["replicate"] = without(steps["replicate"], "postconditions")
    for key in ("workers", "lock_timeout"):
        if key in options:
            steps["replicate"] = re.sub(rf"{key}: \S+", f"{key}: {options[key]}", steps["replicate"])
    if "hold" in options:
        steps["switch"] = HOLD
    print(head + "\nsteps:\n" + "".join(steps.values()).rstrip())


main()
