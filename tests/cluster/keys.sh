#!/bin/bash
# Keys, leases, locks and elections of a real node: races, contenders that are killed, a node that is. keys.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"

code_of() {
	"$@" >/dev/null 2>&1
	echo $?
}
lines() { wc -l <"$1"; }
has_lines() { [ "$(lines "$1")" -ge "$2" ]; }
ascends() { sort -n -u -c "$1" 2>/dev/null; }
# The number of keys below a prefix.
keys_below() { ctl kv list "$1" --keys-only -o jsonl | wc -l; }
none_below() { [ "$(keys_below "$1")" = 0 ]; }
is_below() { [ "$(keys_below "$1")" -ge "$2" ]; }

start_node

# --- keys

version=$(ctl kv put a 'one two')
same "a value comes back" "$(ctl kv get a)" 'one two'
head -c 100000 /dev/urandom >"$work/bytes"
ctl kv put bytes <"$work/bytes" >/dev/null
ctl kv get bytes | cmp -s - "$work/bytes" || fail "bytes do not come back as they were"
ok "any bytes come back"
same "a version that is another" "$(code_of ctl kv put a x --if-version $((version + 1)))" 1
same "a key that is there" "$(code_of ctl kv put a x --if-absent)" 1
same "a key that is not there" "$(code_of ctl kv get nothing)" 1
same "an expected version of what is not there" "$(code_of ctl kv delete nothing --if-version 3)" 1
same "wrong usage" "$(code_of ctl kv put a x --if-version x)" 2
next=$(ctl kv put a x --if-version "$version") || fail "a condition that holds is refused"
[ "$next" -gt "$version" ] || fail "versions do not rise"
ctl kv delete a --if-version "$next" >/dev/null || fail "a delete whose condition holds is refused"
has "a value that is too large" "$(head -c 1100000 /dev/zero | ctl kv put large 2>&1)" "value_max"
has "a key that is too long" "$(ctl kv put "$(head -c 1025 /dev/zero | tr '\0' k)" x 2>&1)" "1024"
has "a key that is empty" "$(ctl kv put '' x 2>&1)" "not empty"

for i in $(seq 1 25); do echo "p/$i"; done | xargs -P 4 -I{} "$CLUSTERCTL" --data-dir "$data" kv put {} v >/dev/null
same "all keys of a prefix" "$(keys_below p/)" 25
same "only so many" "$(ctl kv list p/ --limit 7 --keys-only -o jsonl | wc -l)" 7

# --- who compares and swaps, from several sides at once

