#!/bin/bash
# Real nodes under load while they are killed, held, cut off, lose datagrams and their disks: nothing that was acknowledged is lost, what
# clients saw is linearizable, workflows finish once, and nobody but who was killed is started again.
#
#   chaos.sh CLUSTERD CLUSTERCTL CHAOS-LOAD LINEAR-CHECK [NODES [SECONDS [SEED [CLASS…]]]]
#
# Classes of faults: kill stop cut oneway loss disk; without any, all that can be made here. The seed draws the faults; when they strike, and what
# is under way then, it does not.
CLUSTERD=$1 CLUSTERCTL=$2 LOAD=$3 CHECK=$4 nodes=${5:-3} seconds=${6:-40} seed=${7:-$RANDOM}
classes=${*:8}
[ $# -ge 7 ] || exec "$BASH" "$0" "$CLUSTERD" "$CLUSTERCTL" "$LOAD" "$CHECK" "$nodes" "$seconds" "$seed" # begun again below
scripts=$(cd "$(dirname "$0")/../cluster" && pwd)
# In namespaces of its own where that is allowed, else without.
if [ -n "${CLUSTERD_NAMESPACES:-}" ] || "$BASH" "$scripts/namespaces_lib.sh"; then . "$scripts/namespaces_lib.sh"; fi
placed=${CLUSTERD_NAMESPACES:-}
. "$scripts/node.sh"
. "$scripts/nodes.sh"
state=$seed
names=$(echo a b c d e f g | cut -d ' ' -f "1-$nodes")
load="" leader=""
cleanup_chaos() {
	local name
	[ -n "$load" ] && kill -9 "$load"
	for name in "${!pid_of[@]}"; do kill -9 "${pid_of[$name]}"; done
	wait
	for name in $disks; do umount -l "$work/$name"; done
	if [ -n "$placed" ]; then cleanup_namespaces; else cleanup_nodes; fi
} 2>/dev/null
say() { printf '%4d s  %s\n' $((SECONDS - begun)) "$*"; }

# --- nodes ------------------------------------------------------------------------------------------------------------
start_again() {
	local where=$work/$1/endpoint
	listen=$(head -n 1 "$where")
	rm -f "$where"
	listen=$listen start "$1" --exec-slots 4
}
runs() { [ -n "${pid_of[$1]:-}" ]; }
is_up() { kill -0 "${pid_of[$1]}" 2>/dev/null; }
nobody_ended() {
	local name
	for name in $names; do
		runs "$name" && ! is_up "$name" && fail_with "$name" "node $name has ended by itself"
	done
	return 0
}
# One leader, which all know; all see all; nobody is far behind, while the load goes on.
well() {
	local name status agreed=
	nobody_ended
	for name in $names; do
		status=$(timeout=2s of "$name" status -o json 2>/dev/null) || return 1
		[ "$(field leader)" != "" ] && [ "$(field leader)" = "${agreed:=$(field leader)}" ] || return 1
		[ "$(field members_live)" = "$nodes" ] && [ -z "$(field problem)" ] && [ "$(field apply_lag)" -lt 1000 ] || return 1
		[ "$(field state)" = primary ] || [ "$agreed" != "$name" ] || return 1
	done
	leader=$agreed
}
field() { # of $status
	local rest=${status#*\"$1\":}
	rest=${rest%%[,\}]*}
	rest=${rest#\"}
	echo "${rest%\"}"
}
await_well() { # WHAT SECONDS
	local deadline=$((SECONDS + $2)) name
	until well; do
		if [ $SECONDS -ge $deadline ]; then
			for name in $names; do
				echo "--- $name"
				timeout=2s of "$name" status -o json
				tail -n 15 "$work/$name.log"
			done >&2
			fail "$1: the cluster is not well $2 s later"
		fi
		sleep 0.1
	done
}

# --- faults -----------------------------------------------------------------------------------------------------------
# Numbers that follow from the seed alone: 0 … BOUND − 1, in $drawn.
draw() { # BOUND
	state=$(((state * 6364136223846793005 + 1442695040888963407) & 0x7fffffffffffffff))
	drawn=$(((state >> 33) % $1))
}
draw_word() { # WORD…: one of them
	draw $#
	shift "$drawn"
	drawn=$1
}
draw_pause() { # TENTHS: less than that
	draw "$1"
	sleep "$((drawn / 10)).$((drawn % 10))"
}
pick() { # COUNT: so many nodes; often who led when last seen is the first
	local rest=$names
	victims=
	draw 2
	if [ "$drawn" = 0 ] && [ -n "$leader" ]; then
		victims=$leader
		rest=$(without "$leader" $rest)
	fi
	while [ "$(count $victims)" -lt "$1" ]; do
		draw_word $rest
		victims="$victims $drawn"
		rest=$(without "$drawn" $rest)
	done
	victims=$(echo $victims)
}
count() { echo $#; }
without() { # WORD WORD…
	local out=$1 word
	shift
	for word in "$@"; do [ "$word" = "$out" ] || echo "$word"; done | tr '\n' ' '
}
pick_some() { # at least one, fewer than half
	draw "$minority"
	pick $((drawn + 1))
}
minority=$(((nodes - 1) / 2))

fault_kill() {
	draw 8
	if [ "$drawn" = 0 ]; then pick "$nodes"; else pick_some; fi
	say "kill -9 $victims"
	for name in $victims; do kill_member "$name"; done
}
heal_kill() { for name in $victims; do start_again "$name"; done; }
fault_stop() {
	pick_some
	say "SIGSTOP $victims"
	for name in $victims; do kill -STOP "${pid_of[$name]}"; done
}
heal_stop() { for name in $victims; do kill -CONT "${pid_of[$name]}"; done; }
fault_cut() {
	local left right
	draw 3
	if [ "$nodes" -ge 5 ] && [ "$drawn" = 0 ]; then
		pick "$nodes"
		set -- $victims
		say "cut $1 $2 | $3 | $4 $5: $3 hears both sides"
		for left in $1 $2; do for right in $4 $5; do partition "$left" "$right"; done; done
		return
	fi
	pick_some
	say "cut off $victims"
	for left in $victims; do
		for right in $names; do case " $victims " in *" $right "*) ;; *) partition "$left" "$right" ;; esac; done
	done
}
heal_cut() { heal; }
fault_oneway() {
	local other
	pick 2
	set -- $victims
	draw 3
	case $drawn in
	0)
		say "$1 hears nobody"
		for other in $names; do [ "$other" = "$1" ] || sever "$other" "$1"; done
		;;
	1)
		say "nobody hears $1"
		for other in $names; do [ "$other" = "$1" ] || sever "$1" "$other"; done
		;;
	2)
		say "$1 does not hear $2"
		sever "$2" "$1"
		;;
	esac
}
heal_oneway() { heal; }
fault_loss() {
	pick 1
	draw 2
	[ "$drawn" = 0 ] && victims=$names
	say "a fifth of what comes to" $victims "is lost"
	lossy 20 $victims
}
heal_loss() { heal; }
# A small file system for each node. Not where that is not allowed: then $disks is empty.
disks=
disks_begin() { # MIB
	local name
	for name in $names; do
		mkdir "$work/$name"
		mount -t tmpfs -o "size=$1m" chaos "$work/$name" 2>/dev/null || { echo "nothing may be mounted here: no full disks"; return; }
		disks="$disks $name"
	done
}
disk_fill() { # NAME MIB: so much stays free
	local free
	free=$(($(stat -f -c '%a * %S' "$work/$1") / 1048576 - $2))
	[ "$free" -gt 0 ] && head -c "${free}M" /dev/zero >"$work/$1/filling" 2>/dev/null
	[ "$2" = 0 ] && cat /dev/zero >>"$work/$1/filling" 2>/dev/null
	return 0
}
disk_free() { rm -f "$work/$1/filling"; }
fault_disk() {
	local left
	pick 1
	draw 2
	left=$((drawn * 32))
	say "the disk of $victims is full ($left MiB left)"
	disk_fill "$victims" "$left"
}
# What cannot write any more ends, and says why (INVARIANTS 12); it is well again once there is room, and somebody starts it.
heal_disk() {
	disk_free "$victims"
	is_up "$victims" && return
	wait "${pid_of[$victims]}"
	tail -n 3 "$work/$victims.log" | grep -q -i -E "no space|full" || fail_with "$victims" "node $victims has ended by itself"
	say "$victims had ended for want of room: $(tail -n 1 "$work/$victims.log" | cut -c 1-120)"
	unset "pid_of[$victims]"
	start_again "$victims"
}

