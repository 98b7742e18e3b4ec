#!/bin/bash
# Jobs that do what they should not: each ends with a clear error, a good job beside them is not harmed, and nothing is left behind.
# bad_jobs.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/job_words.sh"
# Tasks outlive their node: those of this test go with it, also when it fails.
kill_tasks() {
	local file
	for file in $(grep -lsa -- "$work" /proc/[0-9]*/environ); do
		file=${file%/environ}
		kill -9 "${file#/proc/}" 2>/dev/null
	done
}
trap 'kill_tasks; cleanup_nodes; cleanup' EXIT

field_of() { value_of one "SELECT $2 FROM job WHERE id = $1"; } # JOB FIELD
# Who has this word in the command line.
processes_with() { grep -lsa -- "$1" /proc/[0-9]*/cmdline | grep -v "/$$/" | wc -l; }
none_with() { [ "$(processes_with "$1")" = 0 ]; }
fails_with() { # WHAT NAME PART
	local id
	id=$(run_job one "$2")
	of one job wait "$id" 2>"$work/said" && fail "$1: it is said to be well"
	has "$1" "$(cat "$work/said")" "$3"
}

filler_is_gone() { [ -z "$(find "$work/one/allocations" -path '*/work/a/*' 2>/dev/null)" ]; }

start one
of one status --wait >/dev/null || fail "the node does not get ready"
job_file good 'job good { type = service exec = ["sleep", "100001"] }'
good=$(run_job one good)
until_true "a good job runs" running_are one "$good" 1

mkdir -p "$work/bin"
printf '\177ELF this is none' >"$work/bin/nonsense"
chmod +x "$work/bin/nonsense"
job_file format "job format { type = batch exec = [\"$work/bin/nonsense\"] retries = 0 }"
fails_with "a binary that is none is named" format "$work/bin/nonsense"
job_file missing 'job missing { type = batch exec = ["/nowhere/at/all"] retries = 0 }'
fails_with "one that is not there is named" missing "/nowhere/at/all"

job_file greedy "job greedy { type = batch memory = \"64MiB\" retries = 0
  exec = [\"awk\", \"BEGIN { s = \\\"x\\\"; while (1) s = s s }\"] }"
id=$(run_job one greedy)
of one job wait "$id" 2>"$work/said" && fail "more memory than its limit is given"
ok "more memory than its limit ends a task"

# Both end by themselves before they could do harm here, should nobody end them.
job_file bomb 'job bomb { type = batch retries = 0 processes = 40
  exec = ["sh", "-c", "i=0; while [ $i -lt 1500 ]; do (setsid sleep 100005 & setsid sleep 100005) & i=$((i + 1)); done; wait"] }'
fails_with "one that forks without end is ended" bomb "too many processes: it had "
has "it is said how many it may have" "$(cat "$work/said")" "and may have 40"
until_true "none of its processes is left" none_with "10000[5]"
job_file filler 'job filler { type = batch retries = 0 disk = "4MiB"
  exec = ["sh", "-c", "mkdir a; i=0; while [ $i -lt 100 ]; do head -c 1000000 /dev/zero >a/$i; i=$((i + 1)); done; sleep 100006"] }'
fails_with "one that fills its disk is ended" filler "too much on the disk: its working directory had "
has "it is said how much it may have" "$(cat "$work/said")" "and may have 4194304"
until_true "what it has written is gone" filler_is_gone
has "the history says it, too" "$(of one job history "$(of one sql "SELECT max(id) FROM job WHERE name = 'filler'" -o jsonl | tr -dc 0-9)" -o jsonl)" "too much on the disk"
job_file modest 'job modest { type = batch retries = 0 processes = 40 disk = "4MiB"
  exec = ["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3 & done; head -c 2000000 /dev/zero >a; wait"] }'
of one job wait "$(run_job one modest)" || fail "one that keeps to its limits fails"
ok "one that keeps to its limits runs to its end"
until_true "the good job runs on" running_are one "$good" 1

job_file chatter 'job chatter { type = service stop_grace = 1s exec = ["sh", "-c", "while :; do echo 100002 and more of it; done"] }'
chatter=$(run_job one chatter)
until_true "one that prints without end runs" running_are one "$chatter" 1
job_file deaf "job deaf { type = service stop_grace = 500ms exec = [\"sh\", \"-c\", \"trap '' TERM; while :; do sleep 0.1; : 100003; done\"] }"
deaf=$(run_job one deaf)
until_true "one that ignores SIGTERM runs" running_are one "$deaf" 1
job_file forker 'job forker { type = service stop_grace = 500ms
  exec = ["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do setsid sleep 100004 & done; exec sleep 100004"] }'
forker=$(run_job one forker)
ten_run() { [ "$(processes_with "10000[4]")" -ge 11 ]; }
until_true "one that forks runs" ten_run
of one job wait "$(job_file quick 'job quick { type = batch exec = ["true"] }'; run_job one quick)" || fail "a good job fails beside them"
ok "a good job runs to its end beside them"
for id in "$chatter" "$deaf" "$forker"; do of one job stop "$id"; done
until_true "one that prints without end is stopped" state_is one "$chatter" stopped
until_true "one that ignores SIGTERM is killed after its grace" state_is one "$deaf" stopped
until_true "one that forks is stopped" state_is one "$forker" stopped
until_true "none of its processes is left, in whatever session" none_with "10000[4]"
size=$(du -sk "$work/one/allocations" | awk '{ print $1 }')
[ "$size" -lt 200000 ] || fail "what was printed takes $size KiB"
ok "what was printed takes a bounded place"
until_true "the good job still runs" running_are one "$good" 1
of one job stop "$good"
until_true "it ends when it is to" none_with "10000[1]"
finish
