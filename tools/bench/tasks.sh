#!/bin/bash
# What a task costs: one job of many tasks that each are `true`, on five nodes of one machine.
# tasks.sh CLUSTERD CLUSTERCTL [TASKS [NODES]]
#
# Prints how long it took until the job was accepted, all tasks had ended, how many that was each second, the time from submission to start,
# the most memory that a server had, the slowest answer to `status` meanwhile, and the processor time of all for each task. Exits with 1
# when one of the checks fails: accepted in 1 s, ended in 120 s, 200 MiB, 100 ms; they hold for 10,000 tasks on five nodes.
CLUSTERD=$1 CLUSTERCTL=$2
tasks=${3:-10000} nodes=${4:-5}
. "$(dirname "$0")/../../tests/cluster/node.sh"
. "$(dirname "$0")/../../tests/cluster/nodes.sh"
trap 'cleanup_nodes; cleanup' EXIT
failed=0

now_ms() { echo $(($(date +%s%N) / 1000000)); }
check() { # WHAT VALUE LIMIT UNIT
	local said=ok
	[ "$2" -le "$3" ] || { said="TOO MUCH, at most $3 $4"; failed=1; }
	printf '%-34s %8s %-4s %s\n' "$1" "$2" "$4" "$said"
}
number_of() { # SQL: one number
	of n1 sql "$1" -o jsonl | sed 's/.*:\(-\{0,1\}[0-9]*\)[.0-9]*}/\1/'
}
# The largest of all servers now, in MiB.
most_memory() {
	local name page
	page=$(($(getconf PAGESIZE) / 1024))
	for name in "${!pid_of[@]}"; do awk -v page="$page" '{ print int($2 * page / 1024) + 1 }' "/proc/${pid_of[$name]}/statm"; done | sort -n | tail -n 1
}
# User and system time of all processors so far, in hundredths of a second.
processor_time() { awk '/^cpu / { print $2 + $3 + $4; exit }' /proc/stat; }

names=()
for i in $(seq 1 "$nodes"); do names+=("n$i"); done
start n1 --expect "$nodes"
for name in "${names[@]:1}"; do start "$name" --expect "$nodes" --join "$(address_of n1)"; done
patience=60
until_true "$nodes nodes form a cluster" agree "${names[@]}"
known() { [ "$(number_of "SELECT count(*) AS n FROM node WHERE cpu > 0")" = "$nodes" ]; }
until_true "what they have to give is known" known

printf 'job many { type = batch exec = ["true"] count = %d }\n' "$tasks" >"$work/many.flow"
busy_before=$(processor_time)
began=$(now_ms)
id=$(of "$leader" job run "$work/many.flow" | awk '{ print $1 }')
accepted=$(($(now_ms) - began))
[ -n "$id" ] || fail "the job is not accepted"

slowest=0 memory=0
while kill -0 "${pid_of[n1]}" 2>/dev/null; do
	asked=$(now_ms)
	status_field n1 state >/dev/null
	took=$(($(now_ms) - asked))
	[ $took -le $slowest ] || slowest=$took
	now=$(most_memory)
	[ "$now" -le $memory ] || memory=$now
	[ $(($(now_ms) - began)) -lt ${longest:-180000} ] || break
	if of n1 --timeout 500ms job wait "$id" >/dev/null 2>&1; then break; fi
done
ended=$(($(now_ms) - began))
busy=$((($(processor_time) - busy_before) * 10))
completed=$(number_of "SELECT count(*) AS n FROM allocation WHERE job = $id AND state = 'completed'")
first=$(number_of "SELECT min(a.started_ms) - j.submitted_ms AS n FROM allocation AS a JOIN job AS j ON j.id = a.job WHERE j.id = $id")
half=$(number_of "SELECT started_ms - (SELECT submitted_ms FROM job WHERE id = $id) AS n FROM allocation WHERE job = $id AND started_ms IS NOT NULL ORDER BY started_ms LIMIT 1 OFFSET (SELECT count(started_ms) / 2 FROM allocation WHERE job = $id)")

printf '%-34s %8s\n' "tasks" "$tasks"
printf '%-34s %8s\n' "nodes" "$nodes"
check "accepted after" "$accepted" 1000 ms
check "all have ended after" "$ended" 120000 ms
check "tasks that did not complete" $((tasks - completed)) 0 ""
check "most memory of a server" "$memory" 200 MiB
check "slowest answer to status" "$slowest" 100 ms
printf '%-34s %8s\n' "tasks a second" $((completed * 1000 / ended))
printf '%-34s %8s ms\n' "submission to start, the first" "$first"
printf '%-34s %8s ms\n' "submission to start, half of them" "$half"
printf '%-34s %8s µs\n' "processor time for a task" $((busy * 1000 / tasks))
exit $failed
