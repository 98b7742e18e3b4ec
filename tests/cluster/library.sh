#!/bin/bash
# The examples of libclusterd, and a worker that is slow, on three nodes while leaders die. library.sh CLUSTERD CLUSTERCTL EXAMPLES AWAY
CLUSTERD=$1 CLUSTERCTL=$2 examples=$3 away=$4
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

lines_in() { [ -e "$1" ] && [ "$(grep -c "$3" "$1")" -ge "$2" ]; }
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

# A node that stands still is left in time to keep the lead, and a lease is kept through another one.
agree a b c
for still in a b c; do [ "$still" = "$leader" ] || break; done
"$examples/leader" "$(address_of "$still"),$nodes" still 30 >"$work/fifth" 2>&1 &
fifth=$!
until_true "a fifth one leads, of something else" lines_in "$work/fifth" 2 '^round'
kill -STOP "${pid_of[$still]}"
wait "$fifth" || fail "the fifth one ends with $?: $(cat "$work/fifth")"
kill -CONT "${pid_of[$still]}"
ok "it goes on leading while its node stands still"
until_true "three nodes again" agree a b c

# Calls outlive the nodes that gave them, are not begun again, and what came of them counts.
of a process register "$here/flows/tour.flow" >/dev/null
mkfifo "$work/answers"
"$away" "$nodes" <"$work/answers" >"$work/away" 2>&1 &
slow=$!
exec 4>"$work/answers"
until_true "a slow worker serves" lines_in "$work/away" 1 '^serving'
one=$(of a workflow start Worked 1)
two=$(of a workflow start Worked 2)
until_true "it has two calls" lines_in "$work/away" 2 '^begun'
kill_member a # whose worker it is
until_true "it serves another node" lines_in "$work/away" 2 '^serving'
echo >&4
same "what was done meanwhile counts" "$(of b workflow wait "$one")" 42
restart a 4>&- # who would else hold it open
until_true "three nodes again" agree a b c
echo >&4
same "and what is done later" "$(of b workflow wait "$two")" 42
exec 4>&-
wait "$slow" || fail "the slow worker ends with $?: $(cat "$work/away")"
same "each call was begun once" "$(grep -c '^begun' "$work/away")" 2
same "all was taken" "$(tail -n 1 "$work/away")" "all 2 taken"

kill -TERM "$worker"
wait "$worker" || fail "the worker ends with $?: $(cat "$work/worker.log")"
ok "the worker was drained"
until_true "no lease is left behind" eval \
	'[ "$(of a sql "SELECT count(*) FROM lease WHERE state = '"'held'"'" -o jsonl | tr -dc 0-9)" = 0 ]'
for name in a b c; do stop_member $name || fail "$name did not stop as it should"; done
finish
