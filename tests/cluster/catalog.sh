#!/bin/bash
# The catalog as a service: lists that are what is there, watches that tell what changes, over nodes that die. Strymon's check 26.
# catalog.sh CLUSTERD CLUSTERCTL TOPIC_CLIENT
CLUSTERD=$1 CLUSTERCTL=$2 client=$3
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

rows() { of "$1" catalog list "$2" -o jsonl 2>/dev/null | grep -c '"id"'; } # NODE TABLE
rows_are() { [ "$(rows "$1" "$2")" = "$3" ]; }
told() { grep -qs "$1" "$work/watched"; }

start a --expect 3
start b --expect 3 --join "$(address_of a)"
start c --expect 3 --join "$(address_of a)"
until_true "three nodes form a cluster" agree a b c

has "the catalog is a service of each node" "$(of b topic lookup '$catalog' -o json)" "$(address_of b)"
until_true "members are listed" rows_are c member 3
"$CLUSTERCTL" --address "$(nodes_from b)" catalog watch topic publication subscription >"$work/watched" 2>"$work/watch.error" &
watch=$!
"$client" publish "$(nodes_from a)" 2000 prices stream X 10.0.0.1:7001 >"$work/first" &
first=$!
until_true "a watch tells a new topic" told '"table":"topic",.*"name":"prices"'
until_true "… and its publication" told '"table":"publication",.*"address":"10.0.0.1:7001"'
until_true "lists match" rows_are a topic 1
until_true "… on each node" rows_are c publication 1
"$client" subscribe "$(nodes_from a)" 60000 prices '' now 60000 >"$work/second" &
second=$!
until_true "… and a subscription" told '"table":"subscription",.*"part":null'
index=$(sed -n 's/^{"index":\([0-9]*\),"table":"publication".*/\1/p' "$work/watched" | head -n 1)
kill -9 $first
wait $first 2>/dev/null
until_true "what is gone is told" told '"table":"topic",.*"row":null'
until_true "… with what hung on it" told '"table":"subscription",.*"row":null'
until_true "lists match again" rows_are c publication 0

# From an index, on another node.
"$CLUSTERCTL" --address "$work/c/clusterd.sock" catalog watch publication --from "$index" >"$work/resumed" 2>/dev/null &
resumed=$!
until_true "it goes on from an index" grep -qs '"row":null' "$work/resumed"
kill $resumed

# What is malformed harms who sends it alone.
got=$(of a catalog list nonsense 2>&1) && fail "there is a table nonsense"
has "a table that there is not is refused" "$got" "there is no table"
head -c 4096 /dev/urandom >"$work/noise"
for i in 1 2 3; do
	exec 5<>"/dev/tcp/${address_a:-$(address_of a | tr ':' '/')}" && cat "$work/noise" >&5 2>/dev/null
	exec 5>&-
done
kill -0 $watch || fail "the watch has ended"
"$client" publish "$(nodes_from b)" 60000 after stream X 10.0.0.1:7002 >"$work/third" &
until_true "the others are served as before" told '"name":"after"'

# The node of the watch dies: it goes on at another one.
kill_member b
"$client" publish "$(nodes_from a)" 60000 later stream X 10.0.0.1:7003 >"$work/fourth" &
until_true "a watch goes on at another node" told '"name":"later"'

# What a node does not know any more, it says so.
restart b
of b status --wait >/dev/null || fail_with b "the node does not come back"
got=$("$CLUSTERCTL" --address "$work/b/clusterd.sock" --timeout 10s catalog watch --from 1 --count 1 2>&1) && fail "changes are told that nobody knows: $got"
has "what is not known any more is said so" "$got" compacted
finish
