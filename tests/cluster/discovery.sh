#!/bin/bash
# Nodes that are told by a file, and by the API of Kubernetes, where the others are; both fail, and nobody is lost.
#   discovery.sh CLUSTERD CLUSTERCTL FAKE_API
CLUSTERD=$1 CLUSTERCTL=$2 FAKE_API=$3
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

patience=60 # a source that fails is looked at up to every 12 s, and an answer may take 10 s
found_by() { # NAME: what its first source has found
	timeout=2s of "$1" status -o json 2>/dev/null | sed -n 's/.*"discovery":\[{"source":"[^"]*","found":\[\([^]]*\)\].*/\1/p'
}
finds() { [ "$(found_by "$1")" = "$2" ]; }
problem_of() { timeout=2s of "$1" status -o json 2>/dev/null | sed 's/\\"//g' | sed -n 's/.*"problem":"\([^"]*\)"}.*/\1/p'; }
errors_of() { status_field "$1" discovery_errors; }
has_problem() { problem_of "$1" | grep -q "$2"; }
errors_above() { [ "$(errors_of "$1")" -gt "$2" ]; }
id_of() { timeout=2s of "$1" sql -o jsonl "SELECT id FROM node WHERE name = '$2' AND state = 'alive'" | tr -dc 0-9; }

# --- a file
start a
until_true "a node by itself leads" agree a
start b --join "file:$work/nodes"
until_true "a file that is not there is a problem that is told" has_problem b "No such file"
same "of a node that waits" "$(status_field b state)" inactive
has "the log tells it, too" "$(cat "$work/b.log")" "file:$work/nodes: $work/nodes: No such file or directory; what was found before stays"
printf '# nodes\n127.0.0.1:9\n' >"$work/nodes"
until_true "the file is found when it comes" finds b '"127.0.0.1:9"'
printf '# nodes\n%s\n' "$(address_of a)" >"$work/nodes.new"
mv "$work/nodes.new" "$work/nodes"
until_true "another one in its place is found" finds b "\"$(address_of a)\""
until_true "and b joins" all_see 2 alive a b
start c --join "file:$work/list"
echo "127.0.0.1:9" >"$work/list"
until_true "c finds what is of no use" finds c '"127.0.0.1:9"'
address_of b >>"$work/list"
until_true "and joins when the file is written to" all_see 3 alive a b c
until_true "all three have a vote" voters_are 3 a
until_true "and agree" agree a b c
echo nonsense >"$work/list"
until_true "nonsense in the file is a problem" has_problem c "line 1 is"
rm "$work/nodes"
until_true "so is that it is gone" has_problem b "No such file"
finds b "\"$(address_of a)\"" || fail "what b had found is gone"
until_true "nobody is" all_see 3 alive a b c
until_true "and all agree" agree a b c

# --- Kubernetes
api=$work/api
mkdir "$api"
echo a-token >"$api/token"
echo home >"$api/namespace"
"$FAKE_API" "$api" 127.0.0.1 >"$work/port" &
until_true "something like the API listens" test -s "$work/port"
port=$(cat "$work/port")
export KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT=$port
answer() { # FILE TEXT
	echo "$2" >"$api/new"
	mv "$api/new" "$api/$1"
}
number_of() { address_of "$1" | sed 's/.*://'; }
answer endpoints '{"kind":"Endpoints","subsets":[{"addresses":[{"ip":"127.0.0.1","targetRef":{"uid":"x"}}],"ports":[{"port":443}]}]}'
start d --join k8s:clusterd --kubernetes-mount "$api"
until_true "a lone port 443 is one with HTTPS" finds d '"https://127.0.0.1:443"'
answer endpoints '{"kind":"Endpoints","subsets":[{"notReadyAddresses":[{"ip":"127.0.0.1"}],"ports":[{"port":'"$(number_of a)"'}]}]}'
until_true "who is not ready is left out" finds d ''
same "so that d waits" "$(status_field d state)" inactive
answer slices '{"items":[{"addressType":"IPv4","ports":[{"name":"clusterd","protocol":"TCP","port":'"$(number_of a)"'}],"endpoints":[
	{"addresses":["127.0.0.2"],"conditions":{"ready":false}},
	{"addresses":["127.0.0.1"],"conditions":{"ready":true},"targetRef":{"kind":"Pod","uid":"one"}}]}]}'
until_true "EndpointSlices come before Endpoints, and who is ready is found" finds d "\"$(address_of a)\""
until_true "d joins" all_see 4 alive a b c d
until_true "and follows" agree a b c d

# The API fails, or says nothing at all: membership is as it was, and that is counted.
errors=$(errors_of d)
answer status 500
until_true "an answer of 500 is counted" errors_above d "$errors"
until_true "and told" has_problem d "answers 500 for endpointslices: that is the fake's answer"
errors=$(errors_of d)
touch "$api/silent"
until_true "silence is counted" has_problem d "no answer within 10000 ms"
errors_above d "$errors" || fail "silence is not counted"
until_true "all are alive" all_see 4 alive a b c d
until_true "and agree" agree a b c d
finds d "\"$(address_of a)\"" || fail "what was found is gone"
rm "$api/silent" "$api/status"
has_no_problem() { [ -z "$(problem_of "$1")" ]; }
until_true "it answers again" has_no_problem d
[ "$(grep -c 'what was found before stays' "$work/d.log")" -lt 5 ] || fail "the log is full of it"

# Another process in the same pod: the same name and address, another node.
pod=$(address_of d)
old=$(id_of a d)
kill_member d
rm -r "$work/d"
answer slices '{"items":[{"ports":[],"endpoints":[{"addresses":["127.0.0.1"],"targetRef":{"kind":"Pod","uid":"one"}}]}]}'
listen=$pod start d --join "k8s:clusterd:$(number_of b)" --kubernetes-mount "$api"
until_true "a new process in the same pod joins" all_see 4 alive a b c d
replaced() {
	local now
	now=$(id_of a d) && [ -n "$now" ] && [ "$now" != "$old" ]
}
until_true "it has taken the place of the old one" replaced
one_is_there() { # the leader writes down what is heard, a moment later
	[ "$(of a sql -o jsonl "SELECT count(*) AS n FROM node WHERE address = '$pod' AND state = 'alive'")" = '{"n":1}' ]
}
until_true "in which there is one node" one_is_there
until_true "all agree" agree a b c d
finish
