#!/bin/sh
# SPDX-License-Identifier: MIT
# Time that a step merely waits for is not counted against its timeout; one job that waits for a person
# parks the run, and does not hold it for ever; requests that come after the run is complete do no harm.
set -u
plan=$1
. "$(dirname "$0")/lib"
file=$scratch/p.yaml

cat >"$file" <<'YAML'
plan: 1
name: slow
summary: A plan that sleeps.
steps:
  first: {uses: wait, with: {for: 1ms}}
  rest:
    uses: wait
    needs: [first]
    with: {for: 4s}
    timeout: 3s
    postconditions: [{check: time.since, of: first, at_least: 1ms, stable_for: 700ms, within: 2m}]
YAML
expect 0 "$plan" apply --yes "$file"
expect 0 "$plan" pause "$file"
expect 0 "$plan" approve "$file" rest
expect 0 "$plan" apply --yes "$file"
says "The run is complete"

cat >"$file" <<'YAML'
plan: 1
name: people
summary: A plan that waits for people.
steps:
  one: {uses: manual, with: {text: Do it.}}
  two: {uses: manual, with: {text: Do it.}}
YAML
expect 4 timeout 120 "$plan" apply --yes --jobs 1 "$file"
says "one: it waits for 0 of 1 approvals"
expect 0 "$plan" approve "$file" one
expect 4 timeout 120 "$plan" apply --yes --jobs 1 "$file"
says "two: it waits for 0 of 1 approvals"
done_well
