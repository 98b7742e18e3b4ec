#!/bin/bash
# The examples of libclusterd on three nodes while leaders die. library.sh CLUSTERD CLUSTERCTL EXAMPLES
CLUSTERD=$1 CLUSTERCTL=$2 examples=$3
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

lines_in() { [ "$(grep -c "$3" "$1" 2>/dev/null)" -ge "$2" ]; }
token_in() { sed -n 's/^leads //p' "$1"; }
kill_the_leader() {
	until_true "somebody leads" agree a b c
	dead=$leader
	kill_member "$dead"
}
lead_again() {
	restart "$dead"
	until_true "three nodes again" agree a b c
}

start a --expect 3
start b --expect 3 --join "$(address_of a)"
start c --expect 3 --join "$(address_of a)"
until_true "three nodes form a cluster" agree a b c
CLUSTERD_TOKEN=$(cat "$work/a/token")
nodes=$(address_of a),$(address_of b),$(address_of c)

has "without the token one is refused" "$("$examples/workflow" "$nodes" "$here/../../examples/c/double.flow" Fourfold '{}' k 2>&1)" refuses
export CLUSTERD_TOKEN

# A watch on a loop of its own that also puts; one who leads and one who waits; a worker.
mkfifo "$work/lines"
"$examples/watch" "$nodes" w/ 60 <"$work/lines" >"$work/watched" 2>"$work/watch.log" &
watch=$!
exec 3>"$work/lines"
"$examples/leader" "$nodes" sched 40 >"$work/first" 2>&1 &
first=$!
until_true "the first one leads" lines_in "$work/first" 1 '^leads'
"$examples/leader" "$nodes" sched 3 >"$work/second" 2>&1 &
second=$!
"$examples/worker" "$nodes" 2>"$work/worker.log" &
worker=$!
until_true "the worker serves" lines_in "$work/worker.log" 1 '^serving'
for i in $(seq 30); do echo "w/$i before" >&3; done
until_true "changes are seen" lines_in "$work/watched" 30 ' put '
same "a workflow" "$("$examples/workflow" "$nodes" "$here/../../examples/c/double.flow" Fourfold '{"n": 5}' w0 2>/dev/null)" 20
until_true "it acts" lines_in "$work/first" 2 '^round'

kill_the_leader
for i in $(seq 30); do echo "w/$i after" >&3; done
for i in 1 2 3; do
	same "workflow $i without $dead" \
		"$("$examples/workflow" "$nodes" "$here/../../examples/c/double.flow" Fourfold "{\"n\": $i}" "w$i" 2>>"$work/run.log")" $((4 * i))
done
same "a workflow with a key that is known" \
	"$("$examples/workflow" "$nodes" "$here/../../examples/c/double.flow" Fourfold '{"n": 1}' w3 2>>"$work/run.log")" 12
lead_again
kill_the_leader
wait "$watch" || fail "the watch ends with $?: $(cat "$work/watch.log")"
exec 3>&-
same "each change is told once" "$(sort -n "$work/watched" | uniq | wc -l)" 60
same "in order" "$(sort -n -c "$work/watched" 2>&1)" ""
same "all that was put after the first leader's death" "$(grep -c ' after$' "$work/watched")" 30
wait "$first" || fail "the first one ends with $?: $(cat "$work/first")"
wait "$second" || fail "the second one ends with $?: $(cat "$work/second")"
same "the first one did all its rounds" "$(grep -c '^round' "$work/first")" 40
[ "$(token_in "$work/second")" -gt "$(token_in "$work/first")" ] || fail "the tokens do not rise"
ok "the second one led after it, with a higher token"
lead_again
has "the last act is the second one's" "$(of a kv get sched/acts)" "$(token_in "$work/second") round 3"

# Who is killed leads no more when its lease has ended.
"$examples/leader" "$nodes" sched 100000 >"$work/third" 2>&1 &
third=$!
until_true "a third one leads" lines_in "$work/third" 2 '^round'
"$examples/leader" "$nodes" sched 1 >"$work/fourth" 2>&1 &
fourth=$!
kill -9 "$third"
wait "$third" 2>/dev/null
wait "$fourth" || fail "the fourth one ends with $?: $(cat "$work/fourth")"
[ "$(token_in "$work/fourth")" -gt "$(token_in "$work/third")" ] || fail "the tokens do not rise"
ok "a fourth one leads when the third is dead"

kill -TERM "$worker"
wait "$worker" || fail "the worker ends with $?: $(cat "$work/worker.log")"
ok "the worker was drained"
until_true "no session is left behind" eval \
	'[ "$(of a sql "SELECT count(*) FROM lease WHERE state = '"'held'"'" -o jsonl | tr -dc 0-9)" = 0 ]'
for name in a b c; do stop_member $name || fail "$name did not stop as it should"; done
finish
