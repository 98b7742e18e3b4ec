#!/bin/bash
# Who is not of the cluster: other nodes, datagrams and clients without the secret are refused, told why, counted; the node goes on.
# strangers.sh CLUSTERD CLUSTERCTL MISCHIEF
CLUSTERD=$1 CLUSTERCTL=$2 MISCHIEF=$3
. "$(dirname "$0")/node.sh"
secret="what this cluster is known by"
echo "  $secret" >"$work/secret"

# What a node does not start with.
refuses_to_start() { # what expected option…
	local what=$1 expected=$2 message
	shift 2
	message=$("$CLUSTERD" --data-dir "$work/other" "$@" 2>&1) && fail "it starts with $what"
	has "$what" "$message" "$expected"
}
chmod 644 "$work/secret"
refuses_to_start "a secret that everybody may read" "chmod o-rwx" --listen 127.0.0.1:0 --secret-file "$work/secret"
chmod 600 "$work/secret"
echo short >"$work/short"
chmod 600 "$work/short"
refuses_to_start "a secret that is too short" "5 bytes; it must have 16" --listen 127.0.0.1:0 --secret-file "$work/short"
refuses_to_start "a secret that is not there" "No such file" --listen 127.0.0.1:0 --secret-file "$work/nothing"
refuses_to_start "no secret, but all interfaces" "secret-file" --listen 0.0.0.0:0
refuses_to_start "an address that nobody can reach" "nobody can reach that" --listen 127.0.0.1:0 --secret-file "$work/secret" \
	--advertise 0.0.0.0:9189

start_node --secret-file "$work/secret"
address=$(head -n 1 "$data/endpoint")
well() { [ "$(ctl sql "SELECT 1" -o jsonl)" != "" ] || fail "after $1 the node is not well"; }
status_of() { ctl status -o json | grep -oE "\"$1\":[0-9]+" | head -n 1 | cut -d : -f 2; }

# Clients over TCP show a token; the socket is its owner's anyway.
same "mode of the token" "$(stat -c %a "$data/token")" 600
if command -v openssl >/dev/null; then # others can make it, too
	same "the token" "$(cat "$data/token")" "$(printf 'client token' | openssl dgst -sha256 -hmac "$secret" | sed 's/.*= *//')"
fi
message=$("$CLUSTERCTL" --address "$address" status 2>&1) && fail "no token is asked for over TCP"
has "a client without a token" "$message" "a token is asked for here"
has "is told where it is" "$message" "--token-file"
message=$(CLUSTERD_TOKEN=wrong "$CLUSTERCTL" --address "$address" status 2>&1) && fail "a wrong token is taken"
has "a client with a wrong token" "$message" "the token is not right"
CLUSTERD_TOKEN=$(cat "$data/token") "$CLUSTERCTL" --address "$address" status >/dev/null || fail "the token is not taken"
ok "a client with the token of its environment"
"$CLUSTERCTL" --address "$address" --token-file "$data/token" status >/dev/null || fail "the token file is not taken"
ok "a client with a token file"
"$CLUSTERCTL" --address "$address" --data-dir "$data" status >/dev/null || fail "the token of the data directory is not taken"
ok "a client with the data directory's token"

# Other nodes.
peer() { # what expected argument…
	local what=$1 expected=$2 answer
	shift 2
	answer=$("$MISCHIEF" "$address" peer "$@") || fail "$what: no connection"
	has "$what" "$answer" "$expected"
	well "$what"
}
id=$(sql "SELECT id FROM node")
cluster=$(sql "SELECT value FROM meta WHERE key = 'cluster_id'")
peer "a node of the cluster" "open" hello "$secret" 4711 "$cluster"
peer "a node without a cluster yet" "open" hello "$secret"
peer "a node without a secret" "has no cluster secret" hello ""
peer "a node with another secret" "does not have the cluster secret" hello "this is not the secret"
peer "a node of another cluster" "you look for cluster 0123456789abcdef" hello "$secret" 4711 0123456789abcdef0123456789abcdef
peer "a node with the id of this one" "says to be node $id" hello "$secret" "$id" "$cluster"
peer "garbage of a node" "frame 3 at byte" garbage "$secret"
peer "an oversize frame of a node" "raft frame of 2139062143 bytes (limit 17825792)" oversize "$secret"
peer "a node that asks like a client" "may not send a request frame" request "$secret"
peer "a message that is none" "RaftMessage" message "$secret"
same "refused for lack of a secret" "$(status_of no_secret)" 1
same "refused by it for a wrong secret" "$(status_of by_peer)" 1
same "refused for their cluster" "$(status_of cluster)" 1
same "refused for their id" "$(status_of same_id)" 1
same "refused for their token" "$(status_of token)" 2
same "broke the rules after the greeting" "$(status_of peers_failed)" 4

# Datagrams.
same "datagrams of every bad kind" "$("$MISCHIEF" "$address" peer datagrams)" "6 datagrams"
all_refused() {
	local counts
	counts=$(ctl status -o json | grep -o '"datagrams_refused":{[^}]*}')
	[ "$counts" = '"datagrams_refused":{"size":3,"unknown":1,"no_secret":1,"seal":1}' ]
}
until_true "are refused, each for its reason" all_refused
same "none of them was taken" "$(status_of datagrams_received)" 0
well "bad datagrams"

# Nobody is kept out by those who say nothing.
coproc HOLD { "$MISCHIEF" "$address" peer silent; }
read -r held <&"${HOLD[0]}"
same "connections that say nothing" "$held" "1000 connections"
peer "a node beside 1,000 silent connections" "open" hello "$secret"
"$CLUSTERCTL" --address "$address" --data-dir "$data" status >/dev/null || fail "a client is kept out"
ok "a client beside 1,000 silent connections"
exec {HOLD[1]}>&-
wait "$HOLD_PID" 2>/dev/null

kill -0 "$node" || fail "the node has ended"
grep -q "no connection with" "$work/node.log" || fail "nothing in the log tells of those who were refused"
has "the log tells of them" "$(cat "$work/node.log")" "does not have the cluster secret"
[ "$(grep -c 'no connection with' "$work/node.log")" -lt 20 ] || fail "the log is full of them"
stop_node

# Listening everywhere, it tells others of the interface that leads out. In a network of its own, where that is allowed.
interfaces() {
	unshare -n bash -c '
		ip link set lo up && ip link add out type veth peer name in && ip addr add 10.9.8.7/24 dev out &&
			ip link set out up && ip link set in up || exit 9
		"$1" --data-dir "$3" --listen "$4:0" --secret-file "$5" 2>/dev/null &
		"$2" --data-dir "$3" status --wait >/dev/null && "$2" --data-dir "$3" status -o json | grep -oE "\"address\":\"[^\"]+:"
		kill $! && wait' interfaces "$CLUSTERD" "$CLUSTERCTL" "$work/out" "$1" "$work/secret" 2>/dev/null
}
if [ -n "$(interfaces 0.0.0.0)" ]; then
	same "the address that others are told" "$(interfaces 0.0.0.0)" '"address":"10.9.8.7:'
	same "the same with IPv6" "$(interfaces '[::]')" '"address":"10.9.8.7:'
fi

# Without a secret there is no token, and none is asked for.
start_node
[ ! -e "$data/token" ] || fail "the token is left"
"$CLUSTERCTL" --address "$(head -n 1 "$data/endpoint")" status >/dev/null || fail "a token is asked for without a secret"
ok "no secret, no token"
stop_node
finish
