#!/bin/bash
# What survives which death: nodes that are listed while they live, jobs and ids that outlive their leader and every server.
# Strymon's check 1, and Strymon's check 28 as far as jobs go. jobs_survive.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/job_words.sh"
three_nodes

# --- Strymon's check 1: who runs tasks is listed once it has started, and not once it is dead

state_of_node() { # NODE NAME: as the catalog of the node lists it
	value_of "$1" "SELECT state AS a FROM node WHERE name = '$2'"
}
state_of_node_is() { [ "$(state_of_node "$1" "$2")" = "$3" ]; }
start w --role agent --join "$(address_of a)"
for node in a b c; do until_true "an agent that starts is listed by $node" state_of_node_is $node w alive; done
until_true "with what it has to give" is b 1 "SELECT cpu > 0 AND memory > 0 AS n FROM node WHERE name = 'w'"
job_file onw 'job onw { type = service exec = ["sleep", "1000"] nodes = "w" stop_grace = 1s }'
onw=$(run_job a onw)
of a --timeout 30s job wait "$onw" --running || fail "the agent runs nothing"
kill_member w
for node in a b c; do until_true "once it is killed it is not listed by $node as one that lives" state_of_node_is $node w failed; done
until_true "what it ran is known to be lost" is a 1 "SELECT count(*) AS n FROM allocation WHERE job = $onw AND state = 'lost'"
until_true "and waits" is a 0 "SELECT running AS n FROM job WHERE id = $onw"
restart w --role agent --join "$(address_of a)"
until_true "it is listed again" state_of_node_is a w alive
of a --timeout 30s job wait "$onw" --running || fail "what waited for it does not run again"
ok "what waited for it runs again"
of a job stop "$onw"

# --- the leader is killed: submitting succeeds on the next one

task="echo \$\$ >$work/pids/web.\$CLUSTERD_ALLOCATION; exec sleep 1000"
job_file web "job web { type = service count = 3 placement = spread stop_grace = 1s exec = [\"sh\", \"-c\", \"$task\"] }"
web=$(run_job a web)
until_true "a service runs" running_are a "$web" 3
agree a b c || until_true "there is a leader" agree a b c
victim=$leader
for node in a b c; do [ "$node" = "$victim" ] || at=$node; done
printf '#!/bin/sh\necho done by $CLUSTERD_NODE\n' >"$work/program"
chmod +x "$work/program"
kill_member "$victim"
submitted=$(of "$at" submit "$work/program" --name next | awk '{ print $1 }')
[ "${submitted:-0}" -gt "$web" ] || fail "the id of what is submitted to the next leader is $submitted, after $web"
of "$at" --timeout 60s job wait "$submitted" || fail "what is submitted to the next leader does not complete"
ok "what is submitted to the next leader completes, with an id that comes after those before"
restart "$victim"
of "$victim" status --wait >/dev/null || fail_with "$victim" "the node does not come back"
patience=60
three_live() { running_are "$at" "$web" 3 && [ "$(for pid in $(pids_of web); do lives "$pid" && echo "$pid"; done | wc -l)" = 3 ]; }
until_true "the service has what it had, once" three_live

# --- every server is killed, and comes back

of_this() { value_of "$1" "SELECT group_concat(id || ' ' || name || ' ' || state, ', ') AS all_of_them FROM (SELECT * FROM job ORDER BY id)"; }
allocations() { value_of "$1" "SELECT group_concat(id || ' ' || node, ', ') AS all_of_them FROM (SELECT * FROM allocation WHERE job = $web AND state = 'running' ORDER BY id)"; }
jobs_before=$(of_this "$at") allocations_before=$(allocations "$at")
pids_before=$(for pid in $(pids_of web); do lives "$pid" && echo "$pid"; done | sort)
for node in a b c; do kill_member $node; done
for pid in $pids_before; do lives "$pid" || fail "a task has ended with its server"; done
ok "tasks live on while there is no server at all"
for node in a b c; do restart $node; done
until_true "the cluster comes back" agree a b c
same "jobs, their states and ids are what they were" "$(of_this "$at")" "$jobs_before"
until_true "the service runs" running_are a "$web" 3
until_true "the agent is back" state_of_node_is a w alive
until_true "its tasks are the same ones" eval '[ "$(allocations a)" = "$allocations_before" ]'
same "as processes too" "$(for pid in $(pids_of web); do lives "$pid" && echo "$pid"; done | sort)" "$pids_before"
after=$(of b submit "$work/program" --name again | awk '{ print $1 }')
[ "${after:-0}" -gt "$submitted" ] || fail "the id of what is submitted then is $after, after $submitted"
of c --timeout 60s job wait "$after" || fail "what is submitted then does not complete"
ok "what is submitted then completes, with an id of its own"
of a job stop "$web"
until_true "nothing is left" none_lives web
finish
