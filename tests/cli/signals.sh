#!/bin/sh
# SPDX-License-Identifier: MIT
# SIGINT and SIGTERM end a run in good order; two applies at once: exactly one runs.
set -u
plan=$1
. "$(dirname "$0")/lib"
file=$scratch/p.yaml

cat >"$file" <<'YAML'
plan: 1
name: long
summary: A plan that takes its time.
steps:
  rest: {uses: wait, with: {for: 30s}}
YAML

for pair in INT:130 TERM:143; do
	"$plan" apply --yes "$file" >"$scratch/first" 2>&1 </dev/null &
	pid=$!
	tries=0
	until grep -q acting "$scratch/first" 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] || die "the run did not begin"
		sleep 0.1
	done
	expect 3 "$plan" apply --yes "$file"
	says "another .plan apply. holds this plan: .* process $pid, since"
	# A shell's background jobs ignore SIGINT until the program says otherwise: ours does.
	kill -"${pair%:*}" "$pid"
	wait "$pid"
	code=$?
	[ "$code" -eq "${pair#*:}" ] || { cat "$scratch/first"; die "exit $code after SIG${pair%:*}"; }
	grep -q "Next: plan apply" "$scratch/first" || die "the next command is not named"
	expect 0 "$plan" journal --verify "$file"
done
done_well
