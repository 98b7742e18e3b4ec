#!/bin/bash
# Nodes form a cluster, change it and lose members: who leads, who is seen, what is refused.
#   forming.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

# min − 1 nodes stay inactive; one more gives exactly one primary.
start a --expect 3
start b --expect 3 --join "$(address_of a)"
until_true "two of three see each other" all_see 2 alive a b
same "two of three are no cluster" "$(status_field a state) $(status_field b state)" "inactive inactive"
start c --expect 3 --join "$(address_of a)"
until_true "three of three form one cluster and agree on a leader" agree a b c
until_true "all have a vote" voters_are 3 a
until_true "all see three alive" all_see 3 alive a b c
primaries=$(for n in a b c; do status_field $n state; done | grep -c primary)
same "there is exactly one primary" "$primaries" 1

# What is written through any of them is on all.
until_true "workflows can be registered through a follower" of b process register "$here/../../examples/countdown/countdown.flow"
same "a workflow runs that is asked for at a follower" "$(of c run "$here/../../examples/countdown/countdown.flow" 3)" '"lift-off"'

# A newcomer joins by any member, and becomes a voter once it has caught up.
start d --join "$(address_of b)"
until_true "a fourth node is seen by all" all_see 4 alive a b c d
until_true "and gets a vote" voters_are 4 d
knows_countdown() { of d process list 2>/dev/null | grep -q Countdown; }
until_true "and has what was registered" knows_countdown

# It leaves for good: it is said to be so, and its seat is gone.
of d member leave >/dev/null || fail "d cannot leave"
wait "${pid_of[d]}"
same "who was asked to leave ends as it should" $? 0
unset "pid_of[d]"
until_true "the others say that it has left" all_see 1 left a b c
until_true "and it has no vote any more" voters_are 3 a

# The leader is killed: another one leads soon; what was killed is marked failed; it comes back as itself.
agree a b c || fail "no leader"
killed=$leader
rest=$(echo a b c | tr ' ' '\n' | grep -v "^$killed$" | tr '\n' ' ')
kill_member "$killed"
until_true "another node leads after the leader was killed" agree $rest
[ "$leader" != "$killed" ] || fail "the dead lead"
until_true "it is marked failed" all_see 1 failed $rest
set -- $rest
same "work goes on" "$(of "$1" run "$here/../../examples/countdown/countdown.flow" 2)" '"lift-off"'
restart "$killed"
until_true "it is alive again, once" all_see 3 alive a b c
until_true "and follows" agree a b c

# Leadership is handed over when asked.
agree a b c || fail "no leader"
other=$(echo a b c | tr ' ' '\n' | grep -v "^$leader$" | head -n 1)
of "$leader" leader transfer "$other" >/dev/null || fail "leadership cannot be handed over"
until_true "leadership was handed over" agree a b c
same "to the one that was named" "$leader" "$other"

# Who is not wanted: another name twice, another secret.
if timeout 10 "$CLUSTERD" --data-dir "$work/e" --listen 127.0.0.1:0 --name a --secret-file "$secret" \
	--join "$(address_of b)" >"$work/e.log" 2>&1; then
	fail "a second node of the same name went on"
fi
has "a second node of the same name is told so" "$(cat "$work/e.log")" "a member with the name a"

# Without a quorum nobody leads, and that is said.
kill_member b
kill_member c
is_inactive() { [ "$(status_field a state)" = inactive ]; }
until_true "the last of three is inactive" is_inactive
restart b
until_true "with two of three there is a leader again" agree a b
finish
