#!/bin/bash
# Three nodes on this machine under full load: does anybody stop to hear the leader? Counts changes of the term, and what it took.
#
#   tools/bench/steady.sh [BUILD [SECONDS [CONNECTIONS]]]      default: build 600 64
#
# Exit code 1: the term changed.
build=${1:-build} seconds=${2:-600} connections=${3:-64}
tests=$(cd "$(dirname "$0")/../../tests/cluster" && pwd)
CLUSTERD=$build/src/daemon/clusterd CLUSTERCTL=$build/tools/clusterctl/clusterctl
. "$tests/node.sh"
. "$tests/nodes.sh"
trap 'exec 2>/dev/null; cleanup_nodes' EXIT

start a --expect 3
start b --expect 3 --join "$(address_of a)"
start c --expect 3 --join "$(address_of a)"
until_true "three nodes form a cluster" agree a b c >/dev/null
voting() { voters_are 3 a; }
until_true "all vote" voting >/dev/null
term=$(status_field "$leader" term)
CLUSTERD_TOKEN=$(cat "$work/a/token") "$build/tools/bench/clusterd-bench" --puts --seconds "$seconds" --connections "$connections" \
	--address "$(address_of a),$(address_of b),$(address_of c)" || fail "the puts"
until_true "one leader" agree a b c >/dev/null
changes=$(($(status_field "$leader" term) - term))
printf '\n%-8s %10s %10s %12s %18s\n' node pre-votes elections "times led" "longest turn ms"
for name in a b c; do
	printf '%-8s %10s %10s %12s %18s\n' "$name" "$(status_field "$name" pre_votes)" "$(status_field "$name" elections)" \
		"$(status_field "$name" times_leader)" "$(($(status_field "$name" loop_longest_stall_us) / 1000))"
done
echo "changes of the term: $changes"
[ "$changes" = 0 ]
