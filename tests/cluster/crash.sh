#!/bin/bash
# Kills a node with SIGKILL at random moments while workflows of every kind run, starts it again each time, and checks that
# nothing was lost and nothing happened twice.
#
#   crash.sh CLUSTERD CLUSTERCTL [KILLS [SEED]]
set -u
clusterd=$1 clusterctl=$2 kills=${3:-200} RANDOM=${4:-$$}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/clusterd-crash.XXXXXX")
data=$work/data
marker=clusterd-crash-$$-$RANDOM
node=
clients=

cleanup() {
	touch "$work/stop"
	[ -n "$node" ] && kill -9 "$node" 2>/dev/null
	for pid in $clients; do kill "$pid" 2>/dev/null; done
	wait 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

fail() {
	echo "FAILED: $*" >&2
	tail -n 20 "$work/node.log" >&2
	exit 1
}

ctl() { "$clusterctl" --data-dir "$data" --timeout 120s "$@"; }
sql() { sqlite3 -readonly "$data/catalog.db" "$1"; }

# Whatever the node starts carries the data directory's name in its working directory; the marker is for the node itself.
start_node() {
	CRASH_MARKER=$marker "$clusterd" --data-dir "$data" --listen 127.0.0.1:0 --name crash --exec-slots 6 \
		>>"$work/node.log" 2>&1 &
	node=$!
}

# One client: starts workflows of every kind with keys, writes down what was acknowledged and what is to come of it.
client() {
	local c=$1 i=0 id x
	while [ ! -e "$work/stop" ]; do
		i=$((i + 1)) x=$((RANDOM % 90 + 10))
		begin() { # kind expected arguments…
			local kind=$1 expected=$2
			shift 2
			id=$(ctl workflow start "$kind" "$@" --key "$c-$i-$kind" 2>>"$work/client.log") || return 1
			printf '%s\t%s\n' "$id" "$expected" >>"$work/acknowledged.$c"
		}
		begin Pair "[\"left $((x / 10))\",\"right $((x % 10))\"]" "$x"
		if [ $((x % 2)) = 0 ]; then begin Choice "\"even $x\"" "$x"; else begin Choice "\"odd $x\"" "$x"; fi
		begin Loop '"ground"' $((x % 5))
		begin Each "[$((x * 2)),2,4,6,8]" "[$x,1,2,3,4]"
		begin Sleep "\"left $x\"" "$x"
		if begin Signal "[\"left $x\",\"word $x\"]" "$x"; then
			# Exit code 3: nobody was there to hear it.
			until ctl workflow signal "$id" word "\"word $x\"" --key '"k"' 2>>"$work/client.log" || [ $? != 3 ]; do
				sleep 0.02
			done
		fi
	done
}

start_node
ctl status --wait >/dev/null || fail "the node does not get ready"
ctl process register "$here/flows/kinds.flow" >/dev/null || fail "the workflows are refused"
for c in 1 2 3; do client "$c" & clients="$clients $!"; done

begun=$SECONDS
for kill in $(seq "$kills"); do
	sleep "0.$((RANDOM % 25 + 5))"
	[ $((kill % 20)) = 0 ] && sleep 0.5
	kill -9 "$node" || fail "the node ended by itself before kill $kill"
	wait "$node" 2>/dev/null
	start_node
	[ $((kill % 50)) = 0 ] && echo "$kill kills, $(cat "$work"/acknowledged.* | wc -l) workflows, $((SECONDS - begun)) s"
done
ctl status --wait >/dev/null || fail "the node does not get ready after the last kill"
touch "$work/stop"
for pid in $clients; do wait "$pid"; done
clients=

# Everything that was acknowledged ends, with the right result.
cat "$work"/acknowledged.* >"$work/acknowledged"
while IFS=$'\t' read -r id expected; do
	result=$(ctl workflow wait "$id" 2>&1) || fail "workflow $id: $result"
	[ "$result" = "$expected" ] || fail "workflow $id gave $result instead of $expected"
done <"$work/acknowledged"

check() { # what SQL expected
	local got
	got=$(sql "$2") || fail "cannot read the catalog"
	[ "$got" = "$3" ] || fail "$1: $got instead of $3"
}
check "acknowledged starts that are there" \
	"SELECT count(*) FROM pi_instance" "$(cut -f1 "$work/acknowledged" | sort -u | wc -l)"
check "keys that were started twice" "SELECT count(*) - count(DISTINCT key) FROM pi_instance" 0
check "instances that are not completed" "SELECT count(*) FROM pi_instance WHERE state <> 'completed'" 0
check "references that returned more than once" \
	"SELECT count(*) FROM (SELECT 1 FROM pi_history WHERE kind = 'return' GROUP BY instance, ref HAVING count(*) > 1)" 0
check "calls that did not return" "SELECT count(*) FROM pi_call AS c WHERE NOT EXISTS
	(SELECT 1 FROM pi_history AS h WHERE h.instance = c.instance AND h.ref = c.ref AND h.kind = 'return')" 0
check "instances that finished other than once" "SELECT count(*) FROM pi_instance AS i WHERE 1 <>
	(SELECT count(*) FROM pi_history AS h WHERE h.instance = i.id AND h.kind = 'result')" 0
check "instances that started other than once" "SELECT count(*) FROM pi_instance AS i WHERE 1 <>
	(SELECT count(*) FROM pi_history AS h WHERE h.instance = i.id AND h.kind = 'start')" 0
check "calls that are not done" "SELECT count(*) FROM pi_call WHERE state <> 'done'" 0
check "the file" "PRAGMA integrity_check" ok

# Nothing that the node started is left.
kill -TERM "$node"
wait "$node" || fail "the node did not stop as it should"
node=
left() { grep -slz "^HOME=$data/" /proc/[0-9]*/environ 2>/dev/null; }
for _ in $(seq 100); do [ -z "$(left)" ] && break; sleep 0.05; done
[ -z "$(left)" ] || fail "children were left behind: $(left)"
echo "$kills kills, $(wc -l <"$work/acknowledged") workflows: each finished once with the right result ($((SECONDS - begun)) s)"
