#!/bin/bash
# Commands beside tasks: from any node, with stdin, stdout, stderr and their exit code; and what becomes of them when nobody waits for
# them.   exec.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/job_words.sh"

three_nodes
printf 'job web { type = service exec = ["sh", "-c", "echo state > here; exec sleep 1000"] env = {"GREETING": "hello"} nodes = "c" stop_grace = 1s }\n' >"$work/web.flow"
id=$(of a job run "$work/web.flow" | awk '{ print $1 }')
of a job wait "$id" --running || fail "a service does not run"
alloc=$(value_of a "SELECT id FROM allocation WHERE job = $id")
there() { of a allocation exec "$alloc" -- cat here </dev/null 2>/dev/null; }
until_true "a command runs in the directory of the task" eval '[ "$(there)" = state ]'
for node in a b c; do
	same "asked at $node" "$(of "$node" allocation exec "$alloc" -- sh -c 'echo $GREETING $CLUSTERD_NODE $CLUSTERD_TASK' </dev/null)" "hello c 0"
done
same "stdin goes there" "$(printf 'one\ntwo\n' | of b allocation exec "$alloc" -- tr a-z A-Z | tr '\n' ' ')" "ONE TWO "
of b allocation exec "$alloc" -- sh -c 'echo out; echo err >&2; exit 7' </dev/null >"$work/out" 2>"$work/err"
same "its exit code is passed on" $? 7
same "stdout and stderr are told apart" "$(cat "$work/out" "$work/err" | tr '\n' ' ')" "out err "
of b allocation exec "$alloc" -- sh -c 'kill -9 $$' </dev/null
same "so is its signal" $? 137
of b allocation exec "$alloc" -- /nowhere/at-all </dev/null 2>"$work/err"
same "what is not there has failed" $? 127
has "and is named" "$(cat "$work/err")" "/nowhere/at-all"
head -c 3000000 /dev/urandom >"$work/bytes"
of a allocation exec "$alloc" -- cat <"$work/bytes" >"$work/same" || fail "much through a command"
cmp -s "$work/bytes" "$work/same" || fail "much comes back as something else"
ok "much goes through a command and back"
of a allocation exec 999999 -- true </dev/null 2>"$work/err"
same "an allocation that is not there" $? 1
"$CLUSTERCTL" --data-dir "$work/a" allocation exec "$alloc" 2>"$work/err"
same "no command is wrong usage" $? 2

# --- who goes takes its command along

mkfifo "$work/silent"
exec 7<>"$work/silent"
begin_at() { # NODE
	"$CLUSTERCTL" --data-dir "$work/$1" allocation exec "$alloc" -- sh -c 'echo $$; exec sleep 1000' <&7 >"$work/pid.$1" 2>/dev/null &
	client=$!
	until_true "a command runs, asked for at $1" test -s "$work/pid.$1"
}
gone() { ! kill -0 "$(cat "$work/pid.$1")" 2>/dev/null; }
for node in c a; do
	begin_at "$node"
	kill -9 "$client"
	wait "$client" 2>/dev/null
	until_true "it is killed when its client is, at $node" gone "$node"
done
begin_at b
of a job stop "$id"
ended() { [ "$(value_of a "SELECT state FROM job WHERE id = $id")" = stopped ]; }
until_true "the task can be stopped meanwhile" ended
kill -9 "$client"
wait "$client" 2>/dev/null
until_true "nothing is left" gone b
of a allocation exec "$alloc" -- true </dev/null 2>"$work/err"
same "beside a task that has ended nothing runs" $? 1
finish
