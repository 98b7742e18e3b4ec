# For the scripts beside it: a node of their own in a temporary directory, and words to check with. Source it with CLUSTERD and
# CLUSTERCTL set.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/clusterd-test.XXXXXX")
data=$work/data
node=
passed=0

cleanup() {
	for pid in $(jobs -p); do
		kill -9 $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) 2>/dev/null
		kill -9 "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT

fail() {
	echo "FAILED: $*" >&2
	[ -f "$work/node.log" ] && tail -n 20 "$work/node.log" >&2
	exit 1
}

start_node() {
	"$CLUSTERD" --data-dir "$data" --listen 127.0.0.1:0 --name test "$@" >>"$work/node.log" 2>&1 &
	node=$!
	ctl status --wait >/dev/null || fail "the node does not get ready"
}
stop_node() {
	kill -TERM "$node"
	wait "$node" || fail "the node did not stop as it should"
	node=
}
kill_node() {
	kill -9 "$node"
	wait "$node" 2>/dev/null
	node=
}
ctl() { "$CLUSTERCTL" --data-dir "$data" --timeout 60s "$@"; }
# The file may be a little behind what was answered; a question to the node, when there is one, brings it up to that.
sql() {
	[ -z "$node" ] || "$CLUSTERCTL" --data-dir "$data" --timeout 5s sql "SELECT 1" >/dev/null 2>&1
	sqlite3 -readonly "$data/catalog.db" "$1"
}

ok() {
	passed=$((passed + 1))
	echo "ok - $1"
}
# same WHAT GOT EXPECTED
same() {
	[ "$2" = "$3" ] || fail "$1: got
$2
instead of
$3"
	ok "$1"
}
# has WHAT TEXT PART
has() {
	case $2 in
	*"$3"*) ok "$1" ;;
	*) fail "$1: $2 does not have: $3" ;;
	esac
}
# Runs a command until it succeeds, for up to 20 s, or as many as $patience says.
until_true() {
	local what=$1 deadline=$((SECONDS + ${patience:-20}))
	shift
	until "$@"; do
		[ $SECONDS -lt $deadline ] || fail "$what: not within ${patience:-20} s"
		sleep 0.02
	done
	ok "$what"
}
finish() { echo "$passed passed, 0 failed"; }
