#!/bin/bash
# Programs that are submitted, as real processes: Strymon's check 2, Strymon's check 3, Strymon's check 4, Strymon's check 5,
# Strymon's check 6, Strymon's check 8, Strymon's check 9 and Strymon's check 10; and one of two copies lost.   submit.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
. "$(dirname "$0")/job_words.sh"

live_of() { value_of a "SELECT count(*) AS n FROM allocation WHERE job = $1 AND finished_ms IS NULL"; }
program() { # NAME: a script from stdin
	cat >"$work/$1"
	chmod +x "$work/$1"
}
sum_of() { sha256sum <"$1" | cut -d ' ' -f 1; }
refused() { # WHAT PART COMMAND…: exit code 1 with the words
	local what=$1 part=$2 code
	shift 2
	"$@" >"$work/out" 2>"$work/said"
	code=$?
	[ $code = 1 ] || fail "$what: exit code $code: $(cat "$work/said")"
	[ ! -s "$work/out" ] || fail "$what: something was printed: $(cat "$work/out")"
	has "$what" "$(cat "$work/said")" "$part"
}

three_nodes --program-kept 4s
start w --role agent --program-kept 4s --join "$(address_of a)"
until_true "what the agent has to give is known" capacity_is_known a 4

# --- Strymon's check 2: an id is printed, and the job runs

program sleeper <<'END'
#!/bin/sh
echo "$0 $*"
exec sleep 1000
END
id=$(of a submit "$work/sleeper" -- one "two words" 'quo"te') || fail "a program cannot be submitted"
same "a bare id is printed" "$id" "$((id))"
same "the job is listed as running" "$(of b job list -o jsonl | grep "\"id\":$id,")" \
	"$(of b job list -o jsonl | grep "\"id\":$id,.*\"state\":\"running\"")"
same "its arguments are as they were typed" "$(of c job logs "$id")" './sleeper one two words quo"te'
of a job stop "$id"
until_true "it is stopped" state_is a "$id" stopped

# --- Strymon's check 5: the bytes are the same ones on whatever node runs it, and two nodes have them before it is acknowledged

{ cat "$work/sleeper"; echo 'exit'; head -c 5000000 /dev/urandom; } >"$work/large"
chmod +x "$work/large"
sum=$(sum_of "$work/large")
id=$(of b submit "$work/large" --executors 4) || fail "a large program cannot be submitted"
for node in a b c w; do
	same "the program on $node" "$(sum_of "$work/$node"/allocations/*/work/large)" "$sum"