# --- the run ----------------------------------------------------------------------------------------------------------
begun=$SECONDS
[ -n "$placed" ] && namespaces_begin
trap cleanup_chaos EXIT
trap 'exit 1' TERM INT HUP
[ -n "$placed" ] && { hosts $names; disks_begin 256; }
able="kill stop"
[ -n "$placed" ] && able="$able cut oneway loss"
[ -n "$disks" ] && able="$able disk"
for class in $classes; do
	case " $able " in *" $class "*) ;; *) echo "skipped: $class cannot be made here"; exit 77 ;; esac
done
classes=${classes:-$able}
echo "$nodes nodes, $seconds s, seed $seed: $classes"

first=
for name in $names; do
	start "$name" --exec-slots 4 --expect "$nodes" ${first:+--join "$(address_of "$first")"}
	first=${first:-$name}
done
await_well "at the beginning" 60
of "$first" process register "$(dirname "$0")/chaos.flow" >/dev/null || fail "the workflow is refused"
addresses=$(for name in $names; do address_of "$name"; done | paste -sd ,)
CLUSTERD_TOKEN=$(cat "$work/$first/token") "$LOAD" --address "$addresses" --history "$work/history" \
	--started "$work/started" --seed "$seed" --run "s$seed" ${CHAOS_LOAD:-} >"$work/load.log" 2>&1 &
