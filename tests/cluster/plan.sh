#!/bin/bash
# What running a file would change, before it is run; and why what was run waits.   plan.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/job_words.sh"
plan() { # NODE EXPECTED CODE: the plan is in $work/plan
	of "$1" job plan "$work/web.flow" >"$work/plan" 2>"$work/said"
	local code=$?
	[ $code = "$2" ] || fail "the plan ends with $code: $(cat "$work/plan" "$work/said")"
}
job() { printf '%s\n' "$1" >"$work/web.flow"; }
rows() { value_of a "SELECT (SELECT count(*) FROM job) || '/' || (SELECT count(*) FROM allocation) || '/' || (SELECT count(*) FROM unit) AS x"; }

three_nodes
before=$(rows)
job 'job web { type = service count = 3 placement = spread exec = ["sleep", "1000"] stop_grace = 1s }'
plan b 1
has "a new job is told" "$(cat "$work/plan")" "+ web@1  service, new, 3 tasks"
for node in a b c; do has "one task on $node" "$(cat "$work/plan")" "1 on $node"; done
same "nothing was changed" "$(rows)" "$before"
id=$(of c job run "$work/web.flow" | awk '{ print $1 }')
runs() { [ "$(value_of a "SELECT count(*) AS n FROM allocation WHERE job = $id AND state = 'running'")" = 3 ]; }
until_true "it runs" runs
plan c 0
same "then nothing would be changed" "$(cat "$work/plan")" "= web@1  job $id, unchanged"
before=$(rows)
job 'job web { type = service count = 2 placement = spread exec = ["sleep", "1001"] env = {"A": "b"} stop_grace = 1s }'
plan a 1
has "what would be updated is told" "$(cat "$work/plan")" "~ web@2  job $id, updated from version 1"
has "with what is another value" "$(cat "$work/plan")" "count: 3 → 2"
has "of a list, too" "$(cat "$work/plan")" 'exec: ["sleep", "1000"] → ["sleep", "1001"]'
has "and what is new" "$(cat "$work/plan")" 'env: (default) → {"A": "b"}'
has "as JSON" "$(of b job plan "$work/web.flow" -o json)" '"change":"updated"'
job 'job big { type = batch count = 2 memory = "900TiB" exec = ["true"] }'
plan b 1
has "what would have no place is told" "$(cat "$work/plan")" "2 would have no place now"
has "and why" "$(cat "$work/plan")" "3 of 3 nodes"
job 'job web { type = servce exec = ["true"] }'
plan b 1
has "what is wrong is told as always" "$(cat "$work/said")" "did you mean"
same "nothing was changed by all that" "$(rows)" "$before"

# --- why what was run waits

job 'job big { type = batch count = 2 memory = "900TiB" exec = ["true"] }'
big=$(of a job run "$work/web.flow" | awk '{ print $1 }')
waits() { of c job status "$big" | grep -q "2 tasks wait for a place"; }
until_true "tasks that have no place are told" waits
has "and why" "$(of c job status "$big")" "3 of 3 nodes: memory"
of a job stop "$big"
status=$(of b job status "$id")
has "tasks are counted" "$status" "Tasks by their newest attempt"
has "and listed with their nodes" "$status" "Newest attempts"
has "and what has happened last" "$status" "started"
job 'job seven { type = batch exec = ["sh", "-c", "exit 7"] retries = 1 backoff = 100ms }'
seven=$(of a job run "$work/web.flow" | awk '{ print $1 }')
of a job wait "$seven" 2>/dev/null && fail "a job that fails is said to be well"
has "how it ended is in its events" "$(of c job status "$seven")" "exit code 7"
has "and as JSON" "$(of c job status "$seven" -o json)" '"exit_code":7'
alloc=$(of a allocation list --job "$id" --node b -o jsonl | sed 's/^{"id":\([0-9]*\),.*/\1/')
has "what runs on a node is listed" "$(of c allocation status "$alloc" -o json)" '"node":"b","state":"running"'
of a allocation status 999999 2>"$work/said" && fail "an allocation that is not there has a status"
has "one that is not there is said not to be" "$(cat "$work/said")" "no allocation with the id 999999"
same "those that have ended are left out" "$(of a allocation list --job "$seven" -o jsonl)" ""
same "unless they are asked for" "$(of a allocation list --job "$seven" --all -o jsonl | wc -l)" 2
of a job stop "$id"
ended() { [ "$(value_of a "SELECT count(*) AS n FROM allocation WHERE finished_ms IS NULL")" = 0 ]; }
until_true "nothing is left" ended
finish
