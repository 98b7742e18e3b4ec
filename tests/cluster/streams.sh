#!/bin/bash
# Data between programs: Strymon's check 18 (every coordinator stopped: a running stream goes on), 19 (a late joiner's first epoch is
# complete), 20 (three subscribers, the first goes: the others miss nothing), 21 (a subscriber is held: the publisher's memory stays bounded),
# 22 (partitions: a subscriber to all sees all), 23 (a service; the caller errors when the server dies), 24 (a collection: the whole state,
# then changes), 25 (a keeper: state, changes, both; lookups rotate). streams.sh CLUSTERD CLUSTERCTL EXAMPLES
CLUSTERD=$1 CLUSTERCTL=$2 examples=$3
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

# Who is started here must not hold pipes open that are to end.
launch() {
	shift
	exec "$@" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
}
start a --expect 3
start b --expect 3 --join "$(address_of a)"
start c --expect 3 --join "$(address_of a)"
until_true "three nodes form a cluster" agree a b c
CLUSTERD_TOKEN=$(cat "$work/a/token")
export CLUSTERD_TOKEN
nodes=$(address_of a),$(address_of b),$(address_of c)
# In the background it is this very process, to be killed and held.
talk() { launch - "$CLUSTERCTL" --address "$nodes" --timeout 60s "$@"; }
ask() { "$CLUSTERCTL" --address "$nodes" --timeout 60s "$@"; }
has_lines() { [ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]; }
says() { grep -q -e "$2" "$1" 2>/dev/null; }
ends() { # WHAT PID
	wait "$2" || fail "$1 ends with $?"
}
open_pipe() { # DESCRIPTOR NAME
	mkfifo "$work/$2"
	eval "exec $1<>\"$work/$2\""
}

# --- three subscribers, one of which goes (20), and one that comes later (19)
open_pipe 3 lines
talk topic publish t --subscribers 3 --schema "stream(Text, Number)" <"$work/lines" 2>"$work/publisher.log" &
publisher=$!
for i in 1 2 3; do
	talk topic subscribe t --wait -o jsonl >"$work/sub$i" 2>"$work/sub$i.log" &
	sub[i]=$!
done
until_true "it is published" says "$work/publisher.log" '^published at'
for i in $(seq 100); do echo "first $i" >&3; done
for i in 1 2 3; do until_true "subscriber $i has all so far" has_lines "$work/sub$i" 100; done
kill -9 "${sub[1]}"
wait "${sub[1]}" 2>/dev/null
talk topic subscribe t -o jsonl >"$work/late" 2>"$work/late.log" &
late=$!
until_true "one comes later" says "$work/late.log" '^connected'
for i in $(seq 1000); do echo "second $i" >&3; done
until_true "the late one sees what comes" has_lines "$work/late" 1

# --- strangers at the publisher's door: bytes at random, silence, too many
door=$(sed -n 's/^published at //p' "$work/publisher.log")
stranger() { exec 9<>"/dev/tcp/${door%:*}/${door##*:}"; }
for i in $(seq 200); do (stranger && head -c $((i * 100)) /dev/urandom >&9) 2>/dev/null; done
for i in $(seq 100); do (stranger && exec sleep 30 3>&-) 2>/dev/null & silent+=($!); done
talk topic subscribe t -o jsonl >/dev/null 2>"$work/other.log" &
other=$!
until_true "past strangers another one gets in" says "$work/other.log" '^connected'
kill "${silent[@]}" 2>/dev/null
kill "$other"
wait "$other" 2>/dev/null
echo "after strangers" >&3
for i in 2 3; do until_true "subscriber $i goes on" says "$work/sub$i" 'after strangers'; done

# --- every node is stopped, and the stream goes on (18)
for name in a b c; do kill_member $name; done
for i in $(seq 100); do echo "third $i" >&3; done
until_true "without nodes the stream goes on" says "$work/sub2" '"third 100"'
until_true "and for the late one" says "$work/late" '"third 100"'
for name in a b c; do restart $name; done
until_true "three nodes again" agree a b c
echo "fourth" >&3
exec 3>&-
ends "the publisher" "$publisher"
for i in 2 3; do ends "subscriber $i" "${sub[i]}"; done
ends "the late subscriber" "$late"
expected=$(seq 100 | sed 's/^/first /' && seq 1000 | sed 's/^/second /' && echo "after strangers" && seq 100 | sed 's/^/third /' && echo fourth)
same "the second subscriber missed nothing" "$(sed 's/.*"data":"\(.*\)"}$/\1/' "$work/sub2")" "$expected"
same "nor did the third" "$(sed 's/.*"data":"\(.*\)"}$/\1/' "$work/sub3")" "$expected"
lines=$(wc -l <"$work/late")
same "the late one has the end of it" "$(cat "$work/late")" "$(tail -n "$lines" "$work/sub2")"
first=$(head -n 1 "$work/late" | sed 's/,.*//')
same "all of its first epoch" "$(grep -c "^$first," "$work/late")" "$(grep -c "^$first," "$work/sub2")"
same "of no epoch twice" "$(grep -c missed "$work/sub2.log" "$work/sub3.log" | cut -d : -f 2 | tr '\n' ' ')" "0 0 "

