#!/bin/bash
# Membership of nodes on hosts of their own. namespaces.sh CLUSTERD CLUSTERCTL
. "$(dirname "$0")/namespaces_lib.sh"
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
namespaces_begin
patience=60

member() { # OBSERVER NAME FIELD
	timeout=2s of "$1" member list -o jsonl 2>/dev/null | grep "\"name\":\"$2\"" | sed -n "s/.*\"$3\":\\({[^}]*}\\|\"[^\"]*\"\\|[^,}]*\\).*/\\1/p"
}
member_is() { [ "$(member "$1" "$2" "$3")" = "$4" ]; }
all_have() { # NAME FIELD VALUE OBSERVER…
	local name=$1 field=$2 value=$3 observer
	shift 3
	for observer in "$@"; do member_is "$observer" "$name" "$field" "$value" || return 1; done
}

# Two hosts that listen everywhere and tell others how they are reached: both see two.
hosts e f
listen=0.0.0.0:9189 start e --expect 2 --advertise "$(address_in e):9189" --join "$(address_in f):9189"
listen=0.0.0.0:9189 start f --expect 2 --advertise "$(address_in f):9189" --join "$(address_in e):9189"
until_true "two that listen everywhere see one another" all_see 2 alive e f
until_true "and form a cluster" agree e f
same "each at the address that it tells" "$(member f e address) $(member e f address)" "\"$(address_in e):9189\" \"$(address_in f):9189\""

# A node that is started before its seed joins once that is up; and others by the same seed.
hosts a b c d
start b --expect 3 --join "$(address_in a):9189"
alone() { [ "$(members_in b alive)" = 1 ]; }
until_true "a node whose seed is not there waits" alone
started=$EPOCHREALTIME
start a --expect 3
until_true "when the seed is up it joins" all_see 2 alive a b
start c --expect 3 --join "$(address_in a):9189"
until_true "three nodes with one seed list three" all_see 3 alive a b c
echo "# within $(((${EPOCHREALTIME/./} - ${started/./}) / 1000)) ms"
until_true "and are one cluster" agree a b c

# A node of another cluster, with the same secret: refused, on neither side seen, counted.
refusals() { timeout=2s of a status -o json | sed -n 's/.*"handshakes_refused":{[^}]*"cluster":\([0-9]*\).*/\1/p'; }
stop_member f
before=$(refusals)
listen=0.0.0.0:9189 start f --advertise "$(address_in f):9189" --join "$(address_in a):9189"
more_refusals() { [ "$(refusals)" -gt "$before" ]; }
until_true "a node of another cluster is refused, and that is counted" more_refusals
same "it is not seen" "$(member a f name)" ""
same "and sees nobody" "$(member f a name)" ""
until_true "its own cluster has it" agree e f

# A copy of a data directory, with its id, and the same name: refused, with a clear error.
stop_member b
cp -r "$work/b" "$work/copy"
restart b
until_true "b is back" all_see 3 alive a b c
refused() { # WHAT EXPECTED NAME DIRECTORY
	local what=$1 expected=$2 name=$3 directory=$4
	if launch_in d timeout 60 "$CLUSTERD" --data-dir "$work/$directory" --listen "$(address_in d):9189" --name "$name" \
		--secret-file "$secret" --join "$(address_in a):9189" >"$work/$directory.log" 2>&1; then
		fail "$what goes on"
	fi
	has "$what is told so" "$(cat "$work/$directory.log")" "$expected"
}
launch_in() (launch "$@")
refused "a node with the id of another" "a data directory was copied" b copy
refused "a node with the name of another" "a member with the name b already" b another
until_true "which nobody notices" all_see 3 alive a b c

# Leaving is heard of, with id and address; dying is noticed, once.
start d --join "$(address_in b):9189"
until_true "d joins" all_see 4 alive a b c d
id=$(member a d id)
of d member leave >/dev/null || fail "d cannot leave"
wait "${pid_of[d]}"
unset "pid_of[d]"
until_true "its leave is seen by all" all_have d state '"left"' a b c
same "of the one that it was" "$(member a d id) $(member a d address)" "$id \"$(address_in d):9189\""
generation=$(member a c generation)
id=$(member a c id)
kill_member c
until_true "who is killed is marked as failed" all_have c state '"failed"' a b
same "once" "$(members_in a failed)" 1

# Back again under its id: alive, with a higher generation, once; and with another tag.
restart c --tag rack=7 --tag "zone=north"
until_true "it is alive again" all_have c state '"alive"' a b c
same "as who it was" "$(member a c id)" "$id"
[ "$(member a c generation)" -gt "$generation" ] || fail "its generation is $(member a c generation) after $generation"
ok "with a higher generation"
same "there is one entry of it" "$(of a member list -o jsonl | grep -c '"name":"c"')" 1
has_tag() { member "$1" c tags | grep -q "$2"; }
for observer in a b c; do until_true "$observer sees its tag" has_tag $observer 'rack'; done
stop_member c
restart c --tag zone=south
tag_gone() { has_tag "$1" south && ! has_tag "$1" rack; }
for observer in a b c; do until_true "$observer sees that a tag is gone" tag_gone $observer; done

# One that stands still: marked as failed, and it comes back as what it was. The others go on.
until_true "all agree" agree a b c
kill -STOP "${pid_of[c]}"
until_true "one that stands still is marked as failed" all_have c state '"failed"' a b
same "the others work" "$(of a run "$here/../../examples/countdown/countdown.flow" 2)" '"lift-off"'
kill -CONT "${pid_of[c]}"
until_true "it is alive when it goes on" all_have c state '"alive"' a b c
until_true "and agrees" agree a b c
finish
