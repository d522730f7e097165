#!/bin/sh
# SPDX-License-Identifier: MIT
# plan diff names each point of no return that is still to come, whether its step would change something now or not.
set -u
plan=$1
. "$(dirname "$0")/lib"
file=$scratch/p.yaml

cat >"$file" <<'YAML'
plan: 1
name: points
summary: Past two points of no return, the first of which changes nothing at the moment.
steps:
  close: {uses: command, with: {run: [touch, closed], check: [test, -e, closed], undo: [rm, closed]}}
  open:
    uses: command
    needs: [close]
    with: {run: [rm, closed], check: [test, "!", -e, closed]}
    irreversible: Users write from here on.
  retire:
    uses: command
    needs: [open]
    with: {run: [touch, retired], check: [test, -e, retired]}
    irreversible: The old one is gone.
YAML

expect 0 "$plan" diff --allow-commands "$file"
says "= open \(command\): as wanted now"
says "point of no return: Users write from here on"
says "point of no return: The old one is gone"
says "2 points of no return"
expect 0 "$plan" diff --allow-commands --json "$file"
says '"step":"open","uses":"command","point_of_no_return":"Users write from here on."'
says '"step":"retire","uses":"command","changes":.*"point_of_no_return":"The old one is gone."'

# A step that cannot be looked at comes all the same; one that is left out does not.
expect 1 "$plan" diff "$file"
says "\? open \(command\): cannot be looked at"
says "2 points of no return"
expect 0 "$plan" diff --allow-commands --through open "$file"
says "1 point of no return"
expect 0 "$plan" diff --allow-commands --through close "$file"
silent_about "of no return"

# What is behind is no more to come.
expect 0 "$plan" apply --yes --allow-commands --through open "$file"
expect 0 "$plan" diff --allow-commands "$file"
says "1 point of no return"
silent_about "Users write from here on"
expect 0 "$plan" apply --yes --allow-commands "$file"
expect 0 "$plan" diff --allow-commands "$file"
says "~ close"
silent_about "of no return"
done_well
