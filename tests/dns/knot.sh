#!/bin/sh
# SPDX-License-Identifier: MIT
# dns.ttl and dns.record against real name servers (Knot DNS): change, wait, refuse, go back.
set -u
plan=$1
. "$(dirname "$0")/../cli/lib"
PATH=$PATH:/usr/sbin
for tool in knotd dig nsupdate; do
	command -v $tool >/dev/null || { echo "SKIP: apt-get install knot bind9-dnsutils"; exit 77; }
done
secret=$(head -c 32 /dev/urandom | base64 | tr -d '\n')
export TSIG_KEY="hmac-sha256:plan-key:$secret"
pids=
trap 'kill $pids 2>/dev/null; wait; rm -rf "$scratch"' EXIT

free_port() {
	/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_knot() { # NAME PORT
	mkdir -p "$scratch/$1"
	cat >"$scratch/$1/knot.conf" <<CONF
server:
    rundir: $scratch/$1
    listen: 127.0.0.1@$2
database:
    storage: $scratch/$1
log:
  - target: $scratch/$1/log
    any: info
key:
  - id: plan-key
    algorithm: hmac-sha256
    secret: $secret
acl:
  - id: updates
    key: plan-key
    action: [update]
zone:
  - domain: example.com
    storage: $scratch/$1
    file: zone
    acl: updates
CONF
	cat >"$scratch/$1/zone" <<ZONE
example.com. 3600 IN SOA ns.example.com. admin.example.com. 1 3600 600 86400 60
example.com. 3600 IN NS ns.example.com.
ns.example.com. 3600 IN A 127.0.0.1
www.example.com. 3600 IN CNAME old.herokudns.com.
api.example.com. 7200 IN A 192.0.2.1
api.example.com. 7200 IN A 192.0.2.2
ZONE
	knotd -c "$scratch/$1/knot.conf" >"$scratch/$1/out" 2>&1 &
	pids="$pids $!"
	tries=0
	until dig +time=1 +tries=1 @127.0.0.1 -p "$2" example.com SOA +short 2>/dev/null | grep -q admin; do
		tries=$((tries + 1))
		[ $tries -lt 50 ] || { cat "$scratch/$1/out" "$scratch/$1/log"; die "knotd does not answer"; }
		sleep 0.1
	done
}

has() { # NAME TYPE PATTERN
	dig @127.0.0.1 -p "$port" "$1" "$2" +noall +answer | tr '\t' ' ' | grep -qE "$3" ||
		{ dig @127.0.0.1 -p "$port" "$1" "$2" +noall +answer; die "$1 $2 lacks $3"; }
}

port=$(free_port)
start_knot one "$port"
file=$scratch/p.yaml
write_plan() { # SERVERS
	cat >"$file" <<YAML
plan: 1
name: dns
summary: Point a name elsewhere.
secrets: {key: {env: TSIG_KEY}}
connections:
  dns: {uses: dns.rfc2136, zone: example.com, server: "127.0.0.1:$port", key: "\${secrets.key}"$1}
steps:
  lower-ttl:
    uses: dns.ttl
    with: {names: [www.example.com, api.example.com], ttl: 1s}
  point:
    uses: dns.record
    needs: [lower-ttl]
    with: {name: www.example.com, type: CNAME, value: new.herokudns.com, ttl: 1s}
    postconditions:
      - {check: dns.answers, of: www.example.com, equals: new.herokudns.com, within: 10s}
YAML
}

write_plan ""
expect 0 "$plan" diff "$file"
says "www.example.com CNAME ttl +3600 -> 1"
says "api.example.com A ttl +7200 -> 1"
expect 0 "$plan" apply --yes "$file"
has www.example.com CNAME ' 1 IN CNAME new.herokudns.com.'
has api.example.com A ' 1 IN A 192.0.2.2'
expect 0 "$plan" journal --json "$file"
says '"old_ttl_s":7200'
silent_about "$secret"
expect 0 "$plan" apply --yes "$file"
says "0 changed"

# Behind our back: the look names exactly that, and nothing else.
printf 'server 127.0.0.1 %s\nzone example.com.\nupdate delete api.example.com. A\nupdate add api.example.com. 300 A 192.0.2.9\nsend\n' "$port" |
	nsupdate -y "hmac-sha256:plan-key:$secret" || die "nsupdate"
expect 2 "$plan" diff --detailed-exitcode "$file"
says "api.example.com A ttl +300 -> 1"
says "1 steps would act"

expect 0 "$plan" rollback --yes --to lower-ttl "$file"
has www.example.com CNAME ' 3600 IN CNAME old.herokudns.com.'
has api.example.com A ' 7200 IN A 192.0.2.9'

# Somebody else's record is not overwritten on the way back.
rm -rf "$scratch/.plan"
expect 0 "$plan" apply --yes "$file"
printf 'server 127.0.0.1 %s\nzone example.com.\nupdate delete www.example.com. CNAME\nupdate add www.example.com. 60 CNAME third.example.net.\nsend\n' "$port" |
	nsupdate -y "hmac-sha256:plan-key:$secret" || die "nsupdate"
expect 6 "$plan" rollback --yes --to point "$file"
says "somebody changed it"
has www.example.com CNAME 'third.example.net'

# A wrong key is refused, with what to look at.
rm -rf "$scratch/.plan"
right=$TSIG_KEY
TSIG_KEY="hmac-sha256:plan-key:$(head -c 32 /dev/urandom | base64 | tr -d '\n')"
expect 3 "$plan" apply --yes "$file"
says "TSIG key"
TSIG_KEY=$right

# Two servers that disagree: the difference is named.
second=$(free_port)
start_knot two "$second"
rm -rf "$scratch/.plan"
write_plan ", servers: [\"127.0.0.1:$port\", \"127.0.0.1:$second\"]"
expect 1 "$plan" diff "$file"
says "disagree about"
done_well
