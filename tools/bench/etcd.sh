#!/bin/bash
# clusterd beside etcd: three members each on this machine, with fsync, 64 clients with one put of 128 bytes in flight each; one after the
# other, several times. Needs the Debian packages etcd-server, and libnghttp2-dev when this is built; and namespaces, so that ports are free.
#
#   tools/bench/etcd.sh [BUILD [ROUNDS [SECONDS [CONNECTIONS]]]]      default: build 3 8 64
build=${1:-build} rounds=${2:-3} seconds=${3:-8} connections=${4:-64}
command -v etcd >/dev/null || { echo "there is no etcd here: apt-get install etcd-server" >&2; exit 1; }
[ -x "$build/tools/bench/etcd-puts" ] || { echo "there is no etcd-puts in $build: apt-get install libnghttp2-dev, and build again" >&2; exit 1; }
tests=$(cd "$(dirname "$0")/../../tests/cluster" && pwd)
. "$tests/namespaces_lib.sh"
CLUSTERD=$build/src/daemon/clusterd CLUSTERCTL=$build/tools/clusterctl/clusterctl
. "$tests/node.sh"
. "$tests/nodes.sh"
namespaces_begin
trap "exec 2>/dev/null; cleanup_namespaces" EXIT

measure_etcd() {
	local i pids="" cluster="m1=http://127.0.0.1:2391,m2=http://127.0.0.1:2392,m3=http://127.0.0.1:2393"
	for i in 1 2 3; do
		etcd --name "m$i" --data-dir "$work/etcd$i" --log-level error --logger zap --initial-cluster-state new \
			--initial-cluster "$cluster" --initial-advertise-peer-urls "http://127.0.0.1:239$i" \
			--listen-peer-urls "http://127.0.0.1:239$i" --listen-client-urls "http://127.0.0.1:238$i" \
			--advertise-client-urls "http://127.0.0.1:238$i" >>"$work/etcd.log" 2>&1 &
		pids="$pids${pids:+,}$!"
	done
	etcd_serves() { "$build/tools/bench/etcd-puts" 127.0.0.1:2381,127.0.0.1:2382,127.0.0.1:2383 3 0 0.2 1 >/dev/null 2>&1; }
	until_true "etcd serves" etcd_serves >/dev/null
	"$build/tools/bench/etcd-puts" 127.0.0.1:2381,127.0.0.1:2382,127.0.0.1:2383 "$connections" 2 "$seconds" "$pids" ||
		fail "the puts to etcd"
	kill -9 ${pids//,/ }
	wait ${pids//,/ } 2>/dev/null
	rm -rf "$work"/etcd?
}
measure_clusterd() {
	local name
	start a --expect 3
	start b --expect 3 --join "$(address_of a)"
	start c --expect 3 --join "$(address_of a)"
	until_true "three nodes form a cluster" agree a b c >/dev/null
	CLUSTERD_TOKEN=$(cat "$work/a/token") "$build/tools/bench/clusterd-bench" --puts --seconds "$seconds" \
		--connections "$connections" --address "$(address_of a),$(address_of b),$(address_of c)" -o json \
		>"$work/puts" 2>"$work/puts.log" || fail "the puts to clusterd: $(tail -n 1 "$work/puts.log")"
	puts_line "$work/puts"
	for name in a b c; do stop_member "$name"; rm -rf "${work:?}/$name"; done
}
puts_line() {
	local key
	for key in puts_per_s p50_ms p99_ms max_ms server_cpu_us load_cpu_us; do
		grep -o "\"$key\": *[0-9.]*" "$1" | head -n 1 | sed 's/.*: *//'
	done | paste -sd ' '
}
row() { # NAME < LINE
	awk -v name="$1" '{ printf "%-10s %8.0f %8.2f %8.2f %8.1f %10.1f %14.0f %8.1f\n", name, $1, $2, $3, $4, $5, 1e6 / $5, $6 }'
}

printf '%-10s %8s %8s %8s %8s %10s %14s %8s\n' "" puts/s "p50 ms" "p99 ms" "max ms" "server µs" "puts/CPU s" "load µs"
for ((round = 0; round < rounds; round++)); do
	measure_etcd >"$work/line" || exit 1
	tee -a "$work/all.etcd" <"$work/line" | row etcd
	measure_clusterd >"$work/line" || exit 1
	tee -a "$work/all.clusterd" <"$work/line" | row clusterd
done
middle() { sort -n "$work/all.$1" | sed -n "$(((rounds + 1) / 2))p"; }
echo "$(middle etcd) $(middle clusterd)" | awk '{ printf "clusterd / etcd, medians: %.1f x the puts/s, %.1f x the puts for each second of the processor, %.2f x the p99\n",
	$7 / $1, $5 / $11, $9 / $3 }'