load=$!

rounds=0
worst=0
end=$((begun + seconds))
while [ $SECONDS -lt $end ]; do
	draw_word $classes
	class=$drawn
	"fault_$class"
	draw_pause 40
	draw 4
	second=
	if [ "$drawn" = 0 ] && [ "$class" != disk ] && [ "$class" != kill ]; then
		second=" and kill"
		first_victims=$victims
		fault_kill
		draw_pause 10
		heal_kill
		victims=$first_victims
	fi
	"heal_$class"
	rounds=$((rounds + 1))
	kill -0 "$load" 2>/dev/null || { cat "$work/load.log" >&2; fail "the clients have ended"; }
	draw 4
	[ "$drawn" = 0 ] && { nobody_ended; continue; }
	since=$SECONDS
	await_well "$class$second" 60
	[ $((SECONDS - since)) -gt $worst ] && worst=$((SECONDS - since))
	draw_pause 10
done
await_well "at the end" 60
kill -TERM "$load"
wait "$load" || { cat "$work/load.log" >&2; fail "a client was told what cannot be"; }
load=
cat "$work/load.log"
ok "$rounds faults; all nodes well again, $worst s later at most"

# --- what must hold ---------------------------------------------------------------------------------------------------
"$CHECK" "$work/history" >"$work/verdict" || { cp "$work/history" "${TMPDIR:-/tmp}/chaos-history.$seed"; cat "$work/verdict" >&2; fail "what clients saw is not linearizable; seed $seed"; }
ok "the history of keys: $(head -n 1 "$work/verdict")"

q() { of "$first" sql -o jsonl "$1" | sed 's/^{"[^"]*":\(.*\)}$/\1/'; }
finished() { [ "$(q "SELECT count(*) FROM pi_instance WHERE state = 'running'")" = 0 ]; }
until_true "no workflow runs any more" finished
awk '$2 != "-" { print $2, $1, $3 }' "$work/started" | sort -u >"$work/acknowledged"
of "$first" sql -o jsonl "SELECT id || ' ' || key || ' ' || json_extract(args, '\$.n') AS w FROM pi_instance
	WHERE result = '[' || (4 * json_extract(args, '\$.n')) || ',' || (2 * json_extract(args, '\$.n')) || ']'
	AND state = 'completed' LIMIT 1000000" | sed 's/^{"w":"\(.*\)"}$/\1/' | sort -u >"$work/right"
lost=$(comm -23 "$work/acknowledged" "$work/right")
[ -z "$lost" ] || fail "acknowledged workflows that have not finished with the right result: $(echo "$lost" | head -n 20)"
same "workflows with another result, or that failed" "$(q "SELECT count(*) FROM pi_instance")" "$(wc -l <"$work/right")"
same "keys that were started twice" "$(q "SELECT count(*) - count(DISTINCT key) FROM pi_instance")" 0
same "workflows that began or finished other than once" "$(q "SELECT count(*) FROM pi_instance AS i WHERE
	(SELECT count(*) FROM pi_history AS h WHERE h.instance = i.id AND h.kind = 'result') <> 1 OR
	(SELECT count(*) FROM pi_history AS h WHERE h.instance = i.id AND h.kind = 'start') <> 1")" 0
same "references that returned more than once" "$(q "SELECT count(*) FROM
	(SELECT 1 FROM pi_history WHERE kind = 'return' GROUP BY instance, ref HAVING count(*) > 1)")" 0
ok "$(wc -l <"$work/acknowledged") workflows acknowledged: each finished once, with the right result"

tables_alike() {
	local name
	for name in $names; do sqlite3 -readonly "$work/$name/catalog.db" .dump | md5sum; done | sort -u >"$work/sums"
	[ "$(wc -l <"$work/sums")" = 1 ]
}
until_true "all nodes have the same tables" tables_alike
for name in $names; do stop_member "$name" || fail_with "$name" "node $name did not stop as it should"; done
left() { grep -slz "^HOME=$work/" /proc/[0-9]*/environ 2>/dev/null; }
nothing_left() { [ -z "$(left)" ]; }
until_true "no child is left behind" nothing_left
finish
