# SPDX-License-Identifier: MIT
# What the benchmark scripts share: sourced by bash, it starts nothing by itself. Where the clusters are is in the file
# $BENCH_STATE, which `setup` makes.
set -o pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../../.." && pwd)
: "${BENCH_STATE:=${TMPDIR:-/tmp}/plan-bench-$(id -u).state}"
: "${RESULTS:=$HERE/results.tsv}"
: "${PLAN:=$ROOT/build/bench/cmd/plan}"
BENCH_DIR=
[ -f "$BENCH_STATE" ] && [ -O "$BENCH_STATE" ] && . "$BENCH_STATE"
# Without clusters every path below would start at "/", and every port be the default one.
case ${0##*/} in setup|teardown|run) ;; *) [ -n "$BENCH_DIR" ] && [ -d "$BENCH_DIR/src" ] || {
	echo "no clusters: run tests/bench/replication/setup first" >&2; exit 2; } ;; esac
PGBIN=${PGBIN:-/usr/lib/postgresql/15/bin}
export PATH=$PGBIN:$PATH PGHOST=127.0.0.1 PGUSER=app PGDATABASE=postgres PSQLRC=/dev/null
export PGOPTIONS='-c client_min_messages=warning' PGCONNECT_TIMEOUT=20 NO_COLOR=1
W=$BENCH_DIR/work

as_pg() { # PostgreSQL refuses to run as root
	if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
now() { date +%s.%N; }
sub() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a - b }'; }
log() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
# section, data set, variant, round, metric, value
rec() {
	printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "${BENCH_RUN:-$RUN}" "$SIZE" "$@" >>"$RESULTS"
	log "$*"; }
bar() { /usr/bin/python3 -B "$HERE/report.py" bar "$RESULTS" "${BENCH_RUN:-$RUN}" "$@"; }

# ---- Clusters ----

src() { psql -X -q -v ON_ERROR_STOP=1 -p "$SRC_PORT" "$@"; }
tgt() { psql -X -q -v ON_ERROR_STOP=1 -p "$TGT_PORT" "$@"; }
srcsu() { psql -X -q -v ON_ERROR_STOP=1 -h "$BENCH_DIR" -U postgres -p "$SRC_PORT" "$@"; }
tgtsu() { psql -X -q -v ON_ERROR_STOP=1 -h "$BENCH_DIR" -U postgres -p "$TGT_PORT" "$@"; }
url() { echo "postgres://app@127.0.0.1:$1/$2?sslmode=disable"; }

make_cluster() { # name, port
	as_pg initdb -D "$BENCH_DIR/$1" -A trust -U postgres --no-locale -E UTF8 --data-checksums >/dev/null
	cat >>"$BENCH_DIR/$1/postgresql.conf" <<CONF
port = $2
listen_addresses = '127.0.0.1'
unix_socket_directories = '$BENCH_DIR'
shared_buffers = 512MB
max_wal_size = 4GB
checkpoint_timeout = 15min
maintenance_work_mem = 256MB
autovacuum = off
log_min_messages = warning
lc_messages = 'C'
CONF
	as_pg pg_ctl -D "$BENCH_DIR/$1" -l "$BENCH_DIR/$1.log" -w start >/dev/null; }
stop_cluster() { as_pg pg_ctl -D "$BENCH_DIR/$1" -m immediate -w stop >/dev/null 2>&1 || true; }
autovacuum() { # on, as managed servers have it, or off
	for f in srcsu tgtsu; do
		$f -d postgres -c "ALTER SYSTEM SET autovacuum = $1" -c 'SELECT pg_reload_conf()' >/dev/null; done; }
fresh_target() { # an empty database
	tgtsu -d postgres -c "DROP DATABASE IF EXISTS $1 WITH (FORCE)" -c "CREATE DATABASE $1 OWNER app" -c CHECKPOINT
	srcsu -d postgres -c CHECKPOINT; }
clean_source() { # what a replication left there
	src -d "$1" -c 'DROP SCHEMA IF EXISTS plan_replication CASCADE' -c 'DROP SCHEMA IF EXISTS bucardo CASCADE'; }
