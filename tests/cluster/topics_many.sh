#!/bin/bash
# 100,000 topics of three servers: what one session may have, what they cost, and that they go when their publishers die.
# topics_many.sh CLUSTERD CLUSTERCTL TOPIC_CLIENT
CLUSTERD=$1 CLUSTERCTL=$2 client=$3
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/job_words.sh"
three_nodes
addresses=$(nodes_from a)
topics_are() { is "$1" "$2" "SELECT count(*) AS n FROM topic"; } # NODE COUNT
said() { [ -s "$work/said.$1" ]; }

# --- one session asks for all of them

"$client" crowd "$addresses" 2000 12000 greedy >"$work/said.greedy" &
greedy=$!
patience=60
until_true "one session is answered" said greedy
has "it gets as many as a session may have" "$(cat "$work/said.greedy")" "10000 published, 2000 refused"
has "and is told which setting says so" "$(cat "$work/said.greedy")" "session_entries"
kill -9 $greedy
wait $greedy 2>/dev/null
until_true "they are gone with it" topics_are a 0

# --- ten sessions have a hundred thousand

pids=()
for i in 0 1 2 3 4 5 6 7 8 9; do
	"$client" crowd "$addresses" 5000 10000 "crowd-$i" >"$work/said.$i" &
	pids+=($!)
done
for key in 1 2 3 4 5; do of b kv put "beside-$key" "$key" >/dev/null || fail "a key is not put while topics are published"; done
ok "others are served meanwhile"
all_said() { for i in 0 1 2 3 4 5 6 7 8 9; do said $i || return 1; done; }
patience=120
until_true "all are answered" all_said
same "all are published" "$(sort -u "$work"/said.? | tr '\n' ' ')" "10000 published, 0 refused:  "
for node in a b c; do until_true "they are known to $node" topics_are $node 100000; done
has "one of them is found" "$(of c topic lookup crowd-7-9999 -o json)" "127.0.0.1:1"
same "all of them are listed" "$(of b catalog list topic -o jsonl | wc -l)" 100000
for node in a b c; do
	used=$(($(status_field $node resident_bytes) / 1048576))
	[ $used -lt 200 ] || fail "$node takes $used MiB with 100,000 topics"
done
ok "no server takes 200 MiB for them"
kill -9 "${pids[@]}"
wait "${pids[@]}" 2>/dev/null
of a kv put beside-6 6 >/dev/null || fail "a key is not put while topics go"
for node in a b c; do until_true "they are gone from $node with their publishers" topics_are $node 0; done
finish
