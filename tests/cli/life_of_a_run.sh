#!/bin/sh
# SPDX-License-Identifier: MIT
# A run from first look to rollback: parks for a person, goes on, is complete, is pinned, goes back.
set -u
plan=$1
. "$(dirname "$0")/lib"
file=$scratch/p.yaml

cat >"$file" <<'YAML'
plan: 1
name: life
summary: A plan that lives.
steps:
  call:
    uses: manual
    with: {text: Call somebody.}
  rest:
    uses: wait
    needs: [call]
    with: {for: 100ms}
YAML

expect 0 "$plan" check "$file"
expect 2 "$plan" diff --detailed-exitcode "$file"
says "call \(manual\)"
expect 64 "$plan" apply "$file"
says "no terminal"
expect 4 "$plan" apply --yes "$file"
says "plan approve call"
expect 0 "$plan" explain "$file" call
says "0 of 1 approvals"
expect 64 "$plan" approve "$file" cal
expect 0 "$plan" approve "$file" call
sed 's/100ms/200ms/' "$file" >"$file.new" && mv "$file.new" "$file"
expect 3 "$plan" apply --yes "$file"
says "rest \(changed\).*--amend"
expect 4 "$plan" apply --yes --amend "$file"
says "void"
expect 0 "$plan" approve "$file" call
expect 0 "$plan" apply --yes "$file"
says "done"
expect 0 "$plan" apply --yes "$file"
says "The run is complete"
expect 0 "$plan" diff --detailed-exitcode "$file"
says "no difference"
expect 0 "$plan" status --json "$file"
says '"step":"rest","state":"done"'
expect 0 "$plan" journal --verify "$file"
says "the chain is whole"
expect 0 "$plan" rollback "$file" --to call --preview
says "undo +call"
expect 0 "$plan" rollback "$file" --to call --yes
expect 0 "$plan" status "$file"
says "undone +call"
[ "$(stat -c %a "$scratch/.plan")" = 700 ] || die "the state directory must be private"
[ "$(stat -c %a "$scratch/.plan/life.db")" = 600 ] || die "the journal must be private"
done_well
