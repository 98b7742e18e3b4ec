#!/bin/bash
# What the engine must do, on a running node. workflows.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
start_node --exec-slots 32
ctl process register "$here/flows/paper.flow" >/dev/null || fail "the workflows are refused"

run() { ctl workflow start "$@" --wait; }

# The tensor, and that the same run makes the same history.
same "R(21)" "$(run R 21)" '["PbISleptFor2s","PcISleptFor1s"]'
run R 21 >/dev/null
events() { # without ids, times and where the idle one falls
	sql "SELECT kind, ref, process, args, result FROM pi_event WHERE instance = $1 ORDER BY seq"
}
same "two runs of R(21) have the same history" "$(events 1)" "$(events 2)"
same "the events of R(21)" "$(sql "SELECT kind || '=' || count(*) FROM pi_history WHERE instance = 1 AND kind <> 'idle' GROUP BY kind")" \
	'call=3
result=1
return=3
start=1'
same "Pb and Pc are called before either returns" \
	"$(sql "SELECT max(called_ms) <= min(returned_ms) FROM pi_call WHERE instance = 1 AND process IN ('Pb', 'Pc')")" 1
same "metrics: calls, and finish after start" \
	"$(sql "SELECT count(*), min(returned_ms >= called_ms), min(finished_ms >= i.started_ms) FROM pi_call, pi_instance AS i
		WHERE instance = 1 AND id = 1")" '3|1|1'

# Sums.
same "R3(ab)" "$(run R3 ab)" '{"left":"abA"}'
same "R3(abc)" "$(run R3 abc)" '{"right":["abcB:L","abcC"]}'
same "R3b(ab)" "$(run R3b ab)" '{"left":"abA:R"}'
same "R3b(abc)" "$(run R3b abc)" '{"right":["abcB","abcC"]}'

# The same sub-workflow twice; variants; a loop.
same "a sub-workflow used twice" "$(run Twice 21 34)" '[["PbISleptFor2s","PcISleptFor1s"],["PbISleptFor3s","PcISleptFor4s"]]'
same "a variant beside its original" "$(run RX 21)" '["PbISleptFor2s","PcXISleptFor1s"]'
same "a guarded loop ends" "$(run Countdown 3)" '"done"'
cat >"$work/unguarded.flow" <<'F'
workflow Forever(n: Number) -> Number { Forever(n) }
F
ctl process register "$work/unguarded.flow" >/dev/null 2>"$work/errors" && fail "unguarded recursion is accepted"
has "unguarded recursion is refused" "$(cat "$work/errors")" "unguarded.flow:1:"

# Failures.
message=$(run Failing 5 2>&1)
same "a failed workflow's exit code" $? 1
has "the waiter gets the message" "$message" "the disk is on fire"
id=$(sql "SELECT max(id) FROM pi_instance")
same "calls of a failed workflow have ended" "$(sql "SELECT process, state FROM pi_call WHERE instance = $id ORDER BY ref")" 'Fail|failed
Pc|done'
same "it finished once" "$(sql "SELECT count(*) FROM pi_history WHERE instance = $id AND kind = 'failed'")" 1
same "the next run succeeds" "$(run R 10)" '["PbISleptFor1s","PcISleptFor0s"]'
message=$(ctl workflow start Nothing 1 2>&1)
same "an unknown workflow: exit code" $? 1
has "an unknown workflow is named" "$message" "there is no workflow Nothing"
message=$(ctl workflow start Pa 1 2>&1)
has "a process where a workflow is due" "$message" "Pa is a process"
message=$(ctl workflow start R '"x"' 2>&1)
has "an argument of the wrong type" "$message" "Number"
message=$(ctl workflow start R 1 2 2>&1)
has "too many arguments" "$message" "takes 1 argument"

# Metadata; past states.
same "a pool child's output" "$(run Metadata 1)" '"told"'
has "its metadata is on the return" "$(sql "SELECT detail FROM pi_history WHERE kind = 'return' ORDER BY seq DESC LIMIT 1")" '"metadata":{"machine":"m1","seconds":1}'
last=$(ctl workflow show 1 --state)
has "the first state can be rebuilt" "$(ctl workflow show 1 --step 1)" "Pa"
steps=$(sql "SELECT max(step) FROM pi_call WHERE instance = 1")
same "the last rebuilt state is that of the result" "$(ctl workflow show 1 --step "$steps")" "$last"
[ "$(ctl workflow show 1 --step 1)" != "$last" ] || fail "the first state is the last one"

# Keys, cancel, wait, history.
a=$(ctl workflow start R 21 --key once)
same "a key starts once" "$(ctl workflow start R 21 --key once)" "$a"
id=$(ctl workflow start Waits 1)
until_true "a call that nobody serves is named" sh -c "'$CLUSTERCTL' --data-dir '$data' status -o json | grep -q '\"unserved\":\"Nobody\"'"
ctl workflow history "$id" --follow -o jsonl >"$work/followed" &
follower=$!
ctl workflow cancel "$id" || fail "cancel is refused"
message=$(ctl workflow wait "$id" 2>&1)
has "a cancelled workflow says so" "$message" "cancelled"
wait "$follower"
has "a late follower sees the start" "$(head -n 1 "$work/followed")" '"kind":"start"'
has "and the end" "$(tail -n 1 "$work/followed")" '"kind":"cancelled"'
message=$(ctl workflow cancel "$id" 2>&1)
same "what is finished cannot be cancelled: exit code" $? 1

# Many at once.
for i in $(seq 241); do
	for n in 21 32 43; do echo "$n"; done
done >"$work/many"
xargs -P 8 -n 1 "$CLUSTERCTL" --data-dir "$data" --timeout 120s workflow start RX <"$work/many" >"$work/ids" || fail "a start failed"
same "241 × 3 runs are accepted" "$(wc -l <"$work/ids" | tr -d ' ')" 723
all_done() { [ "$(sql "SELECT count(*) FROM pi_instance WHERE process = 'RX' AND state <> 'completed'")" = 0 ]; }
deadline=$((SECONDS + 240))
until all_done; do
	[ $SECONDS -lt $deadline ] || fail "241 × 3 runs do not end: $(sql "SELECT state, count(*) FROM pi_instance GROUP BY state")"
	sleep 0.1
done
same "each with its result" "$(sql "SELECT args, result, count(*) FROM pi_instance WHERE process = 'RX' AND id > $id GROUP BY 1, 2 ORDER BY 1")" \
	'{"n":21}|["PbISleptFor2s","PcXISleptFor1s"]|241
{"n":32}|["PbISleptFor3s","PcXISleptFor2s"]|241
{"n":43}|["PbISleptFor4s","PcXISleptFor3s"]|241'
same "nothing is left over" "$(sql "SELECT (SELECT count(*) FROM timer), (SELECT count(*) FROM signal),
	(SELECT count(*) FROM pi_call WHERE state IN ('ready', 'running', 'backoff'))")" '0|0|0'

stop_node
[ -e "$data/clusterd.sock" ] && fail "the socket is left"
message=$(ctl status 2>&1)
same "no node: exit code" $? 3
finish