done
copies=$(ls -d "$work"/{a,b,c}/programs/"$sum" 2>/dev/null | wc -l)
[ "$copies" -ge 2 ] || fail "there are $copies copies"
same "it is marked as executable, and nothing is half there" "$(stat -c %a "$work/w/programs/$sum") $(ls "$work"/*/programs | grep -c part)" "555 0"
of a job stop "$id"
until_true "it is stopped" state_is a "$id" stopped
gone() { ! ls "$work"/*/programs/* >/dev/null 2>&1; }
until_true "programs that no job refers to go" gone

# --- Strymon's check 3 and check 4: so many different nodes, or these

id=$(of c submit "$work/sleeper" --executors 4) || fail "four executors of four"
same "four tasks are on four nodes" "$(value_of a "SELECT count(DISTINCT node) AS n FROM allocation WHERE job = $id")" 4
of a job stop "$id"
refused "five executors of four are refused at once" "5 tasks" of a submit "$work/sleeper" --executors 5
same "nothing of it is there" "$(value_of a "SELECT count(*) AS n FROM job WHERE name = 'sleeper' AND count = 5")" 0
w=$(value_of a "SELECT id AS n FROM node WHERE name = 'w'")
id=$(of a submit "$work/sleeper" --on "c,$w") || fail "pinned to a name and an id"
same "pinned by name and by id" "$(value_of a "SELECT group_concat(n.name) AS x FROM (SELECT node FROM allocation WHERE job = $id ORDER BY task) AS a JOIN node AS n ON n.id = a.node")" "c,w"
of a job stop "$id"
id=$(of a submit "$work/sleeper" --on 127.0.0.1) || fail "pinned to a host"
of a job stop "$id"
refused "a node twice is refused" "the same node" of a submit "$work/sleeper" --on "c,c"
refused "a node by name and id is refused, too" "the same node" of a submit "$work/sleeper" --on "w,$w"
refused "a node that is none is refused" "zebra is no node" of a submit "$work/sleeper" --on "c,zebra"

# --- Strymon's check 6: who it is

program who <<END
#!/bin/sh
{ env; echo "PWD=\$(pwd)"; } >"$work/who.\$CLUSTERD_TASK"
END
id=$(of a submit "$work/who" --executors 2 --workers 3) || fail "a program that looks around"
of a job wait "$id" || fail "a program that looks around fails"
for task in 0 1; do
	for part in "CLUSTERD_TASK=$task" CLUSTERD_TASKS=2 CLUSTERD_WORKERS=3 "CLUSTERD_JOB=$id" "PWD=$work/"; do
		grep -q "^$part" "$work/who.$task" || fail "task $task does not know $part"
	done
done
ok "index, number, threads and directory are told"
timeout=2s of a submit "$work/who" --executors 2 --group stop >/dev/null 2>"$work/said"
[ $? = 4 ] || [ $? = 1 ] || fail "a group that never registers runs"
grep -q "^CLUSTERD_HOSTS=127.0.0.1:[0-9]*,127.0.0.1:[0-9]*$" "$work/who.1" || fail "the hosts are not told: $(grep HOSTS "$work/who.1")"
ok "a group is told where all of it is"
timeout=3s of a submit "$work/sleeper" --executors 2 --group stop >/dev/null 2>"$work/said"
same "a group of which one never registers fails when its time is out" $? 4
has "what it lacked is said" "$(cat "$work/said")" "not all had registered"
none_lives() { [ "$(value_of a "SELECT count(*) AS n FROM allocation WHERE finished_ms IS NULL")" = 0 ]; }
until_true "nothing of it is left" none_lives

# --- Strymon's check 8: what is no program

head -c 3000 /dev/urandom >"$work/noise"
chmod +x "$work/noise"
SECONDS=0
refused "what is no program is told" "exec format error" of a submit "$work/noise" --executors 2
[ $SECONDS -lt 15 ] || fail "that took $SECONDS s"
same "nothing of it is listed as running" "$(value_of a "SELECT count(*) AS n FROM job WHERE name = 'noise' AND state IN ('pending', 'running', 'stopping')")" 0
printf '#!/nowhere/at-all\n' >"$work/orphan"
refused "so is an interpreter that is not there" "/nowhere/at-all" of a submit "$work/orphan"
refused "a file that is not there" "cannot read" of a submit "$work/absent"
: >"$work/empty"
refused "an empty file" "is empty" of a submit "$work/empty"
refused "a directory" "not a regular file" of a submit "$work/a"

# --- Strymon's check 9: one that ignores SIGTERM

program deaf <<END
#!/bin/sh
trap '' TERM
echo \$\$ >"$work/deaf.pid"
while :; do sleep 0.1; done
END
id=$(of a submit "$work/deaf") || fail "one that does not listen"
of a job stop "$id"
patience=40
until_true "one that ignores SIGTERM is killed after its grace" state_is a "$id" stopped
patience=20
kill -0 "$(cat "$work/deaf.pid")" 2>/dev/null && fail "it lives"
refused "a job that is not there cannot be stopped" "no job 999999" of a job stop 999999

# --- Strymon's check 10: exit 7

program seven <<'END'
#!/bin/sh
exit 7
END
id=$(of a submit "$work/seven" --name lucky) || fail "one that ends at once is not run"
until_true "it has failed" state_is a "$id" failed
has "its exit code is in the status" "$(of c job status "$id" -o json)" '"exit_code":7'
has "and in the history" "$(of c job history "$id" -o json)" '"exit_code":7'
has "under the name that was given" "$(of c job status "$id" -o json)" '"name":"lucky"'

# --- a copy that is lost

cp "$work/large" "$work/larger"
echo more >>"$work/larger"
sum=$(sum_of "$work/larger")
id=$(of w submit "$work/larger" --on w) || fail "submitted at an agent"
holders=$(ls -d "$work"/{a,b,c}/programs/"$sum" 2>/dev/null | sed "s|$work/||; s|/.*||")
same "two servers have what was submitted at an agent" "$(echo "$holders" | wc -l)" 2
victim=$(echo "$holders" | head -n 1)
for name in a b c; do
	echo "$holders" | grep -q "$name" || third=$name
done
kill_member "$victim"
until_true "the others go on" eval '[ -n "$(status_field '"$third"' leader)" ] && [ "$(status_field '"$third"' leader)" != '"$victim"' ]'
rm -f "$work/w/programs/$sum"
id=$(of "$third" submit "$work/larger" --on "$third") || fail "with one of its copies gone it is not run"
same "it comes from the one that is left" "$(sum_of "$work/$third/programs/$sum")" "$sum"
restart "$victim" --program-kept 4s
of "$victim" status --wait >/dev/null || fail "the node does not come back"
for job in $(value_of "$third" "SELECT group_concat(id, ' ') AS x FROM job WHERE finished_ms IS NULL"); do
	of "$third" job stop "$job"
done
until_true "nothing runs" eval '[ "$(value_of '"$third"' "SELECT count(*) AS n FROM allocation WHERE finished_ms IS NULL")" = 0 ]'
until_true "all programs go" gone
finish
