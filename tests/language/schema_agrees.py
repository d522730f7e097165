# SPDX-License-Identifier: MIT
"""Holds `plan check` and the generated JSON schema against each other.

The corpus is JSON, which is YAML too, so that no other YAML reader stands between. Files in good/
must pass both; files in bad/ must fail both; files in deep/ are wrong in ways that only the whole
plan shows (cycles, unknown steps): the schema cannot see them, `plan check` must."""
import glob
import json
import os
import subprocess
import sys

import jsonschema

plan, corpus = sys.argv[1:]
schema = json.loads(subprocess.run([plan, "schema"], capture_output=True, check=True).stdout)
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
wanted = {"good": (True, True), "bad": (False, False), "deep": (False, True)}
wrong = count = 0
for kind, (by_plan, by_schema) in wanted.items():
    for path in sorted(glob.glob(os.path.join(corpus, kind, "*.json"))):
        count += 1
        checked = subprocess.run([plan, "check", path], capture_output=True, text=True)
        valid = validator.is_valid(json.load(open(path)))
        if checked.returncode not in (0, 64) or (checked.returncode == 0, valid) != (by_plan, by_schema):
            wrong += 1
            print(path, "check:", checked.returncode, checked.stderr, "schema:", valid)
print(count, "files,", wrong, "verdicts differ")
sys.exit(1 if wrong or count < 10 else 0)
