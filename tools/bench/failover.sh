#!/bin/bash
# How long until a cluster of three takes writes again, from the moment when something happens to its leader, for a client that knows all
# three addresses. In network namespaces of its own: needs root, or a system where users may make them.
#
#   tools/bench/failover.sh [BUILD [ROUNDS [KIND…]]]     default: build 50 kill stop cut
#
# kill: kill -9; stop: SIGSTOP; cut: nothing gets to it and nothing from it to others, the client included.
build=${1:-build} rounds=${2:-50}
here=$(cd "$(dirname "$0")" && pwd)
tests=$here/../../tests/cluster
. "$tests/namespaces_lib.sh"
shift $(($# < 2 ? $# : 2))
kinds=${*:-kill stop cut}
CLUSTERD=$build/src/daemon/clusterd CLUSTERCTL=$build/tools/clusterctl/clusterctl
. "$tests/node.sh"
. "$tests/nodes.sh"
namespaces_begin
hosts a b c

begin_cluster() {
	start a --expect 3
	start b --expect 3 --join "$(address_of a)"
	start c --expect 3 --join "$(address_of a)"
	until_true "three nodes form a cluster" well >/dev/null
	CLUSTERD_TOKEN=$(cat "$work/a/token")
	export CLUSTERD_TOKEN
	coproc WRITER { exec "$build/tools/bench/clusterd-failover" --address "$(address_of a),$(address_of b),$(address_of c)"; }
}
well() { agree a b c && all_see 3 alive a b c && voters_are 3 "$leader"; }
say() { echo "$*" >&"${WRITER[1]}" || fail "the client has ended"; }
strike() {
	case $1 in
	kill) say "kill ${pid_of[$leader]}" ;;
	stop) say "stop ${pid_of[$leader]}" ;;
	cut)
		say begin
		isolate_wholly "$leader"
		say "done"
		;;
	esac
}
heal_again() {
	case $1 in
	kill)
		wait "${pid_of[$leader]}" 2>/dev/null
		restart "$leader"
		;;
	stop) kill -CONT "${pid_of[$leader]}" ;;
	cut) heal_wholly "$leader" ;;
	esac
}
# In one command each, so that it happens at one moment; and from the client, too.
isolate_wholly() {
	inside "$1" nft "add table inet apart; add chain inet apart in { type filter hook input priority 0; policy drop; };
		add chain inet apart out { type filter hook output priority 0; policy drop; };"
}
heal_wholly() { inside "$1" nft "delete table inet apart"; }

trap "exec 2>/dev/null; cleanup_namespaces" EXIT
begin_cluster
printf '%-6s %8s %12s %9s %9s\n' what rounds 'median ms' 'p90 ms' 'worst ms'
for kind in $kinds; do
	: >"$work/times"
	for ((round = 0; round < rounds; round++)); do
		until_true "well before round $round of $kind" well >/dev/null
		sleep "0.$((RANDOM % 5))"
		strike "$kind"
		read -r -t 60 ms <&"${WRITER[0]}" || fail "no put was accepted after $kind of $leader"
		echo "$ms" >>"$work/times"
		heal_again "$kind"
	done
	sort -n "$work/times" | awk -v kind="$kind" '{ t[NR] = $1 }
		END { printf "%-6s %8d %12.0f %9.0f %9.0f\n", kind, NR, t[int((NR + 1) / 2)], t[int(NR * 0.9 + 0.5)], t[NR] }'
	[ -z "${KEEP_TIMES:-}" ] || cp "$work/times" "$KEEP_TIMES.$kind"
done
