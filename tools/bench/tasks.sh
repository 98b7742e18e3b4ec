#!/bin/bash
# What a task costs: one job of many tasks that each are `true`, on five nodes of one machine.
# tasks.sh CLUSTERD CLUSTERCTL [TASKS [NODES]]
#
# Prints how long it took until the job was accepted (with the start of clusterctl), until all tasks had ended, how many that was each
# second, the time from submission to start, the most memory that a server had, what one client waited for its answers that stays connected
# to the first node and asks for its status and for the job all the while (clusterd-asks), and the processor time of the whole machine
# for each task. Exits with 1 when one of the checks fails: accepted in 1 s, ended in 120 s, 200 MiB, 100 ms; they hold for 10,000 tasks on
# five nodes. Each node is in a session of its own, as it is where something else than a shell starts it.
CLUSTERD=$1 CLUSTERCTL=$2
tasks=${3:-10000} nodes=${4:-5}
asks=$(dirname "$CLUSTERCTL")/../bench/clusterd-asks
. "$(dirname "$0")/../../tests/cluster/node.sh"
. "$(dirname "$0")/../../tests/cluster/nodes.sh"
trap 'exec 2>/dev/null; cleanup_nodes; cleanup' EXIT
failed=0
launch() {
	shift
	exec setsid "$@"
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }
check() { # WHAT VALUE LIMIT UNIT
	local said=ok
	[ "$2" -le "$3" ] || { said="TOO MUCH, at most $3 $4"; failed=1; }
	printf '%-34s %8s %-4s %s\n' "$1" "$2" "$4" "$said"
}
number_of() { # SQL: one number
	of n1 sql "$1" -o jsonl | sed 's/.*:\(-\{0,1\}[0-9]*\)[.0-9]*}/\1/'
}
# The largest that any server was, in MiB.
most_memory() {
	local name
	for name in "${!pid_of[@]}"; do awk '/^VmHWM/ { print int($2 / 1024) + 1 }' "/proc/${pid_of[$name]}/status"; done | sort -n | tail -n 1
}
# User and system time of all processors so far, in hundredths of a second.
processor_time() { awk '/^cpu / { print $2 + $3 + $4; exit }' /proc/stat; }
# Of the servers alone: all of their threads, so far.
server_time() {
	local name sum=0
	for name in "${!pid_of[@]}"; do sum=$((sum + $(awk '{ print $14 + $15 }' "/proc/${pid_of[$name]}/stat"))); done
	echo $sum
}
after_submission() { # PERCENT: of the tasks have been started so many ms after it
	number_of "SELECT started_ms - (SELECT submitted_ms FROM job WHERE id = $id) AS n FROM allocation WHERE job = $id AND started_ms IS NOT NULL
		ORDER BY started_ms LIMIT 1 OFFSET (SELECT (count(started_ms) - 1) * $1 / 100 FROM allocation WHERE job = $id)"
}

names=()
for i in $(seq 1 "$nodes"); do names+=("n$i"); done
start n1 --expect "$nodes"
for name in "${names[@]:1}"; do start "$name" --expect "$nodes" --join "$(address_of n1)"; done
patience=60
until_true "$nodes nodes form a cluster" agree "${names[@]}"
known() { [ "$(number_of "SELECT count(*) AS n FROM node WHERE cpu > 0")" = "$nodes" ]; }
until_true "what they have to give is known" known
CLUSTERD_TOKEN=$(cat "$work/n1/token")
export CLUSTERD_TOKEN

printf 'job many { type = batch exec = ["true"] count = %d }\n' "$tasks" >"$work/many.flow"
busy_before=$(processor_time) servers_before=$(server_time)
began=$(now_ms)
id=$(of "$leader" job run "$work/many.flow" | awk '{ print $1 }')
accepted=$(($(now_ms) - began))
[ -n "$id" ] || fail "the job is not accepted"
timeout "${longest:-180}" setsid "$asks" "$(address_of n1)" "$id" >"$work/asked" || fail "the job does not end, or nobody answers"
ended=$(($(now_ms) - began))
busy=$((($(processor_time) - busy_before) * 10))
servers=$((($(server_time) - servers_before) * 10))
completed=$(number_of "SELECT count(*) AS n FROM allocation WHERE job = $id AND state = 'completed'")

printf '%-34s %8s\n' "tasks" "$tasks"
printf '%-34s %8s\n' "nodes" "$nodes"
check "accepted after" "$accepted" 1000 ms
check "all have ended after" "$ended" 120000 ms
check "tasks that did not complete" $((tasks - completed)) 0 ""
check "most memory of a server" "$(most_memory)" 200 MiB
while read -r what count half most slowest; do
	printf '%-34s %8s ms\n' "$what: p50 of $count answers" "$half"
	printf '%-34s %8s ms\n' "$what: p99" "$most"
	check "$what: the slowest answer" "$(printf '%.0f' "$slowest")" 100 ms
done <"$work/asked"
printf '%-34s %8s\n' "tasks a second" $((completed * 1000 / ended))
printf '%-34s %8s ms\n' "submission to start, the first" "$(after_submission 0)"
printf '%-34s %8s ms\n' "submission to start, p50" "$(after_submission 50)"
printf '%-34s %8s ms\n' "submission to start, p99" "$(after_submission 99)"
printf '%-34s %8s µs\n' "processor time for a task" $((busy * 1000 / tasks))
printf '%-34s %8s µs\n' "of that, the servers" $((servers * 1000 / tasks))
exit $failed
