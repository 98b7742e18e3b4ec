#!/bin/bash
# Bad input from every side: the node goes on, the others notice nothing, the sender hears what was wrong and where.
# mischief.sh CLUSTERD CLUSTERCTL MISCHIEF
CLUSTERD=$1 CLUSTERCTL=$2 MISCHIEF=$3
. "$(dirname "$0")/node.sh"
start_node --exec-slots 16 --kill-grace 200ms
socket=$data/clusterd.sock
ctl process register "$here/flows/paper.flow" "$here/flows/bad.flow" >/dev/null || fail "the workflows are refused"

# The node must go on: a workflow of somebody else, after every piece of mischief.
well() { [ "$(ctl workflow start Countdown 1 --wait)" = '"done"' ] || fail "after $1 the node is not well"; }

# Bytes and frames.
bytes() { # what expected
	local answer
	answer=$("$MISCHIEF" "$socket" "$1") || fail "$1: no connection"
	has "$1" "$answer" "$2"
	well "$1"
}
bytes garbage "refused"
bytes checksum "frame 2 at byte"
bytes oversize "frame 2 at byte"
bytes type "frame 3 at byte"
bytes message "frame 3 at byte"
"$MISCHIEF" "$socket" truncated >/dev/null
well "a truncated frame"

coproc HOLD { "$MISCHIEF" "$socket" hold 1000; }
read -r held <&"${HOLD[0]}"
same "connections that send nothing" "$held" "1000 connections"
well "1,000 silent connections"
exec {HOLD[1]}>&-
wait "$HOLD_PID" 2>/dev/null

# Children.
child() { # workflow expected
	local message
	message=$(ctl workflow start "$1" 1 --wait 2>&1) && fail "$1 succeeded: $message"
	has "$1" "$message" "$2"
	well "$1"
}
child PrintsTooMuch "more than"
child FloodsStderr "exit code 1"
child WrongType "a string where Number is due"
child NotJson "JSON"
child NeverExits "did not finish within its timeout"
same "a child that does not read its input" "$(ctl workflow start DoesNotRead 1 --wait)" 7
same "a child that forks and leaves" "$(ctl workflow start Forks 1 --wait)" 8
left() { grep -slz "^CLUSTERD_PROCESS=" /proc/[0-9]*/environ 2>/dev/null | while read -r file; do
	grep -qz "^HOME=$data/" "$file" 2>/dev/null && echo "$file"; done; }
none_left() { [ -z "$(left)" ]; }
until_true "no child is left" none_left

# Workers.
id=$(ctl workflow start Waits 1)
same "a worker vanishes in the middle" "$("$MISCHIEF" "$socket" worker vanish)" vanished
running() { [ "$(sql "SELECT state FROM pi_call WHERE instance = $id")" = "$1" ]; }
until_true "its call waits to be tried again" running backoff
well "a worker that vanished"
same "a worker answers twice" "$("$MISCHIEF" "$socket" worker twice)" taken
same "the first answer counts" "$(ctl workflow wait "$id")" '"first"'
same "and counts once" "$(sql "SELECT count(*) FROM pi_history WHERE instance = $id AND kind = 'return'")" 1

id=$(ctl workflow start Slow 1)
until_true "a call runs" running running
attempt=$(sql "SELECT attempt FROM pi_call WHERE instance = $id")
has "a worker answers for another's call" "$("$MISCHIEF" "$socket" worker foreign "$id" 1 "$attempt")" "runs elsewhere"
same "which goes on" "$(ctl workflow wait "$id")" '"slow"'
id=$(ctl workflow start Waits 1)
"$MISCHIEF" "$socket" worker type >/dev/null &
until_true "an output of the wrong type" running backoff
has "says what is wrong" "$(sql "SELECT detail FROM pi_history WHERE instance = $id AND kind = 'attempt_failed'")" "is not of the declared type"
ctl workflow cancel "$id"
wait $!

# Sources.
source_file() { # what expected
	local message
	message=$(ctl process register "$work/bad.flow" 2>&1) && fail "$1 is accepted"
	has "$1" "$message" "$2"
	well "$1"
}
head -c 10485760 /dev/zero | tr '\0' 'a' >"$work/bad.flow"
source_file "a source of 10 MiB" "1048576"
printf 'process A(x: X) -> Y\nprocess B\0(x: X) -> Y\n' >"$work/bad.flow"
source_file "a NUL byte" "bad.flow:2:10"
{
	printf 'workflow Deep(x: X) -> X { '
	head -c 100000 /dev/zero | tr '\0' '('
	printf 'x'
	head -c 100000 /dev/zero | tr '\0' ')'
	printf ' }\n'
} >"$work/bad.flow"
source_file "nesting 100,000 deep" "256"

# Arguments and signals.
message=$(ctl workflow start Countdown '{"a":1,"a":2}' 2>&1)
has "an argument that is not of its type" "$message" "Number"
message=$(ctl sql "DELETE FROM pi_instance" 2>&1)
has "SQL that writes" "$message" "clusterctl: "
well "SQL that writes"
message=$(ctl --timeout 1s sql "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n" 2>&1)
same "SQL without end: exit code" $? 4
well "SQL without end"

kill -0 "$node" || fail "the node has ended"
same "one start of the node" "$(grep -c 'is ready' "$work/node.log")" 1
stop_node
finish