# --- one that is held (21): under each policy the publisher stays small, and who keeps up sees all
resident() { awk '/^VmRSS/ {print $2}' "/proc/$1/status"; }
CHUNKS=30
chunk() { awk -v chunk="$1" 'BEGIN {x = sprintf("%1000s", ""); gsub(" ", "x", x); for (i = 0; i < 2000; i++) print chunk * 2000 + i, x}'; }
held_with() { # POLICY
	open_pipe 8 "large-$1"
	talk topic publish "held-$1" --slow "$1" --subscribers 2 <"$work/large-$1" 2>"$work/held.log" &
	publisher=$!
	talk topic subscribe "held-$1" --wait >"$work/still" 2>"$work/still.log" &
	still=$!
	until_true "one is there ($1)" says "$work/still.log" '^connected'
	kill -STOP "$still"
	talk topic subscribe "held-$1" --wait >"$work/moves" 2>"$work/moves.log" &
	moves=$!
}
small() { [ "$2" -lt 65536 ] || fail "$1: the publisher has grown to $2 KiB"; ok "$1: at most $2 KiB of memory"; }
for policy in drop disconnect; do
	held_with $policy
	most=0
	for n in $(seq 0 $((CHUNKS - 1))); do
		chunk "$n" >&8 & # the publisher may not read it
		feeder=$! waited=$SECONDS
		until has_lines "$work/moves" $(((n + 1) * 2000)); do
			kill -0 "$publisher" 2>/dev/null || fail "the publisher is gone: $(cat "$work/held.log")"
			[ $((SECONDS - waited)) -lt 60 ] || fail "who moves has $(wc -l <"$work/moves") lines after $((n + 1)) chunks.
It says: $(cat "$work/moves.log")
The publisher says: $(cat "$work/held.log")
Who is held has said: $(cat "$work/still.log")"
			sleep 0.02
		done
		wait "$feeder"
		now=$(resident "$publisher")
		[ "$now" -le "$most" ] || most=$now
	done
	small "$policy" "$most"
	kill -CONT "$still"
	if [ $policy = drop ]; then
		until_true "who was held is told what it missed" says "$work/still.log" '^missed'
	else
		until_true "who was held is disconnected" says "$work/still.log" '^lost'
		until_true "and comes back" eval '[ "$(grep -c ^connected "$work/still.log")" = 2 ]'
	fi
	echo "the last" >&8
	exec 8>&-
	ends "the publisher ($policy)" "$publisher"
	ends "who moves" "$moves"
	ends "who was held" "$still"
	same "who moves has all ($policy)" "$(grep -c missed "$work/moves.log") $(wc -l <"$work/moves")" "0 $((CHUNKS * 2000 + 1))"
	same "who was held goes on ($policy)" "$(tail -n 1 "$work/still")" "the last"
done
held_with block
(for n in $(seq 0 $((CHUNKS - 1))); do chunk "$n"; done >&8) 2>/dev/null &
feeder=$!
exec 8>&-
lines=-1
until [ "$lines" = "${now:=0}" ] && [ "$now" -ge 2000 ]; do # nothing has come for a while
	lines=$now
	sleep 0.5
	now=$(wc -l <"$work/moves")
done
small block "$(resident "$publisher")"
[ "$lines" -lt $((CHUNKS * 2000)) ] || fail "nobody was blocked"
kill -CONT "$still"
wait "$feeder"
ends "the publisher (block)" "$publisher"
ends "who moves" "$moves"
ends "who was held" "$still"
same "nobody missed anything (block)" "$(wc -l <"$work/moves") $(wc -l <"$work/still")" "$((CHUNKS * 2000)) $((CHUNKS * 2000))"
rm "$work/moves" "$work/still"

# --- partitions (22)
for part in 0 1 2 3; do
	seq $((part * 1000 + 1)) $((part * 1000 + 1000)) | talk topic publish parts --partition $part/4 --subscribers $((1 + (part == 3))) 2>"$work/part$part.log" &
	parts[part]=$!
done
for part in 0 1 2 3; do until_true "part $part is published" says "$work/part$part.log" '^published at'; done
talk topic subscribe parts.3 >"$work/one" 2>/dev/null &
one=$!
until_true "one subscribes to part 3" eval '[ "$(ask sql "SELECT count(*) FROM subscription" -o jsonl | tr -dc 0-9)" -ge 1 ]'
talk topic subscribe parts >"$work/all" 2>"$work/all.log" &
all=$!
ends "who sees all parts" "$all"
ends "who sees one" "$one"
for part in 0 1 2 3; do ends "part $part" "${parts[part]}"; done
same "who subscribes to all sees all" "$(sort -n "$work/all" | tr '\n' ' ')" "$(seq 4000 | tr '\n' ' ')"
same "and who to one, that" "$(tr '\n' ' ' <"$work/one")" "$(seq 3001 4000 | tr '\n' ' ')"

