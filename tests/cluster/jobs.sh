#!/bin/bash
# Jobs as real processes: on one node that is stopped and killed, and on three of which one dies. jobs.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/job_words.sh"

field_of() { # NODE JOB FIELD
	value_of "$1" "SELECT $3 FROM job WHERE id = $2"
}

# --- one node

start one
of one status --wait >/dev/null || fail "the node does not get ready"

job_file good 'job good { type = batch exec = ["true"] count = 3 }'
id=$(run_job one good)
of one job wait "$id" || fail "a job of three tasks does not complete"
same "a job of three tasks completes" "$(field_of one "$id" state) $(field_of one "$id" completed)" "completed 3"
has "its exit code is told" "$(of one job status "$id" -o json)" '"exit_code":0'

job_file seven 'job seven { type = batch exec = ["sh", "-c", "exit 7"] retries = 1 backoff = 100ms }'
id=$(run_job one seven)
of one job wait "$id" 2>"$work/said" && fail "a job that fails is said to be well"
has "what failed is said" "$(cat "$work/said")" "exit code 7"
same "it was tried again" "$(of one sql "SELECT count(*) AS n FROM allocation WHERE job = $id" -o jsonl)" '{"n":2}'
has "its exit code is in the history" "$(of one job status "$id" -o json)" '"exit_code":7'

job_file absent 'job absent { type = batch exec = ["/nowhere/at-all"] retries = 0 }'
id=$(run_job one absent)
of one job wait "$id" 2>"$work/said" && fail "a job that cannot be executed is said to be well"
has "what cannot be executed is named" "$(cat "$work/said")" "/nowhere/at-all"

job_file env "job env { type = batch count = 2 env = {\"GREETING\": \"hello\"}
  exec = [\"sh\", \"-c\", \"echo \$CLUSTERD_TASK/\$CLUSTERD_TASKS \$CLUSTERD_NODE \$GREETING > $work/env.\$CLUSTERD_TASK\"] }"
of one job wait "$(run_job one env)" || fail "a job that looks at its environment fails"
same "a task knows who it is" "$(cat "$work/env.1")" "1/2 one hello"

job_file resize "job resize { type = batch parameters = {size: Number, name: Text}
  exec = [\"sh\", \"-c\", \"echo \$0 \$1 > $work/resized\", size, name] }"
of one process register "$work/jobs/resize.flow" >/dev/null || fail "a job cannot be registered"
of one job dispatch resize 800 "a b.jpg" --wait >/dev/null || fail "a job with arguments fails"
same "arguments come to the command" "$(cat "$work/resized")" "800 a b.jpg"
same "the same key runs a job once" "$(of one job dispatch resize 1 x --key k)" "$(of one job dispatch resize 2 y --key k)"

# --- a service outlives its daemon

job_file web "job web { type = service count = 2 stop_grace = 2s
  exec = [\"sh\", \"-c\", \"echo \$\$ > $work/pids/web.\$CLUSTERD_ALLOCATION; exec sleep 1000\"] }"
web=$(run_job one web)
until_true "a service runs" running_are one "$web" 2
first=$(pids_of web)
kill_member one
for pid in $first; do lives "$pid" || fail "a task died with the daemon"; done
ok "tasks live on without the daemon"
restart one
of one status --wait >/dev/null || fail "the node does not get ready again"
until_true "its tasks are known again" running_are one "$web" 2
same "they are the same ones" "$(pids_of web)" "$first"
kill -9 "$(echo "$first" | head -n 1)"
two_now() { [ "$(pids_of web | wc -l)" = 3 ] && running_are one "$web" 2; }
until_true "one that dies is begun again" two_now
of one job scale "$web" 1 || fail "a service cannot be scaled"
until_true "one is left when one is wanted" running_are one "$web" 1
job_file web "job web { type = service count = 1 stop_grace = 2s
  exec = [\"sh\", \"-c\", \"echo \$\$ > $work/pids/web2.\$CLUSTERD_ALLOCATION; exec sleep 1001\"] }"
same "a new version is the same job" "$(run_job one web)" "$web"
updated() { [ "$(pids_of web2 | wc -l)" = 1 ] && none_lives web && running_are one "$web" 1; }
until_true "the new version takes the place of the old one" updated
of one job stop "$web" || fail "a service cannot be stopped"
until_true "a service that is stopped has ended" state_is one "$web" stopped
until_true "nothing of it is left" none_lives web2

job_file deaf "job deaf { type = service stop_grace = 500ms
  exec = [\"sh\", \"-c\", \"trap '' TERM; echo \$\$ > $work/pids/deaf.1; while :; do sleep 0.1; done\"] }"
deaf=$(run_job one deaf)
until_true "one that does not listen runs" running_are one "$deaf" 1
of one job stop "$deaf"
until_true "one that ignores SIGTERM is killed after the grace" state_is one "$deaf" stopped
until_true "nothing of it is left either" none_lives deaf
"$CLUSTERCTL" --data-dir "$work/one" job stop 999999 2>"$work/said" && fail "a job that is not there is stopped"
has "a job that is not there is said not to be" "$(cat "$work/said")" "no job 999999"
stop_member one

# --- three nodes, of which one dies

three_nodes

job_file spread "job spread { type = service count = 3 placement = spread
  exec = [\"sh\", \"-c\", \"echo \$\$ > $work/pids/spread.\$CLUSTERD_ALLOCATION; exec sleep 1000\"] }"
spread=$(run_job b spread)
until_true "a service of three runs" running_are b "$spread" 3
same "on as many nodes" "$(of b sql "SELECT count(DISTINCT node) AS n FROM allocation WHERE job = $spread" -o jsonl)" '{"n":3}'

job_file many 'job many { type = batch exec = ["true"] count = 200 }'
many=$(run_job c many)
victim=$leader
for name in a b c; do [ "$name" = "$victim" ] || other=$name; done
kill_member "$victim"
patience=60
until_true "tasks of a node that died run elsewhere" running_are "$other" "$spread" 3
of "$other" --timeout 60s job wait "$many" || fail "a batch does not end when the leader dies"
same "each task of a batch has completed once" \
	"$(of "$other" sql "SELECT count(*) AS n, count(DISTINCT task) AS t FROM allocation WHERE job = $many AND state = 'completed'" -o jsonl)" \
	'{"n":200,"t":200}'
restart "$victim"
of "$victim" status --wait >/dev/null || fail "the node does not come back"
once() { running_are "$other" "$spread" 3 && [ "$(for pid in $(pids_of spread); do lives "$pid" && echo "$pid"; done | wc -l)" = 3 ]; }
until_true "what it ran before was ended: its work had moved" once
of "$other" job stop "$spread"
until_true "nothing is left" none_lives spread
finish
