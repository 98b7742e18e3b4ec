#!/bin/bash
# Periodic jobs on three nodes, of which the leader is killed. job_kinds.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/job_words.sh"

ask() { value_of "$at" "$1"; } # SQL
three_nodes
at=a

# --- periodic jobs

job_file minute "job minute { type = periodic schedule = \"* * * * *\" parameters = {how: \"by itself\"}
  exec = [\"sh\", \"-c\", \"echo \$0 \$CLUSTERD_JOB >>$work/runs\", how] }"
minute=$(run_job "$at" minute)
next_is_known() { [ "$(ask "SELECT next_ms % 60000 AS n FROM job WHERE id = $minute")" = 0 ]; }
until_true "the next run of a periodic job is known" next_is_known
due=$(ask "SELECT next_ms AS n FROM job WHERE id = $minute")
run=$(of a job dispatch minute --wait) || fail "a periodic job is not run now"
same "it is run now when somebody asks" "$(ask "SELECT parent AS n FROM job WHERE id = $run")" "$minute"
has "and says when it is due next" "$(of a job status "$minute" -o json)" "$due"
has "and which runs there were" "$(of a job status "$minute")" "completed"
agree a b c || until_true "there is a leader" agree a b c
victim=$leader
for name in a b c; do [ "$name" = "$victim" ] || at=$name; done
kill_member "$victim"
patience=150
ran() { is "$at" 1 "SELECT count(*) >= 2 AS n FROM job WHERE parent = $minute AND state = 'completed'"; }
until_true "when it is due it is run, whoever leads" ran
of "$at" job stop "$minute" || fail "a periodic job cannot be stopped"
same "a periodic job that is stopped has ended" "$(ask "SELECT state FROM job WHERE id = $minute")" stopped
same "each time was run once" "$(ask "SELECT count(*) - count(DISTINCT submitted_ms / 60000) AS n FROM job WHERE parent = $minute AND id != $run")" 0
same "each run ran once" "$(sort "$work/runs" | uniq -d)" ""
patience=20
restart "$victim"
of "$victim" status --wait >/dev/null || fail "the node does not come back"
until_true "the leader is known" agree a b c
finish
