#!/bin/sh
# SPDX-License-Identifier: MIT
# A step that is done cannot be changed by --amend, nor can one instance of a for_each.
set -u
plan=$1
. "$(dirname "$0")/lib"
file=$scratch/p.yaml
cat >"$file" <<'YAML'
plan: 1
name: amend
summary: A plan that is changed while it runs.
steps:
  first: {uses: wait, for_each: [a, b], with: {for: 1ms}}
  then: {uses: manual, needs: [first], with: {text: Do it.}}
YAML
expect 4 "$plan" apply --yes "$file"
sed -i 's/1ms/2ms/' "$file"
expect 3 "$plan" apply --yes --amend "$file"
says "already done: first"
sed -i 's/2ms/1ms/; s/Do it/Do it well/' "$file"
expect 3 "$plan" apply --yes "$file"
says "then \(changed\)"
expect 4 "$plan" apply --yes --amend "$file"
says "Do it well"
done_well