cluster_cpu() { # seconds, of all its processes so far
	local pm; pm=$(head -1 "$BENCH_DIR/$1/postmaster.pid")
	cat /proc/[0-9]*/stat 2>/dev/null | awk -v pm="$pm" '
		{ p = $1; sub(/^[0-9]+ \(.*\) /, "")
		  if (p == pm) s += $12 + $13 + $14 + $15; else if ($2 == pm) s += $12 + $13 }
		END { printf "%.2f", s / 100 }'; }
tables() { # leaves with rows of their own, biggest first, quoted
	src -d "$1" -At -c "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n
		ON n.oid = c.relnamespace WHERE c.relkind = 'r' AND n.nspname NOT IN ('information_schema', 'bucardo',
		'plan_replication') AND n.nspname NOT LIKE 'pg\_%' ORDER BY pg_table_size(c.oid) DESC, 1"; }
digest() { # src or tgt, database
	tables "$2" | while read -r t; do
		printf '%s|' "$t"
		"$1" -d "$2" -At -c "SELECT count(*), sum(hashtextextended(x::text, 0)::numeric) FROM $t x" 2>&1 </dev/null | head -1
	done; }
same() { # records how many tables differ: database, then section, data set, variant and round of the record
	local db=$1; shift
	rec "$@" differing_tables "$(diff <(digest src "$db") <(digest tgt "$db") | grep -c '^<')"; }

# ---- Our own ----

# A plan cut from plans/copy-database.yaml, in a directory of its own: cut.py has the options. Sets $FILE.
new_plan() {
	local name=$1; shift
	rm -rf "${W:?}/$name"; mkdir -p "$W/$name"; FILE=$W/$name/copy-database.yaml
	/usr/bin/python3 -B "$HERE/cut.py" "$ROOT/plans/copy-database.yaml" "$@" >"$FILE"; }
use() { export SOURCE_URL TARGET_URL; SOURCE_URL=$(url "$SRC_PORT" "$1") TARGET_URL=$(url "$TGT_PORT" "$1"); }
apply() { "$PLAN" apply --yes "$FILE" "$@" >"$FILE.out" 2>&1; }
fine() { # what must succeed
	"$@" || { log "failed: $*"; tail -5 "$FILE.out" >&2; exit 1; }; }
begin_following() { # in the background until stop_following: $APPLY; waits until every table follows
	"$PLAN" apply --yes "$FILE" >"$FILE.out" 2>&1 & APPLY=$!
	until_true "the replication follows" 1800 follows "$1"; }
follows() { [ "$(tgt -d "$1" -At -c "SELECT count(*) FROM plan_replication.relation WHERE phase <> 'following'" \
	-c 'SELECT count(*) FROM plan_replication.stream WHERE applied_at IS NULL' 2>/dev/null | tr '\n' ' ')" = "0 0 " ]; }
stop_following() { kill -TERM "$APPLY" 2>/dev/null; wait "$APPLY" 2>/dev/null; true; }
until_true() { # what, seconds, command
	local what=$1 until=$((SECONDS + $2)); shift 2
	until "$@"; do
		[ $SECONDS -lt $until ] || { log "not in time: $what"; tail -5 "$FILE.out" >&2; exit 1; }
		sleep "${POLL:-0.02}"; done; }

# ---- Measuring ----

sample() { # file, more arguments of sample.py; ends with end_sample
	/usr/bin/python3 -B "$HERE/sample.py" "$@" & SAMPLER=$!; }
end_sample() { kill -TERM "$SAMPLER" 2>/dev/null; wait "$SAMPLER"; }
load() { cut -d' ' -f1 /proc/loadavg; }
# A command, measured: section, data set, variant, round, command...
measure() {
	local section=$1 data=$2 variant=$3 round=$4 sc tc t0 t1 code pid; shift 4
	rec "$section" "$data" "$variant" "$round" load1 "$(load)"
	sc=$(cluster_cpu src) tc=$(cluster_cpu tgt) t0=$(now)
	"$@" & pid=$!
	sample "$W/sample" --tree $pid
	wait $pid; code=$?; t1=$(now); end_sample
	rec "$section" "$data" "$variant" "$round" wall_s "$(sub "$t1" "$t0")"
	rec "$section" "$data" "$variant" "$round" peak_pss_mb "$(awk '{ print $1 }' "$W/sample")"
	rec "$section" "$data" "$variant" "$round" source_cpu_s "$(sub "$(cluster_cpu src)" "$sc")"
	rec "$section" "$data" "$variant" "$round" target_cpu_s "$(sub "$(cluster_cpu tgt)" "$tc")"
	rec "$section" "$data" "$variant" "$round" servers_cpu_s "$(awk -v a="$sc" -v b="$tc" -v c="$(cluster_cpu src)" -v d="$(cluster_cpu tgt)" 'BEGIN { print c + d - a - b }')"
	[ $code = 0 ] || { log "exit $code"; rec "$section" "$data" "$variant" "$round" exit_code $code; }
	return $code; }

# ---- Bucardo, set up as the migrators do that wrap it: a stock control cluster, all tables, all sequences ----

bucardo_() { as_pg bucardo --bucardorc "$BENCH_DIR/bucardorc" "$@"; }
bucardo_install() {
	mkdir -p "$BENCH_DIR/buc.run" "$BENCH_DIR/buc.log"
	[ "$(id -u)" = 0 ] && chown postgres "$BENCH_DIR/buc.run" "$BENCH_DIR/buc.log"
	as_pg initdb -D "$BENCH_DIR/buc" --auth=trust --no-locale -U postgres >/dev/null
	as_pg pg_ctl -D "$BENCH_DIR/buc" -l "$BENCH_DIR/buc.pg.log" -o "-p $BUC_PORT -k $BENCH_DIR -c listen_addresses=''" -w start >/dev/null
	as_pg createdb -h "$BENCH_DIR" -p "$BUC_PORT" -U postgres bucardo
	cat >"$BENCH_DIR/bucardorc" <<RC
piddir = $BENCH_DIR/buc.run
logdest = $BENCH_DIR/buc.log
dbhost = $BENCH_DIR
dbport = $BUC_PORT
dbname = bucardo
dbuser = postgres
RC
	chmod a+r "$BENCH_DIR/bucardorc"
	echo p | PGUSER=postgres bucardo_ install --db-name bucardo --db-user postgres --db-host "$BENCH_DIR" --db-port "$BUC_PORT" \
		--piddir "$BENCH_DIR/buc.run" --verbose >"$BENCH_DIR/buc.log/install.out" 2>&1 || true
	bucardo_ set reason_file="$BENCH_DIR/buc.run/reason.txt" log_conflict_file="$BENCH_DIR/buc.log/conflict" >/dev/null
	bucardo_ set log_level=verbose tcp_keepalives_idle=60 tcp_keepalives_interval=10 tcp_keepalives_count=6 >/dev/null; }
bucardo_pids() { # those whose control database is ours
	cat "$BENCH_DIR"/buc.run/*.pid 2>/dev/null | grep -E '^[0-9]+$' | sort -u; }
bucardo_roots() { bucardo_pids; head -1 "$BENCH_DIR/buc/postmaster.pid"; }
bucardo_remove() { # database
	local pids; pids=$(bucardo_pids)
	bucardo_ stop >/dev/null 2>&1; sleep 2
	for p in $pids; do kill "$p" 2>/dev/null; done
	as_pg pg_ctl -D "$BENCH_DIR/buc" -m immediate -w stop >/dev/null 2>&1
	rm -rf "$BENCH_DIR/buc" "$BENCH_DIR/buc.run" "$BENCH_DIR/buc.log"
	clean_source "$1"; }
bucardo_sync() { # database; the schema is on both sides; onetimecopy is off
	local db=$1
	bucardo_ add database here host=127.0.0.1 port="$SRC_PORT" user=app dbname="$db" &&
	bucardo_ add database there host=127.0.0.1 port="$TGT_PORT" user=app dbname="$db" &&
	bucardo_ add all sequences --relgroup everything && bucardo_ add all tables --relgroup everything &&
	bucardo_ add sync everything dbs=here,there onetimecopy=0 relgroup=everything &&
	bucardo_ set reload_config_timeout=180 log_level=verbose >/dev/null; }
bucardo_analyze() { # statistics of its log tables by hand: without them its queries grow with the square of the log
	src -d "$1" -At -c "SELECT format('ANALYZE %s;', oid::regclass) FROM pg_class
		WHERE relnamespace = 'bucardo'::regnamespace AND relkind = 'r'" | src -d "$1"; }
copy_by_dump() { pg_dump -p "$SRC_PORT" --no-owner -Fc -Z0 "$1" | pg_restore -p "$TGT_PORT" -d "$1" --no-owner; }
