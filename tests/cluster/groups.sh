#!/bin/bash
# Groups on three nodes: the barrier, what becomes of them when one does not register or ends, and what they leave behind.
# Strymon's check 7 and Strymon's check 11. groups.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/job_words.sh"
at=a
ask() { value_of "$at" "$1"; } # SQL
nothing_left() { is "$at" 0 "SELECT count(*) AS n FROM allocation WHERE job = $1 AND finished_ms IS NULL"; }
three_nodes

# --- the barrier: the last one waits for a sign before it registers

job_file barrier "job barrier { count = 3 group = stop placement = random ports = {data: 21001}
  exec = [\"sh\", \"-c\", \"echo \$CLUSTERD_HOSTS >>$work/hosts; [ \$CLUSTERD_TASK != 2 ] || until [ -e $work/go ]; do sleep 0.05; done; echo ready >>$work/ready; $CLUSTERCTL allocation ready && echo passed >>$work/passed\"] }"
barrier=$(run_job "$at" barrier)
two_are_ready() { [ "$(grep -c ready "$work/ready" 2>/dev/null)" = 2 ] && is "$at" 2 "SELECT sum(registered) AS n FROM allocation WHERE job = $barrier"; }
until_true "two of three have registered" two_are_ready
state_is "$at" "$barrier" pending || fail "the group runs before all have registered"
[ -e "$work/passed" ] && fail "one has passed before all have registered"
ok "nobody passes before all have registered"
touch "$work/go"
of a job wait "$barrier" || fail "the group does not complete"
same "all have passed" "$(grep -c passed "$work/passed")" 3
same "each was told where all are" "$(sort -u "$work/hosts" | tr ',' '\n' | grep -c ':21001$')" 3

# --- one never registers

job_file late "job late { count = 3 group = stop placement = random register_timeout = 2s stop_grace = 1s ports = {data: 21001}
  exec = [\"sh\", \"-c\", \"echo \$\$ >$work/pids/late.\$CLUSTERD_ALLOCATION; [ \$CLUSTERD_TASK = 1 ] || $CLUSTERCTL allocation ready; sleep 1000\"] }"
late=$(run_job "$at" late)
of a --timeout 60s job wait "$late" 2>"$work/said" && fail "a group of which one does not register is said to be well"
has "why is said" "$(cat "$work/said")" "2 of 3 tasks have registered within the register_timeout of 2000 ms"
same "the group has failed" "$(ask "SELECT state FROM job WHERE id = $late")" failed
until_true "no process of it remains" none_lives late
nothing_left "$late" || fail "something of the group is left"
ok "and nothing is written down to run"

# --- one is killed

job_file stops "job stops { type = service count = 3 group = stop placement = random stop_grace = 1s ports = {data: 21001} retries = 0
  exec = [\"sh\", \"-c\", \"echo \$\$ >$work/pids/stops.\$CLUSTERD_TASK; $CLUSTERCTL allocation ready; exec sleep 1000\"] }"
stops=$(run_job "$at" stops)
of a --timeout 60s job wait "$stops" --running || fail "the group does not run, or its ports are not free"
ok "a group runs with the ports of one that failed"
kill -9 "$(cat "$work/pids/stops.1")"
until_true "a group of which one is killed ends" state_is "$at" "$stops" failed
until_true "its peers are stopped" none_lives stops
job_file again "job again { type = service count = 3 group = restart placement = random stop_grace = 1s ports = {data: 21001} backoff = 100ms
  exec = [\"sh\", \"-c\", \"echo \$\$ >$work/pids/again.\$CLUSTERD_ALLOCATION; $CLUSTERCTL allocation ready; exec sleep 1000\"] }"
again=$(run_job "$at" again)
of a --timeout 60s job wait "$again" --running || fail "the group does not run, or its ports are not free"
ok "the ports of a group that was stopped are free"
first=$(cat "$work"/pids/again.*)
kill -9 "$(echo "$first" | head -n 1)"
begun_again() {
	is "$at" 3 "SELECT count(*) AS n FROM allocation WHERE job = $again AND state = 'running' AND attempt = 2 AND registered = 1" &&
		state_is "$at" "$again" running
}
until_true "a group is begun again as a whole" begun_again
for pid in $first; do lives "$pid" && fail "one of the group was not begun again"; done
ok "none of those before is left"

# --- the leader dies while one does not register

job_file orphan "job orphan { count = 2 group = stop register_timeout = 8s stop_grace = 1s
  exec = [\"sh\", \"-c\", \"echo \$\$ >$work/pids/orphan.\$CLUSTERD_ALLOCATION; sleep 1000\"] }"
orphan=$(run_job "$at" orphan)
until_true "a group waits for its members" is "$at" 2 "SELECT count(*) AS n FROM allocation WHERE job = $orphan AND state = 'running'"
agree a b c || until_true "there is a leader" agree a b c
victim=$leader
for name in a b c; do [ "$name" = "$victim" ] || at=$name; done
kill_member "$victim"
patience=60
fails() { is "$at" "failed" "SELECT state FROM job WHERE id = $orphan" || is "$at" "stopping" "SELECT state FROM job WHERE id = $orphan"; }
until_true "the next leader goes on with its time" fails
restart "$victim"
of "$victim" status --wait >/dev/null || fail "the node does not come back"
until_true "it ends" state_is "$at" "$orphan" failed
of "$at" job stop "$again"
until_true "the other one is stopped" state_is "$at" "$again" stopped
until_true "nothing of it is left" none_lives again
until_true "nothing is left of the one that failed" none_lives orphan
finish