# --- a service (23)
talk service announce echo -- cat 2>"$work/echo.log" &
echo=$!
until_true "it is announced" says "$work/echo.log" '^announced at'
same "an echo" "$(ask service call echo '{"n": 1}')" '{"n": 1}'
open_pipe 4 mute
talk service announce mute -- cat "$work/mute" 2>"$work/mute.log" & # which reads no request, and so answers none
mute=$!
until_true "another one, which does not answer" says "$work/mute.log" '^announced at'
talk service call mute 1 2>"$work/call.log" &
call=$!
address=$(sed -n 's/^announced at //p' "$work/mute.log")
port=$(printf ':%04X' "${address##*:}")
connected() { grep -q "$port [0-9A-F]*:[0-9A-F]* 01 " /proc/net/tcp; }
until_true "a call is under way" connected
before=$SECONDS
kill -9 "$mute"
wait "$call" && fail "a call is answered by nobody"
[ $((SECONDS - before)) -lt 30 ] || fail "the caller hears of it after $((SECONDS - before)) s"
has "the caller hears of it at once" "$(cat "$work/call.log")" "clusterctl: "
wait "$mute" 2>/dev/null
exec 4>&-
ask service call nobody 1 2>"$work/call.log" && fail "a service that is not there answers"
has "a service that is not there" "$(cat "$work/call.log")" "nobody"
same "the other one answers still" "$(ask service call echo 2)" 2
kill -TERM "$echo"
wait "$echo" 2>/dev/null

# --- a collection (24)
open_pipe 5 changes
talk collection publish basket <"$work/changes" 2>"$work/basket.log" &
basket=$!
until_true "a collection is published" says "$work/basket.log" '^published at'
printf '+apple\n+pear\n+apple\n' >&5
stands_at() { [ "$(ask collection subscribe basket --want state 2>/dev/null | sort | tr '\n' ' ')" = "$1" ]; }
until_true "the whole state" stands_at "=1 pear =2 apple "
talk collection subscribe basket >"$work/basket" 2>"$work/basket.sub.log" &
sub=$!
until_true "who comes later gets the state" has_lines "$work/basket" 2
printf -- '-pear\n+plum\n' >&5
until_true "and then changes" has_lines "$work/basket" 4
same "state and changes" "$(sort "$work/basket" | tr '\n' ' ')" "+1 plum -1 pear =1 pear =2 apple "
exec 5>&-
ends "the collection" "$basket"
ends "who watched it" "$sub"

# --- a keeper (25)
open_pipe 6 left
open_pipe 7 right
talk collection publish store --keeper <"$work/left" 2>"$work/left.log" &
left=$!
talk collection publish store --keeper <"$work/right" 2>"$work/right.log" &
right=$!
until_true "one worker" says "$work/left.log" '^published at'
until_true "another worker" says "$work/right.log" '^published at'
echo +left >&6
echo +right >&7
asked() { ask collection subscribe store --keeper --want state 2>/dev/null; }
both_are_used() { [ "$(for i in 1 2 3 4; do asked; done | sort | uniq -c | tr -s ' \n' ' ')" = " 2 =1 left 2 =1 right " ]; }
until_true "lookups go round" both_are_used
talk collection subscribe store --keeper --want changes >"$work/keeper1" 2>"$work/keeper1.log" &
k1=$!
until_true "one subscribes to changes" says "$work/keeper1.log" '^connected'
talk collection subscribe store --keeper --want changes >"$work/keeper2" 2>"$work/keeper2.log" &
k2=$!
until_true "another one does" says "$work/keeper2.log" '^connected'
talk collection subscribe store --keeper --want both >"$work/keeper3" 2>"$work/keeper3.log" &
k3=$!
until_true "a third one has the state" has_lines "$work/keeper3" 1
echo +more >&6
echo +more >&7
until_true "changes alone" has_lines "$work/keeper1" 1
until_true "of each of the two" has_lines "$work/keeper2" 1
until_true "and state and changes" has_lines "$work/keeper3" 2
same "changes alone are no state" "$(cat "$work/keeper1" "$work/keeper2" | tr '\n' ' ')" "+1 more +1 more "
has "both" "$(tr '\n' ' ' <"$work/keeper3")" "+1 more "
exec 6>&- 7>&-
for pid in "$left" "$right" "$k1" "$k2" "$k3"; do ends "one of the keeper" "$pid"; done

# --- the examples
seq 25 | launch - "$examples/publisher" "$nodes" example 1 2>"$work/example.log" &
publisher=$!
same "what one example publishes another one prints" "$("$examples/subscriber" "$nodes" example 2>/dev/null | tr '\n' ' ')" \
	"$(for i in $(seq 25); do echo "$(((i - 1) / 10)) $i"; done | tr '\n' ' ')"
ends "the example that publishes" "$publisher"
launch - "$examples/echo" "$nodes" parrot 2>/dev/null &
echo=$!
same "an example's service" "$("$examples/echo" "$nodes" parrot hello)" hello
kill -TERM "$echo"
ends "the service" "$echo"

# --- nobody is left
patience=40 until_true "nothing is published any more" eval '[ "$(ask sql "SELECT count(*) FROM topic" -o jsonl | tr -dc 0-9)" = 0 ]'
for name in a b c; do stop_member $name || fail "$name did not stop as it should"; done
finish
