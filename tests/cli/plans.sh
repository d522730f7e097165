#!/bin/sh
# SPDX-License-Identifier: MIT
# Every plan that people can start from is valid, and is refused when any one key is misspelt.
set -u
plan=$1
. "$(dirname "$0")/lib"
found=0
for file in "$2"/plans/*.yaml; do
	found=$((found + 1))
	expect 0 "$plan" check "$file"
	# `inputs`, `secrets` and the like hold names of the author's own; keys of the language are these.
	lines=$(grep -nE '^ *-? *\{?(uses|with|needs|preconditions|approval|title|timeout|check|within|rollback|irreversible|on_failure|begins|budget|summary):' "$file" | cut -d: -f1)
	for line in $lines; do
		sed -E "${line}s/(uses|with|needs|preconditions|approval|title|timeout|check|within|rollback|irreversible|on_failure|begins|budget|summary):/\1x:/" "$file" >"$scratch/p.yaml"
		expect 64 "$plan" check "$scratch/p.yaml"
		says "p.yaml:$line:[0-9]+: .*(did you mean|has no key)"
	done
	[ -n "$lines" ] || die "no keys were found in $file"
done
[ "$found" -ge 2 ] || die "no plans were found"
done_well
