#!/bin/bash
# Keys, watches, leases and locks of three servers while leaders die and a node stands still. keys_failover.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

rounds=${KEYS_ROUNDS:-3}
others_of() { echo a b c | tr ' ' '\n' | grep -v "^$1$" | tr '\n' ' '; }
# The nodes, this one first.
nodes_from() {
	local list=$work/$1/clusterd.sock other
	for other in $(others_of "$1"); do list=$list,$work/$other/clusterd.sock; done
	echo "$list"
}
via() { # NAME COMMAND…: the cluster, by this node as long as it serves
	local first=$1
	shift
	"$CLUSTERCTL" --address "$(nodes_from "$first")" --timeout 60s "$@"
}
lines() { wc -l <"$1"; }
has_lines() { [ "$(lines "$1")" -ge "$2" ]; }
lead_again() {
	restart "$1"
	until_true "three nodes again" agree a b c
}

start a --expect 3
start b --expect 3 --join "$(address_of a)"
start c --expect 3 --join "$(address_of a)"
until_true "three nodes form a cluster" agree a b c
follower=$(others_of "$leader" | cut -d ' ' -f 1)

# Watchers at each node; counters that are compared and swapped by each; a lock that is held, a lease that is kept: leaders die.
from=$(via "$follower" kv put w/0 0) || fail "nothing can be put"
: >"$work/put"
echo "$from" >"$work/put"
watchers=
for name in a b c; do
	"$CLUSTERCTL" --address "$(nodes_from $name)" kv watch --prefix w/ --from "$from" --count $((1 + 10 * rounds)) -o jsonl \
		>"$work/watched.$name" &
	watchers="$watchers $!"
done
via a kv put counter 0 >/dev/null
cat >"$work/count" <<'EOF'
for ((i = 0; i < count; i++)); do
	until {
		found=$("$CLUSTERCTL" --address "$nodes" --timeout 60s kv get counter -o json) || { echo "$found"; exit 1; }
		value=${found#*'"value":"'} value=${value%%'"'*}
		version=${found#*'"version":'} version=${version%%,*}
		"$CLUSTERCTL" --address "$nodes" --timeout 60s kv put counter $((value + 1)) --if-version "$version" >/dev/null 2>&1
	}; do :; done
done
EOF
racers=
for name in a b c; do
	CLUSTERCTL=$CLUSTERCTL nodes=$(nodes_from $name) count=$((10 * rounds)) bash "$work/count" &
	racers="$racers $!"
done
export work
via "$follower" lock held --ttl 20s -- sh -c 'echo "$CLUSTERD_FENCING_TOKEN" >"$work/token"; until [ -e "$work/enough" ]; do sleep 0.05; done' &
holder=$!
until_true "the lock is held" test -s "$work/token"
via "$follower" lock held --ttl 20s -- sh -c 'echo "$CLUSTERD_FENCING_TOKEN" >"$work/next"' &
next=$!
lease=$(via "$follower" lease grant --ttl 10s)
via a kv put leased here --lease "$lease" >/dev/null
"$CLUSTERCTL" --address "$(nodes_from "$follower")" --timeout 60s lease keep-alive "$lease" &
keeper=$!
for ((round = 1; round <= rounds; round++)); do
	agree a b c || true
	dead=$leader
	[ -n "$dead" ] || fail "nobody leads"
	kill_member "$dead"
	other=$(others_of "$dead" | cut -d ' ' -f 1)
	for i in 1 2 3 4 5 6 7 8 9 10; do
		via "$other" kv put "w/$round.$i" x >>"$work/put" || fail "nothing can be put after $dead has died"
	done
	lead_again "$dead"
done
for racer in $racers; do wait "$racer" || fail "a racer gives up"; done
same "no increment is lost, none is made twice" "$(via a kv get counter)" $((30 * rounds))
for watcher in $watchers; do wait "$watcher" || fail "a watcher gives up"; done
for name in a b c; do
	sed 's/.*"version":\([0-9]*\).*/\1/' "$work/watched.$name" >"$work/versions"
	cmp -s "$work/versions" "$work/put" ||
		fail "a watcher saw $(tr '\n' ' ' <"$work/versions") of $(tr '\n' ' ' <"$work/put")"
	ok "the watcher at $name sees every change once, in order"
done
sort -n -u -c "$work/put" || fail "versions do not rise"
same "a lease that is kept alive outlives its leaders" "$(via a kv get leased)" here
kill -0 "$holder" 2>/dev/null || fail "the lock was lost"
[ ! -e "$work/next" ] || fail "the lock is held twice"
ok "a lock outlives the leaders that knew of it"
touch "$work/enough"
wait "$holder" || fail "the holder fails"
wait "$next" || fail "the next holder fails"
[ "$(cat "$work/next")" -gt "$(cat "$work/token")" ] || fail "fencing tokens do not rise"
ok "and the next holder's token is higher"
kill "$keeper"
wait "$keeper" 2>/dev/null
gone() { ! via a kv get leased >/dev/null 2>&1; }
until_true "nobody keeps the lease alive" gone

# A node that stands still: whoever watches there goes elsewhere.
agree a b c
follower=$(others_of "$leader" | cut -d ' ' -f 1)
"$CLUSTERCTL" --address "$(nodes_from "$follower")" kv watch still --state --count 2 >"$work/still" &
watcher=$!
via "$leader" kv put still 1 >/dev/null
until_true "the watcher follows" has_lines "$work/still" 1
kill -STOP "${pid_of[$follower]}"
via "$leader" kv put still 2 >/dev/null || fail "nothing can be put while a follower stands still"
wait "$watcher" || fail "the watcher gives up"
has "a watcher leaves a node that stands still" "$(tail -n 1 "$work/still")" "put still 2"
kill -CONT "${pid_of[$follower]}"
until_true "it comes back" agree a b c
same "the same tables everywhere" "$(for name in a b c; do of $name sql -o jsonl "SELECT count(*), sum(version) FROM kv"; done | sort -u | wc -l)" 1
finish
