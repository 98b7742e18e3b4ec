#!/bin/bash
# Nodes that are emptied, and jobs that put out lower ones, on three nodes. drain.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/job_words.sh"
at=a
ask() { value_of "$at" "$1"; } # SQL
on() { ask "SELECT count(*) AS n FROM allocation JOIN node ON node.id = node WHERE node.name = '$1' AND finished_ms IS NULL $2"; } # NODE AND…
three_nodes

job_file web 'job web { type = service count = 3 placement = spread exec = ["sleep", "1000"] stop_grace = 1s }'
job_file every 'job every { type = system exec = ["sleep", "1000"] stop_grace = 1s }'
job_file long "job long { count = 3 placement = random exec = [\"sh\", \"-c\", \"until [ -e $work/go ]; do sleep 0.1; done\"] stop_grace = 1s }"
web=$(run_job "$at" web) every=$(run_job "$at" every) long=$(run_job "$at" long)
until_true "a service runs" running_are "$at" "$web" 3
until_true "something runs on every node" running_are "$at" "$every" 3
until_true "a batch runs on three" running_are "$at" "$long" 3
[ "$(on b "AND job = $web")" -gt 0 ] || fail "nothing of the service is on b"

# --- services move, batch tasks may end

of a node drain b --deadline 5m --detach || fail "b cannot be drained"
moved() { running_are "$at" "$web" 3 && [ "$(on b "AND job = $web")" = 0 ]; }
until_true "the service has moved" moved
same "why it was ended is said" "$(ask "SELECT DISTINCT error AS e FROM allocation WHERE job = $web AND state = 'stopped'")" "its node is drained"
same "the batch task goes on" "$(on b "AND job = $long")" 1
has "that it is drained is shown" "$(of a node status b)" "draining"
has "and with the members" "$(of a member list -o json)" '"drain":"draining"'
of a --timeout 1s node drain b --deadline 5m
same "the time may run out while it goes on" $? 4
touch "$work/go"
of a --timeout 60s node drain b || fail "b is not empty"
same "nothing is left on it" "$(on b "")" 0
has "it is drained" "$(of a node status b -o json)" '"drain":"drained"'
job_file three 'job three { count = 20 placement = spread exec = ["true"] }'
of a job wait "$(run_job "$at" three)" || fail "a batch does not complete beside a drained node"
same "a drained node gets nothing" "$(ask "SELECT count(*) AS n FROM allocation JOIN job ON job.id = job JOIN node ON node.id = node WHERE job.name = 'three' AND node.name = 'b'")" 0
of a node drain b --cancel || fail "b cannot be used again"
until_true "it is used again" running_are "$at" "$every" 3
of a node drain nobody 2>"$work/said" && fail "a node that is not there is drained"
has "a node that is not there is said not to be" "$(cat "$work/said")" "there is no member nobody"

# --- what does not end by itself, while the leader dies

job_file stubborn 'job stubborn { count = 3 placement = random exec = ["sleep", "1000"] stop_grace = 1s }'
stubborn=$(run_job "$at" stubborn)
until_true "a batch that does not end runs" running_are "$at" "$stubborn" 3
agree a b c || until_true "there is a leader" agree a b c
victim=$leader
for name in a b c; do [ "$name" = "$victim" ] || at=$name; done
of "$at" node drain "$at" --deadline 3s --detach || fail "it cannot be drained"
kill_member "$victim"
patience=60
drained() { [ "$(on "$at" "")" = 0 ] && is "$at" drained "SELECT drain FROM node WHERE name = '$at'"; }
until_true "after the deadline nothing is left, whoever leads" drained
restart "$victim"
of "$victim" status --wait >/dev/null || fail "the node does not come back"
of "$at" node drain "$at" --cancel || fail "it cannot be used again"
for job in "$stubborn" "$web" "$every"; do of "$at" job stop "$job"; done
nothing() { is "$at" 0 "SELECT count(*) AS n FROM allocation WHERE finished_ms IS NULL"; }
until_true "nothing is left" nothing

# --- a job of a high priority puts out a lower one

cpu=$(ask "SELECT min(cpu) AS n FROM node")
job_file low "job low { type = service priority = 10 count = 3 placement = spread cpu = $((cpu / 1000)) exec = [\"sleep\", \"1000\"] stop_grace = 1s }"
low=$(run_job "$at" low)
until_true "a low one takes all there is" running_are "$at" "$low" 3
job_file equal "job equal { priority = 15 cpu = $((cpu / 1000)) exec = [\"true\"] }"
equal=$(run_job "$at" equal)
job_file high "job high { priority = 90 cpu = $((cpu / 1000)) exec = [\"sh\", \"-c\", \"until [ -e $work/done ]; do sleep 0.1; done\"] }"
high=$(run_job "$at" high)
until_true "a high one runs" running_are "$at" "$high" 1
until_true "in the place of one that is lower" running_are "$at" "$low" 2
same "why that was ended is said" "$(ask "SELECT error AS e FROM allocation WHERE job = $low AND state = 'stopped'")" "it makes room for job $high of priority 90"
has "its priority is shown" "$(of "$at" job status "$high" -o json)" '"priority":90'
same "one that is hardly higher puts nobody out" "$(ask "SELECT state FROM job WHERE id = $equal")" pending
touch "$work/done"
of "$at" job wait "$high" || fail "the high one does not complete"
of "$at" --timeout 60s job wait "$equal" || fail "the other one does not complete"
until_true "the low one is as many as before" running_are "$at" "$low" 3
of "$at" job stop "$low"
until_true "nothing is left in the end" nothing
finish
