#!/bin/bash
# Topics and services of three servers, with clients that are killed, held and told lies about: Strymon's check 12, Strymon's check 13,
# Strymon's check 14, Strymon's check 15, Strymon's check 16, Strymon's check 17, Strymon's check 27, Strymon's check 28 (the part of topics).
# topics.sh CLUSTERD CLUSTERCTL TOPIC_CLIENT
CLUSTERD=$1 CLUSTERCTL=$2 client=$3
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

ask() { # NAME COMMAND…: what the node says once it has applied all that was acknowledged
	"$CLUSTERCTL" --address "$(nodes_from "$1")" --timeout 60s "${@:2}"
}
count() { ask a sql "SELECT count(*) FROM $1" -o jsonl | tr -dc 0-9; }
counts_are() { [ "$(count topic) $(count publication) $(count subscription)" = "$1" ]; }
publish() { # AS NODE TTL NAME KIND SCHEMA ADDRESS [PARTITIONS PART]: its pid is in $pid, its ids in $work/AS
	local as=$1 node=$2
	shift 2
	"$client" publish "$(nodes_from "$node")" "$@" >"$work/$as" 2>"$work/$as.error" &
	pid=$!
	until_true "$as is published" grep -qs '^published' "$work/$as"
}
publication_of() { sed -n 's/^published \([0-9]*\) .*/\1/p' "$work/$1"; }
session_of() { sed -n 's/^published .* session \([0-9]*\)$/\1/p' "$work/$1"; }
refused() { # WHAT PART COMMAND…
	local what=$1 part=$2 got
	shift 2
	got=$("$@" 2>&1) && fail "$what: it was not refused"
	has "$what" "$got" "$part"
}
gone() { wait "$1" 2>/dev/null; }

start a --expect 3
start b --expect 3 --join "$(address_of a)"
start c --expect 3 --join "$(address_of a)"
until_true "three nodes form a cluster" agree a b c
follower=$(others_of "$leader" | cut -d ' ' -f 1)

# Publishing, looking up, refusals (checks 14, 16, 17).
publish first "$follower" 60000 prices stream 'stream({b: Text, a: Number}, Number)' 10.0.0.1:7001
first=$pid
refused "a name is published once" "already exists" "$client" publish "$(nodes_from a)" 60000 prices stream X 10.0.0.2:1
found=$(ask "$follower" topic lookup prices -o json)
has "a lookup tells the address" "$found" 10.0.0.1:7001
has "… and the schema" "$found" 'stream({a: Number, b: Text}, Number)'
counts_are "1 1 0" || fail "a lookup leaves something behind"
refused "another schema is refused" "has the schema" "$client" subscribe "$(nodes_from a)" 60000 prices 'stream(Text, Number)' now 5000
refused "an absent topic is not found" "not found" "$client" subscribe "$(nodes_from a)" 60000 absent '' now 5000
refused "… by a lookup neither" "there is no topic" ask a topic lookup absent
counts_are "1 1 0" || fail "a refused subscription leaves something behind"
ok "what was refused has left nothing behind"
"$client" subscribe "$(nodes_from b)" 60000 prices 'stream ( {a:Number,b:Text} , Number )' now 5000 >"$work/subscriber" &
subscriber=$!
until_true "the same schema, written otherwise, subscribes" grep -qs '^subscribed .* to prices 10.0.0.1:7001$' "$work/subscriber"
has "topics are listed" "$(ask a topic list)" prices

# Whose it is (check 27).
refused "another session cannot end a publication" "denied" "$client" unpublish "$(nodes_from b)" "$(publication_of first)"
refused "… nor one that says to be the owner's" "denied" "$client" steal "$(nodes_from b)" "$(session_of first)" \
	"$(publication_of first)"
counts_are "1 1 1" || fail "somebody else's is gone"

