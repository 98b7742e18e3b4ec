# For the scripts beside it: several nodes, each with a directory of its own below $work. Source it after node.sh.
declare -A pid_of
secret=$work/secret
(umask 077 && head -c 32 /dev/urandom | base64 >"$secret")

# Where a node runs, and where it listens; namespaces_lib.sh says it otherwise.
launch() {
	shift
	exec "$@"
}
listen_of() { echo 127.0.0.1:0; }

# start NAME [OPTION…]: starts a node; its address is in address_of NAME from then on.
start() {
	local name=$1
	shift
	launch "$name" "$CLUSTERD" --data-dir "$work/$name" --listen "${listen:-$(listen_of "$name")}" --name "$name" \
		--secret-file "$secret" "$@" >>"$work/$name.log" 2>&1 &
	pid_of[$name]=$!
	wait_for_endpoint "$name"
}
wait_for_endpoint() {
	local deadline=$((SECONDS + 10))
	until [ -s "$work/$1/endpoint" ]; do
		kill -0 "${pid_of[$1]}" 2>/dev/null || fail_with "$1" "node $1 ended"
		[ $SECONDS -lt $deadline ] || fail_with "$1" "node $1 does not listen"
		sleep 0.01
	done
}
# Starts it again where it was.
restart() {
	local name=$1 where
	shift
	where=$(address_of "$name")
	listen=$where start "$name" "$@"
}
fail_with() {
	echo "--- $1" >&2
	tail -n 20 "$work/$1.log" >&2
	fail "$2"
}
address_of() { head -n 1 "$work/$1/endpoint"; }
# Of a, b and c.
others_of() { echo a b c | tr ' ' '\n' | grep -v "^$1$" | tr '\n' ' '; }
nodes_from() { # NAME: the addresses of all, its own first
	local list=$work/$1/clusterd.sock other
	for other in $(others_of "$1"); do list=$list,$work/$other/clusterd.sock; done
	echo "$list"
}
of() { # NAME COMMAND…
	local name=$1
	shift
	"$CLUSTERCTL" --data-dir "$work/$name" --timeout "${timeout:-30s}" "$@"
}
kill_member() {
	kill -9 "${pid_of[$1]}"
	wait "${pid_of[$1]}" 2>/dev/null
	unset "pid_of[$1]"
}
stop_member() {
	kill -TERM "${pid_of[$1]}"
	wait "${pid_of[$1]}"
	unset "pid_of[$1]"
}
status_field() { # NAME FIELD
	timeout=2s of "$1" status -o json 2>/dev/null | sed -n "s/.*\"$2\":\"\\{0,1\\}\\([^,\"}]*\\).*/\\1/p"
}
members_in() { # NAME STATE: how many
	timeout=2s of "$1" member list -o json 2>/dev/null | grep -o "\"state\":\"$2\"" | wc -l
}
# One and the same leader for all of NAMES; it is in $leader then.
agree() {
	local name seen=
	leader=
	for name in "$@"; do
		seen=$(status_field "$name" leader)
		[ -n "$seen" ] || return 1
		[ -z "$leader" ] || [ "$seen" = "$leader" ] || return 1
		leader=$seen
	done
	[ "$(status_field "$leader" state)" = primary ]
}
all_see() { # COUNT STATE NAME…
	local count=$1 state=$2 name
	shift 2
	for name in "$@"; do
		[ "$(members_in "$name" "$state")" = "$count" ] || return 1
	done
}
voters_are() { # COUNT NAME
	[ "$(timeout=2s of "$2" member list -o json 2>/dev/null | grep -o '"seat":"voter"' | wc -l)" = "$1" ]
}
cleanup_nodes() {
	for name in "${!pid_of[@]}"; do
		kill -CONT "${pid_of[$name]}" 2>/dev/null
		kill -9 "${pid_of[$name]}" 2>/dev/null
	done
	cleanup
}
trap cleanup_nodes EXIT
