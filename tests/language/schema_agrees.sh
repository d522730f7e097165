#!/bin/sh
# SPDX-License-Identifier: MIT
# The generated JSON schema gives the same verdict as `plan check` on every file of the corpus.
plan=$1 source=$2
/usr/bin/python3 -c 'import jsonschema' 2>/dev/null ||
	{ echo "SKIP: apt-get install python3-jsonschema"; exit 77; }
exec /usr/bin/python3 "$source/tests/language/schema_agrees.py" "$plan" "$source/tests/language/corpus"
