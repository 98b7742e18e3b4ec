#!/bin/bash
# Three servers on hosts of their own, and a network that is cut between them, in one direction too, and loses packets.
#   partitions.sh CLUSTERD CLUSTERCTL
. "$(dirname "$0")/namespaces_lib.sh"
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
namespaces_begin
patience=60

others_of() { echo a b c | tr ' ' '\n' | grep -v "^$1$" | tr '\n' ' '; }
state_of() { status_field "$1" state; }
is_secondary() { [ "$(state_of "$1")" = secondary ]; }
is_inactive() { [ "$(state_of "$1")" = inactive ]; }
# The cluster is led by another one than $old, of those that are left; from when that is seen on, $old does not lead.
led_anew() {
	# shellcheck disable=SC2086 # a list of names
	agree $rest || return 1
	[ "$leader" != "$old" ] || return 1
	[ "$(state_of "$old")" != primary ] || fail "$leader leads, and $old still does"
}
put() { timeout=${patience}s of "$1" kv put "$2" "$3" >/dev/null; }
got() { of "$1" kv get "$2"; }
elections_of() { echo "$(status_field "$1" term) $(status_field "$1" leader)"; }

hosts a b c
for name in a b c; do start $name --expect 3 --join "$(address_in a):9189,$(address_in b):9189"; done
until_true "three hosts form a cluster" agree a b c
until_true "all see three" all_see 3 alive a b c
put a first 1 || fail "nothing can be written"

# Tries it up to three times. What is cut off must not make the others elect anew; but a machine that is held up for too long may.
quietly() { # WHAT COMMAND
	local tries
	for tries in 1 2 3; do
		"$2" && ok "$1" && return
		echo "# an election in between (try $tries)"
		until_true "all agree again" agree a b c
	done
	fail "$1: not in three tries"
}

# The leader is isolated: it stops leading before another one leads, and what it is told to write is not written. It comes back.
leader_is_isolated() {
	agree a b c || return
	old=$leader
	rest=$(others_of "$old")
	isolate "$old"
	timeout=5s of "$old" kv put lost 1 >/dev/null 2>&1 && fail "an isolated leader acknowledges a write"
	until_true "another one leads when the leader is isolated, and only then" led_anew
	until_true "the isolated one is inactive" is_inactive "$old"
	put "$leader" second 2 || fail "the rest writes nothing"
	# shellcheck disable=SC2086 # a list of names
	until_true "the rest marks it as failed" all_see 1 failed $rest
	until_true "and it them" all_see 2 failed "$old"
	[ "$(dropped "$old")" -gt 0 ] || fail "nothing was cut"
	# shellcheck disable=SC2086
	agree $rest || return
	settled=$(elections_of "$leader")
	heal
	until_true "back again, it follows" is_secondary "$old"
	until_true "all are alive" all_see 3 alive a b c
	same "it has what was written meanwhile" "$(got "$old" second)" 2
	[ "$(elections_of "$leader")" = "$settled" ] && [ "$(elections_of "$old")" = "$settled" ]
}
quietly "an isolated leader is replaced, and comes back without an election" leader_is_isolated
lost_is_the_same() { [ "$(for name in a b c; do got $name lost 2>/dev/null; echo; done | sort -u | wc -l)" = 1 ]; }
until_true "the write that was not acknowledged is nowhere, or everywhere" lost_is_the_same

# A leader that is heard, but hears nobody: it must not keep the others from electing another one.
agree a b c || fail "no leader"
old=$leader
rest=$(others_of "$old")
for name in $rest; do sever "$name" "$old"; done
until_true "a leader that hears nobody is replaced" led_anew
put "$leader" third 3 || fail "the rest writes nothing"
heal
until_true "it follows when it hears the others again" is_secondary "$old"
until_true "and has what was written" agree a b c
same "all of it" "$(got "$old" third)" 3
until_true "all are alive again" all_see 3 alive a b c

# A follower that hears nobody, but is heard: it disturbs nobody.
asks() { [ "$(status_field "$deaf" pre_votes)" -gt "$asked" ]; }
follower_is_deaf() {
	local name
	agree a b c || return
	deaf=$(others_of "$leader" | awk '{print $1}')
	settled=$(elections_of "$leader")
	for name in $(others_of "$deaf"); do sever "$name" "$deaf"; done
	until_true "a follower that hears nobody knows of no leader" is_inactive "$deaf"
	put "$leader" fourth 4 || fail "nothing can be written beside a deaf follower"
	asked=$(($(status_field "$deaf" pre_votes) + 3))
	until_true "it asks again and again whether it may lead" asks
	[ "$(elections_of "$leader")" = "$settled" ] || { heal; return 1; }
	heal
	until_true "it follows again" is_secondary "$deaf"
	[ "$(elections_of "$leader")" = "$settled" ] && [ "$(elections_of "$deaf")" = "$settled" ]
}
quietly "a follower that hears nobody makes nobody elect" follower_is_deaf

# Two that do not hear one another, but the third: there is one leader, and no election after another.
one_leads() {
	local primaries
	primaries=$(for name in a b c; do state_of $name; done | grep -c primary)
	[ "$primaries" = 1 ]
}
two_are_parted() {
	until_true "all are alive once more" all_see 3 alive a b c
	agree a b c || return
	settled=$(elections_of "$leader")
	other=$(others_of "$leader" | awk '{print $2}')
	third=$(others_of "$leader" | awk '{print $1}')
	partition "$leader" "$other"
	put "$third" fifth 5 || fail "nothing can be written"
	until_true "who does not hear the leader knows of none" is_inactive "$other"
	until_true "one leads" one_leads
	asked=$(($(status_field "$other" pre_votes) + 3))
	deaf=$other
	until_true "it asks again and again, too" asks
	put "$third" sixth 6 || fail "nothing can be written"
	[ "$(elections_of "$leader")" = "$settled" ] || { heal; return 1; }
	heal
	until_true "all agree when the network is whole" agree a b c
	[ "$(elections_of "$other")" = "$settled" ]
}
quietly "two that only hear a third elect nobody" two_are_parted
until_true "all are alive at last" all_see 3 alive a b c

# A fifth of all packets is lost: it is slower, and that is all.
lossy 20
for i in 1 2 3; do
	for name in a b c; do put $name "lossy/$name" "$i" || fail "nothing can be written at $name when packets are lost"; done
done
same "work is done while packets are lost" "$(timeout=120s of a run "$here/../../examples/countdown/countdown.flow" 3)" '"lift-off"'
[ "$(dropped a)" -gt 0 ] || fail "nothing was lost"
lossy 0
until_true "all agree afterwards" agree a b c
until_true "and are alive" all_see 3 alive a b c
same "all that was written is there" "$(for name in a b c; do got b lossy/$name; echo; done | sort -u)" 3
finish
