#!/bin/bash
# A member's directory is exchanged for an old copy: it is refused, counted and told, and the others go on.   old_copy.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"
. "$(dirname "$0")/nodes.sh"

start a --expect 3
start b --expect 3 --join "$(address_of a)"
start c --expect 3 --join "$(address_of a)"
until_true "three nodes form a cluster" agree a b c
until_true "all have a vote" voters_are 3 a
of a kv put early kept >/dev/null || fail "nothing can be put"
agree a b c || fail "nobody leads"
victim=$(echo a b c | tr ' ' '\n' | grep -v "^$leader$" | head -n 1)
has_all() { [ "$(of "$victim" --consistency local kv get "$1" 2>/dev/null)" = kept ]; }
until_true "a follower has all" has_all early

# As a backup of a running machine is made.
kill -STOP "${pid_of[$victim]}"
cp -r "$work/$victim" "$work/copy"
kill -CONT "${pid_of[$victim]}"
for ((i = 0; i < 20; i++)); do
	of "$leader" kv put "later.$i" kept >/dev/null || fail "nothing can be put"
done
until_true "and what came later" has_all later.19
kill_member "$victim"
where=$(address_of "$victim")
mv "$work/$victim" "$work/new"
mv "$work/copy" "$work/$victim"
rm -f "$work/$victim/endpoint"

"$CLUSTERD" --data-dir "$work/$victim" --listen "$where" --name "$victim" --secret-file "$secret" >"$work/old.log" 2>&1 &
old=$!
wait "$old"
code=$?
[ $code -ne 0 ] || fail "the old copy ends as if nothing had happened"
ok "a node with an old copy ends"
has "and says why" "$(cat "$work/old.log")" "old copy"
others=$(echo a b c | tr ' ' '\n' | grep -v "^$victim$")
counted=0
for name in $others; do counted=$((counted + $(status_field "$name" members_set_back))); done
[ $counted -ge 1 ] || fail "nobody has counted it"
ok "the others have counted it"
of "$(echo "$others" | head -n 1)" kv put after kept >/dev/null || fail "the others do not go on"
ok "the others go on"

# With what it had last it is welcome again.
mv "$work/$victim" "$work/copy"
mv "$work/new" "$work/$victim"
unset "pid_of[$victim]"
listen=$where start "$victim"
until_true "with its own directory it is back" agree a b c
until_true "and has all" has_all after
finish
