#!/bin/sh
# SPDX-License-Identifier: MIT
# Wrong command lines end with 64 and name the right word; help and versions go to stdout.
set -u
plan=$1
. "$(dirname "$0")/lib"

expect 64 "$plan"
expect 64 "$plan" aply
says "did you mean \`plan apply\`"
expect 64 "$plan" apply --yess x.yaml
says "did you mean --yes"
expect 64 "$plan" check
says "usage: plan check FILE"
expect 64 "$plan" check /nowhere/x.yaml
says "No such file"
expect 64 "$plan" apply --yes --jobs 300 /nowhere/x.yaml
says "from 1 to 256, not 300"
expect 0 "$plan" help
says "plan apply"
expect 0 "$plan" --version
says "plan [0-9]"
expect 0 "$plan" apply --help
says "through=STEP"
"$plan" help >/dev/full 2>"$scratch/out"
[ $? -eq 1 ] || die "a full disk must give exit 1"
done_well
