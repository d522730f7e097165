#!/bin/sh
# SPDX-License-Identifier: MIT
# Every record of every kind of run is as the generated JSON schema says.
plan=$1 source=$2
/usr/bin/python3 -c 'import jsonschema' 2>/dev/null ||
	{ echo "SKIP: apt-get install python3-jsonschema"; exit 77; }
exec /usr/bin/python3 -B "$source/tests/cli/journal_schema.py" "$plan"
