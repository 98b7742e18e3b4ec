#!/bin/bash
# Calls run on all nodes of a cluster, and nodes die: results are right, each counts once, and what did not die with its node is not
# begun again.   calls.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

nodes="a b c"
begun=$work/begun
all_sockets() { # NAME: the nodes, this one first
	local name list=$work/$1/clusterd.sock
	for name in $nodes; do [ "$name" = "$1" ] || list=$list,$work/$name/clusterd.sock; done
	echo "$list"
}
any() { "$CLUSTERCTL" --address "$(all_sockets "$alive")" --timeout 120s "$@"; }

# Each call notes that it begins, and where.
cat >"$work/pooled.sh" <<END
#!/bin/sh
begun=$begun
END
cat >>"$work/pooled.sh" <<'END'
while read -r line; do
	call=$(printf '%s' "$line" | sed 's/.*"call": *\([0-9]*\).*/\1/')
	n=$(printf '%s' "$line" | sed 's/.*"n": *\([0-9]*\).*/\1/')
	echo "$n ${CLUSTERD_NODE:-worker}" >>"$begun"
	sleep 0.3
	printf '{"call":%s,"output":%s}\n' "$call" "$((n * 2))"
done
END
chmod +x "$work/pooled.sh"
cat >"$work/calls.flow" <<END
process Child(n: Number) -> Number {
  exec = ["/bin/sh", "-c", "echo \$0 \$CLUSTERD_NODE >> $begun; sleep 0.3; echo \$((\$0 * 2))", n]
  retries = 0
}
process Pooled(n: Number) -> Number { pool = ["./pooled.sh"]  files = ["pooled.sh"]  retries = 0 }
process Away(n: Number) -> Number { retries = 0 }
process Tagged(n: Number) -> Text { exec = ["/bin/sh", "-c", "echo \$CLUSTERD_NODE"]  stdout = text  on = ["disk=big"] }
workflow Children(ns: [Number]) -> [Number] { each n in ns { Child(n) } }
workflow Pools(ns: [Number]) -> [Number] { each n in ns { Pooled(n) } }
workflow Workers(ns: [Number]) -> [Number] { each n in ns { Away(n) } }
workflow Where(n: Number) -> Text { Tagged(n) }
END

begin() { # NAME OPTION…
	local name=$1
	shift
	start "$name" --exec-slots 4 --pool-children 2 --pool-depth 2 "$@"
}
begin a --expect 3
begin b --expect 3 --join "$(address_of a)" --tag disk=big
begin c --expect 3 --join "$(address_of a)" --tag disk=small
until_true "three nodes form a cluster" agree $nodes
alive=a
any process register "$work/calls.flow" >/dev/null || fail "the definitions are refused"
workers=
for name in $nodes; do
	"$CLUSTERCTL" --address "$(all_sockets $name)" worker run -p Away --slots 4 -- "$work/pooled.sh" 2>>"$work/worker.$name.log" &
	workers="$workers $!"
	until_true "a worker serves at $name" grep -q serving "$work/worker.$name.log"
done

same "a process goes to the node that has its tag" "$(any workflow start Where 1 --wait)" '"b"'

# flows FROM: 210 calls, 70 of each kind, the first of them with the number FROM.
expected() { seq "$1" $(($1 + 69)) | awk '{printf("%s%d", (NR > 1 ? "," : "["), $1 * 2)} END {print "]"}'; }
numbers() { seq -s, "$1" $(($1 + 69)) | sed 's/.*/[&]/'; }
flows() {
	children=$(any workflow start Children "$(numbers $1)")
	pools=$(any workflow start Pools "$(numbers $(($1 + 100)))")
	away=$(any workflow start Workers "$(numbers $(($1 + 200)))")
}
begun_count() { awk -v from="$1" '$1 >= from && $1 < from + 300 {print $1}' "$begun" | sort -u | wc -l; }
some_have_begun() { [ "$(begun_count "$1")" -ge "$2" ]; }
# Where it begun before its last time it must have died: DEAD.
begun_again() { # FROM DEAD
	awk -v from="$1" -v dead="$2" '$1 < from || $1 >= from + 300 {next}
		($1 in last) && last[$1] != dead {print "call " $1 " was begun at " last[$1] " and again at " $2}
		{last[$1] = $2}' "$begun"
}
check_flows() { # WHAT FROM DEAD
	same "$1: children" "$(any workflow wait "$children")" "$(expected $2)"
	same "$1: pools" "$(any workflow wait "$pools")" "$(expected $(($2 + 100)))"
	same "$1: workers" "$(any workflow wait "$away")" "$(expected $(($2 + 200)))"
	same "$1: each result counts once" "$(any sql -o jsonl "SELECT count(*) AS n, count(DISTINCT instance || '/' || ref) AS d
		FROM pi_history WHERE kind = 'return' AND instance IN ($children, $pools, $away)")" '{"n":210,"d":210}'
	same "$1: all were begun" "$(begun_count "$2")" 210
	same "$1: none was begun again that lived" "$(begun_again "$2" "$3")" ""
}

touch "$begun"
flows 1000
check_flows "all live" 1000 nobody
for name in $nodes; do
	[ "$(awk -v name=$name '$2 == name' "$begun" | wc -l)" -ge 20 ] || fail "node $name has run too little: $(cut -d ' ' -f 2 "$begun" | sort | uniq -c)"
done
ok "all nodes had their part"

# A follower dies.
follower=$(echo $nodes | tr ' ' '\n' | grep -v "^$leader$" | head -n 1)
alive=$leader
flows 2000
until_true "calls run" some_have_begun 2000 60
kill_member "$follower"
check_flows "a follower died" 2000 "$follower"
restart "$follower" --exec-slots 4 --pool-children 2 --pool-depth 2
until_true "it is back" agree $nodes

# The leader dies.
agree $nodes
dead=$leader
alive=$(echo $nodes | tr ' ' '\n' | grep -v "^$dead$" | head -n 1)
flows 3000
until_true "calls run" some_have_begun 3000 60
kill_member "$dead"
check_flows "the leader died" 3000 "$dead"
restart "$dead" --exec-slots 4 --pool-children 2 --pool-depth 2
until_true "it is back" agree $nodes

# The leader hands over while calls run.
agree $nodes
dead=$leader
alive=$(echo $nodes | tr ' ' '\n' | grep -v "^$dead$" | head -n 1)
flows 4000
until_true "calls run" some_have_begun 4000 60
any leader transfer >/dev/null || fail "leadership is not handed over"
check_flows "the leader handed over" 4000 nobody

kill $workers
for worker in $workers; do wait "$worker" || fail "a worker ended with $?"; done
for name in $nodes; do stop_member $name || fail "node $name did not stop as it should"; done
finish