# Waiting (checks 13, 15).
began=$SECONDS
refused "who waits does so for its time" "in time" "$client" subscribe "$(nodes_from c)" 60000 later '' wait 1500
[ $((SECONDS - began)) -le 20 ] || fail "the wait has lasted $((SECONDS - began)) s"
"$client" subscribe "$(nodes_from "$leader")" 2000 later '' wait 60000 >"$work/waits" &
waits=$!
"$client" subscribe "$(nodes_from "$follower")" 2000 later '' wait 60000 >"$work/killed" &
killed=$!
"$client" watch "$(nodes_from "$follower")" later >"$work/watched" &
watch=$!
until_true "an absent topic is watched" grep -qs '^absent$' "$work/watched"
until_true "they have sessions" eval '[ "$(count session)" -ge 4 ]'
kill -9 $killed
gone $killed
publish second "$leader" 2000 later service 'service(Text, Number)' 10.0.0.1:7002
second=$pid
until_true "who waits is woken" grep -qs '^subscribed .* to later 10.0.0.1:7002$' "$work/waits"
until_true "who watches is told" grep -qs '^there 0@10.0.0.1:7002$' "$work/watched"
counts_are "2 2 2" || fail "a subscriber that was killed while it waited has subscribed"
ok "who was killed while it waited has not subscribed"

# Parts, keepers.
publish part2 a 60000 parts stream S 10.0.0.1:7102 4 2
publish part0 b 60000 parts stream S 10.0.0.1:7100 4 0
refused "a part is published once" "already exists" "$client" publish "$(nodes_from a)" 60000 parts stream S 10.0.0.2:1 4 2
has "a topic has its parts" "$(ask c topic lookup parts)" 10.0.0.1:7100
refused "a part that nobody publishes is not found" "nobody publishes" ask a topic lookup parts.1
publish keeper1 a 60000 kept keeper S 10.0.0.1:7201
publish keeper2 b 60000 kept keeper S 10.0.0.1:7202
one=$(ask a topic lookup kept -o json) two=$(ask a topic lookup kept -o json)
[ "$one" != "$two" ] || fail "a keeper's workers do not come in turn: $one"
ok "a keeper's workers come in turn"

# A publisher dies (check 12): what it owned goes, with the subscriptions to it; what others own stays.
topics=$(count topic)
kill -9 $second
gone $second
until_true "the topic of a publisher that died is gone" eval "[ \$(count topic) = $((topics - 1)) ]"
until_true "… and who watches is told" eval 'tail -n 1 "$work/watched" | grep -q "^absent$"'
same "… and so are the subscriptions to it" "$(count "subscription WHERE topic NOT IN (SELECT id FROM topic)")" 0
kill -9 $waits $watch
gone $waits
gone $watch
# One that breaks for less than its time keeps what it has.
kill -STOP $first
sleep 1
kill -CONT $first
has "a short break ends nothing" "$(ask a topic lookup prices)" 10.0.0.1:7001

# The leader dies, then all (check 28): ids stay.
ids() { ask "$1" sql 'SELECT p.id, t.id, t.name, p.session FROM publication p JOIN topic t ON t.id = p.topic ORDER BY 1' -o jsonl; }
before=$(ids "$follower")
dead=$leader
kill_member "$leader"
until_true "the others have a leader" agree $(others_of "$dead")
same "topics and ids outlive the leader" "$(ids "$follower")" "$before"
publish third "$follower" 60000 after stream S 10.0.0.1:7003
restart "$dead"
until_true "three nodes again" agree a b c
before=$(ids a)
for name in a b c; do kill_member $name; done
for name in a b c; do restart $name; done
until_true "all have come back" agree a b c
same "topics and ids outlive all coordinators" "$(ids a)" "$before"
kill -0 $first $subscriber 2>/dev/null || fail "a client has ended"
[ -z "$(grep lost "$work/first" "$work/subscriber" "$work/third")" ] || fail "a session was lost"
refused "what was published stays published" "already exists" "$client" publish "$(nodes_from a)" 60000 prices stream X 10.0.0.2:1

# Many, which go with their session.
same "a thousand topics are published" "$("$client" many "$(nodes_from a)" 1000)" done
until_true "… and are gone with their session" eval '[ $(count "topic WHERE name GLOB '"'many-*'"'") = 0 ]'
finish
