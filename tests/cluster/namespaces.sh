#!/bin/bash
# Nodes on hosts of their own, and what becomes of them when the network between these is cut. namespaces.sh CLUSTERD CLUSTERCTL
. "$(dirname "$0")/namespaces_lib.sh"
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"
namespaces_begin

rest_of() { echo a b c | tr ' ' '\n' | grep -v "^$1$" | tr '\n' ' '; }

hosts a b c
start a --expect 3
start b --expect 3 --join "$(address_of a)"
start c --expect 3 --join "$(address_of a)"
until_true "nodes on three hosts form a cluster" agree a b c
until_true "all see three" all_see 3 alive a b c

# The leader is isolated: it stops to lead within a lease, the others go on; it comes back and follows.
old=$leader
rest=$(rest_of "$old")
isolate "$old"
not_primary() { [ "$(status_field "$1" state)" != primary ]; }
until_true "a leader that is isolated leads no more" not_primary "$old"
# shellcheck disable=SC2086 # a list of names
until_true "the rest elects another one" agree $rest
next=$leader
term=$(status_field "$next" term)
[ "$(dropped "$old")" -gt 0 ] || fail "nothing was cut"
heal
until_true "the isolated one comes back" agree a b c
is_secondary() { [ "$(status_field "$1" state)" = secondary ]; }
until_true "and follows" is_secondary "$old"
same "leader and term are what they were" "$(status_field "$old" leader) $(status_field "$old" term)" "$next $term"
finish
