#!/bin/bash
# Backups: saved, looked at, restored; and what a node that will not come back has left. restore.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"

backup=$work/backup.db
old=$data
skip=4294967296

# A cluster that has done something, has something under way, and something that waits.
start_node
ctl process register "$here/flows/paper.flow" >/dev/null || fail "the workflows are refused"
same "work is done" "$(ctl workflow start Countdown 3 --wait)" '"done"'
ctl process register "$here/../../examples/approval/approval.flow" >/dev/null || fail "the example is refused"
waiting=$(ctl workflow start Approval "a new lamp")
until_true "a workflow waits" sh -c "[ \"\$('$CLUSTERCTL' --data-dir '$data' sql \"SELECT count(*) FROM pi_call WHERE kind = 'signal'\" -o jsonl)\" = '{\"count(*)\":1}' ]"
version=$(ctl kv put name first)
ctl snapshot save "$backup" 2>/dev/null || fail "no backup"

# What it says of itself.
said=$("$CLUSTERCTL" snapshot inspect "$backup" -o json)
cluster=$(sql "SELECT value FROM meta WHERE key = 'cluster_id'")
has "the copy's cluster" "$said" "\"cluster\":\"$cluster\""
has "the copy's members" "$said" '"name":"test"'
has "the copy's tables" "$said" '"pi_instance":2'
has "for people" "$("$CLUSTERCTL" snapshot inspect "$backup")" "pi_instance   2"
same "the copy is its owner's" "$(stat -c %a "$backup")" 600

# After the backup: what is lost with the old cluster must not come again under the same numbers.
lost=$(ctl workflow start Countdown 1)
lost_version=$(ctl kv put name second)
refused=$("$CLUSTERCTL" snapshot restore "$backup" --data-dir "$data" 2>&1) && fail "it restores into a directory of another node"
has "a directory that holds something" "$refused" "holds something already"
refused=$("$CLUSTERD" --data-dir "$data" --salvage "$work/busy.db" 2>&1) && fail "it salvages a node that runs"
has "what runs is not salvaged" "$refused" "in use by process $node"
stop_node

data=$work/restored
restored=$("$CLUSTERCTL" snapshot restore "$backup" --data-dir "$data" 2>/dev/null) || fail "it is not restored"
[ "$restored" != "$cluster" ] || fail "the new cluster has the old one's id"
start_node
same "the new cluster's id" "$(sql "SELECT value FROM meta WHERE key = 'cluster_id'")" "$restored"
same "its only member" "$(ctl sql "SELECT name, state FROM node" -o jsonl)" '{"name":"test","state":"alive"}'
same "what was stored" "$(ctl kv get name)" first
same "what was done" "$(sql "SELECT count(*) FROM pi_instance WHERE state = 'completed'")" 1
ctl workflow signal "$waiting" decision '"granted"' >/dev/null || fail "no signal"
has "what waited goes on" "$(ctl workflow wait "$waiting")" "a new lamp"
next=$(ctl workflow start Countdown 1)
[ "$next" -gt $((lost + skip / 2)) ] || fail "workflow $next after the restoration, $lost was given out before"
ok "ids of workflows are others"
next=$(ctl kv put name third)
[ "$next" -gt $((lost_version + skip / 2)) ] || fail "version $next after the restoration, $lost_version was given out before"
ok "versions of keys are others"
kill_node
start_node
same "after it was killed" "$(ctl kv get name)" third
stop_node

# From read-only media, and by others than the one who made it.
chmod 400 "$backup"
again=$("$CLUSTERCTL" snapshot restore "$backup" --data-dir "$work/again" 2>/dev/null) || fail "it is not restored again"
[ "$again" != "$restored" ] || fail "two restorations are one cluster"
ok "each restoration is a cluster of its own"
chmod 600 "$backup"

# What is no backup, or not a whole one.
refuses() {
	local said
	said=$("$CLUSTERCTL" snapshot restore "$2" --data-dir "$work/refused" 2>&1) && fail "$1 is restored"
	has "$1" "$said" "$3"
	[ ! -e "$work/refused" ] || fail "$1 leaves a directory behind"
}
echo "no backup at all, but a text that is long enough to look like something" >"$work/text"
refuses "a text" "$work/text" "not a database"
refuses "no file" "$work/nowhere.db" "unable to open"
cp "$backup" "$work/damaged.db"
dd if=/dev/urandom of="$work/damaged.db" bs=4096 seek=5 count=6 conv=notrunc status=none
refuses "a damaged backup" "$work/damaged.db" "damaged.db"
cp "$backup" "$work/newer.db"
sqlite3 "$work/newer.db" "UPDATE meta SET value = value + 1 WHERE key = 'schema_version'"
refuses "a backup of a later version" "$work/newer.db" "knows up to version"
"$CLUSTERCTL" snapshot inspect "$work/damaged.db" >/dev/null 2>&1 && fail "a damaged backup is shown as whole"
ok "a damaged backup is told"

# A node that is gone for good left its log: all that is in it counts, also beyond the catalog.
rm -f "$old"/catalog.db*
cp "$backup" "$old/catalog.db"
contents() { find "$old" -type f ! -name lock ! -name '*.seg' -exec md5sum {} + | sort; } # the log's tail is made safe, as at every start
before=$(contents)
said=$("$CLUSTERD" --data-dir "$old" --salvage "$work/salvage.db") || fail "nothing is salvaged: $said"
has "the last entry that is salvaged" "$said" "of term 1"
same "the directory stays as it was" "$(contents)" "$before"
same "only the file is left" "$(cd "$work" && ls -d salvage*)" salvage.db
data=$work/salvaged
"$CLUSTERCTL" snapshot restore "$work/salvage.db" --data-dir "$data" >/dev/null 2>&1 || fail "what was salvaged is not restored"
start_node
same "the log beyond the catalog" "$(ctl kv get name)" second
same "what was begun last" "$(ctl workflow wait "$lost")" '"done"'
stop_node
rm -f "$old"/catalog.db*
"$CLUSTERD" --data-dir "$old" --salvage "$work/log.db" >/dev/null || fail "nothing is salvaged from the log alone"
same "a whole log is enough" "$("$CLUSTERCTL" snapshot inspect "$work/log.db" -o json | grep -c "$cluster")" 1
refused=$("$CLUSTERD" --data-dir "$old" --salvage "$work/log.db" 2>&1) && fail "a file is overwritten"
has "a file that is there" "$refused" "is there already"
refused=$("$CLUSTERD" --data-dir "$work/nowhere" --salvage "$work/x.db" 2>&1) && fail "a directory that is none is salvaged"
has "a directory that is none" "$refused" "not the data directory"
finish
