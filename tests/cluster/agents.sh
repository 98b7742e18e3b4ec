#!/bin/bash
# Agents: nodes that keep no log and run calls for a cluster.   agents.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

cat >"$work/tool.sh" <<'END'
#!/bin/sh
# The rest makes it larger than what goes into one piece.
echo "tool at $CLUSTERD_NODE"
exit
END
head -c 2000000 /dev/urandom | base64 | sed 's/^/# /' >>"$work/tool.sh"
: >"$work/empty"
chmod +x "$work/tool.sh"
cat >"$work/agents.flow" <<'END'
process Tool(n: Number) -> Text { exec = ["./tool.sh"]  files = ["tool.sh", "empty"]  stdout = text  on = ["work"] }
process Plain(n: Number) -> Text { exec = ["/bin/sh", "-c", "echo $CLUSTERD_NODE"]  stdout = text  on = ["work=hard"] }
process Pooled(n: Number) -> Text { pool = ["/bin/sh", "-c", "while read -r line; do c=$(echo $line | sed 's/.*call.*: *\\([0-9]*\\),.*process.*/\\1/'); printf '{\"call\":%s,\"output\":\"%s\"}\\n' $c $CLUSTERD_NODE; done"]  on = ["work"] }
workflow UseTool(n: Number) -> Text { Tool(n) }
workflow UsePlain(n: Number) -> Text { Plain(n) }
workflow Many(ns: [Number]) -> [Text] { each n in ns { Plain(n) } }
END

start a --expect 3
start b --expect 3 --join "$(address_of a)"
start c --expect 3 --join "$(address_of a)"
until_true "three servers form a cluster" agree a b c
of a process register "$work/agents.flow" >/dev/null || fail "the definitions are refused"
start w --role agent --join "$(address_of a)" --tag work=hard
ready() { of "$1" status >/dev/null; }
until_true "an agent is ready" ready w
same "its role" "$(of w status -o json | grep -o '"role":"[a-z]*"')" '"role":"agent"'
has "it is no member of the group" "$(of a member list -o json | tr '}' '\n' | grep '"w"')" '"seat":""'

same "a call with a large file" "$(of a workflow start UseTool 1 --wait)" '"tool at w"'
same "the file is there now" "$(of a workflow start UseTool 1 --wait)" '"tool at w"'
same "a request at the agent" "$(of w workflow start UsePlain 1 --wait)" '"w"'
same "SQL at the agent is answered by a server" "$(of w sql -o jsonl "SELECT count(*) AS n FROM pi_instance")" '{"n":3}'

# What is registered later.
cat >"$work/later.flow" <<'END'
process Later(n: Number) -> Text { exec = ["/bin/sh", "-c", "echo later $CLUSTERD_NODE"]  stdout = text  on = ["work"] }
workflow UseLater(n: Number) -> Text { Later(n) }
END
of w process register "$work/later.flow" >/dev/null || fail "a registration at the agent is refused"
same "what was registered later" "$(of b workflow start UseLater 1 --wait)" '"later w"'

# Another leader.
kill_member "$leader"
alive=$(echo a b c | tr ' ' '\n' | grep -v "^$leader$" | tr '\n' ' ')
until_true "another one leads" agree $alive
set -- $alive
same "a call under another leader" "$(of "$1" workflow start UseTool 1 --wait)" '"tool at w"'
same "a request at the agent under another leader" "$(of w workflow start UsePlain 1 --wait)" '"w"'

# The agent comes back with what it has.
kill_member w
id=$(of "$1" workflow start UseLater 1)
restart w --role agent --join "$(address_of "$1")" --tag work=hard
same "a call that waited for the agent" "$(of "$1" workflow wait "$id")" '"later w"'

# A worker at an agent.
cat >"$work/away.flow" <<'END'
process Away(n: Number) -> Text { }
workflow UseAway(n: Number) -> Text { Away(n) }
END
of "$1" process register "$work/away.flow" >/dev/null
"$CLUSTERCTL" --data-dir "$work/w" worker run -p Away --slots 1 -- "$here/flows/told.sh" 2>"$work/worker.log" &
worker=$!
same "a worker at an agent" "$(of "$1" workflow start UseAway 1 --wait)" '"told"'
kill "$worker"
wait "$worker" || fail "the worker ended with $?"

stop_member w || fail "the agent did not stop as it should"
finish
