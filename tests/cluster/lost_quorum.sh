#!/bin/bash
# Members that are far behind get a copy of the catalog, also when they die over it; and what a survivor has becomes a new cluster.
#   lost_quorum.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

start a --expect 3 --log-tail 0
start b --expect 3 --log-tail 0 --join "$(address_of a)"
start c --expect 3 --log-tail 0 --join "$(address_of a)"
until_true "three nodes are a cluster" agree a b c
until_true "all have a vote" voters_are 3 a

# So much is written that the log lets go of its beginning.
head -c 600000 /dev/urandom | base64 -w0 >"$work/value"
of a kv put early kept >/dev/null || fail "nothing can be written"
fill() { of a kv put "filler$((RANDOM % 4))" <"$work/value" >/dev/null; }
gone() { fill && [ "$(status_field "$leader" log_first_index)" -gt 1 ]; }
for _ in {1..40}; do fill || fail "the log cannot be filled"; done # a checkpoint comes every 64 MiB
until_true "the log begins later than it did" gone

# Who joins now gets the catalog; killed at whatever time, it begins anew.
has_all() { [ "$(timeout=2s of "$1" --consistency local kv get early 2>/dev/null)" = kept ]; }
for pause in 0.05 0.2 0.4 0.7; do
	late=late-$pause
	start "$late" --join "$(address_of a)" --log-tail 0
	sleep "$pause" # dies somewhere on the way, wherever that is
	kill_member "$late"
	restart "$late" --join "$(address_of a)" --log-tail 0
	until_true "a member that died after $pause s has all" has_all "$late"
	[ "$(status_field "$late" log_first_index)" -gt 1 ] || fail_with "$late" "it has the log from its beginning: no copy was needed"
	of "$late" member leave >/dev/null || fail_with "$late" "it does not leave"
	wait "${pid_of[$late]}"
	unset "pid_of[$late]"
done
same "no copies are left" "$(ls "$work"/[abc]/snapshot)" "$work/a/snapshot:

$work/b/snapshot:

$work/c/snapshot:"

# Two of three are gone for good.
until_true "three have a vote" voters_are 3 a
agree a b c || fail "no leader"
of a kv put late kept >/dev/null || fail "nothing can be written"
same "the last thing is on the survivor" "$(of a --consistency linearizable kv get late)" kept
kill_member b
kill_member c
timeout=2s of a kv put never written >/dev/null 2>&1 && fail "one of three agrees with itself"
same "what the survivor has can be read" "$(of a --consistency local kv get late)" kept
kill_member a
cluster=$("$CLUSTERD" --data-dir "$work/a" --salvage "$work/salvage.db") || fail "nothing is salvaged: $cluster"
"$CLUSTERCTL" snapshot restore "$work/salvage.db" --data-dir "$work/new" >/dev/null 2>&1 || fail "it is not restored"
start new
until_true "the new node is a cluster" agree new
same "it has what was kept" "$(of new kv get early) $(of new kv get late)" "kept kept"
same "its members" "$(voters_are 1 new && members_in new alive)" 1
start second --join "$(address_of new)"
until_true "another joins it" voters_are 2 new
until_true "and has all" has_all second

# The old cluster's members cannot come back with what they have.
start b --expect 3 --join "$(address_of new)" 2>/dev/null
knocked() { [ "$(status_field new gossip_refused_cluster)" -gt 0 ]; }
until_true "an old member is refused" knocked
same "an old member is none of the new cluster" "$(members_in new alive)" 2
same "and the new one goes on" "$(of new kv put after there >/dev/null && of second kv get after)" there
cleanup_nodes
finish
