#!/bin/bash
# Workers that lose their node: they go on, come back, and what they did counts once. And they end when they are told to.
CLUSTERD=$1
CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"

cat >"$work/away.flow" <<'END'
process Away(n: Number) -> Text { timeout = 60s  retries = 0 }
workflow Far(n: Number) -> Text { Away(n) }
workflow Many(ns: [Number]) -> [Text] { each n in ns { Away(n) } }
END
# Notes each call that it begins; answers when there is a file `go`.
cat >"$work/away.sh" <<END
#!/bin/sh
WORK=$work
END
cat >>"$work/away.sh" <<'END'
while read -r line; do
	call=$(printf '%s' "$line" | sed 's/.*"call": *\([0-9]*\).*/\1/')
	echo "$call" >>"$WORK/begun"
	while [ ! -e "$WORK/go" ]; do sleep 0.02; done
	printf '{"call":%s,"output":"far"}\n' "$call"
	echo "$call" >>"$WORK/answered"
done
END
chmod +x "$work/away.sh"

start_worker() { # slots
	"$CLUSTERCTL" --data-dir "$data" worker run -p Away --slots "$1" -- "$work/away.sh" 2>>"$work/worker.log" &
	worker=$!
	until_true "the worker serves" grep -q serving "$work/worker.log"
}
ends() { ! kill -0 "$worker" 2>/dev/null; }
stop_worker() { # why
	kill -TERM "$worker"
	until_true "$1" ends
	wait "$worker" || fail "$1: exit code $?"
	: >"$work/worker.log"
}
begun() { [ "$(wc -l 2>/dev/null <"$work/begun")" = "$1" ]; }
answered() { [ "$(wc -l 2>/dev/null <"$work/answered")" = "$1" ]; }
fresh() { rm -f "$work/begun" "$work/answered" "$work/go"; }

start_node
ctl process register "$work/away.flow" >/dev/null || fail "the definitions are refused"

# What runs when the node dies goes on, and is not begun again.
start_worker 2
id=$(ctl workflow start Far 1)
until_true "a call has begun" begun 1
kill_node
start_node
touch "$work/go"
same "a call that outlived its node" "$(ctl workflow wait "$id")" '"far"'
same "it was begun once" "$(cat "$work/begun" | wc -l)" 1

# What is done while there is no node is told to the next one.
fresh
id=$(ctl workflow start Far 1)
until_true "a call has begun" begun 1
kill_node
touch "$work/go"
until_true "it is answered while no node is there" answered 1
start_node
same "a result from between two lives" "$(ctl workflow wait "$id")" '"far"'
same "it was begun once" "$(cat "$work/begun" | wc -l)" 1

# What was sent and not taken is sent again: the node is stopped, gets the results, and dies before it looks at them.
fresh
ids=$(for i in 1 2; do ctl workflow start Far $i; done)
until_true "two calls have begun" begun 2
kill -STOP "$node"
touch "$work/go"
until_true "both are answered" answered 2
kill_node
start_node
for id in $ids; do
	same "a result that was sent and not taken" "$(ctl workflow wait "$id")" '"far"'
	same "counts once" "$(sql "SELECT count(*) FROM pi_history WHERE instance = $id AND kind = 'return'")" 1
done
same "each was begun once" "$(cat "$work/begun" | wc -l)" 2

# The same with many, the node dying again and again.
fresh
touch "$work/go"
id=$(ctl workflow start Many "[$(seq -s, 200)]")
for i in 1 2 3; do
	sleep 0.4
	kill_node
	start_node
done
same "200 calls, three deaths" "$(ctl workflow wait "$id" | grep -o far | wc -l)" 200
same "each was begun once" "$(sort -u "$work/begun" | wc -l) $(cat "$work/begun" | wc -l)" "200 200"

# It ends when it is told to.
fresh
stop_worker "a worker without calls ends"
start_worker 1
id=$(ctl workflow start Far 1)
until_true "a call has begun" begun 1
stop_worker "a worker with a call ends"
same "its call has failed at once" "$(ctl workflow wait "$id" 2>&1 | grep -c 'its worker was stopped')" 1
start_worker 1
kill_node
stop_worker "a worker without a node ends"
start_node
start_worker 1
kill_node
"$CLUSTERD" --data-dir "$data" --listen 127.0.0.1:0 --name test >>"$work/node.log" 2>&1 &
node=$!
kill -TERM "$worker"
until_true "a worker that is about to connect again ends" ends
wait "$worker"
ctl status --wait >/dev/null || fail "the node does not get ready"
stop_node
finish
