#!/bin/bash
# What a node does with the directory it is given: its own, another's, damaged, newer, full. store.sh CLUSTERD CLUSTERCTL
CLUSTERD=$1 CLUSTERCTL=$2
. "$(dirname "$0")/node.sh"

# Runs a daemon that is expected to refuse, and gives what it says.
refusal() {
	local said
	said=$(timeout 20 "$CLUSTERD" --data-dir "$data" --listen 127.0.0.1:0 "$@" 2>&1) && fail "it runs: $said"
	echo "$said"
}

# Options: the command line before the environment before the file.
mkdir "$work/etc"
printf 'name = "from-file"\nlog_level = debug\ntag = ["rack=r1"]\nlisten = "127.0.0.1:0"\n' >"$work/etc/clusterd.conf"
"$CLUSTERD" --config "$work/etc/clusterd.conf" --data-dir "$data" >"$work/node.log" 2>&1 &
node=$!
ctl status --wait >/dev/null || fail "the node does not get ready with a configuration file"
has "the file's name" "$(ctl status -o json)" '"node":"from-file"'
tagged() { [ "$(sql "SELECT tags FROM node")" = '{"rack":"r1"}' ]; } # the file is a little behind
until_true "its tags are in the catalog" tagged
same "the endpoint file" "$("$CLUSTERCTL" --address "$(head -n 1 "$data/endpoint")" status -o json | grep -c '"state":"primary"')" 1
has "a second daemon on the directory" "$(refusal)" "is in use by process $node"
kill -HUP "$node"
ctl status >/dev/null || fail "SIGHUP ends the node"
stop_node
CLUSTERD_NAME=from-environment "$CLUSTERD" --config "$work/etc/clusterd.conf" --data-dir "$data" >>"$work/node.log" 2>&1 &
node=$!
ctl status --wait >/dev/null
has "the environment's name" "$(ctl status -o json)" '"node":"from-environment"'
stop_node
echo 'nane = "x"' >"$work/etc/clusterd.conf"
has "a setting that does not exist" "$(refusal --config "$work/etc/clusterd.conf")" "clusterd.conf:1:1"
has "an option that does not exist" "$(refusal --nane x)" "--nane"
has "an address that is none" "$(refusal --listen 127.nowhere)" "nowhere"
has "an address that others reach" "$(refusal --listen 0.0.0.0:0)" "loopback"

# A graceful stop waits for what runs, and leaves nothing outstanding.
start_node
ctl process register "$here/flows/bad.flow" >/dev/null
id=$(ctl workflow start Slow 1)
until_true "a call runs" sh -c "[ \"\$(sqlite3 -readonly '$data/catalog.db' \"SELECT state FROM pi_call WHERE instance = $id\")\" = running ]"
kill -TERM "$node"
until_true "a new call is refused" sh -c "'$CLUSTERCTL' --data-dir '$data' --timeout 1s workflow start Slow 1 2>&1 | grep -q 'shutting down\\|no node answers'"
wait "$node" || fail "the node did not stop as it should"
node=
same "what ran has returned" "$(sql "SELECT state FROM pi_call WHERE instance = $id")" "done"
same "the workflow has its result" "$(sql "SELECT state, result FROM pi_instance WHERE id = $id")" 'completed|"slow"'

# A catalog from a newer version; a directory that is none; one that cannot be made.
cp -a "$data" "$work/kept"
sqlite3 "$data/catalog.db" "UPDATE meta SET value = value + 1 WHERE key = 'schema_version'"
has "a catalog from a newer version" "$(refusal)" "knows up to version"
rm -rf "$data" && cp -a "$work/kept" "$data"

# Damage in the middle of the log is refused, with the file and where; a torn tail is cut.
segment=$(ls "$data"/log/*.seg | head -n 1)
printf 'X' | dd of="$segment" bs=1 seek=300 conv=notrunc status=none
said=$(refusal)
has "a damaged record" "$said" "$(basename "$segment")"
has "where it is" "$said" "offset"
rm -rf "$data" && cp -a "$work/kept" "$data"
rm -f "$data"/catalog.db*
start_node
same "a lost catalog is made again from the log" "$(sql "SELECT state, result FROM pi_instance WHERE id = $id")" 'completed|"slow"'
stop_node
mv "$data" "$work/elsewhere"
touch "$data"
has "a directory that is a file" "$(refusal)" "not a directory"
rm -f "$data"
mv "$work/elsewhere" "$data"

# Nobody else writes the catalog.
start_node
sqlite3 -cmd ".timeout 10000" "$data/catalog.db" "UPDATE pi_instance SET result = 'forged'" # a transaction may be open
ctl --timeout 1s workflow start Slow 1 >/dev/null 2>&1
wait "$node" && fail "the node goes on after a foreign write"
has "a foreign write to the catalog" "$(tail -n 1 "$work/node.log")" "another program has written to the catalog"
rm -rf "$data"

# A full disk: nothing new is begun, what was acknowledged stays, and it goes on when there is room.
mkdir "$data"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=90m none "$data" 2>/dev/null; then
	trap 'for pid in $(jobs -p); do kill -9 "$pid" 2>/dev/null; done; wait 2>/dev/null; umount "$data"; cleanup' EXIT
	start_node
	ctl process register "$here/flows/paper.flow" >/dev/null || fail "the workflows are refused"
	same "before the disk is full" "$(ctl workflow start Countdown 1 --wait)" '"done"'
	head -c 60M /dev/zero >"$data/filler"
	ctl workflow start Countdown 1 --wait >/dev/null
	full() { "$CLUSTERCTL" --data-dir "$data" --timeout 300ms workflow start Countdown 1 2>&1 | grep -q "nearly full"; }
	until_true "nearly full: nothing new is begun" full
	ctl sql "SELECT count(*) FROM pi_instance" >/dev/null || fail "nothing can be read on a full disk"
	rm "$data/filler"
	runs() { [ "$(ctl --timeout 2s workflow start Countdown 1 --wait 2>/dev/null)" = '"done"' ]; }
	until_true "it goes on when there is room" runs
	stop_node
else
	echo "skipped: a full disk (no right to mount a small one)"
fi
finish
