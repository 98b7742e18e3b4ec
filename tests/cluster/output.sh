#!/bin/bash
# What tasks write, read from any node: over rotated files, while they run, by a slow reader, of a node that is gone.
#   output.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/job_words.sh"
resident() { status_field "$1" resident_bytes; }

three_nodes
start w --role agent --join "$(address_of a)"
start v --role agent --join "$(address_of a)"
until_true "what agents have to give is known" capacity_is_known a 5

# --- from anywhere, and what is said when there is nothing

job_file hello 'job hello { type = batch count = 5 placement = random
  exec = ["sh", "-c", "echo task $CLUSTERD_TASK on $CLUSTERD_NODE; echo oh >&2"] }'
id=$(run_job a hello)
of a job wait "$id" || fail "a job that writes two lines fails"
for task in 0 1 2 3 4; do
	node=$(value_of a "SELECT n.name AS x FROM allocation AS a JOIN node AS n ON n.id = a.node WHERE a.job = $id AND a.task = $task")
	for asked in a b w v; do
		[ "$(of "$asked" job logs "$id" --task "$task")" = "task $task on $node" ] || fail "task $task of $node, asked at $asked"
	done
done
ok "what five tasks on five nodes have written is read at each of four nodes"
same "stderr by itself" "$(of b job logs "$id" --task 3 --stderr)" oh
same "without a task it is that of the first one" "$(of b job logs "$id")" "$(of b job logs "$id" --task 0)"
same "by the allocation" "$(of c allocation logs "$(value_of a "SELECT id FROM allocation WHERE job = $id AND task = 2")")" \
	"$(of c job logs "$id" --task 2)"
of a job logs "$id" --task 7 2>"$work/said" && fail "a task that is not there has output"
has "a task that is not there is said not to be" "$(cat "$work/said")" "no task 7 of job $id"
of a job logs 999999 2>"$work/said" && fail "a job that is not there has output"
has "so is a job" "$(cat "$work/said")" "no job with the id 999999"
of a allocation logs 999999 2>"$work/said" && fail "an allocation that is not there has output"
has "so is an allocation" "$(cat "$work/said")" "no allocation with the id 999999"
"$CLUSTERCTL" --data-dir "$work/a" job logs x 2>"$work/said"
same "a job is a number" $? 2

# --- lines from the end on

job_file lines 'job lines { type = batch exec = ["seq", "1", "200000"] }'
id=$(run_job a lines)
of a job wait "$id" || fail "a job that counts fails"
seq 1 200000 >"$work/expected"
of b job logs "$id" >"$work/got"
cmp -s "$work/got" "$work/expected" || fail "more than a piece of output is not the same"
ok "output of many pieces is the same"
same "the last three lines" "$(of b job logs "$id" --tail 3 | tr '\n' ' ')" "199998 199999 200000 "
of b job logs "$id" --tail 150000 >"$work/got"
tail -n 150000 "$work/expected" | cmp -s - "$work/got" || fail "the last lines of more than a piece are not the same"
ok "the last lines of more than a piece"
same "no lines" "$(of b job logs "$id" --tail 0)" ""
of b job logs "$id" --tail 900000 | cmp -s - "$work/expected" || fail "more lines than there are"
ok "more lines than there are are all"

# --- rotated files are one, and what went is said

job_file long 'job long { type = batch exec = ["sh", "-c", "i=0; while [ $i -lt 12 ]; do head -c 4000000 /dev/zero | tr \"\\\\0\" x; i=$((i+1)); done; echo; echo end"] }'
id=$(run_job c long)
of c job wait "$id" || fail "a job that writes much fails"
of a job logs "$id" >"$work/got" 2>"$work/said"
same "what is kept of much output ends where it ended" "$(tail -n 1 "$work/got")" end
size=$(stat -c %s "$work/got")
[ "$size" -gt 10000000 ] && [ "$size" -lt 40000000 ] || fail "of 48 MB so many bytes are kept: $size"
ok "it is over several files, and not more than is kept"

# --- while it runs, as fast as it is taken

job_file slow "job slow { type = service stop_grace = 1s
  exec = [\"sh\", \"-c\", \"echo one; until [ -e $work/go ]; do sleep 0.05; done; echo two; until [ -e $work/over ]; do sleep 0.05; done; echo three\"]
  retries = 0 }"
id=$(run_job a slow)
of b job wait "$id" --running || fail "a service does not run"
"$CLUSTERCTL" --data-dir "$work/w" job logs "$id" --follow >"$work/followed" 2>&1 &
follower=$!
has_line() { [ "$(tail -n 1 "$2")" = "$1" ]; }
until_true "what runs is followed" has_line one "$work/followed"
: >"$work/go"
until_true "what comes later is followed" has_line two "$work/followed"
: >"$work/over"
wait "$follower" || fail "following does not end well: $(cat "$work/followed")"
same "it ends when the task has, and all is read" "$(tr '\n' ' ' <"$work/followed")" "one two three "

job_file flood 'job flood { type = service stop_grace = 1s exec = ["sh", "-c", "while :; do head -c 1000000 /dev/zero | tr \"\\\\0\" y; sleep 0.02; done"] on = "flood" }'
start f --role agent --join "$(address_of a)" --tag flood=yes
knows_capacity() { [ "$(value_of a "SELECT count(*) AS n FROM node WHERE cpu > 0")" = 6 ]; }
until_true "another agent is known" knows_capacity
id=$(run_job a flood)
of b job wait "$id" --running || fail "a service does not run"
mkfifo "$work/pipe"
"$CLUSTERCTL" --data-dir "$work/b" job logs "$id" --follow >"$work/pipe" 2>"$work/slow.said" &
reader=$!
exec 8<"$work/pipe"
head -c 100000 <&8 >/dev/null
before=$(resident b)
rotated() { [ "$(ls "$work/f/allocations/"*/ | grep -c stdout)" -ge 3 ]; }
until_true "a flood fills its files" rotated
same "who reads slowly does not hold up the task" "$(value_of a "SELECT state FROM job WHERE id = $id")" running
[ $(($(resident b) - before)) -lt 16000000 ] || fail "a slow reader costs the node memory"
ok "a slow reader costs the node nothing"
kill "$reader"
wait "$reader" 2>/dev/null
exec 8<&-

# --- a node that is gone

alloc=$(value_of a "SELECT id FROM allocation WHERE job = $id")
kill_member f
timeout=8s of b allocation logs "$alloc" --tail 1 >/dev/null 2>"$work/said"
code=$?
[ $code = 1 ] || [ $code = 4 ] || fail "output of a node that died: exit code $code"
has "a node that died is said not to be reached" "$(cat "$work/said")" "the node that has it"
dead() { of b allocation logs "$alloc" --tail 1 >/dev/null 2>"$work/said"; [ $? = 1 ]; }
until_true "one that is known to be dead is named at once" dead
has "by its name" "$(cat "$work/said")" "f, is dead"
of a job stop "$id" >/dev/null
for pid in "$work"/f/allocations/*/work; do
	for task in /proc/[0-9]*; do
		[ "$(readlink "$task/cwd" 2>/dev/null)" = "$pid" ] && kill -9 "${task#/proc/}" 2>/dev/null
	done
done

# --- what was cleaned up

job_file gone 'job gone { type = batch exec = ["echo", "soon gone"] }'
id=$(run_job a gone)
of a job wait "$id" || fail "a job that says a word fails"
rm -rf "$work"/{a,b,c,w,v}/allocations/ended/*
of a job logs "$id" 2>"$work/said" && fail "output that was removed is there"
has "output that was removed is said to be" "$(cat "$work/said")" "not kept on"
finish
