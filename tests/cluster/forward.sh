#!/bin/bash
# Any node takes any request, also while leaders die: what was acknowledged is there, once.
#   forward.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

rounds=${FORWARD_ROUNDS:-3}
socket_of() { echo "$work/$1/clusterd.sock"; }
others_of() { echo a b c | tr ' ' '\n' | grep -v "^$1$" | tr '\n' ' '; }
# The nodes, this one first.
nodes_from() {
	local list other
	list=$(socket_of "$1")
	for other in $(others_of "$1"); do list=$list,$(socket_of "$other"); done
	echo "$list"
}
via() { # NAME COMMAND…: the cluster, by this node as long as it serves
	local first=$1
	shift
	"$CLUSTERCTL" --address "$(nodes_from "$first")" --timeout "${timeout:-30s}" "$@"
}

cat >"$work/echo.flow" <<'F'
workflow Echo(text: Text) -> Text { text }
workflow Later(text: Text) -> Text { text after sleep(4s) }
F

start a --expect 3
start b --expect 3 --join "$(address_of a)"
start c --expect 3 --join "$(address_of a)"
until_true "three nodes form a cluster" agree a b c
follower=$(others_of "$leader" | cut -d ' ' -f 1)

# Everything through a node that does not lead.
of "$follower" process register "$work/echo.flow" >/dev/null || fail "a follower does not take a registration"
same "a workflow that was started at a follower" "$(of "$follower" workflow start Echo hello --wait)" '"hello"'
id=$(of "$follower" workflow start Echo once --key one)
for name in a b c; do
	same "the same key at $name" "$(of "$name" workflow start Echo once --key one)" "$id"
	same "what was acknowledged is read at $name at once" \
		"$(of "$name" sql -o jsonl "SELECT result FROM pi_instance WHERE id = $id")" '{"result":"once"}'
done
version=$(of "$follower" kv put some/key value)
same "a key that was put at a follower" "$(of "$leader" kv get some/key)" value
of "$leader" kv put some/key other >/dev/null
same "and changed at the leader" "$(of "$follower" kv get some/key)" other
same "read with the leader's lease" "$(of "$follower" --consistency leader kv get some/key)" other
message=$(of "$follower" workflow start Nothing x 2>&1)
same "a refusal at a follower: exit code" $? 1
has "a refusal at a follower" "$message" "there is no workflow Nothing"
message=$(of "$follower" member promote nobody 2>&1)
has "what is about the group goes to the leader, too" "$message" "nobody"
[ "$(status_field "$follower" requests_forwarded)" -gt 0 ] || fail "nothing was forwarded"
ok "requests are forwarded"

# Load on each node; leaders die. Each text is started by one request: with it and its session again, never twice.
client() { # NAME
	local i
	for ((i = 0; ; i++)); do
		[ -e "$work/enough" ] && return
		echo "$1-$i" >>"$work/tried-$1"
		if timeout=60s via "$1" workflow start Echo "$1-$i" >>"$work/ids-$1" 2>>"$work/errors-$1"; then
			echo "$1-$i" >>"$work/acknowledged-$1"
		fi
	done
}
acknowledged() { cat "$work"/acknowledged-* 2>/dev/null | wc -l; }
more_than() { [ "$(acknowledged)" -gt "$1" ]; }
for name in a b c; do client $name & done
until_true "requests are acknowledged" more_than 30
for ((round = 1; round <= rounds; round++)); do
	until_true "all agree (round $round)" agree a b c
	killed=$leader
	kill_member "$killed"
	before=$(acknowledged)
	until_true "requests are acknowledged without $killed" more_than $((before + 20))
	restart "$killed" --expect 3
	before=$(acknowledged)
	until_true "and when it is back" more_than $((before + 20))
done
touch "$work/enough"
clients=$(jobs -rp | grep -v -x -F "$(printf '%s\n' "${pid_of[@]}")")
wait $clients
until_true "all agree in the end" agree a b c

cat "$work"/acknowledged-* | sort >"$work/acknowledged"
cat "$work"/tried-* | sort >"$work/tried"
for name in a b c; do
	of "$name" sql --limit 1000000 -o jsonl "SELECT json_extract(args, '\$.text') AS text FROM pi_instance
		WHERE args LIKE '%-%'" | sed 's/.*:"\(.*\)"}/\1/' | sort >"$work/there-$name"
	same "twice at $name" "$(uniq -d "$work/there-$name")" ""
	same "acknowledged and not there at $name" "$(comm -23 "$work/acknowledged" "$work/there-$name")" ""
	same "there, but never asked for, at $name" "$(comm -13 "$work/tried" "$work/there-$name")" ""
done
echo "$(wc -l <"$work/acknowledged") of $(wc -l <"$work/tried") requests were acknowledged"
same "every request was acknowledged in the end" "$(comm -23 "$work/tried" "$work/acknowledged")" ""

# Who waits: the leader that the request was given to dies, then the node that was asked.
agree a b c
follower=$(others_of "$leader" | cut -d ' ' -f 1)
of "$follower" workflow start Later waited --wait >"$work/waited" &
waiter=$!
via "$follower" workflow wait "$(of "$follower" workflow start Later followed)" >"$work/followed" &
second=$!
killed=$leader
kill_member "$killed"
wait $waiter || fail "who waits is not answered after the leader was killed"
same "who waits while the leader dies" "$(cat "$work/waited")" '"waited"'
wait $second
restart "$killed" --expect 3
until_true "three again" agree a b c
follower=$(others_of "$leader" | cut -d ' ' -f 1)
id=$(of "$follower" workflow start Later moved)
via "$follower" workflow wait "$id" >"$work/moved" &
waiter=$!
until_true "it waits" sh -c "'$CLUSTERCTL' --data-dir '$work/$follower' status -o json | grep -q '\"requests_waiting\":[1-9]'"
kill_member "$follower"
wait $waiter || fail "who waits is not answered by another node"
same "who waits while its node dies" "$(cat "$work/moved")" '"moved"'

# Without a majority: a node says so in time, and tells what it has when that is enough.
read -ra others <<<"$(others_of "$follower")"
agree "${others[@]}" || fail "no leader"
last=$(others_of "$follower" | tr ' ' '\n' | grep -v "^$leader$" | head -n 1)
kill_member "$leader"
message=$(timeout=2s of "$last" kv get some/key 2>&1)
same "a read without a leader: exit code" $? 4
has "it says why" "$message" "leader"
message=$(timeout=2s of "$last" workflow start Echo x 2>&1)
same "a change without a leader: exit code" $? 4
same "a read of the node alone" "$(of "$last" --consistency local kv get some/key)" other
message=$("$CLUSTERCTL" --address "$(socket_of "$follower"),$(socket_of "$leader")" --timeout 1s kv get some/key 2>&1)
same "no node: exit code" $? 3
finish
