#!/bin/bash
# Ten nodes on this machine: how long until all have a killed one as failed, and until all see one that joins, or comes back. Each node is
# asked every 5 ms.
#
#   tools/bench/membership.sh [BUILD [ROUNDS [NODES [WORST-FAILED-MS WORST-JOINED-MS]]]]      default: build 10 10
#
# With the last two, it fails when one round took longer.
build=${1:-build} rounds=${2:-10} nodes=${3:-10} failed_most=${4:-} joined_most=${5:-}
tests=$(cd "$(dirname "$0")/../../tests/cluster" && pwd)
CLUSTERD=$build/src/daemon/clusterd CLUSTERCTL=$build/tools/clusterctl/clusterctl
. "$tests/node.sh"
. "$tests/nodes.sh"

say() { echo "$*" >&"${MEMBERS[1]}" || fail "clusterd-members has ended"; }
heard() { # FILE: its answer goes there
	local first last
	read -r -t 60 first last <&"${MEMBERS[0]}" || fail "no answer from clusterd-members"
	echo "$last $first" >>"$work/$1"
}
summary() { # FILE WHAT MOST
	sort -n "$work/$1" | awk -v what="$2" -v most="$3" '{ t[NR] = $1 }
		END { printf "%-28s %6d %10.0f %9.0f\n", what, NR, t[int((NR + 1) / 2)], t[NR]; exit most != "" && t[NR] > most }'
}

trap "exec 2>/dev/null; cleanup_nodes" EXIT
: >"$work/failed"
: >"$work/joined"
: >"$work/back"
start n1 --expect 3
start n2 --expect 3 --join "$(address_of n1)"
start n3 --expect 3 --join "$(address_of n1)"
until_true "three nodes form a cluster" agree n1 n2 n3 >/dev/null
CLUSTERD_TOKEN=$(cat "$work/n1/token")
export CLUSTERD_TOKEN
coproc MEMBERS { exec "$build/tools/bench/clusterd-members"; }
for name in n1 n2 n3; do say "node $name $(address_of $name)"; done
for ((i = 4; i <= nodes; i++)); do
	say "join n$i"
	start "n$i" --join "$(address_of n1)"
	heard joined
	say "node n$i $(address_of "n$i")"
done
names=$(for ((i = 1; i <= nodes; i++)); do echo "n$i"; done)
for ((round = 0; round < rounds; round++)); do
	until_true "all see all" all_see "$nodes" alive $names >/dev/null
	victim=n$((RANDOM % nodes + 1))
	say "kill ${pid_of[$victim]} $victim"
	heard failed
	wait "${pid_of[$victim]}" 2>/dev/null
	say "join $victim"
	restart "$victim"
	heard back
done
printf '%-28s %6s %10s %9s\n' "$nodes nodes" times "median ms" "worst ms"
code=0
summary failed "killed, all have it failed" "$failed_most" || code=1
summary joined "started, all see it" "$joined_most" || code=1
summary back "started again, all see it" "$joined_most" || code=1
[ $code = 0 ] || fail "slower than it has to be"
