#!/bin/bash
# A workflow over three nodes that runs batch jobs on real input, and the leader is killed in the middle: the right result, each step once.
# Also how calls of jobs fail, and are cancelled. job_workflow.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
examples=$here/../../examples/jobs
texts=/usr/share/common-licenses
[ -d $texts ] || texts=$examples # where a system has no licences

ask() { # SQL: one number
	of "$at" sql "$1" -o jsonl | sed 's/^{"[a-z]*"://; s/}$//; s/^"//; s/"$//'
}
number_is() { [ "$(ask "$2")" = "$1" ]; } # NUMBER SQL
start a --expect 3
start b --expect 3 --join "$(address_of a)"
start c --expect 3 --join "$(address_of a)"
until_true "three nodes form a cluster" agree a b c
at=a
until_true "what nodes have to give is known" number_is 3 "SELECT count(*) AS n FROM node WHERE cpu > 0"

mkdir "$work/flow" "$work/plain"
cp "$examples"/licences.flow "$examples"/*.sh "$work/plain"
cp "$examples"/licences.flow "$examples"/*.sh "$work/flow"
# Those that count wait for a sign, so that there is a middle to be killed in.
sed -i "s|^export|echo \"\$1\" >>$work/begun; while ! [ -e $work/go ]; do sleep 0.05; done; export|" "$work/flow/words.sh"
of a process register "$work/flow/licences.flow" >/dev/null || fail "the workflow is not registered"
id=$(of a workflow start Licences "$texts") || fail "the workflow does not start"
spread() { number_is 3 "SELECT count(DISTINCT node) AS n FROM allocation WHERE state = 'running'"; }
until_true "its tasks run on three nodes" spread
agree a b c || until_true "there is a leader" agree a b c
victim=$leader
for name in a b c; do [ "$name" = "$victim" ] || at=$name; done
kill_member "$victim"
touch "$work/go"
patience=60
finished() { number_is completed "SELECT state FROM pi_instance WHERE id = $id"; }
until_true "the workflow completes without the node that led" finished
result=$(ask "SELECT result FROM pi_instance WHERE id = $id")
files=0 words=0
for text in $(find -H $texts -maxdepth 1 -type f); do
	files=$((files + 1))
	words=$((words + $(LC_ALL=C tr -cs 'A-Za-z' '\n' <"$text" | sed '/^$/d' | wc -l)))
done
has "it has counted all words of all files" "$result" "{\"files\":$files,\"words\":$words,"
same "each call has returned once" "$(ask "SELECT count(*) - count(DISTINCT ref) AS n FROM pi_history WHERE instance = $id AND kind = 'return'")" 0
same "each attempt had one job" "$(ask "SELECT count(*) - count(DISTINCT ref || '/' || attempt) AS n FROM job WHERE instance = $id")" 0
same "no call was begun anew for it" "$(ask "SELECT max(attempts) AS n FROM pi_call WHERE instance = $id")" 1
same "each job has completed once" "$(ask "SELECT count(*) - sum(completed) AS n FROM job WHERE instance = $id")" 0
[ "$(ask "SELECT sum(lost) AS n FROM job WHERE instance = $id")" -gt 0 ] || fail "no task was lost with the node"
ok "tasks of the node that died ran elsewhere"

restart "$victim"
of "$victim" status --wait >/dev/null || fail "the node does not come back"
nothing_left() { number_is 0 "SELECT count(*) AS n FROM allocation WHERE finished_ms IS NULL"; }
until_true "nothing is left to run" nothing_left
of "$at" process register "$work/plain/licences.flow" >/dev/null || fail "the workflow is not registered again"
same "without a death it gives the same" "$(timeout=60s of "$at" run -p Licences "$work/plain/licences.flow" $texts)" "$result"

# --- how calls of jobs end otherwise

cat >"$work/flow/ends.flow" <<'END'
job seven { exec = ["sh", "-c", "echo what went wrong >&2; exit 7"] retries = 1 backoff = 100ms }
process Seven() -> Text { job = seven stdout = text }
workflow Fails() -> Text { Seven() }
job wrong { exec = ["echo", "no number"] }
process Wrong() -> Number { job = wrong }
workflow Mistaken() -> Number { Wrong() }
job large { exec = ["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"] }
process Large() -> Text { job = large stdout = text }
workflow TooMuch() -> Text { Large() }
job big { exec = ["sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x"] }
process Big() -> Text { job = big stdout = text }
workflow Much() -> [Text] { each _ in [1, 2, 3, 4, 5, 6, 7, 8] { Big() after sleep(1ms) } }
job slow { exec = ["sleep", "1000"] stop_grace = 1s }
process Slow() -> () { job = slow stdout = none timeout = 500ms }
workflow Late() -> () { Slow() }
process Long() -> () { job = slow stdout = none }
workflow Cancelled() -> () { Long() }
END
of "$at" process register "$work/flow/ends.flow" >/dev/null || fail "the others are not registered"
ends() { # WORKFLOW TEXT WHAT
	of "$at" workflow start "$1" --wait 2>"$work/said" && fail "$1 is said to be well"
	has "$3" "$(cat "$work/said")" "$2"
}
ends Fails "exit code 7: what went wrong" "a call fails with the exit code and the end of stderr of its task"
ends Mistaken "stdout is not one JSON value" "what is no JSON is said not to be"
ends TooMuch "printed more than 1 MiB" "more than may be printed is refused"
ends Late "it did not finish within its timeout of 500 ms" "a call has its own timeout"
same "large outputs come whole, and several at a time" \
	"$(of "$at" workflow start Much --wait | tr -d '[]",\n' | wc -c)" 800000
id=$(of "$at" workflow start Cancelled)
until_true "a call's job runs" number_is 1 "SELECT count(*) AS n FROM allocation JOIN job ON job.id = job WHERE instance = $id AND allocation.state = 'running'"
of "$at" workflow cancel "$id" || fail "it cannot be cancelled"
until_true "a workflow that is cancelled stops its job" number_is stopped "SELECT state FROM job WHERE instance = $id"
until_true "nothing is left to run at the end" nothing_left
finish