ctl kv put counter 0 >/dev/null
cat >"$work/count" <<'EOF'
for i in 1 2 3 4 5 6 7 8 9 10; do
	until {
		found=$("$CLUSTERCTL" --data-dir "$data" kv get counter -o json)
		value=${found#*'"value":"'} value=${value%%'"'*}
		version=${found#*'"version":'} version=${version%%,*}
		"$CLUSTERCTL" --data-dir "$data" kv put counter $((value + 1)) --if-version "$version" >/dev/null 2>&1
	}; do :; done
done
EOF
export CLUSTERCTL data work
racers=
for i in 1 2 3 4; do
	bash "$work/count" &
	racers="$racers $!"
done
for racer in $racers; do wait "$racer" || fail "a racer gives up"; done
same "no increment is lost" "$(ctl kv get counter)" 40

# --- watch: nothing is lost, also when the node is killed meanwhile

from=$(ctl kv put w/0 0)
"$CLUSTERCTL" --data-dir "$data" kv watch --prefix w/ --from "$from" --count 61 -o jsonl >"$work/watched" &
watcher=$!
: >"$work/put"
echo "$from" >>"$work/put"
for i in $(seq 1 20); do ctl kv put "w/$i" "$i" >>"$work/put"; done
until_true "the watcher follows" has_lines "$work/watched" 21
kill_node
start_node
for i in $(seq 21 40); do ctl kv put "w/$i" "$i" >>"$work/put"; done
stop_node
start_node
for i in $(seq 21 40); do ctl kv delete "w/$i" >>"$work/put"; done
wait "$watcher" || fail "the watcher gives up"
sed 's/.*"version":\([0-9]*\).*/\1/' "$work/watched" >"$work/versions"
cmp -s "$work/versions" "$work/put" || fail "the watcher saw $(tr '\n' ' ' <"$work/versions") of $(tr '\n' ' ' <"$work/put")"
ok "a watcher sees every change once, in order, over two restarts"
ascends "$work/versions" || fail "versions do not rise"
same "what was there, then what comes" "$(ctl kv watch --prefix w/ --state --count 3 | cut -d ' ' -f 2 | sort -u)" "is"
ctl setting set change_bytes_kept 1048576
head -c 600000 /dev/zero >"$work/bytes"
for i in 1 2 3; do ctl kv put busy <"$work/bytes" >/dev/null; done
has "what is not kept any more" "$(ctl kv watch --prefix w/ --from "$from" 2>&1)" "compacted"

# --- leases

lease=$(ctl lease grant --ttl 4s --owner test)
ctl kv put leased/a 1 --lease "$lease" >/dev/null
"$CLUSTERCTL" --data-dir "$data" kv watch leased/a --count 1 >"$work/ended" &
watcher=$!
same "a lease and its keys" "$(sql "SELECT owner, ttl_ms, state, count(*) FROM lease JOIN lease_key ON lease = id")" "test|4000|held|1"
wait "$watcher"
has "the key ends with its lease" "$(cat "$work/ended")" "delete leased/a"
same "the lease has gone" "$(sql "SELECT count(*) FROM lease")" 0
same "a lease that has ended" "$(code_of ctl lease keep-alive "$lease" --once)" 1
same "a key for it" "$(code_of ctl kv put leased/b 1 --lease "$lease")" 1
lease=$(ctl lease grant --ttl 2s)
ctl kv put leased/c 1 --lease "$lease" >/dev/null
"$CLUSTERCTL" --data-dir "$data" lease keep-alive "$lease" &
keeper=$!
begun=$SECONDS
until_true "time passes" eval '[ $((SECONDS - begun)) -ge 4 ]'
same "a lease that is kept alive" "$(ctl kv get leased/c)" 1
kill "$keeper"
wait "$keeper" 2>/dev/null
until_true "nobody keeps it alive" none_below leased/
lease=$(ctl lease grant --ttl 1h)
for i in $(seq 1 30); do ctl kv put "leased/$i" 1 --lease "$lease" >/dev/null; done
ctl lease revoke "$lease"
until_true "its keys go with a lease that is revoked" none_below leased/

# --- locks: one holder at a time, tokens that rise

cat >"$work/critical" <<'EOF'
mkdir "$work/inside" || { echo "$CLUSTERD_LOCK is held twice" >>"$work/violations"; exit 1; }
echo "$CLUSTERD_FENCING_TOKEN" >>"$work/tokens"
sleep 0.02
rmdir "$work/inside"
EOF
racers=
for i in 1 2 3 4 5 6; do
	(for j in 1 2 3 4; do ctl lock turn -- bash "$work/critical" || exit 1; done) &
	racers="$racers $!"
done
for racer in $racers; do wait "$racer" || fail "a contender fails"; done
[ ! -e "$work/violations" ] || fail "$(cat "$work/violations")"
same "everybody had the lock" "$(lines "$work/tokens")" 24
ascends "$work/tokens" || fail "fencing tokens do not rise: $(tr '\n' ' ' <"$work/tokens")"
ok "fencing tokens rise"
same "nothing is left of a lock" "$(keys_below lock/)" 0
same "the exit code is the command's" "$(code_of ctl lock turn -- sh -c 'exit 7')" 7
same "a command that is not there" "$(code_of ctl lock turn -- /nowhere/at/all)" 127

# A holder that is killed: its command ends with it, the next one has the lock when the lease has run out.
"$CLUSTERCTL" --data-dir "$data" lock turn --ttl 1s -- sh -c 'echo $$ >"$work/victim"; exec sleep 1000' &
holder=$!
until_true "the holder runs" test -s "$work/victim"
"$CLUSTERCTL" --data-dir "$data" lock turn --ttl 2s -- sh -c 'echo "$CLUSTERD_FENCING_TOKEN" >>"$work/tokens"' &
second=$!
"$CLUSTERCTL" --data-dir "$data" lock turn --ttl 2s -- sh -c 'echo "$CLUSTERD_FENCING_TOKEN" >>"$work/tokens"' &
third=$!
until_true "others wait" is_below lock/turn/ 3
same "somebody who does not wait long" "$(code_of ctl lock turn --wait 300ms -- true)" 4
kill -9 "$holder"
wait "$holder" 2>/dev/null
until_true "the command of a holder that was killed ends" eval '! kill -0 "$(cat "$work/victim")" 2>/dev/null'
wait "$second" && wait "$third" || fail "those who waited behind a holder that was killed fail"
ok "those who waited have the lock"
same "each of them" "$(lines "$work/tokens")" 26
ascends "$work/tokens" || fail "fencing tokens do not rise: $(tr '\n' ' ' <"$work/tokens")"

# One who waits and is killed is passed over; one who waits and is interrupted leaves at once.
"$CLUSTERCTL" --data-dir "$data" lock turn --ttl 30s -- sh -c 'echo >"$work/holds"; until [ -e "$work/enough" ]; do sleep 0.02; done' &
holder=$!
until_true "the holder runs" test -e "$work/holds"
"$CLUSTERCTL" --data-dir "$data" lock turn --ttl 1s -- true &
killed=$!
until_true "one waits" is_below lock/turn/ 2
"$CLUSTERCTL" --data-dir "$data" lock turn --ttl 30s -- true &
interrupted=$!
until_true "another waits" is_below lock/turn/ 3
"$CLUSTERCTL" --data-dir "$data" lock turn --ttl 30s -- touch "$work/reached" &
last=$!
until_true "the last waits" is_below lock/turn/ 4
kill -9 "$killed"
wait "$killed" 2>/dev/null
kill -TERM "$interrupted"
wait "$interrupted"
same "one who is interrupted says by what" $? 143
touch "$work/enough"
wait "$holder" || fail "the holder fails"
wait "$last" || fail "the last one fails"
ok "who is gone is passed over"

# The lease is lost: the command is told, then killed, and the exit code says so.
rm -f "$work/victim"
"$CLUSTERCTL" --data-dir "$data" lock stubborn --ttl 1s --grace 200ms -- \
	sh -c 'trap "echo told >>\"$work/told\"" TERM; echo $$ >"$work/victim"; while :; do sleep 0.1; done' 2>"$work/said" &
holder=$!
until_true "the holder runs" test -s "$work/victim"
ctl lease revoke "$(sql "SELECT id FROM lease")"
wait "$holder"
same "a lock that is lost" $? 1
has "it says so" "$(cat "$work/said")" "lost"
same "its command was told" "$(cat "$work/told")" "told"
kill -0 "$(cat "$work/victim")" 2>/dev/null && fail "its command goes on"

# The node is gone for longer than the lease lasts: the holder gives up by itself.
rm -f "$work/victim"
"$CLUSTERCTL" --data-dir "$data" lock alone --ttl 1s -- sh -c 'echo $$ >"$work/victim"; exec sleep 1000' 2>"$work/said" &
holder=$!
until_true "the holder runs" test -s "$work/victim"
kill_node
wait "$holder"
same "no keep-alive is answered" $? 1
has "it says so" "$(cat "$work/said")" "no keep-alive"
kill -0 "$(cat "$work/victim")" 2>/dev/null && fail "its command goes on"
start_node

# --- elections

"$CLUSTERCTL" --data-dir "$data" election campaign boss first >"$work/first" &
first=$!
until_true "somebody leads" has_lines "$work/first" 1
"$CLUSTERCTL" --data-dir "$data" election campaign boss second >"$work/second" &
second=$!
until_true "another one waits" is_below election/boss/ 2
"$CLUSTERCTL" --data-dir "$data" election observe boss >"$work/observed" &
observer=$!
until_true "the leader is observed" has_lines "$work/observed" 1
same "the one who came first" "$(cut -d ' ' -f 2 "$work/observed")" first
kill -INT "$first"
wait "$first" || fail "a leader that is interrupted does not resign in peace"
until_true "the next one leads" has_lines "$work/second" 1
until_true "and is observed" has_lines "$work/observed" 2
same "the one who came next" "$(tail -n 1 "$work/observed" | cut -d ' ' -f 2)" second
same "its token is what it was told" "leader $(tail -n 1 "$work/observed" | cut -d ' ' -f 1)" "$(cat "$work/second")"
ctl election resign boss || fail "nobody resigns"
wait "$second"
same "a leader that was made to resign" $? 1
same "nobody leads" "$(code_of ctl election observe boss --once)" 1
same "nobody can resign" "$(code_of ctl election resign boss)" 1
same "leading while a command runs" "$(ctl election campaign boss -- sh -c 'echo $CLUSTERD_ELECTION' | tail -n 1)" boss
kill "$observer"
stop_node
finish
